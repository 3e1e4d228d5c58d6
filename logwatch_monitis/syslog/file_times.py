"""A moment after a file's last line: what its name, its archive and its file system say."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import PurePath

__all__ = ["gzip_time", "reference_time"]

_GZIP = b"\x1f\x8b"
_GZIP_HEADER = 10
_PLAUSIBLE = 315_532_800  # 1980; file systems and archives without a time give 0 or little more
_GRACE = timedelta(days=31)
_DATE = re.compile(
    r"(?<![0-9])((?:19|20)[0-9]{2})([-_.]?)(0[1-9]|1[0-2])(?:\2(0[1-9]|[12][0-9]|3[01]))?(?![0-9]{3})"
)


def reference_time(
    name: str,
    zone: tzinfo,
    *,
    modified: float | None = None,
    packed: float | None = None,
    newer: float | None = None,
) -> float:
    """Return the earliest moment (seconds UTC) that is known to be after a file's last line.

    The earliest, because copying makes such moments later, never earlier. If nothing is known, as
    with archives that keep no times, it is the present.

    Args:
        name: of the file; logrotate's ``dateext`` (``auth.log-20251101.gz``), ``.2025-11-01`` and
            a month (``auth-2025-11.log``) are understood: the end of that day or month in *zone*,
            and a month's grace, because some names say when a file was begun.
        zone: the machine's.
        modified: modification time of the file; gzip and xz keep that of the packed one.
        packed: the archive's own note of it (`gzip_time`).
        newer: the time of the first line of the next newer file of the same log.
    """
    known = (moment for moment in (modified, packed, newer) if moment and moment > _PLAUSIBLE)
    return min([*known, *_named(name, zone)], default=time.time())


def gzip_time(head: bytes) -> float | None:
    """Return the modification time in a gzip header (RFC 1952 2.3.1), None without one."""
    if len(head) < _GZIP_HEADER or not head.startswith(_GZIP):
        return None
    return float(int.from_bytes(head[4:8], "little")) or None


def _named(name: str, zone: tzinfo) -> Iterator[float]:
    for found in _DATE.finditer(PurePath(name).name):
        year, separator, month, day = found.groups()
        if day is None and not separator:
            continue
        try:
            begin = datetime(int(year), int(month), int(day or "1"), tzinfo=zone)
        except ValueError:
            continue
        end = begin + timedelta(days=1) if day else _next_month(begin)
        yield (end + _GRACE).timestamp()


def _next_month(begin: datetime) -> datetime:
    return (begin + timedelta(days=31)).replace(day=1)
