"""Python's search for reference cycles, which a stream of logins hardly needs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["few_cycles"]


@contextmanager
def few_cycles() -> Iterator[None]:
    """Look for cycles less often: logins make none, and looking took up to a sixth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)
