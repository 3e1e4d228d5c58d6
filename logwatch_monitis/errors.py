"""Everything that goes wrong, and what the user is told.

::

    LogwatchError               exit 1   it ran, and the answer is no
    ├── UsageError              exit 2   the words of the command do not fit together
    ├── LockHeldError           exit 75  another instance works on this state
    ├── NotPermittedError       exit 77  no file at all may be read
    ├── StateError              exit 1   the state directory cannot be used
    ├── MonitorError            exit 1   the monitor answered, and the answer is an error
    │   └── UnreachableError    exit 69  no usable answer came from the monitor
    └── SetupError              exit 78  something must be put right before it can run
        ├── MissingExtraError   exit 78  an optional part is not installed
        └── DocumentError       exit 78  problems in configuration or pattern files, with positions

The exit codes are those of sysexits.h where it has one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from logwatch_monitis.text import in_place, visible

__all__ = [
    "DocumentError",
    "LockHeldError",
    "LogwatchError",
    "MissingExtraError",
    "MonitorError",
    "NewerStateError",
    "NotPermittedError",
    "Problem",
    "SetupError",
    "StateError",
    "UnreachableError",
    "UsageError",
    "place_of",
    "suggest",
]


class LogwatchError(Exception):
    """Raised for whatever a user can understand and act on; ``hint`` says what to do."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def render(self) -> str:
        """Return the text for standard error: one harmless line, the hint behind it."""
        return visible(f"{self.message} ({self.hint})" if self.hint else self.message)


class UsageError(LogwatchError):
    """Raised when options or arguments contradict each other."""

    exit_code = 2


class LockHeldError(LogwatchError):
    """Raised when another process holds the lock that this work needs."""

    exit_code = 75


class NotPermittedError(LogwatchError):
    """Raised when none of the files may be read."""

    exit_code = 77


class StateError(LogwatchError):
    """Raised when the state directory cannot be made, read or written."""


class NewerStateError(StateError):
    """Raised when a newer version of this program wrote what is to be read."""

    exit_code = 78


class MonitorError(LogwatchError):
    """Raised when the monitor answered with an error."""


class UnreachableError(MonitorError):
    """Raised when no usable answer came from the monitor."""

    exit_code = 69


class SetupError(LogwatchError):
    """Raised when something must be put right before the program can run."""

    exit_code = 78


class MissingExtraError(SetupError):
    """Raised when an optional part of the program is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} is not installed", f"pip install 'logwatch-monitis[{extra}]' brings it"
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong at one place of a file.

    Attributes:
        path: the file as the user knows it.
        line: counted from 1; 0 where no line applies.
        column: counted from 1, in characters.
        message: what is wrong, without a full stop.
        text: the file's line, for the excerpt; empty for none.
        length: how many characters the caret underlines, at least 1.
        hint: what to do, shown behind the carets.
        severity: ``error`` or ``warning``.
    """

    path: str
    line: int
    column: int
    message: str
    text: str = ""
    length: int = 1
    hint: str = ""
    severity: str = "error"

    def render(self) -> str:
        """Return ``path:line:column: error: message`` with the excerpt below it, harmless."""
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        head = f"{place}: {self.severity}: {self.message}"
        if not self.text:
            return visible(f"{head} ({self.hint})" if self.hint else head)
        excerpt = "\t".join(map(in_place, self.text.split("\t")))
        pad = "".join("\t" if c == "\t" else " " for c in excerpt[: self.column - 1])
        carets = f"{pad}{'^' * max(self.length, 1)} {visible(self.hint)}".rstrip()
        return f"{visible(head)}\n{self.line:5d} | {excerpt}\n{' ' * 5} | {carets}"


class DocumentError(SetupError):
    """Raised once for all the problems of all the files read, in the order of their places."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.render() for problem in self.problems))

    def render(self) -> str:
        """Return the problems, each with its excerpt; what strangers wrote in them is harmless."""
        return self.message


def place_of(error: BaseException) -> str:
    """Return class, file and line of what was raised: no message, for that may hold values."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return f"{type(error).__name__} in no frame"
    name = trace.tb_frame.f_code.co_filename.rpartition("/")[2]
    return f"{type(error).__name__} in {name}:{trace.tb_lineno}"


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the nearest known word, or the list of all of them."""
    import difflib  # only a mistake needs it

    words = sorted(known)
    near = difflib.get_close_matches(word, words, n=1)
    return f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(words)}"
