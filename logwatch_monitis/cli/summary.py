"""The closing line of what reads files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from logwatch_monitis.scanner.scanner import ScanCounts
from logwatch_monitis.text import counted, visible

__all__ = ["reading_summary"]

_PRECISE = 9.95
"""Below so many MB/s one decimal is shown."""


def reading_summary(
    services: Counter[str], files: Mapping[str, int], counts: ScanCounts, seconds: float
) -> str:
    """Return logins by service, lines, files, time and rate.

    Args:
        services: logins by service.
        files: the files read, with their uncompressed bytes.
        counts: what the scanners have seen.
        seconds: how long it took.
    """
    each = ", ".join(f"{name} {count}" for name, count in services.most_common())
    rate = sum(files.values()) / 1e6 / max(seconds, 1e-6)
    parts = [
        counted(services.total(), "login") + (f" ({visible(each)})" if each else ""),
        counted(counts.lines, "line"),
        counted(len(files), "file"),
        f"{seconds:.2f} s",
        f"{rate:.{int(rate < _PRECISE)}f} MB/s",
    ]
    if counts.overlong:
        parts.append(f"{counted(counts.overlong, 'line')} too long to be tried")
    if counts.undated:
        lost = "its" if counts.undated == 1 else "their"
        parts.append(f"{counted(counts.undated, 'login')} left out, {lost} time cannot be made out")
    if counts.cut_off:
        parts.append(
            f"{counted(counts.cut_off, 'line')} cut off and left out, the rest of"
            f" {'it' if counts.cut_off == 1 else 'them'} does not follow"
        )
    if counts.refused:
        parts.append(
            f"{counted(counts.refused, 'login')} refused, the journal does not prove who wrote"
            f" {'it' if counts.refused == 1 else 'them'}"
        )
    return ", ".join(parts)
