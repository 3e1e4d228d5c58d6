"""What reading a message needs to know of the language."""

from __future__ import annotations

__all__ = ["BLANKS", "MAX_MESSAGE"]

#: Longer messages are not tried, in characters: this bounds what a hostile line costs.
MAX_MESSAGE = 65_536
#: What the language calls a blank: ASCII only, so that no other script is cut.
BLANKS = " \t\n\v\f\r"
