"""Reads what a user names up to a limit: a device or a pipe may never end."""

from __future__ import annotations

from pathlib import Path

from logwatch_monitis.errors import SetupError

__all__ = ["LONGEST", "read_small"]

LONGEST = 1024 * 1024
"""Bytes; configurations and the like are a hundredth of that."""


def read_small(path: str | Path, limit: int = LONGEST) -> bytes:
    """Return what a file, pipe or device holds.

    Raises:
        SetupError: it holds more than *limit* bytes.
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise SetupError(f"{path} is larger than {limit} bytes", "is it the right file?")
    return data
