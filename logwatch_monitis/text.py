"""Text of strangers made harmless: for a terminal, a spreadsheet, a page; how wide text is.

What a terminal obeys, what changes how other characters are shown, and what shows nothing at all is
what Python calls not printable: Unicode's controls, formatting characters, surrogates, private and
unassigned ones, and all blanks but the blank.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

__all__ = [
    "compact_json",
    "counted",
    "csv_cell",
    "csv_rows",
    "cut",
    "in_place",
    "numbered",
    "pad",
    "visible",
    "width",
]

_FORMULA = re.compile(r"""(^|[;,|])([\s"']*)([=+\-@\uff1d\uff0b\uff0d\uff20])""")


def visible(text: str) -> str:
    r"""Return *text* with everything unprintable as ``\x1b``, ``\n``, ``\u202e``: one line."""
    return _with(text, lambda c: c.encode("unicode_escape").decode())


def numbered(text: str) -> str:
    """Return *text* with everything unprintable by its number, as ``⟨U+202E⟩``: for a page."""
    return _with(text, lambda c: f"⟨U+{ord(c):04X}⟩")


def in_place(text: str) -> str:
    """Return *text* with one stand-in for each unprintable character, so that columns stay."""
    return _with(text, lambda _: "\N{REPLACEMENT CHARACTER}")


def _with(text: str, shown: Callable[[str], str]) -> str:
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else shown(c) for c in text])


def width(text: str) -> int:
    """Return how many columns of a terminal a printable *text* takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    from unicodedata import combining, east_asian_width

    return 0 if combining(character) else 1 + (east_asian_width(character) in "WF")


def pad(text: str, columns: int) -> str:
    """Return *text* with blanks up to *columns*; a longer text stays whole."""
    return text + " " * (columns - width(text))


def cut(text: str, columns: int) -> str:
    """Return what of *text* fits into *columns*, an ellipsis at its end if that is not all."""
    if len(text) <= columns // 2 or width(text) <= columns:
        return text
    taken = 0
    for length, character in enumerate(text):
        taken += _columns(character)
        if taken >= columns:
            return text[:length] + "…"
    return text


def csv_cell(value: Any) -> str:
    """Return *value* for a CSV cell that no spreadsheet takes for a formula.

    A quote is put before what would begin one, behind separators too: a spreadsheet of another
    country splits at other characters. See https://owasp.org/www-community/attacks/CSV_Injection.
    """
    if not isinstance(value, str):
        return "" if value is None else compact_json(value)
    return _FORMULA.sub(r"\1\2'\3", visible(value))


def csv_rows(rows: Iterable[Sequence[str]], end: str = "\n") -> str:
    """Return cells, made safe by `csv_cell`, as lines of CSV."""
    import csv

    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows(rows)
    return text.getvalue()


def compact_json(value: Any) -> str:
    """Return *value* as JSON in ASCII, without blanks."""
    import json

    return json.dumps(value, separators=(",", ":"))


def counted(number: int, noun: str) -> str:
    """Return a number of things that form their plural with s: ``1 file``, ``2 files``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
