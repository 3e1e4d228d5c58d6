"""How numbers of things are said."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, noun: str) -> str:
    """Return a number of things that form their plural with s: ``1 file``, ``2 files``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
