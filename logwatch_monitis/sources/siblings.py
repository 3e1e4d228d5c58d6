"""The rotated copies of a log: which names they have, and in which order they were written.

Names understood, for a log ``auth.log``: ``auth.log.1``; ``auth.log-20261122`` and its kin with
hours, minutes, seconds or an epoch time behind the date, with ``-``, ``_`` or ``.`` before it;
``auth.1.log`` and ``auth-20261122.log`` (logrotate's ``extension``); each also with ``.gz``,
``.xz``, ``.zst`` or ``.bz2``. They are looked for beside the log and in the directories one level
below (logrotate's ``olddir``).
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import PurePath
from typing import NamedTuple

__all__ = [
    "Sibling",
    "list_siblings",
    "log_path",
    "name_age",
    "named_by_date",
    "named_packed",
    "single",
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
    """

    path: str
    dev: int
    ino: int
    modified: int
    age: str
    dated: bool
    packed: bool

    @property
    def slot(self) -> tuple[str, bool, str]:
        """The same for a file and its compressed copy."""
        return os.path.split(self.path)[0], self.dated, self.age


def log_path(path: str) -> str | None:
    """Return the log's path if *path* is that of a rotated copy beside it, else None."""
    name = os.path.split(path)[1]
    match = _NAME.fullmatch(name)
    return path.removesuffix(name) + match["base"] + (match["extension"] or "") if match else None


def name_age(path: str) -> str:
    """Return what sorts a log and its copies by their names alone: oldest first, the log last."""
    match = _NAME.fullmatch(os.path.split(path)[1])
    return _age(match)[0] if match else "~"


def named_by_date(path: str) -> bool:
    """Return whether *path* is that of a copy named by date, not by number."""
    match = _NAME.fullmatch(os.path.split(path)[1])
    return match is not None and _age(match)[1]


def named_packed(path: str) -> bool:
    """Return whether the name says that the file is compressed."""
    return path.endswith((".gz", ".xz", ".zst", ".bz2"))


def list_siblings(path: str, *, below: bool = False) -> list[Sibling]:
    """Return the rotated copies of the log at *path*, oldest first.

    Args:
        path: the log.
        below: look into the directories one level below as well.
    """
    directory, name = os.path.split(path)
    found = list(_matching(directory or ".", name))
    if below:
        for child in _directories(directory or "."):
            found.extend(_matching(child, name))
    numbered = sorted((s for s in found if not s.dated), key=_order)
    dated = sorted((s for s in found if s.dated), key=_order)
    return _merge(numbered, dated)


def single(path: str) -> list[Sibling]:
    """Return the file at *path* itself as if it were the newest rotated copy; none if missing."""
    try:
        found = os.lstat(path)
    except OSError:
        return []
    if not stat.S_ISREG(found.st_mode):
        return []
    return [Sibling(path, found.st_dev, found.st_ino, found.st_mtime_ns, "", True, False)]


def _order(sibling: Sibling) -> tuple[str, bool, int]:
    return sibling.age, not sibling.packed, sibling.modified


def _merge(one: list[Sibling], other: list[Sibling]) -> list[Sibling]:
    # Numbers and dates do not compare; the time of the last write decides between the two
    # series, and each keeps its own order.
    merged = []
    while one and other:
        merged.append(one.pop(0) if one[0].modified <= other[0].modified else other.pop(0))
    return merged + one + other


def _matching(directory: str, name: str) -> Iterator[Sibling]:
    try:
        entries = os.scandir(directory)
    except OSError:
        return
    stem, extension = PurePath(name).stem, PurePath(name).suffix
    with entries:
        for entry in entries:
            if entry.name.startswith(stem) and (match := _NAME.fullmatch(entry.name)):
                whole = match["base"] == name and not match["extension"]
                inner = match["base"] == stem and match["extension"] == extension
                if whole or inner:
                    yield from _sibling(entry.path, match)


def _sibling(path: str, match: re.Match[str]) -> Iterator[Sibling]:
    try:
        found = os.lstat(path)
    except OSError:
        return
    if stat.S_ISREG(found.st_mode):
        age, dated = _age(match)
        packed = match["packed"] is not None
        yield Sibling(path, found.st_dev, found.st_ino, found.st_mtime_ns, age, dated, packed)


def _age(match: re.Match[str]) -> tuple[str, bool]:
    if match["number"]:
        return f"{10**8 - int(match['number']):09d}", False
    if match["epoch"]:
        return time.strftime("%Y%m%d%H%M%S", time.localtime(int(match["epoch"]))), True
    return re.sub(r"\D", "", match["date"]), True


def _directories(directory: str) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return sorted(e.path for e in entries if e.is_dir(follow_symlinks=False))
    except OSError:
        return []
