"""Memory that this process no longer needs, given back to the system."""

from __future__ import annotations

import gc
from contextlib import suppress

__all__ = ["give_memory_back"]


def give_memory_back() -> None:
    """Return freed memory, which the C library of GNU keeps for as long as the process lives.

    Takes some milliseconds; meant for the quiet after a burst.
    """
    gc.collect()
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
