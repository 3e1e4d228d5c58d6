"""What is wrong with a pattern line, as values: a place in the line, a message, a hint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Fault", "NotationError"]


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
