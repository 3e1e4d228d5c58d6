"""All the logs that are watched, as one source of lines."""

from __future__ import annotations

import fnmatch
import glob
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from logwatch_monitis.errors import SetupError
from logwatch_monitis.interfaces import Clock, Events
from logwatch_monitis.sources.files.checkpoint import SavedLog, dump, load
from logwatch_monitis.sources.files.events import GlobTooWide, PositionDamaged
from logwatch_monitis.sources.files.follower import Follower
from logwatch_monitis.sources.files.globs import expand
from logwatch_monitis.sources.files.log import FollowedLog, Identity, LogPart
from logwatch_monitis.sources.files.reconcile import Start
from logwatch_monitis.sources.files.rotated_names import log_path
from logwatch_monitis.sources.files.schedule import OpenLogs, Rota
from logwatch_monitis.sources.permissions import MOUNTED, mount_points

__all__ = ["Chunk", "SourceStatus", "Tail"]

_LEAVE_SECONDS = 0.3
"""What is there is taken at the end of the process, too, if that does not take longer."""
_EXPANSION_SHARE = 500
"""Matching globs takes up no more than one part in so many of the time."""


class Chunk(NamedTuple):
    """Whole lines of one log.

    Attributes:
        log: the path as configured, or as a glob matched it.
        path: the file the lines are in now: the log itself or a rotated copy.
        offset: where *data* begins in that file, uncompressed.
        data: the lines, at most 1 MiB, the last one with its line end.
        modified: when the file was last written, seconds since the epoch.
        checkpoint: the complete read state of this log once this chunk is taken; JSON text.
        numbering: byte-identical lines of one numbering are counted together. A file that follows
            another in the rotation goes on with its numbering. Where one holds other bytes than
            were read, which are in no copy either, lines may come that were given before: they
            have a numbering of their own, so that the same lines get the same numbers.
        numberings: all that lines of this log may still come with.
    """

    log: str
    path: str
    offset: int
    data: bytes
    modified: float
    checkpoint: str
    numbering: int
    numberings: frozenset[int]


class SourceStatus(NamedTuple):
    """What can be said about one log.

    Attributes:
        log: its path.
        state: ``reading``, ``waiting`` (there is no such file yet), ``unreadable`` or ``shared``
            (it is read under another name).
        detail: why it is unreadable, or the other name, or what will end the reading.
        offset: the read position in the live file.
        size: the size of the live file.
        older: rotated files that are not finished yet.
        last_read: when lines were last taken, seconds since the epoch; None if not yet.
        skipped: rotated copies that are too costly to decompress.
    """

    log: str
    state: str
    detail: str
    offset: int
    size: int
    older: int
    last_read: float | None
    skipped: tuple[str, ...] = ()

    @property
    def lag(self) -> int:
        """Bytes of the live file not read yet."""
        return max(0, self.size - self.offset)


class Tail:
    """Reads what is appended to log files, across rotation, truncation and restarts.

    No line is lost and none given twice from the moment its line end is on disk, but for what
    cannot be seen: lines written to a file between the last look and its truncation, into a
    renamed file after ten quiet minutes, or into files deleted while nothing ran. Each such loss
    that can be noticed is an event.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        saved: Mapping[str, str],
        *,
        clock: Clock,
        events: Events,
        from_start: bool = False,
        leave: Callable[[], bool] = lambda: False,
    ) -> None:
        """Watch *patterns*, continuing at *saved*.

        A file that exists when its pattern is first configured, that is now, is read from its
        end; one that appears later from its first byte. Commit `checkpoints` at once, so that a
        restart knows what was configured.

        Args:
            patterns: paths and globs; their files may come later.
            saved: the last committed checkpoint of each log, and of each glob.
            clock: tells how long a file has been quiet.
            events: told whatever happens.
            from_start: read files without a saved position from their first byte.
            leave: says that the process is to end; then `read` does.
        """
        self._clock = clock
        self._events = events
        self._leave = leave
        self._saved = dict(saved)
        self._globs: list[str] = []
        self._too_wide: set[str] = set()
        self._first: Start = "first byte" if from_start else "end"
        self._chains: dict[str, FollowedLog] = {}
        self._names: set[str] = set()
        self._last_read: dict[str, float] = {}
        self._given: tuple[FollowedLog, LogPart] | None = None
        self._rota = Rota(clock)
        self._open = OpenLogs()
        self._paths: dict[str, frozenset[str]] = {}
        self._directories: dict[str, frozenset[Path]] = {}
        self._glob_directories: set[Path] = set()
        self._moved: set[str] = set()
        self._watched: set[Path] | None = None
        self._uncommitted: set[str] = set()
        self._next_expansion = 0.0
        self._watch(patterns)

    def change(self, patterns: Sequence[str], saved: Mapping[str, str]) -> None:
        """Watch *patterns* from now on; the logs that stay are not touched.

        Commit `checkpoints` before, as a log that is not watched any more is let go of at once.

        Args:
            patterns: as for the constructor; what is new among them is first configured now.
            saved: the last committed checkpoint of each log that was ever watched.
        """
        self._given = None
        self._saved |= saved
        globs = [pattern for pattern in patterns if _is_glob(pattern)]
        for path in list(self._chains):
            if path not in patterns and not any(_fits(path, p) for p in globs):
                self._open.forget(self._chains[path])
                self._rota.forget(path)
                self._chains.pop(path).close()
                self._directories.pop(path, None)
                self._watched = None
        self._first = "end"
        self._watch(patterns)

    def read(self) -> Iterator[Chunk]:
        """Yield all that is there now, rotated files first, the logs in turn.

        A chunk counts as taken when the next one is asked for, or at `confirm`; leave the loop
        before, and the next `read` gives it again.
        """
        self._given = None
        if self._rota.polls:
            self._expand_in_time()
        begun = self._clock.monotonic()
        waiting = [chain for chain in self._rota.due(self._chains) if not chain.is_quiet()]
        while waiting:
            for chain in list(waiting):
                if self._leave() and self._clock.monotonic() - begun > _LEAVE_SECONDS:
                    return
                part = chain.read()
                self._rota.looked_at(chain)
                self._open.note(chain)
                self._moved.add(chain.path)
                self._uncommitted.add(chain.path)
                if part is None:
                    waiting.remove(chain)
                    continue
                self._given = chain, part
                yield _chunk(chain, part)
                self.confirm()

    def confirm(self) -> None:
        """Count the chunk given last as taken: for a consumer that leaves the loop after it."""
        if self._given:
            chain, part = self._given
            self._given = None
            chain.take(part)
            self._last_read[chain.path] = self._clock.now()

    @property
    def pending(self) -> bool:
        """True if a look was broken off because it took long, so that the next one is due."""
        return self._rota.pending

    def checkpoints(self) -> dict[str, str]:
        """Return the read states that may have changed since the last time, to be committed.

        These are of logs and of globs; at first all are returned. A log whose chunk is given but
        not taken is left out.
        """
        given = {self._given[0].path} if self._given else set()
        states = {path: dump(self._state(path)) for path in self._uncommitted - given}
        self._uncommitted &= given
        return states

    def _state(self, path: str) -> SavedLog:
        chain = self._chains.get(path)
        return chain.state if chain else SavedLog()

    def statuses(self) -> list[SourceStatus]:
        """Return what can be said about each log, and about each glob that matches none."""
        mounted = mount_points()
        waiting = [p for p in self._globs if not any(_fits(path, p) for path in self._chains)]
        return [
            *(self._status(chain, mounted) for chain in self._chains.values()),
            *(SourceStatus(pattern, "waiting", "", 0, 0, 0, None) for pattern in waiting),
        ]

    def directories(self) -> set[Path]:
        """Return the directories in which a change may mean new lines."""
        for path in self._moved:
            self._learn_paths(path)
        if self._watched is None:
            self._watched = self._glob_directories.union(*self._directories.values())
        self._moved.clear()
        return self._watched

    def _learn_paths(self, path: str) -> None:
        """Note by which paths events may tell of the log at *path*."""
        logs = {Path(path), Path(os.path.realpath(path))}
        directories = frozenset(log.parent for log in logs)
        if directories != self._directories.get(path):
            self._directories[path] = directories
            self._watched = None
        for log in logs:
            self._names.add(log.name)
            self._paths[str(log)] = self._paths.get(str(log), frozenset()) | {path}

    def concerns(self, path: str) -> bool:
        """Tell whether a change of the file at *path* may mean new lines, and take note of it.

        From any thread.
        """
        logs = self._paths.get(path) or self._paths.get(log_path(path) or "")
        if logs:
            for log in logs:
                self._rota.note(log)
            return True
        name = os.path.split(path)[1]
        concerned = (
            name in self._names
            or log_path(name) in self._names
            or any(fnmatch.fnmatchcase(name, os.path.split(p)[1]) for p in self._globs)
        )
        if concerned:
            self.note_all()
        return concerned

    def note_all(self) -> None:
        """Look at all logs next time: anything may have happened. From any thread."""
        self._next_expansion = 0.0
        self._rota.note_all()

    def rely_on_events(self, *, working: bool) -> None:
        """Look at logs of which no event tells less often, as long as events are *working*."""
        self._rota.woken = working

    def close(self) -> None:
        """Close all files."""
        for chain in self._chains.values():
            chain.close()

    def _watch(self, patterns: Sequence[str]) -> None:
        self._globs = [pattern for pattern in patterns if _is_glob(pattern)]
        self._glob_directories.clear()
        self._uncommitted.update(self._globs)
        for pattern in patterns:
            if pattern not in self._globs:
                self._add(pattern, self._first)
        self._revive()
        self._expand()

    def _add(self, path: str, first: Start) -> None:
        if path in self._chains:
            return
        state = None
        if path in self._saved:
            try:
                state = load(self._saved[path])
            except ValueError:
                self._events(PositionDamaged(path))
                first = "first byte"
        chain = FollowedLog(
            path, state, first, clock=self._clock, events=self._events, owner=self._owner
        )
        self._chains[path] = chain
        chain.begin()
        self._open.note(chain)
        self._moved.add(path)
        self._uncommitted.add(path)
        self._rota.note(path)

    def _revive(self) -> None:
        """Take up the logs that a glob matched before: they may have been rotated away since."""
        for path in self._saved:
            if path not in self._globs and any(_fits(path, p) for p in self._globs):
                self._add(path, "first byte")

    def _expand_in_time(self) -> None:
        """Look which files the globs match now, unless that would take up much of the time."""
        begun = time.thread_time()
        now = self._clock.monotonic()
        if now >= self._next_expansion:
            self._expand()
            self._next_expansion = now + _EXPANSION_SHARE * (time.thread_time() - begun)

    def _expand(self) -> None:
        """Look which files the globs match now."""
        for pattern in self._globs:
            known = pattern in self._saved
            for path in self._matches(pattern):
                if path not in self._chains and not self._is_copy(path, pattern):
                    self._add(path, "first byte" if known else self._first)
            if pattern not in self._saved:
                self._saved[pattern] = ""
            self._glob_directories.update(map(Path, self._matches(str(Path(pattern).parent))))
            self._glob_directories.add(_root(pattern))
            self._watched = None

    def _matches(self, pattern: str) -> list[str]:
        """Return what a glob means; one that costs too much is told of once, and left alone."""
        if pattern in self._too_wide:
            return []
        try:
            return expand(pattern)
        except SetupError as error:
            self._too_wide.add(pattern)
            self._events(GlobTooWide(pattern, error.render()))
            return []

    def _is_copy(self, path: str, pattern: str) -> bool:
        """Tell whether *path* is a rotated copy of another log that the glob matches, too."""
        log = log_path(path)
        return log is not None and (log in self._chains or _fits(log, pattern))

    def _owner(self, asking: FollowedLog, identity: Identity) -> tuple[str, Follower] | None:
        for chain in self._open.holders(identity):
            if chain is not asking and (file := chain.holds(identity)):
                return chain.path, file
        return None

    def _status(self, chain: FollowedLog, mounted: Collection[str]) -> SourceStatus:
        file = chain.files[-1] if chain.live else chain.twin
        state, detail = "waiting", ""
        if chain.trouble:
            state, detail = "unreadable", chain.trouble
        elif file:
            detail = MOUNTED if chain.path in mounted else ""
            state, detail = ("shared", file.path) if chain.twin else ("reading", detail)
        older = sum(not f.done for f in chain.files) - chain.live
        offset, size = (file.place.offset, max(file.size, file.place.offset)) if file else (0, 0)
        last_read = self._last_read.get(chain.path)
        return SourceStatus(
            chain.path, state, detail, offset, size, older, last_read, chain.skipped
        )


def _chunk(chain: FollowedLog, part: LogPart) -> Chunk:
    portion = part.portion
    return Chunk(
        chain.path,
        part.file.path,
        portion.offset,
        portion.data,
        portion.modified,
        dump(chain.state_after(part)),
        part.file.numbering,
        chain.numberings,
    )


def _is_glob(pattern: str) -> bool:
    return glob.has_magic(pattern) and not os.path.lexists(pattern)


def _fits(path: str, pattern: str) -> bool:
    """Tell whether a glob can match *path*, name by name; with ``**``, whether it could."""
    if "**" in pattern:
        return fnmatch.fnmatchcase(path, pattern)
    names, parts = Path(path).parts, Path(pattern).parts
    return len(names) == len(parts) and all(map(fnmatch.fnmatchcase, names, parts))


def _root(pattern: str) -> Path:
    """Return the deepest directory of a glob's path that is no pattern itself."""
    return next(parent for parent in Path(pattern).parents if not glob.has_magic(str(parent)))
