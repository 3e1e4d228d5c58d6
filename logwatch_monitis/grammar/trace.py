"""How far a line got in a message, and what stopped it there."""

from __future__ import annotations

from typing import NamedTuple

from logwatch_monitis.grammar.field_types import MAX_INT
from logwatch_monitis.grammar.matcher import CHECKS, LinePlan, Reading, Step
from logwatch_monitis.grammar.tree import Hole, unparse_part

__all__ = ["Miss", "spans", "trace"]

_DEMANDS = {
    "word": "is one word, without blanks",
    "int": "is digits only",
    "ip": "is an IPv4 or IPv6 address",
    "host": "is an address or a host name",
}


class Miss(NamedTuple):
    """Why a line does not match: the place in the message (from 0), its length, the reason."""

    position: int
    length: int
    message: str


def spans(line: LinePlan, message: str) -> dict[str, tuple[int, int]]:
    """Return where each named hole of *line* stands in *message*; empty if it does not match."""
    found: dict[str, tuple[int, int]] = {}
    return found if Reading(message, found).read(line.steps) else {}


def trace(line: LinePlan, message: str) -> Miss | None:
    """Return how far *line* got in *message* and what stopped it, None if it matches."""
    reading = Reading(message)
    if reading.read(line.steps):
        return None
    assert reading.stop
    step, start, end, way, refused = reading.stop
    if way < 0:
        start, end = len(message) - end, len(message) - start
    reason = _refusal(step, message[start:end]) if step and refused else _lacking(step, way)
    return Miss(start, max(1, end - start), reason)


def _lacking(step: Step | None, way: int) -> str:
    """Return what did not stand in the message where *step* read it; *way* is -1 for leftwards."""
    if step is None:
        return "expected the end of the message here"
    kind, _, _, _, text, others, _, _ = step
    if kind == "literal":
        return f"expected {text[::way]!r} {'here' if way > 0 else 'up to here'}"
    marks = " or ".join(repr(mark[::way]) for mark in (*others, text) if mark)
    if way < 0:
        return f"{_notation(step)} begins after {marks}, which is not here"
    return f"{_notation(step)} ends before {marks}, which does not come"


def _refusal(step: Step, value: str) -> str:
    """Return what *value* should have been, which the hole must not hold."""
    kind, _, name, words, *_ = step
    if kind == "choice" and value not in words:
        demand = f"is one of {', '.join(words)}"
    elif kind == "int" and len(value) > MAX_INT and value.isdigit():
        demand = f"has at most {MAX_INT} digits"
    elif kind in _DEMANDS and not CHECKS[kind](value):
        demand = _DEMANDS[kind]
    else:
        demand = _DEMANDS["host"] if name == "host" else "must not be blank"
    return f"{_notation(step)} {demand}"


def _notation(step: Step) -> str:
    kind, _, name, words, *_ = step
    return unparse_part(Hole(name, kind, tuple(words)))
