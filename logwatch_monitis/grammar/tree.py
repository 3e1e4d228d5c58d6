"""The syntax tree of one line, and the few numbers and words that define the language.

Two trees are equal if they mean the same; where they stood does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from logwatch_monitis.grammar.limits import BLANKS, MAX_MESSAGE

__all__ = [
    "BLANKS",
    "KINDS",
    "MAX_LINE",
    "MAX_MESSAGE",
    "MEANINGS",
    "NAME",
    "RESERVED",
    "Hole",
    "Line",
    "Optional",
    "Part",
    "Piece",
    "Rule",
    "Text",
    "required_texts",
    "telling",
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
class Text:
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


Piece = Text | Hole


@dataclass(frozen=True, slots=True)
class Optional:
    """Text and holes that may be absent, all together."""

    parts: tuple[Piece, ...]
    column: int = field(default=1, compare=False)
    length: int = field(default=1, compare=False)


Part = Text | Hole | Optional


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


def required_texts(line: Line) -> tuple[str, ...]:
    """Return the texts outside optional parts: every message the line matches holds them all."""
    return tuple(part.text for part in line.parts if isinstance(part, Text))


def telling(text: str) -> bool:
    """Say whether *text* is fit to search a log for: three characters, two of them not blank."""
    return len(text) >= 3 and sum(c not in BLANKS for c in text) >= 2  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Rule:
    """What one rule matches with: its lines, the lines that refuse, and the ``set:`` defaults.

    A default is a constant, or exactly ``{machine}`` or ``{program}``.
    """

    lines: tuple[Line, ...]
    excepts: tuple[Line, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)
