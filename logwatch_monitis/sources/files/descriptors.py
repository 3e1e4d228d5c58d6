"""How many files may be open: the limit of this process, and what stands behind an error."""

from __future__ import annotations

import errno
import os
import resource

__all__ = ["for_logs", "is_shortage", "raise_limit", "reason_of", "shortage"]

_RESERVE = 128
"""Descriptors for the spool, the monitor, the journal and those who ask for the status."""


def raise_limit() -> None:
    """Let this process open as many files as it may: the soft limit becomes the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def for_logs() -> int:
    """Return how many files of logs may be open at once, so that enough is left for the rest."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 20
    return max(1, soft - min(_RESERVE, soft // 2))


def shortage() -> str:
    """Return why no file can be opened at present; empty if one can."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        if is_shortage(error):
            return reason_of(error)
    return ""


def is_shortage(error: OSError) -> bool:
    """Tell whether *error* says that no further file can be opened at present."""
    return error.errno in (errno.EMFILE, errno.ENFILE)


def reason_of(error: OSError) -> str:
    """Return what is wrong, and for a shortage of descriptors what to do."""
    if error.errno == errno.EMFILE:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return f"the process may open no more than {soft} files (LimitNOFILE, ulimit -n)"
    if error.errno == errno.ENFILE:
        return "the machine can open no more files (sysctl fs.file-max)"
    return error.strerror or str(error)
