"""Blocks in, logins out: search, header, clock, rule and id put together for one log.

Lines without any of the rules' literals never become objects; the cost follows the logins, not
the size of the log. Where logins are many, everyday ones take a lane (`logwatch_monitis.lanes`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

from logwatch_monitis.grammar import MAX_MESSAGE, Match, RuleSet
from logwatch_monitis.heads import Head
from logwatch_monitis.lanes import LOGINS, ROWS, Form, Lanes
from logwatch_monitis.login import Login, Ordinals, login_id
from logwatch_monitis.search import make_search
from logwatch_monitis.syslog import Minute, Moment, Split, split
from logwatch_monitis.tally import count_lines

__all__ = ["ScanCounts", "Scanner", "Timeline"]

_SECOND = 1_000_000
_MAX_LINE = 4 * MAX_MESSAGE + 4096
"""Bytes of the longest line that is decoded: a message of the most characters and its header."""


class Timeline(Protocol):
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
        self._heads: dict[str, Head] = {}
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
        found: list[Any] = []
        takes, head = self._lanes.takes(form), self._head(form, block, offset)
        taken, rfind = [0] * len(takes), block.rfind
        prefix, limit, end = head.prefix, head.limit, -1
        for number, hit, _ in self._search(block):
            if hit < end or number >= len(takes):
                continue
            begin = rfind(b"\n", 0, hit) + 1
            if (end := block.find(b"\n", hit)) < 0:
                end = len(block)
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
            head.pause()
            prefix, limit = head.prefix, head.limit
        self.counts.logins += len(found)
        self._lanes.count(taken, self.counts.services)
        return found

    def _head(self, form: Form, block: bytes, offset: int) -> Head:
        """Return what is known of the beginning of a line, ready for a block."""
        head = self._heads.get(form.maker)
        if head is None:
            head = self._heads[form.maker] = Head(form.clock)
        changed = self.timeline.learn(block, offset)
        if changed or self.timeline is not head.timeline:
            head.forget()
        head.begin(self.timeline, self.ordinals, form.path(self.path), offset)
        return head

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
