"""The matcher: reads a message along the plan of a rule, once, without trying anything twice.

A plan is plain data: the steps of each line (`logwatch_monitis.grammar.plan` makes it). A hole
costs one ``find`` for each text of NEXT; the later ones look only as far as the best end so far.
What stands right of a rest is read by the same steps in the reversed message, because
``str.rfind`` takes time in proportion to text times message in CPython.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from logwatch_monitis.grammar.field_types import (
    addresses,
    hosts,
    is_int,
    is_user,
    is_word,
    without_mapping,
)
from logwatch_monitis.grammar.tree import MAX_MESSAGE

__all__ = [
    "CHECKS",
    "Found",
    "LinePlan",
    "Matcher",
    "Reading",
    "RulePlan",
    "RuleReader",
    "Step",
    "Stop",
    "fill",
]

#: User, host, service (None: the file's own), extra fields.
Found = tuple[str, str, str | None, dict[str, str]]
#: Reads a message, given the machine and the program of its header; None if it does not match.
RuleReader = Callable[[str, str, str], Found | None]

EVERYDAY = 1024
"""Characters; few messages are longer."""
CHECKS: dict[str, Callable[[str], object]] = {
    "word": is_word,
    "int": is_int,
    "ip": addresses().__getitem__,
    "host": hosts().__getitem__,
    "user": is_user,
    "nothing": lambda _: False,
}
"""Say whether a hole may hold a text: by its kind, or by what its name means."""


Step = tuple[str, str, str, Sequence[str], str, Sequence[str], int, Sequence["Step"]]
"""One step of reading a line: text that must stand there, an optional part, or a hole.

kind: ``literal``, ``optional``, or the kind of a hole.
check: which of `CHECKS` a hole's value must pass; empty for none.
name: what a hole's value is kept under; empty for none.
words: of a choice; empty for every other kind.
text: the literal; what an optional part begins with; for a hole the text of NEXT that is not
optional, empty where the message may end.
others: for a hole, the other texts of NEXT.
taken: how many characters of *text* the step goes past.
inner: the steps of an optional part behind its text; for a rest the steps of what stands right of
it, mirrored.

A plain tuple: it is taken apart for every message, and Python does that slower with a named one.
"""

Stop = tuple[Step | None, int, int, int, bool]
"""Where a line stopped matching: the step that could not be taken, None where the message should
have ended; from where to where in the text that was read; 1 if that text is the message, -1 if it
is the message's end reversed; whether a hole's value was refused."""


class LinePlan(NamedTuple):
    """How a line is read.

    Attributes:
        needs: a text that every message the line matches holds; searched for in everyday messages
            only, so that a long one costs no more than the static rules say (`static.searches`).
        steps: what to read, in order.
        defaults: of the rule, and an empty text for every field that the line always gives: in
            this order fields are told.
    """

    needs: str
    steps: Sequence[Step]
    defaults: Mapping[str, str]


class RulePlan(NamedTuple):
    """How a rule is read: the lines that answer, and those that refuse."""

    lines: Sequence[LinePlan]
    excepts: Sequence[LinePlan]


class Matcher:
    """A rule that reads messages."""

    __slots__ = ("plan",)

    def __init__(self, plan: RulePlan) -> None:
        self.plan = plan

    def match(self, message: str, machine: str, program: str) -> Found | None:
        """Return what the rule finds in *message*, None if it does not match.

        *machine* and *program* are those of the message's header.
        """
        answer = self.answer(message, machine, program)
        return answer[1] if answer else None

    def answer(self, message: str, machine: str, program: str) -> tuple[int, Found] | None:
        """Return the same as `match`, behind the index of the line that found it."""
        if len(message) > MAX_MESSAGE:
            return None
        lines, excepts = self.plan
        reading = Reading(message)
        long = len(message) > EVERYDAY
        for needs, steps, _ in excepts:
            if (long or needs in message) and reading.read(steps):
                return None
        for number, (needs, steps, defaults) in enumerate(lines):
            if (long or needs in message) and reading.read(steps):
                found = fill(reading.values, defaults, machine, program)
                if found:
                    return number, found
        return None


class Reading:
    """A message while lines read it, one after the other.

    Attributes:
        values: what each named hole of the last line holds.
        spans: where it stands in the message, if a dictionary was given for it.
        stop: where the last line that did not match stopped.
    """

    __slots__ = ("_message", "spans", "stop", "values")

    def __init__(self, message: str, spans: dict[str, tuple[int, int]] | None = None) -> None:
        self._message = message
        self.values: dict[str, str] = {}
        self.spans = spans
        self.stop: Stop | None = None

    def read(self, steps: Sequence[Step]) -> bool:
        """Say whether a line of these *steps* matches the message."""
        self.values = {}
        i = self._run(steps, self._message, 0, 1)
        if 0 <= i < len(self._message):
            self.stop = None, i, len(self._message), 1, False
            return False
        return i >= 0

    def _run(self, steps: Sequence[Step], text: str, i: int, way: int) -> int:
        """Take *steps* in *text* from *i* on; return the place behind them, -1 for a miss."""
        for step in steps:
            kind, _, _, _, mark, _, taken, inner = step
            if kind == "literal":
                if not text.startswith(mark, i):
                    self.stop = step, i, min(i + taken, len(text)), way, False
                    return -1
                i += taken
            elif kind != "optional":
                i = self._hole(step, text, i, way)
                if i < 0:
                    return i
            elif text.startswith(mark, i):
                i = self._run(inner, text, i + taken, way)
                if i < 0:
                    return i
        return i

    def _hole(self, step: Step, text: str, i: int, way: int) -> int:
        """Find a hole's end, keep what it holds; return the place behind it, -1 for a miss."""
        kind, check, name, words, mark, others, taken, inner = step
        if inner:
            taken = self._run(inner, text[i:][::-1], 0, -1)
            if taken < 0:
                return taken
            k = len(text) - taken
        elif others or kind == "inside":
            k = _nearest(text, mark, others, i, 1 if kind == "inside" else None)
        else:
            k = text.find(mark, i) if mark else len(text)
        if k < 0:
            self.stop = step, i, len(text), way, False
            return k
        value = text[i:k][::way]
        if (check and not CHECKS[check](value)) or (words and value not in words):
            self.stop = step, i, k, way, True
            return -1
        if name:
            self.values[name] = value
            if self.spans is not None:
                size = len(self._message)
                self.spans[name] = (i, k) if way > 0 else (size - k, size - i)
        return k + taken


def _nearest(text: str, mark: str, others: Sequence[str], i: int, size: int | None) -> int:
    """Return the nearest place from *i* on where one of the texts stands, -1 for none.

    Without a *mark* the text's end is such a place. *size* characters of the texts count.
    """
    k = text.find(mark[:size], i) if mark else len(text)
    for other in others:
        j = text.find(other[:size], i, k + len(other[:size]) - 1 if k >= 0 else len(text))
        if j >= 0:
            k = j
    return k


def fill(
    values: Mapping[str, str], defaults: Mapping[str, str], machine: str, program: str
) -> Found | None:
    """Return user, host, service and fields of *values*, with *defaults* where one is missing.

    None if that names no user or no host.
    """
    filled = {**defaults, **values}
    meant = {"{machine}": machine, "{program}": program}
    for name, default in defaults.items():
        if default in meant and name not in values:
            filled[name] = meant[default]
    user, host = filled.pop("user", ""), filled.pop("host", "")
    if not is_user(user) or not host:
        return None
    if "host" in values or defaults["host"] not in meant:
        host = without_mapping(host)
    return user, host, filled.pop("service", None), filled
