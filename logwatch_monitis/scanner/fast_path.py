"""Fast path: matches the common form of a rule's lines with one regular expression.

`logwatch_monitis.grammar.ruleset.Lane` describes the message. Here the tag is put before it,
``program[pid]: ``; what stands before the tag is read by `logwatch_monitis.scanner.header_cache`.
Whatever differs is read by the matcher.

The form of a row is not written down here a second time: `json_line` renders a login of marks,
and what it puts around the marks is the row's template.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

from logwatch_monitis.grammar.field_types import addresses, hosts
from logwatch_monitis.grammar.ruleset import Lane
from logwatch_monitis.login import Login, iso_time, json_line
from logwatch_monitis.scanner.header_cache import Clock, HeaderCache, as_number, as_text
from logwatch_monitis.syslog import Minute

__all__ = ["LOGINS", "ROWS", "FastPath", "FastRule", "OutputForm", "Take"]

_TAG = r"(%s)(?:\[([1-9][0-9]{0,9}+)\])?: ++"
_FROM_HEADER = {"{machine}": "head.machine", "{program}": "program"}
_ENOUGH = 200
"""Logins of a rule before its lane opens; it takes about as long to make one."""

Take = Callable[[str, bytes, int, HeaderCache], Any]
"""Makes a login of a line's text, its bytes, its offset and its head; None: the rule decides."""


class OutputForm(NamedTuple):
    """What lanes make of a line.

    Attributes:
        maker: the name of the function that a lane has for it.
        clock: makes the times that the function takes.
        path: likewise the file's name.
        login: turns a login that came the long way into the same.
    """

    maker: str
    clock: Callable[[Minute], Clock]
    path: Callable[[str], str]
    login: Callable[[Login], Any]


def _same(value: Any) -> Any:
    return value


LOGINS = OutputForm("login", as_number, _same, _same)
ROWS = OutputForm(
    "row",
    as_text,
    lambda path: encode_basestring_ascii(path)[1:-1],
    lambda login: json_line(login) + "\n",
)


class FastRule:
    """A lane with its functions, made when they are first needed."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane

    def take(self, form: OutputForm) -> Take:
        """Return what makes a line a login or a row of JSON."""
        take: Take = self._functions[form.maker]
        return take

    @cached_property
    def _functions(self) -> dict[str, Any]:
        programs = "|".join(map(re.escape, self.lane.programs))
        functions = {
            "Login": Login,
            "new": tuple.__new__,
            "match": re.compile(_TAG % programs + self.lane.pattern).fullmatch,
            "HOSTS": {"ip": addresses(), "host": hosts()},
        }
        source = "\n".join([*_row(self.lane), *_login(self.lane)])
        exec(compile(source, f"<lane {self.lane.rule}>", "exec"), functions)  # noqa: S102
        return functions


class FastPath:
    """The lanes in use, by the literal that leads to them.

    A lane opens once its rule has taken many lines, so a short scan never pays for making it. A
    literal leads to one lane: that of the rule that last took so many of its lines.
    """

    def __init__(self, lanes: Iterable[Lane], literals: int) -> None:
        self._lanes = {lane.rule: FastRule(lane) for lane in lanes}
        self._seen: dict[tuple[int, str], int] = {}
        self._by_literal: list[FastRule | None] = [None] * literals
        self._open = tuple(self._by_literal)

    def takes(self, form: OutputForm) -> list[Take]:
        """Return for each literal how the lines of the next block are taken."""
        self._open = tuple(self._by_literal)
        return [lane.take(form) if lane else _closed for lane in self._open]

    def count(self, taken: Sequence[int], services: Counter[str]) -> None:
        """Add to *services* how many lines took each literal's lane since `takes` was asked."""
        for number, lane in enumerate(self._open):
            if taken[number] and lane:
                services[lane.lane.service] += taken[number]

    def note(self, literal: int, rule: str) -> None:
        """Note that *rule* itself took a line found by *literal*."""
        lane = self._lanes.get(rule)
        if lane is None or self._by_literal[literal] is lane:
            return
        self._seen[literal, rule] = self._seen.get((literal, rule), 0) + 1
        if self._seen[literal, rule] >= _ENOUGH:
            self._seen[literal, rule] = 0
            self._by_literal[literal] = lane


def _closed(*_: Any) -> None:
    """Take no line."""


# -- what a lane makes of its groups --------------------------------------------------------------


def _row(lane: Lane) -> Iterator[str]:
    """Yield the source of the function that makes a row."""
    yield "def row(text, line, offset, head):"
    yield from _beginning(lane)
    yield f"    pid = {'null'!r} if pid is None else pid"
    if _holds_quotes(lane):
        yield r"""    text = text.replace('\\', '\\\\').replace('"', '\\"')"""
    yield "    late = ''"
    for name in _late(lane):
        yield f"    if {_variable(lane, name)} is not None:"
        yield f'        late += f\',"{name}":"{{{_variable(lane, name)}}}"\''
    for name in _certain(lane):
        yield f"    field_{name} = {_or_default(lane, name, _quoted)}"
    yield f"    return f{_template(lane)}"


def _login(lane: Lane) -> Iterator[str]:
    """Yield the source of the function that makes a `Login`."""
    yield "def login(text, line, offset, head):"
    yield from _beginning(lane)
    items = (f"{name!r}: {_or_default(lane, name, repr)}" for name in _certain(lane))
    yield f"    fields = {{{', '.join(items)}}}"
    for name in _late(lane):
        yield f"    if {_variable(lane, name)} is not None:"
        yield f"        fields[{name!r}] = {_variable(lane, name)}"
    yield (
        f"    return new(Login, (identity, head.time, user, host, {lane.service!r}, {lane.kind!r},"
        f" head.machine, program, None if pid is None else int(pid), {lane.rule!r}, fields,"
        f" head.path, offset, line, *{tuple(Login._field_defaults.values())!r}))"
    )


def _beginning(lane: Lane) -> Iterator[str]:
    """Yield the lines that match, leave to the rule what it must decide, and count the login."""
    variables = "".join(f", {_variable(lane, name)}" for name in lane.names)
    yield "    found = match(text, head.start)"
    yield "    if found is None: return None"
    yield f"    program, pid{variables} = found.groups()"
    for unless in lane.unless:
        yield f"    if {unless!r} in text: return None"
    if "host" not in lane.names:
        yield "    host = head.machine"
    for name, check in zip(lane.names, lane.checks, strict=True):
        variable = _variable(lane, name)
        if name == "host":
            yield f"    host = HOSTS[{check!r}][host]"
            yield "    if not host: return None"
        elif check:
            yield f"    if not ({variable} is None or HOSTS[{check!r}][{variable}]): return None"
    yield "    identity = head.identify(line)"
    yield "    if not identity: return None"


def _variable(lane: Lane, name: str) -> str:
    return name if name in ("user", "host") else f"v{lane.names.index(name)}"


def _late(lane: Lane) -> list[str]:
    """Return the fields that may be absent; they come behind the others."""
    return [name for name in lane.fields if name in lane.optional and name not in lane.defaults]


def _certain(lane: Lane) -> list[str]:
    late = _late(lane)
    return [name for name in lane.fields if name not in late]


def _or_default(lane: Lane, name: str, constant: Callable[[str], str]) -> str:
    """Return the expression for a field: its group, else its default."""
    default = lane.defaults.get(name, "")
    other = _FROM_HEADER.get(default) or constant(default)
    if name not in lane.names:
        return other
    variable = _variable(lane, name)
    return f"{other} if {variable} is None else {variable}" if name in lane.optional else variable


def _quoted(text: str) -> str:
    return repr(encode_basestring_ascii(text)[1:-1])


def _holds_quotes(lane: Lane) -> bool:
    """Say whether a line can hold a quote or backslash: none of its groups does."""
    return '"' in lane.pattern or r"\\" in lane.pattern


# -- the template of a row ------------------------------------------------------------------------


def _template(lane: Lane) -> str:
    """Return a row as Python's notation of a string, with variables' names in braces.

    `json_line` escapes the NULs around a mark; those of numbers are left as they are.
    """
    fields = {name: _mark(f"field_{name}") for name in _certain(lane)}
    fields |= {"late": _mark("late")} if _late(lane) else {}
    login = Login(
        _mark("identity"), 0, _mark("user"), _mark("host"), lane.service, lane.kind,
        _mark("head.machine"), _mark("program"), _mark("pid"), lane.rule, fields,
        _mark("head.path"),
        _mark("offset"), _mark("text").encode(),
    )  # fmt: skip
    row = json_line(login).replace("\0", r"\u0000").replace("{", "{{").replace("}", "}}")
    row = row.replace(iso_time(0), r"\u0000head.time\u0000", 1)
    comma = "[1:]" if not _certain(lane) else ""
    row = re.sub(r',?"late":"(\\u0000late)(\\u0000)"', rf"\1{comma}\2", row)
    return repr(re.sub(r"\\u0000([\w.]+(?:\[1:\])?)\\u0000", r"{\1}", row) + "\n")


def _mark(name: str) -> Any:
    return f"\0{name}\0"
