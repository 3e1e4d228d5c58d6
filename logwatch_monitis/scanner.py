"""Blocks in, logins out: search, header, clock, rule and id put together for one log.

Lines without any of the rules' literals never become objects; the cost follows the logins, not
the size of the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from logwatch_monitis.grammar import MAX_MESSAGE, Match, RuleSet
from logwatch_monitis.login import Login, Ordinals, login_id
from logwatch_monitis.search import make_search
from logwatch_monitis.syslog import Moment, Split, split

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
    """

    lines: int = 0
    logins: int = 0
    overlong: int = 0
    undated: int = 0


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
        self._decoys = len(rules.literals)

    def feed(self, block: bytes, offset: int = 0) -> list[Login]:
        """Return the logins of a block of whole lines, in their order.

        Args:
            block: lines, each but the last with its line end.
            offset: of the block's first byte in the file, uncompressed.
        """
        self.counts.lines += block.count(b"\n") + (not block.endswith(b"\n") and bool(block))
        self.timeline.learn(block, offset)
        found = []
        end = -1
        for number, place, _ in self._search(block):
            if place < end or number >= self._decoys:
                continue
            begin = block.rfind(b"\n", 0, place) + 1
            end = block.find(b"\n", place)
            if end < 0:
                end = len(block)
            login = self._line(block[begin:end], offset + begin)
            if login is not None:
                found.append(login)
        self.counts.logins += len(found)
        return found

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
