"""The syntax tree of one line, and the few numbers and words that define the language.

Two trees are equal if they mean the same; where they stood does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = [
    "BLANKS",
    "END",
    "KINDS",
    "MAX_LINE",
    "MAX_MESSAGE",
    "MEANINGS",
    "NAME",
    "RESERVED",
    "Fault",
    "Hole",
    "Line",
    "Literal",
    "Next",
    "NotationError",
    "Optional",
    "ParsedRule",
    "Part",
    "Piece",
    "first_text",
    "following",
    "is_rest",
    "required_texts",
    "telling",
    "unparse",
    "unparse_part",
]

#: Longer pattern lines are refused, in characters.
MAX_LINE = 1000
#: The kinds a hole can name; a choice, the remaining kind, is written as its words.
KINDS = ("word", "text", "inside", "rest", "int", "ip", "host")
#: Names that say something about the login itself; every other name is an extra field.
MEANINGS = ("user", "host", "service")
#: How a name is written.
NAME = re.compile(r"[a-z][a-z0-9_]*")
#: Names that the rest of a login is called by, so no hole may have them.
RESERVED = ("machine", "program", "pid", "time", "line", "id", "rule")


@dataclass(frozen=True, slots=True)
class Literal:
    """Characters that must stand in the message as they are; never empty.

    ``length`` counts characters of the notation, where ``{{`` stands for one brace.
    """

    text: str
    column: int = field(default=1, compare=False)
    length: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Hole:
    """A place for changing text: what it may hold, and the name it is kept under ('' for none).

    ``kind`` is one of `KINDS`, or ``choice``; then ``choices`` holds its words.
    """

    name: str = ""
    kind: str = "word"
    choices: tuple[str, ...] = ()
    column: int = field(default=1, compare=False)
    length: int = field(default=1, compare=False)


Piece = Literal | Hole


@dataclass(frozen=True, slots=True)
class Optional:
    """Text and holes that may be absent, all together."""

    parts: tuple[Piece, ...]
    column: int = field(default=1, compare=False)
    length: int = field(default=1, compare=False)


Part = Literal | Hole | Optional


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the notation; ``source`` is the text the columns count in."""

    parts: tuple[Part, ...]
    source: str = field(default="", compare=False)

    def holes(self) -> Iterator[tuple[Hole, bool]]:
        """Yield every hole in order, and whether it stands in an optional part."""
        for part in self.parts:
            if isinstance(part, Hole):
                yield part, False
            elif isinstance(part, Optional):
                yield from ((piece, True) for piece in part.parts if isinstance(piece, Hole))


class Next(NamedTuple):
    """NEXT of a place in a line: a hole that ends there ends where the first of these stands.

    Attributes:
        optional: the texts that optional parts begin with.
        fixed: the text behind them; empty where the message may end in its place.
    """

    optional: tuple[str, ...]
    fixed: str

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts, in the order of the line."""
        return (*self.optional, self.fixed) if self.fixed else self.optional


END = Next((), "")
"""NEXT of the end of a line."""


def following(parts: Sequence[Part], behind: Next = END) -> Next:
    """Return NEXT of the place before *parts*; *behind* is NEXT of the place behind them."""
    texts: tuple[str, ...] = ()
    for part in parts:
        if not isinstance(part, Optional):
            return Next(texts, first_text(part))
        texts += (first_text(part),)
    return Next(texts + behind.optional, behind.fixed)


def first_text(part: Part) -> str:
    """Return the text that *part* begins with, empty for a hole."""
    first = part.parts[0] if isinstance(part, Optional) else part
    return first.text if isinstance(first, Literal) else ""


def is_rest(part: Part) -> bool:
    """Say whether *part* is the hole of the kind rest."""
    return isinstance(part, Hole) and part.kind == "rest"


def required_texts(line: Line) -> tuple[str, ...]:
    """Return the texts outside optional parts: every message the line matches holds them all."""
    return tuple(part.text for part in line.parts if isinstance(part, Literal))


def telling(text: str) -> bool:
    """Say whether *text* is fit to search a log for: three characters, two of them not blank."""
    return len(text) >= 3 and sum(c not in BLANKS for c in text) >= 2  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class ParsedRule:
    """What one rule matches with: its lines, the lines that refuse, and the ``set:`` defaults.

    A default is a constant, or exactly ``{machine}`` or ``{program}``.
    """

    lines: tuple[Line, ...]
    excepts: tuple[Line, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)


class Fault(NamedTuple):
    """One thing wrong with one line; whoever knows the file makes a `Problem` of it.

    Attributes:
        column: counted from 1, in characters, in the text that was checked.
        length: how many characters are meant, at least 1.
        message: what is wrong, without a full stop.
        hint: what to do about it.
    """

    column: int
    length: int
    message: str
    hint: str


class NotationError(ValueError):
    """Raised when a text is no line of the notation; ``faults`` says why, in order of column."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(fault.message for fault in self.faults))


#: Longer messages are not tried, in characters: this bounds what a hostile line costs.
MAX_MESSAGE = 65_536


#: What the language calls a blank: ASCII only, so that no other script is cut.
BLANKS = " \t\n\v\f\r"


def unparse(line: Line) -> str:
    """Return the shortest notation of *line*.

    Text right after an optional part cannot begin with ``}``, and blanks at a line's ends are not
    part of it: a tree that has either did not come from `parse_line`, and does not come back.
    """
    return "".join(map(unparse_part, line.parts))


def unparse_part(part: Part) -> str:
    """Return the notation of one part."""
    if isinstance(part, Hole):
        return f"{{{part.name}{_kind(part)}}}"
    if isinstance(part, Optional):
        return f"{{?{''.join(map(unparse_part, part.parts))}}}"
    return part.text.replace("{", "{{").replace("}", "}}")


def _kind(hole: Hole) -> str:
    """Return what stands behind the name: nothing for a word."""
    if hole.kind == "choice":
        return ":" + "|".join(hole.choices)
    return "" if hole.kind == "word" else f":{hole.kind}"
