"""The rotated copies of a log: which names they have, and in which order they were written.

Names understood, for a log ``auth.log``: ``auth.log.1``; ``auth.log-20261122`` and its kin with
hours, minutes, seconds or an epoch time behind the date, with ``-``, ``_`` or ``.`` before it;
``auth.1.log`` and ``auth-20261122.log`` (logrotate's ``extension``); each also with ``.gz``,
``.xz``, ``.zst`` or ``.bz2``. They are looked for beside the log and in the directories one level
below (logrotate's ``olddir``).
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import PurePath
from typing import NamedTuple

from logwatch_monitis.sources.files.descriptors import is_shortage

__all__ = [
    "Sibling",
    "directory_stamps",
    "list_siblings",
    "log_path",
    "name_age",
    "named_by_date",
    "named_packed",
    "scan",
    "single",
    "stat_siblings",
]

_MARK = r"""
    (?: [-._](?P<date>(?:19|20)\d\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])
              (?: [-_.]\d{9,11} | (?:[-_.T:]?\d\d){0,3} ) )
      | [-._](?P<epoch>\d{9,11})
      | \.(?P<number>\d{1,8})
    )"""
_PACKED = r"(?P<packed>\.(?:gz|xz|zst|bz2))?"
_NAME = re.compile(rf"(?P<base>.+?){_MARK}(?P<extension>\.[A-Za-z_]+)??{_PACKED}\Z", re.VERBOSE)


class Sibling(NamedTuple):
    """A rotated copy as the directory shows it.

    Attributes:
        path: its name with its directory.
        dev: its device.
        ino: its inode.
        modified: when it was last written, nanoseconds since the epoch.
        age: sorts copies named by number or by date among themselves, oldest first.
        dated: named by date, not by number.
        packed: its name says that it is compressed.
        size: bytes on the disk.
    """

    path: str
    dev: int
    ino: int
    modified: int
    age: str
    dated: bool
    packed: bool
    size: int = 0

    @property
    def content(self) -> tuple[int, int, int, int]:
        """Another one once the file is another, or was written to."""
        return self.dev, self.ino, self.modified, self.size

    @property
    def slot(self) -> tuple[str, bool, str]:
        """The same for a file and its compressed copy."""
        return os.path.split(self.path)[0], self.dated, self.age


class _Name(NamedTuple):
    """The name of a rotated copy, taken apart; *base* and *extension* together are the log's."""

    base: str
    extension: str
    age: str
    dated: bool
    packed: bool


@lru_cache(maxsize=8192)  # the same thousands of names are listed again at each rotation
def _parse(name: str) -> _Name | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    age, dated = _age(match)
    return _Name(match["base"], match["extension"] or "", age, dated, match["packed"] is not None)


def log_path(path: str) -> str | None:
    """Return the log's path if *path* is that of a rotated copy beside it, else None."""
    name = os.path.split(path)[1]
    found = _parse(name)
    return path.removesuffix(name) + found.base + found.extension if found else None


def name_age(path: str) -> str:
    """Return what sorts a log and its copies by their names alone: oldest first, the log last."""
    found = _parse(os.path.split(path)[1])
    return found.age if found else "~"


def named_by_date(path: str) -> bool:
    """Return whether *path* is that of a copy named by date, not by number."""
    found = _parse(os.path.split(path)[1])
    return found is not None and found.dated


def named_packed(path: str) -> bool:
    """Return whether the name says that the file is compressed."""
    return path.endswith((".gz", ".xz", ".zst", ".bz2"))


def scan(path: str, *, below: bool = False) -> dict[str, int]:
    """Return the paths of the rotated copies of *path*, with the inodes their directories show.

    Args:
        path: the log.
        below: look into the directories one level below as well.
    """
    directory, name = os.path.split(path)
    found = dict(_matching(directory or ".", name))
    if below:
        for child in sorted(_list(directory or ".").children):
            found.update(_matching(child, name))
    return found


def list_siblings(path: str, *, below: bool = False) -> list[Sibling]:
    """Return the rotated copies of the log at *path*, oldest first; see `scan`."""
    return stat_siblings(scan(path, below=below))


def stat_siblings(paths: Iterable[str]) -> list[Sibling]:
    """Return the rotated copies at *paths*, oldest first; what is no regular file is left out."""
    found = [sibling for path in paths for sibling in _sibling(path)]
    numbered = sorted((s for s in found if not s.dated), key=_order)
    dated = sorted((s for s in found if s.dated), key=_order)
    return _merge(numbered, dated)


def directory_stamps(path: str) -> list[tuple[int, int, int]]:
    """Return what changes with the names beside *path* and beside the file it leads to."""
    stamps = []
    for log in (path, os.path.realpath(path)):
        with contextlib.suppress(OSError):
            stamps.append(_stamp(os.path.split(log)[0] or "."))
    return stamps


def single(path: str) -> list[Sibling]:
    """Return the file at *path* itself as if it were the newest rotated copy; none if missing."""
    try:
        found = os.lstat(path)
    except OSError:
        return []
    if not stat.S_ISREG(found.st_mode):
        return []
    return [
        Sibling(path, found.st_dev, found.st_ino, found.st_mtime_ns, "", True, False, found.st_size)
    ]


def _order(sibling: Sibling) -> tuple[str, bool, int]:
    return sibling.age, not sibling.packed, sibling.modified


def _merge(one: list[Sibling], other: list[Sibling]) -> list[Sibling]:
    # Numbers and dates do not compare; the time of the last write decides between the two
    # series, and each keeps its own order.
    merged, first, second = [], 0, 0
    while first < len(one) and second < len(other):
        if one[first].modified <= other[second].modified:
            merged.append(one[first])
            first += 1
        else:
            merged.append(other[second])
            second += 1
    return merged + one[first:] + other[second:]


def _matching(directory: str, name: str) -> Iterator[tuple[str, int]]:
    listing = _list(directory)
    path = PurePath(name)
    keys = [(name, ""), (path.stem, path.suffix)] if path.suffix else [(name, "")]
    for key in keys:
        yield from listing.copies.get(key, ())


class _Listing(NamedTuple):
    """What a directory holds.

    Attributes:
        stamp: what changes whenever a name in the directory does.
        lasting: the stamp is old enough to prove that nothing has changed.
        copies: paths and inodes of rotated copies, by their logs' names and extensions.
        children: the directories in it.
    """

    stamp: tuple[int, int, int]
    lasting: bool
    copies: dict[tuple[str, str], list[tuple[str, int]]]
    children: list[str]


_listed: OrderedDict[str, _Listing] = OrderedDict()
"""Thousands of logs may lie in one directory: it is listed once, as long as it does not change."""
_LISTED_MOST = 16
_RACY_NS = 100_000_000
"""File systems tell times no better than by the timer's tick."""


def _list(directory: str) -> _Listing:
    """Return what a directory holds; nothing if it cannot be read.

    Raises:
        OSError: no descriptor is free.
    """
    try:
        stamp = _stamp(directory)
        known = _listed.get(directory)
        if known and known.lasting and known.stamp == stamp:
            return known
        found = _Listing(stamp, time.time_ns() - stamp[2] > _RACY_NS, {}, [])
        with os.scandir(directory) as entries:
            for entry in entries:
                if name := _parse(entry.name):
                    copies = found.copies.setdefault((name.base, name.extension), [])
                    copies.append((entry.path, entry.inode()))
                if entry.is_dir(follow_symlinks=False):
                    found.children.append(entry.path)
    except OSError as error:
        if is_shortage(error):
            raise
        return _Listing((0, 0, 0), False, {}, [])
    _listed[directory] = found
    _listed.move_to_end(directory)
    if len(_listed) > _LISTED_MOST:
        _listed.popitem(last=False)
    return found


def _stamp(directory: str) -> tuple[int, int, int]:
    found = os.stat(directory)  # noqa: PTH116 - often called
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _sibling(path: str) -> Iterator[Sibling]:
    try:
        found = os.lstat(path)
    except OSError:
        return
    name = _parse(os.path.split(path)[1])
    if name and stat.S_ISREG(found.st_mode):
        yield Sibling(
            path,
            found.st_dev,
            found.st_ino,
            found.st_mtime_ns,
            name.age,
            name.dated,
            name.packed,
            found.st_size,
        )


def _age(match: re.Match[str]) -> tuple[str, bool]:
    if match["number"]:
        return f"{10**8 - int(match['number']):09d}", False
    if match["epoch"]:
        return time.strftime("%Y%m%d%H%M%S", time.localtime(int(match["epoch"]))), True
    return re.sub(r"\D", "", match["date"]), True
