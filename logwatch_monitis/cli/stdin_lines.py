"""Log lines as people hand them over: as an argument, or through standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from logwatch_monitis.errors import UsageError
from logwatch_monitis.syslog import Split, split

__all__ = ["NO_HEADER", "head_of", "lines_of"]

NO_HEADER = (
    "the line has no header of syslog or vsftpd",
    "if it is a message without time and program, say --program NAME",
)
"""What to say of such a line, and what to do about it."""


def lines_of(argument: str | None) -> Iterator[str]:
    """Yield the lines meant: *argument*, or those of standard input for ``-`` and for None.

    Bytes that are no UTF-8 are read as the scanner reads them.

    Raises:
        UsageError: there is no line.
    """
    if argument not in (None, "-"):
        yield _text(os.fsencode(argument or ""))
        return
    empty = True
    for line in sys.stdin.buffer:
        if line.strip():
            empty = False
            yield _text(line)
    if empty:
        raise UsageError("there is no line on standard input")


def _text(line: bytes) -> str:
    return line.removesuffix(b"\n").decode("utf-8", "backslashreplace")


def head_of(line: str, program: str | None) -> Split | None:
    """Return the line cut at its header, None if it has none that is known.

    With a *program* all of the line is that program's message.
    """
    if program:
        return Split("", "", program, None, line.strip(" \t\r"), 1, "syslog")
    return split(line)
