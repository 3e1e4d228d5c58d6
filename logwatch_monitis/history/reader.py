"""History: files of the past, put into the order in which they were written, as logins.

A log and its rotated copies are one log: they are read oldest first, by what stands in them and
not by their names, with ordinals and cut lines (`Carried`) carried from file to file.
"""

from __future__ import annotations

import glob
import os
import stat
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from logwatch_monitis.errors import LogwatchError, NotPermittedError
from logwatch_monitis.grammar import RuleSet
from logwatch_monitis.login import Login
from logwatch_monitis.scanner.continued import CutLines
from logwatch_monitis.scanner.login_id import Ordinals
from logwatch_monitis.scanner.scanner import Carried, ScanCounts, Scanner
from logwatch_monitis.sources.blocks import (
    JOURNAL,
    JOURNAL_HEADS,
    STDIN,
    ArchiveDamagedError,
    Block,
    line_starts,
    read_blocks,
)
from logwatch_monitis.sources.compression import packing
from logwatch_monitis.sources.files.rotated_names import log_path, name_age
from logwatch_monitis.sources.permissions import permission_hint
from logwatch_monitis.syslog import Timeline
from logwatch_monitis.syslog.file_times import gzip_time, reference_time
from logwatch_monitis.syslog.years import StreamYears, Years, file_years

if TYPE_CHECKING:
    from logwatch_monitis.scanner.provenance import Judge

__all__ = ["Failure", "History", "HistoryFile", "LogCopies", "Piece", "Stretch", "gather", "group"]

_PEEK = 65_536
_RESTARTABLE = 20_000
"""Logins held back while it may turn out that a stream began in an earlier year."""


class HistoryFile(NamedTuple):
    """One file and what is known of its time.

    Attributes:
        path: as the user named it.
        packed: it is compressed, or a pipe: its end cannot be seen before it is read.
        first: the time of its first line, seconds UTC; None if no line shows one.
        reference: a moment after its last line, seconds UTC.
        once: what was read of it is gone, as with a pipe.
        identity: device and inode, by which it is found again if it was renamed; None if that
            does not matter.
        size: bytes on the disk.
    """

    path: str
    packed: bool
    first: float | None
    reference: float
    once: bool = False
    identity: tuple[int, int] | None = None
    size: int = 0


class LogCopies(NamedTuple):
    """A log and its copies, oldest first; *key* is its name without rotation."""

    key: str
    files: tuple[HistoryFile, ...]


class Failure(NamedTuple):
    """A file that could not be read, or not to its end.

    Attributes:
        path: which.
        message: one line for the user.
        denied: for want of permission.
    """

    path: str
    message: str
    denied: bool


Every = Callable[[], int]


class Stretch(NamedTuple):
    """A file, or a part of one, that can be read by itself.

    Attributes:
        file: under its present name.
        fresh: nothing of its log comes before it.
        year: of its first line, if somebody knows better.
        years: of a plain file.
        begin, end: which part of a plain file, in whole lines; *end* None is the file's end.
    """

    file: HistoryFile
    fresh: bool
    year: int | None
    years: Years | None = None
    begin: int = 0
    end: int | None = None


class Piece(NamedTuple):
    """Some logins of a file, as `Login` or as rows; *end* is the offset behind them."""

    path: str
    end: int
    logins: Sequence[Login] = ()
    rows: Sequence[str] = ()


def gather(names: Sequence[str], failures: list[Failure]) -> list[str]:
    """Return the files meant by *names*: paths, globs, directories (their files), ``-``, journals.

    A file that is named twice, or reached by a second link, is taken once. What does not exist or
    cannot be looked at is added to *failures*.
    """
    found: dict[object, str] = {}
    for name in names:
        for path in _expand(name, failures):
            try:
                identity = path if _is_stream(path) else _identity(path)
            except OSError as error:
                failures.append(_failure(path, error))
            else:
                found.setdefault(identity, path)
    return list(found.values())


def _expand(name: str, failures: list[Failure]) -> list[str]:
    """Return the paths meant by one name; what matches nothing stands for itself."""
    if _is_stream(name):
        return [name]
    try:
        return sorted(entry.path for entry in os.scandir(name) if _is_file(entry))
    except NotADirectoryError:
        return [name]
    except FileNotFoundError:
        return sorted(glob.glob(name)) or [name]  # noqa: PTH207 - keeps paths as written
    except OSError as error:
        failures.append(_failure(name, error))
        return []


def _is_stream(name: str) -> bool:
    return name == STDIN or name.startswith(JOURNAL)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself; it is named when it is looked at
        return True


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116 - for Path the empty name is the current directory
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(21, "is a directory", path)
    return status.st_dev, status.st_ino


def _failure(path: str, error: OSError) -> Failure:
    denied = isinstance(error, PermissionError)
    hint = f" ({permission_hint(path)})" if denied else ""
    reason = (error.strerror or str(error)).lower()
    return Failure(path, f"{path or repr(path)}: cannot be read: {reason}{hint}", denied)


def group(paths: Sequence[str], zone: tzinfo, failures: list[Failure]) -> list[LogCopies]:
    """Return the logs that *paths* belong to, each oldest file first, and the oldest log first.

    A compressed copy beside the file it was made of is left out: logrotate was interrupted, or is
    at work.
    """
    names: dict[str, list[str]] = {}
    for path in _without_twins(paths):
        names.setdefault(_key(path), []).append(path)
    found = [LogCopies(key, _in_order(copies, zone, failures)) for key, copies in names.items()]
    return sorted((log for log in found if log.files), key=lambda log: _age(log.files[0]))


def _in_order(
    paths: Sequence[str], zone: tzinfo, failures: list[Failure]
) -> tuple[HistoryFile, ...]:
    """Return the files of one log, oldest first.

    Where the headers have no year, a file ends before the next newer one of its series begins: so
    they are looked at from the newest name back, and copying them does no harm.
    """
    files: list[HistoryFile] = []
    newer: dict[bool, float] = {}
    for path in sorted(paths, key=name_age, reverse=True):
        numbered = name_age(path).startswith("0")
        try:
            file = _look(path, zone, newer.get(numbered))
        except OSError as error:
            failures.append(_failure(path, error))
        except LogwatchError as error:
            denied = isinstance(error, NotPermittedError)
            failures.append(Failure(path, error.render(), denied))
        else:
            files.append(file)
            if file.first is not None:
                both = path == _key(path)
                newer.update(dict.fromkeys((True, False) if both else (numbered,), file.first))
    return tuple(sorted(files, key=_age))


def _without_twins(paths: Sequence[str]) -> list[str]:
    plain = set(paths)
    endings = (".gz", ".xz", ".zst", ".bz2")
    return [p for p in paths if not (p.endswith(endings) and p.rpartition(".")[0] in plain)]


def _key(path: str) -> str:
    return log_path(path) or path


def _age(file: HistoryFile) -> tuple[float, float, str, str]:
    first = file.reference if file.first is None else file.first
    return first, file.reference, name_age(file.path), file.path


def _look(path: str, zone: tzinfo, newer: float | None = None) -> HistoryFile:
    if _is_stream(path):
        if path != STDIN:
            from logwatch_monitis.sources.journal.past import check

            check(path)
        return HistoryFile(path, True, None, time.time(), once=True)
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):
        return HistoryFile(path, True, None, status.st_mtime, once=True)
    with Path(path).open("rb") as file:
        head = file.read(16)
    entries = head.lstrip(b"\n").startswith(JOURNAL_HEADS)
    modified = status.st_mtime
    reference = reference_time(path, zone, modified=modified, packed=gzip_time(head), newer=newer)
    identity, size = (status.st_dev, status.st_ino), status.st_size
    if not (packing(head) or entries):
        first = file_years(path, zone, reference=reference).first
        return HistoryFile(path, False, first, reference, identity=identity, size=size)
    years = StreamYears(zone, reference=reference)
    # Damage is told of when the file is read, after what is readable.
    with suppress(ArchiveDamagedError), closing(read_blocks(path, size=_PEEK)) as blocks:
        for block in blocks:
            years.learn(block.data, block.offset)
            break
    return HistoryFile(path, True, years.first, reference, identity=identity, size=size)


def _present(file: HistoryFile) -> HistoryFile:
    """Return a file under the name that it has now: logs are rotated while others are read.

    Raises:
        LogwatchError: it is gone, or has become shorter.
    """
    if file.identity is None:
        return file
    for path in chain([file.path], _namesakes(file)):
        with suppress(FileNotFoundError):
            status = Path(path).stat()
            if (status.st_dev, status.st_ino) == file.identity and status.st_size >= file.size:
                return file._replace(path=path)
    raise LogwatchError(
        f"{file.path}: it was rotated away while others were read", "run the same command again"
    )


def _namesakes(file: HistoryFile) -> Iterator[str]:
    """Yield what may be the same file in the same directory."""
    _, inode = file.identity or (0, 0)
    with os.scandir(os.path.dirname(file.path) or os.curdir) as entries:  # noqa: PTH120
        yield from [entry.path for entry in entries if entry.inode() == inode]


@dataclass(slots=True)
class History:
    """Reads logs of the past.

    Attributes:
        rules: the pattern files in force.
        machine: the name for lines that name no machine.
        zone: of times that name none.
        year: of the oldest file's first line, if somebody knows better.
        partial: whether a last line without line end counts; it may still be written.
        rows: give logins as rows of JSON, which costs much less.
    since, until: when the logins that are wanted happened, microseconds since the epoch; of a
        journal nothing else is read, of files all is.
        failures: what could not be read so far.
        counts: what all scanners have seen.
    """

    rules: RuleSet
    machine: str
    zone: tzinfo
    year: int | None = None
    partial: bool = True
    rows: bool = False
    since: int | None = None
    until: int | None = None
    failures: list[Failure] = field(default_factory=list)
    counts: ScanCounts = field(default_factory=ScanCounts)
    _idle: list[Scanner] = field(default_factory=list, init=False, repr=False)

    def read(self, log: LogCopies) -> Iterator[Piece]:
        """Yield the logins of a log, oldest file first; what fails is noted, the rest goes on."""
        carried = Carried(Ordinals(), CutLines())
        for stretch in self.plan(log):
            yield from self.pieces(stretch, carried)
        self.end(carried.cut)

    def end(self, cut: CutLines) -> None:
        """Count the lines that wait in vain at the end of a log."""
        cut.end()
        self.counts.cut_off += cut.cut_off

    def plan(self, log: LogCopies, every: Every | None = None) -> Iterator[Stretch]:
        """Yield what there is to read of a log, in order; what fails is noted.

        Args:
            log: whose files.
            every: returns after how many bytes a plain file is cut next; None to leave it whole.
        """
        year, fresh = self.year, True
        for number, known in enumerate(log.files):
            newer = next((f.first for f in log.files[number + 1 :] if f.first is not None), None)
            reference = known.reference if newer is None else min(known.reference, newer)
            with self._noting(known.path):
                file = _present(known)._replace(reference=reference)
                if file.packed:
                    yield Stretch(file, fresh, year)
                else:
                    yield from self._cut(file, every, year, fresh=fresh)
                fresh = False
            year = None

    def _cut(
        self, file: HistoryFile, every: Every | None, year: int | None, *, fresh: bool
    ) -> Iterator[Stretch]:
        years = file_years(file.path, self.zone, reference=file.reference, start_year=year)
        starts = [] if every is None else line_starts(file.path, every)
        begin = 0
        for start in starts:
            yield Stretch(file, fresh, year, years, begin, start)
            begin, fresh = start, False
        yield Stretch(file, fresh, year, years, begin, None)

    def pieces(self, stretch: Stretch, carried: Carried) -> Iterator[Piece]:
        """Yield the logins of a stretch; what fails is noted.

        Args:
            stretch: from `plan`.
            carried: on from what comes before it in the log, moved on to its end.
        """
        with self._noting(stretch.file.path):
            if stretch.years is None:
                yield from self._stream(stretch.file, stretch.year, carried)
                return
            scanner = self._scanner(stretch.file.path, stretch.years, carried)
            try:
                yield from self._pieces(scanner, stretch.begin, stretch.end)
            finally:
                self._finish(scanner)

    @contextmanager
    def _noting(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failures.append(_failure(path, error))
        except LogwatchError as error:
            self.failures.append(Failure(path, error.render(), denied=False))

    def _stream(self, file: HistoryFile, year: int | None, carried: Carried) -> Iterator[Piece]:
        """Read what cannot be sampled; begin again if it proves to have begun in another year."""
        saved, cut = carried.ordinals.save(), deepcopy(carried.cut)
        while True:
            carried.ordinals.load(saved)
            carried.cut.load(cut)
            years = StreamYears(self.zone, reference=file.reference, start_year=year)
            scanner = self._scanner(file.path, years, carried)
            held: list[Piece] | None = None if file.once else []
            damage: ArchiveDamagedError | None = None
            try:
                for piece in self._pieces(scanner):
                    if held is None:
                        yield piece
                        continue
                    held.append(piece)
                    if scanner.counts.logins > _RESTARTABLE:
                        yield from held
                        held = None
            except ArchiveDamagedError as error:
                damage = error
            if not years.overrun or held is None:
                break
            year = years.start_year
            self._idle.append(scanner)
        yield from held or ()
        self._finish(scanner)
        if years.overrun:
            hint = f"give --year {years.start_year}"
            message = f"{file.path}: it spans more years than its time stamp allows ({hint})"
            self.failures.append(Failure(file.path, message, denied=False))
        if damage:
            raise damage

    def _scanner(self, path: str, years: Years | StreamYears, carried: Carried) -> Scanner:
        """Return a scanner for a file; an idle one knows already which fast rules are of use."""
        timeline = Timeline.history(self.zone, years)
        if not self._idle:
            known = carried._asdict()
            return Scanner(self.rules, timeline, machine=self.machine, path=path, **known)
        scanner = self._idle.pop()
        scanner.timeline, scanner.path = timeline, path
        scanner.ordinals, scanner.cut = carried
        scanner.counts = ScanCounts()
        return scanner

    def _finish(self, scanner: Scanner) -> None:
        self.counts.add(scanner.counts)
        self._idle.append(scanner)

    def _pieces(self, scanner: Scanner, begin: int = 0, end: int | None = None) -> Iterator[Piece]:
        path, behind = scanner.path, 0
        judge: Judge | None = None
        try:
            with closing(self._blocks(scanner, begin, end)) as blocks:
                for block in blocks:
                    if not block.complete and not self.partial:
                        continue
                    scanner.counts.overlong += block.overlong
                    behind = block.offset + len(block.data)
                    if block.entries:
                        judge, behind = judge or _judge(scanner), block.entries.taken
                        yield Piece(path, behind, judge.logins(block.entries))
                    elif self.rows:
                        rows = scanner.rows(block.data, block.offset)
                        yield Piece(path, behind, rows=rows)
                    else:
                        yield Piece(path, behind, scanner.feed(block.data, block.offset))
        except (LogwatchError, OSError):
            if judge:
                yield Piece(path, behind, judge.rest())
            raise
        if judge:
            yield Piece(path, behind, judge.rest())

    def _blocks(
        self, scanner: Scanner, begin: int, end: int | None
    ) -> Generator[Block, None, None]:
        if not scanner.path.startswith(JOURNAL):
            return read_blocks(scanner.path, begin=begin, end=end)
        from logwatch_monitis.sources.journal.past import read_journal

        name = scanner.path
        scanner.path = name if name != JOURNAL else JOURNAL[:-1]
        return read_journal(name, self.since, self.until)


def _judge(scanner: Scanner) -> Judge:
    from logwatch_monitis.scanner.provenance import Judge

    return Judge(scanner)
