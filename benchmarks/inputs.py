"""The logs that are read, made once and kept; what must be found in them; and the check of it."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from generate import BEGIN, MONTHS, write_log

__all__ = [
    "Input",
    "WrongResultError",
    "check_count",
    "check_rows",
    "check_words",
    "make",
    "packed",
]


class WrongResultError(Exception):
    """Raised where a tool did not find what a log holds; then its speed means nothing."""


@dataclass(frozen=True, slots=True)
class Input:
    """A log.

    Attributes:
        path: of the file, which may be compressed.
        size: bytes of text.
        log: the uncompressed log, beside which the truth lies.
    """

    path: Path
    size: int
    log: Path

    @property
    def logins(self) -> int:
        """How many logins it holds."""
        return sum(count for name, count in self._truth().items() if name != "lines")

    @property
    def lines(self) -> int:
        """How many lines it holds."""
        return self._truth()["lines"]

    def _truth(self) -> dict[str, int]:
        truth: dict[str, int] = json.loads(Path(f"{self.log}.truth.json").read_text())
        return truth

    def each(self) -> Iterator[str]:
        """Yield the logins it holds: time, service, user and host with tabs between."""
        with Path(f"{self.log}.truth.tsv").open() as truth:
            for line in truth:
                yield line[:-1]


def make(directory: Path, size: int, share: float) -> Input:
    """Return a log of so many bytes, made if it is not there yet.

    It is written under another name first: what is there is whole.
    """
    log = directory / f"{size}-{share}.log"
    if not log.exists():
        directory.mkdir(parents=True, exist_ok=True)
        partial = directory / "partial"
        write_log(partial, size=size, share=share)
        for ending in (".truth.json", ".truth.tsv", ""):
            Path(f"{partial}{ending}").rename(f"{log}{ending}")
    return Input(log, log.stat().st_size, log)


def packed(log: Input) -> Input:
    """Return the same log as logrotate would leave it: gzip, level 6."""
    path = Path(f"{log.path}.gz")
    if not path.exists():
        partial, modified = path.with_suffix(".partial"), int(log.path.stat().st_mtime)
        with (
            log.path.open("rb") as text,
            partial.open("wb") as file,
            gzip.GzipFile(log.path.name, "wb", 6, file, modified) as pack,
        ):
            shutil.copyfileobj(text, pack, 1 << 20)
        os.utime(partial, (modified, modified))
        partial.rename(path)
    return Input(path, log.size, log.log)


def check_count(found: int, log: Input) -> None:
    """Compare a number of logins with the truth.

    Raises:
        WrongResultError: they differ.
    """
    if found != log.logins:
        raise WrongResultError(f"found {found} logins, but there are {log.logins}")


def check_rows(out: Path, log: Input) -> None:
    """Compare each row that our scan printed with the truth, in order.

    Raises:
        WrongResultError: one differs, is missing or is too many.
    """
    _check_each(out, log, _row)


def check_words(out: Path, log: Input) -> None:
    """Compare lines of time, service, user and host with the truth, in order.

    Raises:
        WrongResultError: one differs, is missing or is too many.
    """
    _check_each(out, log, _words)


def _check_each(out: Path, log: Input, shown: Callable[[str], str]) -> None:
    number = 0
    with out.open() as found:
        for number, (line, truth) in enumerate(zip_longest(found, log.each()), 1):
            login = line and shown(line)
            if login != truth:
                raise WrongResultError(f"login {number} is {login!r}, but should be {truth!r}")
    check_count(number, log)


def _row(line: str) -> str:
    row = json.loads(line)
    return "\t".join([row["time"], row["srv"], row["user_login"], row["host"]])


def _words(line: str) -> str:
    month, day, clock, *words = line.split()
    time = f"{BEGIN.year}-{MONTHS.index(month) + 1:02}-{int(day):02}T{clock}.000000+00:00"
    return "\t".join([time, *words])
