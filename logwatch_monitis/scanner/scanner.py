"""Finds the logins of one log, block after block: search, header, time, rule and id.

Lines without any of the rules' literals never become objects; the cost follows the logins, not
the size of the log. Where logins are many, their common forms take
`logwatch_monitis.scanner.fast_path`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf
from typing import Any, NamedTuple, Protocol

from logwatch_monitis.grammar import MAX_MESSAGE, Match, RuleSet
from logwatch_monitis.login import Login
from logwatch_monitis.scanner.continued import CutLines, NextPart, NextParts
from logwatch_monitis.scanner.fast_path import LOGINS, ROWS, FastPath, OutputForm
from logwatch_monitis.scanner.header_cache import HeaderCache
from logwatch_monitis.scanner.line_count import count_lines
from logwatch_monitis.scanner.literal_search import make_search
from logwatch_monitis.scanner.login_id import Ordinals, login_id
from logwatch_monitis.syslog import Minute, Moment, Split, split

__all__ = ["Carried", "LineTimes", "ScanCounts", "Scanner"]

_SECOND = 1_000_000
_MAX_LINE = 4 * MAX_MESSAGE + 4096
"""Bytes of the longest line that is decoded: a message of the most characters and its header."""


class LineTimes(Protocol):
    """What the scanner asks of `logwatch_monitis.syslog.Timeline`."""

    def learn(self, data: bytes, offset: int, /) -> bool:
        """Take note of a block before its lines are resolved; say whether minutes changed."""

    def minute(self, stamp: str, offset: float, /) -> Minute | None:
        """Return the minute of the time stamp of the line at *offset*, if it is a plain one."""

    def resolve(self, stamp: str, offset: float, /) -> Moment | None:
        """Return the moment of the time stamp of the line at *offset*."""


@dataclass(slots=True)
class ScanCounts:
    """What a scanner has seen so far.

    Attributes:
        lines: line ends passed.
        logins: lines recognised.
        overlong: candidate lines whose message is too long to be tried.
        undated: lines that a rule takes, but whose time cannot be made out.
        refused: logins left out because the journal does not prove who wrote them.
        cut_off: first parts of logins left out because the next part never came (`CutLines`).
        services: logins by service.
    """

    lines: int = 0
    logins: int = 0
    overlong: int = 0
    undated: int = 0
    refused: int = 0
    cut_off: int = 0
    services: Counter[str] = field(default_factory=Counter)

    def add(self, other: ScanCounts) -> None:
        """Add what another scanner has seen."""
        self.lines += other.lines
        self.logins += other.logins
        self.overlong += other.overlong
        self.undated += other.undated
        self.refused += other.refused
        self.cut_off += other.cut_off
        self.services.update(other.services)


class _LineRules(NamedTuple):
    """What the rules say of a line; see `RuleSet.read`."""

    head: Split
    machine: str
    match: Match
    part: str


class Carried(NamedTuple):
    """What is carried on through a log: from file to file, process to process.

    Attributes:
        ordinals: of byte-identical lines.
        cut: lines of which the next part is still to come.
    """

    ordinals: Ordinals
    cut: CutLines


class Scanner:
    """Finds the logins of one log, block after block.

    One scanner belongs to one log (a live file and its rotated copies are one log), because what is
    carried on and the missing years run through all of it.

    Args:
        rules: the pattern files in force.
        timeline: the clock of this log.
        machine: the name for lines that name no machine.
        path: the file that is being read; may be changed between blocks.
        ordinals, cut: carried over from the last run or the neighbouring job.
    """

    def __init__(
        self,
        rules: RuleSet,
        timeline: LineTimes,
        *,
        machine: str,
        path: str,
        ordinals: Ordinals | None = None,
        cut: CutLines | None = None,
    ) -> None:
        self.timeline = timeline
        self.machine = machine
        self.path = path
        self.ordinals = ordinals or Ordinals()
        self.cut = cut or CutLines()
        self.counts = ScanCounts()
        self._heads: dict[str, HeaderCache] = {}
        self.use(rules)

    def use(self, rules: RuleSet) -> None:
        """Go on with other rules."""
        self.rules = rules
        self._search = _shared_search(tuple(rules.literals), tuple(rules.decoys))
        self._lanes = FastPath(rules.lanes, len(rules.literals))

    def feed(self, block: bytes, offset: int = 0) -> list[Login]:
        """Return the logins of a block of whole lines, in their order.

        Args:
            block: lines, each but the last with its line end.
            offset: of the block's first byte in the file, uncompressed.
        """
        return self._take(block, offset, LOGINS)

    def rows(self, block: bytes, offset: int = 0) -> list[str]:
        """Return the same logins, each as its line of JSON (`json_line`) with the line end."""
        return self._take(block, offset, ROWS)

    def _take(self, block: bytes, offset: int, form: OutputForm) -> list[Any]:
        """Return a block's logins in one form: each line by the fast path or the long way.

        A dense log spends its time in this loop, so the steps of the fast path stand here in a row.
        """
        self.counts.lines += count_lines(block)
        found: list[Any] = []
        parts = NextParts(self.rules.follow_ups, block)
        self._begin, follow = offset, self._awaited(parts, 0)
        takes, head = self._lanes.takes(form), self._head(form, block, offset)
        taken, rfind = [0] * len(takes), block.rfind
        prefix, limit, end = head.prefix, head.limit, -1
        for number, hit, _ in self._search(block):
            if hit < end or number >= len(takes):
                continue
            begin = rfind(b"\n", 0, hit) + 1
            if (end := block.find(b"\n", hit)) < 0:
                end = len(block)
            if follow < begin:
                follow = self._follow(parts, follow, begin, form, found)
            line = block[begin:end]
            text = line.decode("latin-1")
            place = offset + begin
            if (text.startswith(prefix) and place < limit) or head.turn(text, place):
                item = takes[number](text, line, place, head)
                if item is not None:
                    prefix, limit = head.prefix, head.limit
                    found.append(item)
                    taken[number] += 1
                    continue
            self._long_way(line, place, number, form, found)
            if follow == inf:
                follow = self._awaited(parts, end)
            head.pause()
            prefix, limit = head.prefix, head.limit
        self._follow(parts, follow, len(block), form, found)
        self.cut.go_on(len(block))
        self.counts.logins += len(found)
        self._lanes.count(taken, self.counts.services)
        return found

    def _head(self, form: OutputForm, block: bytes, offset: int) -> HeaderCache:
        """Return what is known of the beginning of a line, ready for a block."""
        head = self._heads.get(form.maker)
        if head is None:
            head = self._heads[form.maker] = HeaderCache(form.clock)
        changed = self.timeline.learn(block, offset)
        if changed or self.timeline is not head.timeline:
            head.forget()
        head.begin(self.timeline, self.ordinals, form.path(self.path), offset)
        return head

    def _long_way(
        self, line: bytes, offset: int, number: int, form: OutputForm, found: list[Any]
    ) -> None:
        """Append the login of a line beside the fast path, if it is one."""
        login = self._line(line, offset)
        if login is not None:
            found.append(form.login(login))
            self.counts.services[login.srv] += 1
            self._lanes.note(number, login.rule)

    def _awaited(self, parts: NextParts, place: int) -> float:
        """Return where the next part of a line may stand; infinite if nothing waits for one."""
        return parts.after(place) if self.cut.waiting else inf

    def _follow(
        self, parts: NextParts, place: float, end: int, form: OutputForm, found: list[Any]
    ) -> float:
        """Append the logins of which the next part stands in a line that begins before *end*.

        Args:
            parts: where next parts may stand in the block.
            place: the first of these places.
            end: where the next line begins that is looked at anyway.
            form: of the logins.
            found: takes them.

        Returns:
            The first place behind these lines where a next part may stand.
        """
        block = parts.block
        while place < end:
            begin = block.rfind(b"\n", 0, int(place)) + 1
            if (behind := block.find(b"\n", int(place))) < 0:
                behind = len(block)
            for login in self._next(block[begin:behind], self._begin + begin):
                found.append(form.login(login))
                self.counts.services[login.srv] += 1
            place = self._awaited(parts, behind)
        return place

    def _next(self, line: bytes, offset: int) -> list[Login]:
        """Return the logins that a line makes count, if it is a next part."""
        known = self._read(line)
        if known is None or known.part != "next":
            return []
        moment = self.timeline.resolve(known.head.stamp, offset)
        if moment is None:
            return []
        part = NextPart(known.machine, known.head.program, known.head.pid, known.match.user)
        return self.cut.follow(part, moment.time_us, offset - self._begin)

    def _line(self, line: bytes, offset: int) -> Login | None:
        if line[0] == 0:  # the hole a stale writer leaves in a truncated file
            whole = len(line)
            line = line.lstrip(b"\0")
            offset += whole - len(line)
        known = self._read(line)
        if known is None or known.part == "next":
            return None
        moment = self.timeline.resolve(known.head.stamp, offset)
        if moment is None:
            self.counts.undated += 1
            return None
        login = self._login(line, offset, known.head, known.match, moment)
        if known.part:
            self.cut.add(login, offset - self._begin)
            return None
        return login

    def _read(self, line: bytes) -> _LineRules | None:
        """Return what the rules say of a line."""
        if len(line) > _MAX_LINE:
            self.counts.overlong += 1
            return None
        head = split(line.decode("utf-8", "backslashreplace"))
        if head is None:
            return None
        if len(head.message) > MAX_MESSAGE:
            self.counts.overlong += 1
            return None
        machine = head.machine or self.machine
        found = self.rules.read(head.program, head.message, machine, head.form)
        return _LineRules(head, machine, *found) if found else None

    def _login(self, line: bytes, offset: int, head: Split, match: Match, moment: Moment) -> Login:
        local = None if head.machine else self.machine
        identity = login_id(line, moment.year, local, 0)
        second = moment.time_us // _SECOND
        ordinal = self.ordinals.next(identity, second, ambiguous=moment.ambiguous)
        if ordinal:
            identity = login_id(line, moment.year, local, ordinal)
        fields: dict[str, Any] = match.fields
        if head.repeated > 1:
            fields = {**fields, "repeated": head.repeated}
        if moment.ambiguous:
            fields = {**fields, "ambiguous": True}
        return Login(
            identity,
            moment.time_us,
            match.user,
            match.host,
            match.service,
            match.kind,
            local or head.machine,
            head.program,
            head.pid,
            match.rule,
            fields,
            self.path,
            offset,
            line,
        )


_shared_search = lru_cache(maxsize=4)(make_search)  # thousands of logs have the same rules
