"""Makes what strangers wrote harmless to look at: on the page, and in a spreadsheet.

HTML's own special characters are the template's business (autoescape).
"""

from __future__ import annotations

import unicodedata

__all__ = ["cell", "shortened", "visible"]

# Characters that show nothing, or change how others are shown: controls, formatting (bidi, zero
# width), surrogates, private and unassigned ones, line ends, and blanks that are not the blank.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})

# OWASP, CSV injection: what makes a spreadsheet take a cell for a formula, full-width forms too.
_FORMULA = tuple("=+-@\t\r＝＋－＠")  # noqa: RUF001 - the look-alikes are meant


def visible(text: str) -> str:
    """Return *text* with every hidden character shown as ``⟨U+202E⟩``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join([_shown(character) for character in text])


def _shown(character: str) -> str:
    if character == " " or unicodedata.category(character) not in _HIDDEN:
        return character
    return f"⟨U+{ord(character):04X}⟩"


def shortened(text: str, length: int) -> str:
    """Return at most *length* characters of *text*, the last one an ellipsis if any are missing."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def cell(text: str) -> str:
    """Return *text* for a CSV file: visible, and no formula."""
    shown = visible(text)
    return f"'{shown}" if text.startswith(_FORMULA) else shown
