"""Ids of logins, and the ordinals of byte-identical lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from functools import cache, lru_cache
from typing import Any

from logwatch_monitis.login import blake2b
from logwatch_monitis.scanner.compact_counts import CompactCounts

__all__ = [
    "SHORT",
    "Counts",
    "JobStart",
    "Numberings",
    "Ordinals",
    "hash_line",
    "hashers",
    "id_tail",
    "login_id",
]


_hasher = blake2b(digest_size=16).copy  # a copy is cheaper than a new one


SHORT = 512


"""Bytes of lines for which `hashers` are kept."""


def login_id(line: bytes, year: int | None, machine: str | None, ordinal: int) -> str:
    """Return the id of a login: 128 bits of BLAKE2b in hexadecimal.

    It depends on content alone, never on path, inode or offset, so that a live file, its rotated
    and compressed copies and another machine's copy agree.

    Args:
        line: the line's bytes without the line end.
        year: the resolved year if the header has none, else None.
        machine: the machine's name if the header has none, else None.
        ordinal: how many byte-identical lines of that second stand before it in the same log.
    """
    return hash_line(line, id_tail(year, machine, ordinal))


def hash_line(line: bytes, tail: bytes) -> str:
    """Return the id of a login; many lines have the same *tail*, made by `id_tail`."""
    hasher = _hasher()
    hasher.update(len(line).to_bytes(4, "little"))
    hasher.update(line)
    hasher.update(tail)
    return hasher.hexdigest()


@cache
def hashers() -> Sequence[Callable[[], Any]]:
    """Return for each length below `SHORT` what makes the hash of `hash_line` that has seen it."""
    return [blake2b(n.to_bytes(4, "little"), digest_size=16).copy for n in range(SHORT)]


def _part(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


@lru_cache(maxsize=1024)
def id_tail(year: int | None, machine: str | None, ordinal: int) -> bytes:
    """Return what an id depends on besides the line; see `login_id`."""
    texts = (str(year or ""), machine or "", str(ordinal))
    return b"".join(_part(text.encode("utf-8", "surrogateescape")) for text in texts)


Counts = dict[str, int] | CompactCounts


def _loaded(saved: dict[str, int] | str) -> Counts:
    return CompactCounts.load(saved) if isinstance(saved, str) else saved


def _dump(state: dict[str, Any]) -> str:
    return json.dumps(state, separators=(",", ":"), default=CompactCounts.save)


class JobStart:
    """The seconds with which a job began that did not know the lines before its own.

    Attributes:
        visits: each second in its turn, whether it was ambiguous, and the place of its counts.
        counts: how many lines of such a second were counted, by their first id.
        left: the job has gone so far on that nothing from before its lines could matter any more.
    """

    LIMIT = 10_000
    """Visits that are noted; a job whose log leaps about more is done again, knowing all before."""

    def __init__(self) -> None:
        self.visits: list[tuple[int, bool, int]] = []
        self.counts: list[Counts] = []
        self.left = False

    def visit(self, second: int, counts: Counts, *, ambiguous: bool) -> None:
        """Note that the lines of *second* come next."""
        if self.left or len(self.visits) > self.LIMIT:
            return
        # What was kept from before lay at most SPAN from the first second, and goes after SPAN.
        if self.visits and abs(second - self.visits[0][0]) > 2 * Ordinals.SPAN:
            self.left = True
            return
        place = next((n for n, known in enumerate(self.counts) if known is counts), None)
        if place is None:
            place = len(self.counts)
            self.counts.append(counts)
        self.visits.append((second, ambiguous, place))


class Ordinals:
    """Counts byte-identical lines of one second in one log, over any number of blocks.

    Lines are forgotten when the log has moved more than ``SPAN`` seconds away from them, those of
    an hour that autumn repeats when it has moved past its second pass: a log without process ids
    can repeat a line to the letter an hour later.
    """

    SPAN = 2
    FOLD_SPAN = 7200
    CROWD = 20_000
    """Logins of one second after which they are kept as a `CompactCounts`."""

    def __init__(self, saved: str = "", opening: JobStart | None = None) -> None:
        """Continue from *saved*, what `save` returned; the empty text begins anew.

        An *opening* is told how it began, for `follow`.
        """
        self.opening = opening
        self.load(saved)

    def load(self, saved: str) -> None:
        """Go on from *saved* instead."""
        if self.opening is not None:
            self.opening = JobStart()
        self._seconds: dict[int, Counts] = {}
        self._folded: set[int] = set()
        self._second: int | None = None
        self._counts: Counts = {}
        if saved:
            self._restore(json.loads(saved))

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Ordinals:
        """Go on from *state*, what `state` was when it was written as JSON."""
        ordinals = cls()
        ordinals._restore(state)
        return ordinals

    def _restore(self, state: dict[str, Any]) -> None:
        self._seconds = {int(second): _loaded(c) for second, c in state["seconds"].items()}
        self._folded = set(state["folded"])
        self._second = state["second"]
        self._counts = self._seconds.get(self._second, {}) if self._seconds else {}

    def next(self, first_id: str, second: int, *, ambiguous: bool = False) -> int:
        """Return the ordinal of a line.

        Args:
            first_id: the id that the line has with ordinal 0.
            second: its time in whole seconds since the epoch, UTC.
            ambiguous: the second lies in an hour that autumn repeats.
        """
        counts = self.at(second, ambiguous=ambiguous)
        ordinal = counts.get(first_id, 0)
        counts[first_id] = ordinal + 1
        return ordinal

    def at(self, second: int, *, ambiguous: bool = False) -> Counts:
        """Return how many lines of a second were counted, by their first id.

        Whoever counts there himself asks again whenever the second has changed, and now and then.
        """
        if second != self._second:
            self._move(second, ambiguous=ambiguous)
        if len(self._counts) > self.CROWD and isinstance(self._counts, dict):
            self._pack(second)
        return self._counts

    def _pack(self, second: int) -> None:
        """Keep the lines of a second in less memory from now on."""
        before, crowd = self._counts, CompactCounts(self._counts)
        self._counts = self._seconds[second] = crowd
        if self.opening is not None:
            self.opening.counts = [crowd if c is before else c for c in self.opening.counts]

    @property
    def empty(self) -> bool:
        """Nothing is remembered."""
        return not self._seconds

    def save(self) -> str:
        """Return the state as JSON text, for the position row or a job's hand-over."""
        return _dump(self.state)

    @property
    def state(self) -> dict[str, Any]:
        """What `save` writes."""
        return {"second": self._second, "seconds": self._seconds, "folded": sorted(self._folded)}

    def follow(self, opening: JobStart) -> bool:
        """Count the lines of a job that began without these counts.

        Returns:
            Whether its ordinals are right. If so, and the job has not *left* its opening, this is
            now the state at its end; if not, the state is of no further use.
        """
        if self._folded or len(opening.visits) > opening.LIMIT:
            return False
        known = set()
        for second, ambiguous, place in opening.visits:
            counts = self.at(second, ambiguous=ambiguous)
            if place not in known:
                theirs = opening.counts[place]
                if isinstance(theirs, CompactCounts) and isinstance(counts, dict):
                    self._pack(second)
                    counts = self._counts
                if not all(name not in counts for name in theirs):
                    return False
                counts.update(theirs)
                known.add(place)
        return True

    def _move(self, second: int, *, ambiguous: bool) -> None:
        self._second = second
        if self._folded:
            for old in [s for s in self._seconds if abs(second - s) > self._span(s)]:
                del self._seconds[old]
                self._folded.discard(old)
        elif self._seconds:
            for old in [s for s in self._seconds if not -self.SPAN <= second - s <= self.SPAN]:
                del self._seconds[old]
        if ambiguous:
            self._folded.add(second)
        self._counts = self._seconds.setdefault(second, {})
        if self.opening is not None:
            self.opening.visit(second, self._counts, ambiguous=ambiguous)

    def _span(self, second: int) -> int:
        return self.FOLD_SPAN if second in self._folded else self.SPAN


class Numberings:
    """The ordinals of one log, by the numbering of `logwatch_monitis.sources.files.tail.Chunk`.

    Most logs have one. What a file holds after it was rewritten is counted by itself, so a line
    that was there before gets the id that it had, and one that was not the next free one.
    """

    def __init__(self, saved: str = "") -> None:
        """Continue from *saved*, what `save` returned; the empty text begins anew."""
        self._ordinals: dict[int, Ordinals] = {}
        self._last = 0
        if saved:
            state = json.loads(saved)
            others = state.get("others", {}).items()
            self._last = state.get("numbering", 0)
            self._ordinals = {int(n): Ordinals.restored(other) for n, other in others}
            self._ordinals[self._last] = Ordinals.restored(state)

    def __contains__(self, numbering: object) -> bool:
        return numbering in self._ordinals

    def turn(self, numbering: int, numberings: Collection[int]) -> Ordinals:
        """Return the ordinals of one numbering, and forget all that are not among *numberings*."""
        for old in self._ordinals.keys() - numberings - {numbering}:
            del self._ordinals[old]
        self._last = numbering
        return self._ordinals.setdefault(numbering, Ordinals())

    def save(self) -> str:
        """Return the state as JSON text; version 0.1 knows the numbering that was counted last."""
        states = {numbering: ordinals.state for numbering, ordinals in self._ordinals.items()}
        last = states.pop(self._last, None) or Ordinals().state
        return _dump({**last, "numbering": self._last, "others": states})
