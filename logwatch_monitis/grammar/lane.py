"""The fast lane: a line's everyday messages as one regular expression without backtracking.

A generated matcher costs a few calls for every hole; where most lines of a log are logins, that
is what bounds the speed. Nearly all of them are plain: no blank inside a user name, no quote, no
backslash, printable ASCII. For these the compiled expression gives the same answer in one call. It
claims only what it can be sure of, so a message that it does not take is not refused: the
rule decides (`tests/test_lane.py` holds both against each other).

Why the answer is the same: a hole's characters never include the first character of a text that
may follow it, so the hole ends at the nearest such text, as the language wants it; an optional
part is skipped only where its first text does not stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from logwatch_monitis.grammar.tree import (
    Hole,
    Optional,
    Part,
    Piece,
    Rule,
    Text,
    required_texts,
)

__all__ = ["Lane", "lane"]

_PLAIN = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"\\')
_HOST = "".join(c for c in _PLAIN if c.isalnum() or c in ".:%_-")


class Lane(NamedTuple):
    """The everyday form of a rule.

    Attributes:
        pattern: the message as a regular expression, one group for each name; it neither begins
            nor ends with an anchor. Matches nothing but printable ASCII.
        names: the groups' names in their order.
        kinds: ``ip``, ``host`` or the empty text for each group: what is still to be checked.
        unless: texts; a message that holds one of them is for the rule to decide.
    """

    pattern: str
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    unless: tuple[str, ...]


class _NoLaneError(Exception):
    """Raised where a part has no everyday form."""


def lane(rule: Rule) -> Lane | None:
    """Return the lane of a rule's first line, or None where it has none."""
    line = rule.lines[0]
    unless = []
    for refusing in rule.excepts:
        texts = required_texts(refusing)
        if not texts:
            return None
        unless.append(max(texts, key=len))
    try:
        pattern = "".join(_parts(line.parts, ()))
    except _NoLaneError:
        return None
    holes = [hole for hole, _ in line.holes() if hole.name]
    kinds = tuple(_check(hole) for hole in holes)
    return Lane(pattern, tuple(hole.name for hole in holes), kinds, tuple(dict.fromkeys(unless)))


def _check(hole: Hole) -> str:
    if hole.name == "host":
        return "ip" if hole.kind == "ip" else "host"
    return hole.kind if hole.kind in ("ip", "host") else ""


def _parts(parts: tuple[Part, ...], behind: tuple[str, ...]) -> Iterator[str]:
    """Yield the expression of each part; *behind* are the texts that may follow the last one."""
    for index, part in enumerate(parts):
        following = _next(parts[index + 1 :], behind)
        if isinstance(part, Text):
            yield _text(part)
        elif isinstance(part, Optional):
            yield _optional(part, following)
        else:
            yield _hole(part, following, last=index == len(parts) - 1 and not behind)


def _next(parts: tuple[Part, ...], behind: tuple[str, ...]) -> tuple[str, ...]:
    """Return the language's NEXT; END excludes nothing, so it is left out."""
    texts: tuple[str, ...] = ()
    for part in parts:
        if isinstance(part, Optional):
            texts += (_first(part),)
        elif isinstance(part, Text):
            return (*texts, part.text)
        else:
            raise _NoLaneError
    return texts + behind


def _first(part: Optional) -> str:
    first: Piece = part.parts[0]
    if not isinstance(first, Text):
        raise _NoLaneError
    return first.text


def _text(part: Text) -> str:
    if not (part.text.isascii() and part.text.isprintable()):
        raise _NoLaneError
    return re.escape(part.text)


def _optional(part: Optional, following: tuple[str, ...]) -> str:
    inside = "".join(_parts(part.parts, following))
    return f"(?:{inside}|(?!{re.escape(_first(part))}))"


def _hole(hole: Hole, following: tuple[str, ...], *, last: bool) -> str:
    stops = {text[0] for text in following}
    body = _rest(last=last) if hole.kind == "rest" else _body(hole, stops)
    return f"({body})" if hole.name else f"(?:{body})"


def _rest(*, last: bool) -> str:
    if not last:
        raise _NoLaneError
    # The header room has cut the blanks at the message's end.
    return f"[ {_class(_PLAIN)}]*+(?<! )"


def _body(hole: Hole, stops: set[str]) -> str:
    if hole.kind == "choice":
        return _choice(hole.choices, stops)
    if hole.kind == "int":
        if any(stop.isdigit() for stop in stops):
            raise _NoLaneError
        return "[0-9]{1,20}+"
    allowed = _HOST if _check(hole) else _PLAIN
    kept = "".join(c for c in allowed if c not in stops)
    empty = hole.kind in ("text", "inside") and hole.name != "user" and not _check(hole)
    return f"[{_class(kept)}]{'*' if empty else '+'}+"


def _choice(words: tuple[str, ...], stops: set[str]) -> str:
    if any(stops & set(word) or not word.isascii() for word in words):
        raise _NoLaneError
    return f"(?>{'|'.join(re.escape(word) for word in sorted(words, key=len, reverse=True))})"


def _class(characters: str) -> str:
    return re.escape(characters)
