"""The oracle: reads a message with a line in exactly the words of the language's definition.

Slow and plain on purpose. The matcher must give its answers, and stop where it stops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from logwatch_monitis.grammar.field_types import (
    MAX_INT,
    is_host,
    is_int,
    is_ip,
    is_user,
    without_mapping,
)
from logwatch_monitis.grammar.trace import Miss
from logwatch_monitis.grammar.tree import (
    BLANKS,
    MAX_MESSAGE,
    MEANINGS,
    Hole,
    Line,
    Literal,
    Optional,
    ParsedRule,
    Part,
    Piece,
    unparse_part,
)

__all__ = ["Answer", "fill", "first_line", "match", "match_line", "spans", "trace"]


def _is_word(text: str) -> bool:
    """Say whether *text* is one character or more, none of them blank."""
    return bool(text) and not any(blank in text for blank in BLANKS)


_CHECKS = {"word": _is_word, "int": is_int, "ip": is_ip, "host": is_host}
_DEMANDS = {
    "word": "is one word, without blanks",
    "int": "is digits only",
    "ip": "is an IPv4 or IPv6 address",
    "host": "is an address or a host name",
}


class Answer(NamedTuple):
    """What a rule found, and the index of the line that found it."""

    line: int
    user: str
    host: str
    service: str | None
    fields: dict[str, str]


class _Next(NamedTuple):
    """NEXT of a place: the texts that can stand there, and whether the message can end there."""

    texts: list[str]
    end: bool


class _MissError(Exception):
    """Raised inside this module where a line stops matching."""

    def __init__(self, miss: Miss) -> None:
        super().__init__(miss.message)
        self.miss = miss


def match(rule: ParsedRule, message: str, machine: str, program: str) -> Answer | None:
    """Return what *rule* finds in *message*, None if it does not match.

    ``service`` is None where no line and no default names one: the file's service holds.
    """
    if len(message) > MAX_MESSAGE or first_line(rule.excepts, message) is not None:
        return None
    for index, line in enumerate(rule.lines):
        values = match_line(line, message)
        found = None if values is None else fill(values, rule.defaults, machine, program)
        if found is not None:
            return Answer(index, *found)
    return None


def first_line(lines: Sequence[Line], message: str) -> int | None:
    """Return the index of the first line that matches *message*, None if none does."""
    return next((n for n, line in enumerate(lines) if trace(line, message) is None), None)


def match_line(line: Line, message: str) -> dict[str, str] | None:
    """Return the named holes of *line* that were taken in *message*, None if it does not match."""
    try:
        return _Reading(message).line(line.parts)
    except _MissError:
        return None


def spans(line: Line, message: str) -> dict[str, tuple[int, int]]:
    """Return where each named hole of *line* stands in *message*; empty if it does not match."""
    reading = _Reading(message)
    try:
        reading.line(line.parts)
    except _MissError:
        return {}
    return reading.spans


def trace(line: Line, message: str) -> Miss | None:
    """Return how far *line* got in *message* and what stopped it, None if it matches."""
    try:
        _Reading(message).line(line.parts)
    except _MissError as stopped:
        return stopped.miss
    return None


def fill(
    values: Mapping[str, str], defaults: Mapping[str, str], machine: str, program: str
) -> tuple[str, str, str | None, dict[str, str]] | None:
    """Return user, host, service and fields of *values*, with *defaults* where one is missing.

    None if that names no user or no host.
    """
    meant = {"{machine}": machine, "{program}": program}
    filled = {name: meant.get(value, value) for name, value in defaults.items()} | dict(values)
    user, host = filled.get("user", ""), filled.get("host", "")
    if not is_user(user) or not host:
        return None
    if "host" in values or defaults["host"] not in meant:
        host = without_mapping(host)
    fields = {name: value for name, value in filled.items() if name not in MEANINGS}
    return user, host, filled.get("service"), fields


class _Reading:
    """One message while a line reads it: the values of the holes so far."""

    def __init__(self, message: str) -> None:
        self.message = message
        self.values: dict[str, str] = {}
        self.spans: dict[str, tuple[int, int]] = {}

    def line(self, parts: Sequence[Part], i: int = 0) -> dict[str, str]:
        """Read *parts*, the last of the line, from *i* to the end of the message."""
        for n, part in enumerate(parts):
            if _is_rest(part):
                return self.rest(parts, n, i)
            if isinstance(part, Optional) and any(map(_is_rest, part.parts)):
                if self.stands(_first(part), i):
                    return self.line(part.parts, i)
            elif isinstance(part, Optional):
                i = self.optional(part, _next(parts, n + 1), i)
            else:
                i = self.piece(part, _next(parts, n + 1), i)
        if i != len(self.message):
            raise self.stop(i, len(self.message), "expected the end of the message here")
        return self.values

    def stands(self, text: str, i: int) -> bool:
        """Say whether *text* stands at *i*."""
        return self.message.startswith(text, i)

    def optional(self, part: Optional, following: _Next, i: int) -> int:
        """Read an optional part if its first text stands at *i*; return the place behind it."""
        if not self.stands(_first(part), i):
            return i
        for n, piece in enumerate(part.parts):
            inner = _next(part.parts, n + 1)
            i = self.piece(piece, following if inner.end else inner, i)
        return i

    def piece(self, piece: Piece, following: _Next, i: int) -> int:
        """Read text, or a hole and what it holds; return the place behind it."""
        if isinstance(piece, Literal):
            if not self.stands(piece.text, i):
                raise self.stop(i, i + len(piece.text), f"expected {piece.text!r} here")
            return i + len(piece.text)
        texts = following.texts
        marks = [text[0] for text in texts] if piece.kind == "inside" else texts
        for k in range(i, len(self.message) + 1):
            if any(self.stands(mark, k) for mark in marks):
                return self.cut(piece, i, k)
        if not following.end:
            marked = " or ".join(map(repr, texts))
            reason = f"{unparse_part(piece)} ends before {marked}, which does not come"
            raise self.stop(i, len(self.message), reason)
        return self.cut(piece, i, len(self.message))

    def rest(self, parts: Sequence[Part], n: int, i: int) -> dict[str, str]:
        """Read what stands right of the rest, from the right end, and give the rest its text."""
        rest = parts[n]
        assert isinstance(rest, Hole)
        j = len(self.message)
        for m in range(len(parts) - 1, n, -1):
            j = self.part_left(parts[m], _previous(parts, m - 1), i, j)
        self.cut(rest, i, j)
        return self.values

    def ends(self, text: str, i: int, j: int) -> bool:
        """Say whether *text* ends at *j* without beginning before *i*."""
        return self.message.endswith(text, i, j)

    def part_left(self, part: Part, texts: list[str], i: int, j: int) -> int:
        """Read a part that ends at *j* and that *texts* can precede; return where it begins."""
        if not isinstance(part, Optional):
            return self.piece_left(part, texts, i, j)
        if not self.ends(_last(part), i, j):
            return j
        for m in range(len(part.parts) - 1, -1, -1):
            inner = _previous(part.parts, m - 1) if m else texts
            j = self.piece_left(part.parts[m], inner, i, j)
        return j

    def piece_left(self, piece: Piece, texts: list[str], i: int, j: int) -> int:
        """Read text or a hole that ends at *j*; return where it begins."""
        if isinstance(piece, Literal):
            if not self.ends(piece.text, i, j):
                begin = max(i, j - len(piece.text))
                raise self.stop(begin, j, f"expected {piece.text!r} up to here")
            return j - len(piece.text)
        marks = [text[-1] for text in texts] if piece.kind == "inside" else texts
        for k in range(j, i - 1, -1):
            if any(self.ends(mark, i, k) for mark in marks):
                self.cut(piece, k, j)
                return k
        marked = " or ".join(map(repr, texts))
        raise self.stop(i, j, f"{unparse_part(piece)} begins after {marked}, which is not here")

    def cut(self, hole: Hole, i: int, k: int) -> int:
        """Check what *hole* holds and keep it under the hole's name; return *k*."""
        value = self.message[i:k]
        demand = _refusal(hole, value)
        if demand:
            raise self.stop(i, k, f"{unparse_part(hole)} {demand}")
        if hole.name:
            self.values[hole.name] = value
            self.spans[hole.name] = (i, k)
        return k

    def stop(self, i: int, k: int, reason: str) -> _MissError:
        """Return what to raise to give up at message[i:k], at least one character long."""
        return _MissError(Miss(i, max(1, min(k, len(self.message)) - i), reason))


def _refusal(hole: Hole, value: str) -> str:
    """Return what *value* should have been, '' if *hole* may hold it."""
    if hole.kind == "choice" and value not in hole.choices:
        return f"is one of {', '.join(hole.choices)}"
    if hole.kind == "int" and len(value) > MAX_INT and value.isdigit():
        return f"has at most {MAX_INT} digits"
    if hole.kind in _CHECKS and not _CHECKS[hole.kind](value):
        return _DEMANDS[hole.kind]
    if hole.name == "host" and not is_host(value):
        return _DEMANDS["host"]
    return "must not be blank" if hole.name == "user" and not is_user(value) else ""


def _next(parts: Sequence[Part], n: int) -> _Next:
    """Return NEXT of the place before *parts[n]*."""
    texts: list[str] = []
    for part in parts[n:]:
        if isinstance(part, Hole):
            return _Next(texts, end=False)
        if isinstance(part, Literal):
            return _Next([*texts, part.text], end=False)
        texts.append(_first(part))
    return _Next(texts, end=True)


def _previous(parts: Sequence[Part], n: int) -> list[str]:
    """Return PREV of the place behind *parts[n]*: what can end there, read to the left."""
    texts: list[str] = []
    for part in reversed(parts[: n + 1]):
        if isinstance(part, Hole):
            return texts
        if isinstance(part, Literal):
            return [*texts, part.text]
        texts.append(_last(part))
    return texts


def _first(part: Optional) -> str:
    """Return the text that decides whether *part* is there, read from the left."""
    text = part.parts[0]
    assert isinstance(text, Literal)
    return text.text


def _last(part: Optional) -> str:
    """Return the text that decides whether *part* is there, read from the right."""
    text = part.parts[-1]
    assert isinstance(text, Literal)
    return text.text


def _is_rest(part: Part) -> bool:
    """Say whether *part* is the hole of the kind rest."""
    return isinstance(part, Hole) and part.kind == "rest"
