"""Keeps the keys in this process's memory from everybody else."""

from __future__ import annotations

import resource
from contextlib import suppress

__all__ = ["keep_memory_private"]

_PR_SET_DUMPABLE = 4


def keep_memory_private() -> None:
    """Leave no core file, and let no other process of this user look into the memory.

    Programs that are started later inherit the first and not the second (prctl(2)).
    """
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
