"""Blocks in, logins out: search, header, clock, rule and id put together for one log.

Lines without any of the rules' literals never become objects; the cost follows the logins, not
the size of the log. Where logins are many, everyday ones take a lane (`logwatch_monitis.lanes`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from logwatch_monitis.grammar import MAX_MESSAGE, Match, RuleSet
from logwatch_monitis.lanes import LOGINS, ROWS, Form, Lanes, Make
from logwatch_monitis.login import Login, Ordinals, id_tail, login_id, seal
from logwatch_monitis.search import make_search
from logwatch_monitis.syslog import Moment, Split, split
from logwatch_monitis.tally import count_lines

__all__ = ["ScanCounts", "Scanner", "Timeline"]

_SECOND = 1_000_000
_MAX_LINE = 4 * MAX_MESSAGE + 4096
"""Bytes of the longest line that is decoded: a message of the most characters and its header."""


class Timeline(Protocol):
    """What the scanner asks of `logwatch_monitis.syslog.Timeline`."""

    def learn(self, data: bytes, offset: int, /) -> None:
        """Take note of a block before its lines are resolved."""

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
        services: logins by service.
    """

    lines: int = 0
    logins: int = 0
    overlong: int = 0
    undated: int = 0
    refused: int = 0
    services: Counter[str] = field(default_factory=Counter)

    def add(self, other: ScanCounts) -> None:
        """Add what another scanner has seen."""
        self.lines += other.lines
        self.logins += other.logins
        self.overlong += other.overlong
        self.undated += other.undated
        self.refused += other.refused
        self.services.update(other.services)


class _Now(NamedTuple):
    """What all everyday lines of one moment share; without a *moment* none takes a lane."""

    moment: Moment | None = None
    counts: dict[str, int] = {}  # noqa: RUF012 - never used without a moment
    tail: bytes = b""
    time: Any = None


_NEVER = _Now()


class Scanner:
    """Finds the logins of one log, block after block.

    One scanner belongs to one log (a live file and its rotated copies are one log), because the
    ordinals of byte-identical lines and the missing years run on through all of it.

    Args:
        rules: the pattern files in force.
        timeline: the clock of this log.
        machine: the name for lines that name no machine.
        path: the file that is being read; may be changed between blocks.
        ordinals: carried over from the last run or the neighbouring job.
    """

    def __init__(
        self,
        rules: RuleSet,
        timeline: Timeline,
        *,
        machine: str,
        path: str,
        ordinals: Ordinals | None = None,
    ) -> None:
        self.timeline = timeline
        self.machine = machine
        self.path = path
        self.ordinals = ordinals or Ordinals()
        self.counts = ScanCounts()
        self.use(rules)

    def use(self, rules: RuleSet) -> None:
        """Go on with other rules."""
        self.rules = rules
        self._search = make_search(rules.literals, rules.decoys)
        self._lanes = Lanes(rules.lanes, len(rules.literals))

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

    def _take(self, block: bytes, offset: int, form: Form) -> list[Any]:
        """Return a block's logins in one form: a line takes its lane, or else the long way.

        A dense log spends its time in this loop, so the steps of a lane stand here in a row.
        """
        self.counts.lines += count_lines(block)
        self.timeline.learn(block, offset)
        found: list[Any] = []
        lanes, path = self._lanes.ways(form), form.path(self.path)
        resolve, rfind, taken = self.timeline.resolve, block.rfind, [0] * len(lanes)
        moment, counts, tail, time = _NEVER
        end = -1
        for number, place, _ in self._search(block):
            if place < end or number >= len(lanes):
                continue
            begin = rfind(b"\n", 0, place) + 1
            if (end := block.find(b"\n", place)) < 0:
                end = len(block)
            line = block[begin:end]
            text = line.decode("latin-1")
            match, make = lanes[number]
            if (match_ := match(text)) is not None and len(line) <= MAX_MESSAGE:
                groups = match_.groups()
                now = resolve(groups[0], offset + begin)
                if now is not moment:
                    moment, counts, tail, time = self._now(now, form, make, groups, text)
                if moment is not None:
                    identity = first = seal(line, tail)
                    if ordinal := counts.get(first, 0):
                        identity = login_id(line, moment.year, None, ordinal)
                    item = make(groups, identity, time, path, offset + begin, line, text)
                    if item is not None:
                        counts[first] = ordinal + 1
                        found.append(item)
                        taken[number] += 1
                        continue
            self._long_way(line, offset + begin, number, form, found)
            moment = None
        self.counts.logins += len(found)
        self._lanes.count(taken, self.counts.services)
        return found

    def _now(
        self, moment: Moment | None, form: Form, make: Make, groups: Sequence[str], text: str
    ) -> _Now:
        """Return what the lines of *moment* share, beginning with this one.

        Only logins move the ordinals on, so the lane is asked first whether it is one.
        """
        if moment is None or moment.ambiguous:
            return _NEVER
        second = moment.time_us // _SECOND
        if make(groups, "", "", "", 0, b"", text) is None:
            return _NEVER
        counts = self.ordinals.at(second)
        return _Now(moment, counts, id_tail(moment.year, None, 0), form.time(moment.time_us))

    def _long_way(
        self, line: bytes, offset: int, number: int, form: Form, found: list[Any]
    ) -> None:
        """Append the login of a line that took no lane, if it is one."""
        login = self._line(line, offset)
        if login is not None:
            found.append(form.login(login))
            self.counts.services[login.srv] += 1
            self._lanes.note(number, login.rule)

    def _line(self, line: bytes, offset: int) -> Login | None:
        if line[0] == 0:  # the hole a stale writer leaves in a truncated file
            whole = len(line)
            line = line.lstrip(b"\0")
            offset += whole - len(line)
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
        match = self.rules.match(head.program, head.message, machine, head.form)
        if match is None:
            return None
        moment = self.timeline.resolve(head.stamp, offset)
        if moment is None:
            self.counts.undated += 1
            return None
        return self._login(line, offset, head, match, moment)

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
