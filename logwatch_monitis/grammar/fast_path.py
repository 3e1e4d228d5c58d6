"""The fast lane: a rule's everyday messages as one regular expression without backtracking.

A generated matcher costs a few calls for every hole; where most lines of a log are logins, that
is what bounds the speed. Nearly all of them are plain: no blank inside a user name, no quote, no
backslash, printable ASCII. For these the expression gives the same answer in one call. It claims
only what it can be sure of, so a message that it does not take is not refused: the rule decides
(`tests/scanner/test_lane.py` holds both against each other).

Why the answer is the same:

* A hole's characters never include the first character of a text that may follow it, so the hole
  ends at the nearest such text, as the language wants it. What is cut holds no blank, and is
  checked again where its kind asks for more than its characters.
* An optional part is skipped only where its first text does not stand.
* Whatever comes before this line, ``except`` lines, earlier lines and earlier rules for the
  same programs, is known not to match: the expression begins otherwise (`_Before`), or a
  text is missing (`Lane.unless`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from logwatch_monitis.grammar.ruleset import Lane
from logwatch_monitis.grammar.tree import (
    END,
    MEANINGS,
    Hole,
    Line,
    Literal,
    Next,
    Optional,
    Part,
    first_text,
    following,
    required_texts,
)

__all__ = ["make_lane"]

_PLAIN = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"\\')
_HOST = "".join(c for c in _PLAIN if c.isalnum() or c in ".:%_-")
_PROGRAM = re.compile(r"[A-Za-z0-9_./@-]+").fullmatch
_UNWRAPPED = r"(?!\[ID |message repeated )"
"""The header room takes these beginnings off a message (`logwatch_monitis.syslog.headers`)."""


class _NoLaneError(Exception):
    """Raised where a part has no everyday form."""


def make_lane(
    rule: tuple[str, str, str],
    programs: Sequence[str],
    line: Line,
    defaults: Mapping[str, str],
    before: Iterable[Line],
) -> Lane | None:
    """Return the lane of one line of a rule, or None where it has none.

    Args:
        rule: its name, its service, its kind.
        programs: of the rule.
        line: which of the rule's lines.
        defaults: of the rule.
        before: all lines that are tried before this one, whatever they say.
    """
    programs = tuple(name for name in programs if _PROGRAM(name))
    holes = [(hole, optional) for hole, optional in line.holes() if hole.name]
    optional = tuple(hole.name for hole, absent in holes if absent)
    names = tuple(hole.name for hole, _ in holes)
    if not programs or not _gives(names, optional, defaults):
        return None
    try:
        guard = _Before(line, before)
        pattern = _unwrapped(line) + "".join(guard.not_here) + "".join(_parts(line.parts, END))
    except _NoLaneError:
        return None
    return Lane(
        *rule,
        programs=tuple(sorted(programs, key=len, reverse=True)),
        pattern=pattern,
        names=names,
        checks=tuple(_check(hole) for hole, _ in holes),
        unless=tuple(guard.unless),
        optional=optional,
        fields=tuple(n for n in dict.fromkeys([*defaults, *names]) if n not in MEANINGS),
        defaults=dict(defaults),
    )


def _gives(names: Sequence[str], optional: Sequence[str], defaults: Mapping[str, str]) -> bool:
    """Say whether every message gives user and host, and none the service."""
    certain = {name for name in names if name not in optional}
    host = "host" in certain or (defaults.get("host") == "{machine}" and "host" not in names)
    return "user" in certain and host and "service" not in {*names, *defaults}


class _Before:
    """What keeps the lines tried before *line* from matching.

    Attributes:
        not_here: expressions for the message's beginning that fail where one of them could match.
        unless: texts, one of which every message that one of the others matches holds.
    """

    def __init__(self, line: Line, before: Iterable[Line]) -> None:
        self.not_here: list[str] = []
        self.unless: list[str] = []
        self._own = required_texts(line)
        self._first = _first_text(line.parts)
        for other in reversed(list(before)):
            self._exclude(other)

    def _exclude(self, other: Line) -> None:
        head, more = _head(other.parts)
        if not head.startswith(self._first) and not self._first.startswith(head):
            return
        if more or not self._first.startswith(head):
            look = f"(?!{re.escape(head)}{more})"
            self.not_here += [] if look in self.not_here else [look]
            return
        texts = [t for t in required_texts(other) if not any(t in own for own in self._own)]
        if not texts:
            raise _NoLaneError
        if not set(texts) & set(self.unless):
            self.unless.append(max(texts, key=len))


def _first_text(parts: Sequence[Part]) -> str:
    return "" if isinstance(parts[0], Optional) else first_text(parts[0])


def _head(parts: Sequence[Part]) -> tuple[str, str]:
    """Return the text a line begins with, and the expression of a choice that follows, if any.

    A choice is cut at the text behind it, so its word and this text must stand there.
    """
    match parts:
        case (Literal(text=head), Hole(kind="choice") as hole, Literal(text=tail), *_):
            words = "|".join(map(re.escape, hole.choices))
            return head, f"(?:{words}){re.escape(tail)}"
    return _first_text(parts), ""


def _unwrapped(line: Line) -> str:
    first = _first_text(line.parts)
    return _UNWRAPPED if first[:1] in ("", "[", "m") else ""


def _check(hole: Hole) -> str:
    if hole.name == "host":
        return "ip" if hole.kind == "ip" else "host"
    return hole.kind if hole.kind in ("ip", "host") else ""


def _parts(parts: Sequence[Part], behind: Next) -> Iterator[str]:
    """Yield the expression of each part; *behind* is NEXT of the place behind the last one."""
    for index, part in enumerate(parts):
        after = following(parts[index + 1 :], behind)
        if isinstance(part, Literal):
            yield _text(part)
        elif isinstance(part, Optional):
            yield _optional(part, after)
        else:
            yield _hole(part, after, last=index == len(parts) - 1 and behind == END)


def _text(part: Literal) -> str:
    if not (part.text.isascii() and part.text.isprintable()):
        raise _NoLaneError
    return re.escape(part.text)


def _optional(part: Optional, after: Next) -> str:
    inside = "".join(_parts(part.parts, after))
    return f"(?:{inside}|(?!{re.escape(first_text(part))}))"


def _hole(hole: Hole, after: Next, *, last: bool) -> str:
    stops = {text[0] for text in after.texts}
    body = _rest(hole, last=last) if hole.kind == "rest" else _body(hole, stops)
    return f"({body})" if hole.name else f"(?:{body})"


def _rest(hole: Hole, *, last: bool) -> str:
    if not last or hole.name in MEANINGS:
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
    check = _check(hole)
    if hole.kind in ("ip", "host") and not hole.name:  # nothing is kept that could be checked
        raise _NoLaneError
    kept = "".join(c for c in (_HOST if check else _PLAIN) if c not in stops)
    empty = hole.kind in ("text", "inside") and hole.name != "user" and not check
    return f"[{_class(kept)}]{'*' if empty else '+'}+"


def _choice(words: tuple[str, ...], stops: set[str]) -> str:
    if any(stops & set(word) or set(word) - set(_PLAIN) for word in words):
        raise _NoLaneError
    return f"(?:{'|'.join(re.escape(word) for word in sorted(words, key=len, reverse=True))})"


def _class(characters: str) -> str:
    """Return what stands between ``[`` and ``]``, as ranges."""
    runs: list[str] = []
    for character in sorted(characters):
        if runs and ord(runs[-1][-1]) + 1 == ord(character):
            runs[-1] += character
        else:
            runs.append(character)
    return "".join(f"{re.escape(run[0])}-{re.escape(run[-1])}" for run in runs)
