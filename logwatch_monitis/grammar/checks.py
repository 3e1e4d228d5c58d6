"""The static rules: what a line must keep to so that reading it once, without retry, is enough.

Every check returns faults with columns; none stops at the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from logwatch_monitis.grammar.field_types import is_host, is_user
from logwatch_monitis.grammar.tree import (
    MEANINGS,
    NAME,
    RESERVED,
    Fault,
    Hole,
    Line,
    Literal,
    Optional,
    Part,
    Piece,
    is_rest,
    required_texts,
    telling,
)

__all__ = [
    "MAX_SEARCHES",
    "check",
    "check_cost",
    "check_default",
    "check_gives",
    "check_name",
    "check_prefix",
    "searches",
]

#: Searches over the length of a message that one rule may need. The worst one takes 0.2 ms at
#: `MAX_MESSAGE`, so no message costs a rule much over 25 ms (`benchmarks/grammar_cost.py`).
MAX_SEARCHES = 128

_HIDES = "it would hide the other: put what differs first, or write two lines"


def check(line: Line) -> list[Fault]:
    """Return every static rule that *line* breaks, in order of column."""
    rest = _rest_index(line.parts)
    left, right = line.parts[: rest + 1], line.parts[rest + 1 :]
    faults = [
        *_names(line),
        *_rests(line),
        *_rest_last(line),
        *_beginnings(line.parts),
        *_endings(right),
        *_meetings(line.parts),
        *_hidden(left),
        *_hidden(right[::-1], mirrored=True),
        *_untelling(line),
    ]
    return sorted(set(faults))


def check_gives(line: Line, defaults: Mapping[str, str]) -> list[Fault]:
    """Return a fault for ``user`` and for ``host`` if neither *line* nor a default gives it."""
    given = {hole.name for hole, _ in line.holes()} | set(defaults)
    return [
        Fault(1, max(len(line.source), 1), f"nothing gives {name}", hint)
        for name, hint in (
            ("user", "call a hole {user}, or set one: set: {user: ftp}"),
            ("host", 'call a hole {host}, or, for local events, set: {host: "{machine}"}'),
        )
        if name not in given
    ]


def check_cost(lines: Sequence[Line]) -> Fault | None:
    """Return a fault if *lines*, all those of a rule, could be slow together on some message."""
    total = sum(map(searches, lines))
    if total <= MAX_SEARCHES:
        return None
    message = f"a message could be searched {total} times over"
    hint = f"{MAX_SEARCHES} are allowed: fewer lines, or fewer optional parts in a row"
    return Fault(1, 1, message, hint)


def searches(line: Line) -> int:
    """Return how often *line* searches the length of a message, in the worst case.

    The holes share the message between them: each search ends where the next hole begins. Only
    optional parts in a row are searched for from the same place, every text once: a text that
    was not found before the hole's end stands for a part that is passed over, and one that was
    found is paid for by the search for what follows it. One more stands for checking what the
    holes hold. A long text counts more: CPython takes up to text times message where less than
    30,000 characters are searched for less than 100.
    """
    rest = _rest_index(line.parts)
    left = _chains(line.parts[: rest + 1], mirrored=False)
    right = _chains(line.parts[rest + 1 :][::-1], mirrored=True)
    return max(sum(_weight(text) for text in dict(chain)) for chain in (*left, *right)) + 1


def _weight(text: str) -> int:
    """Return how many searches of 0.2 ms stand for the worst search for *text*."""
    return 1 + min(len(text), 99) // 20


def check_name(name: str) -> Fault | None:
    """Return what keeps *name* from naming a value in ``set:`` or ``take:``."""
    if name in RESERVED:
        return Fault(1, len(name), f"the name '{name}' is taken", f"every login has its {name}")
    if NAME.fullmatch(name):
        return None
    hint = "a lower-case letter, then lower-case letters, digits and _"
    return Fault(1, max(len(name), 1), f"'{name}' is no name", hint)


def check_default(name: str, value: str) -> Fault | None:
    """Return what keeps *value* from being the default that ``set:`` gives *name*."""
    length = max(len(value), 1)
    if value in ("{machine}", "{program}"):
        return None
    if re.search(r"\{.*\}", value):
        hint = "a constant, or {machine} or {program} with nothing around it"
        return Fault(1, length, f"'{value}' is not filled in", hint)
    if name == "host" and not is_host(value):
        return Fault(1, length, f"'{value}' is no host", "an address, a name, or {machine}")
    if name in MEANINGS and not is_user(value):
        return Fault(1, length, f"{name} is blank", "write its value, or leave it out")
    return None


def check_prefix(prefix: str) -> Fault | None:
    """Return what keeps *prefix* from being searched for in front of a JSON object."""
    if telling(prefix):
        return None
    hint = "at least three characters, two of them not blank, such as '@cee:'"
    return Fault(1, max(len(prefix), 1), "the prefix is too short to search for", hint)


def _names(line: Line) -> Iterator[Fault]:
    """Yield the holes whose name was used before."""
    seen = set()
    for hole, _ in line.holes():
        if hole.name and hole.name in seen:
            hint = "a name can be used once in a line"
            yield _fault(hole, f"a second hole is called '{hole.name}'", hint)
        seen.add(hole.name)


def _rests(line: Line) -> Iterator[Fault]:
    """Yield every rest after the first."""
    rests = [hole for hole, _ in line.holes() if hole.kind == "rest"]
    for hole in rests[1:]:
        yield _fault(hole, "a line has one rest", "make one of them text or inside")


def _rest_last(line: Line) -> Iterator[Fault]:
    """Yield the optional parts that hold the rest and do not end the line."""
    for part in line.parts[:-1]:
        if isinstance(part, Optional) and any(map(is_rest, part.parts)):
            message = "an optional part that holds the rest must end the line"
            yield _fault(part, message, "move what follows into it, or write two lines")


def _beginnings(parts: Sequence[Part]) -> Iterator[Fault]:
    """Yield the optional parts that begin with a hole."""
    for part in parts:
        if isinstance(part, Optional) and not isinstance(part.parts[0], Literal):
            hint = "put the text first that tells that it is there"
            yield _fault(part, "an optional part begins with text", hint)


def _endings(right: Sequence[Part]) -> Iterator[Fault]:
    """Yield the optional parts right of the rest that end with a hole."""
    for part in right:
        if isinstance(part, Optional) and not isinstance(part.parts[-1], Literal):
            hint = "it is read from the right: put the text last that tells that it is there"
            yield _fault(part, "after a rest an optional part ends with text", hint)


def _meetings(parts: Sequence[Part]) -> Iterator[Fault]:
    """Yield the holes that touch a hole before them, whichever optional parts are absent."""
    before: list[Piece] = []
    for part in parts:
        pieces = part.parts if isinstance(part, Optional) else (part,)
        yield from _meeting(before, pieces[0])
        for one, other in pairwise(pieces):
            yield from _meeting([one], other)
        before = [*before, pieces[-1]] if isinstance(part, Optional) else [pieces[-1]]


def _meeting(before: Sequence[Piece], piece: Piece) -> Iterator[Fault]:
    """Yield a fault if *piece* is a hole and so is one of those that can stand *before* it."""
    holes = [one for one in before if isinstance(one, Hole)]
    if not holes or not isinstance(piece, Hole):
        return
    start, end = holes[-1].column, piece.column + piece.length
    if holes[-1] is before[-1]:
        hint = "put the text that stands between them"
        yield Fault(start, end - start, "nothing separates these two fields", hint)
    else:
        message = "nothing separates these two fields where the optional part is absent"
        hint = "put text outside optional parts between them, or write two lines"
        yield Fault(start, end - start, message, hint)


def _chains(parts: Sequence[Part], *, mirrored: bool) -> Iterator[list[tuple[str, Part]]]:
    """Yield for each run of optional parts the texts that tell them, and what follows the run."""
    chain: list[tuple[str, Part]] = []
    for part in parts:
        piece = part
        if isinstance(part, Optional):
            piece = part.parts[-1 if mirrored else 0]
        if isinstance(piece, Literal):
            chain.append((piece.text, part))
        if not isinstance(part, Optional):
            yield chain
            chain = []
    yield chain


def _hidden(parts: Sequence[Part], *, mirrored: bool = False) -> Iterator[Fault]:
    """Yield the optional parts that would be taken where a part behind them is meant."""
    begins = str.endswith if mirrored else str.startswith
    for chain in _chains(parts, mirrored=mirrored):
        for n, (text, part) in enumerate(chain):
            for other, behind in chain[n + 1 :]:
                twin = isinstance(behind, Optional) and other == text
                if begins(other, text) and not twin:
                    yield _fault(part, f"optional {text!r} cannot be told from {other!r}", _HIDES)


def _untelling(line: Line) -> Iterator[Fault]:
    """Yield a fault if no text is fit to search a log for."""
    if not any(map(telling, required_texts(line))):
        hint = "three characters outside optional parts, two of them not blank"
        yield Fault(1, max(len(line.source), 1), "the line has no text to search a log for", hint)


def _rest_index(parts: Sequence[Part]) -> int:
    """Return the index of the rest among *parts*, or of their end."""
    return next((n for n, part in enumerate(parts) if is_rest(part)), len(parts))


def _fault(part: Part, message: str, hint: str) -> Fault:
    """Return a fault of the whole of *part*."""
    return Fault(part.column, part.length, message, hint)
