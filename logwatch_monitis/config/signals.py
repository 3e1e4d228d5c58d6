"""Signals: held until the program is loaded, then wishes that a loop looks at.

What remains is the start of the interpreter itself, some 20 ms in which SIGHUP ends the process as
the kernel does it.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:  # to import them, and typing itself, takes longer than all else here
    from collections.abc import Iterator
    from types import FrameType
    from typing import NoReturn

    from logwatch_monitis.interfaces import Waker

__all__ = ["Signals", "end_at_signals", "hear", "hold", "release"]

_HELD = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_ENDING = (signal.SIGINT, signal.SIGTERM)


def hold() -> None:
    """Let signals wait until `hear` and `release`, so that none ends a program half loaded."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)


def release() -> None:
    """Let all signals come, those that have waited at once."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


class _End:
    """Ends the process: with 128 and the signal's number, a daemon with 0."""

    daemon = False

    def __call__(self, number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(0 if self.daemon else 128 + number)


_end = _End()


def end_at_signals() -> None:
    """Let SIGTERM and SIGINT end the process, unless they are ignored as in background jobs."""
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def hear(*, daemon: bool) -> None:
    """Let signals come to a command that begins now.

    For a daemon SIGHUP still waits, until `Signals.listening` or `release`: it is no reason to end.
    """
    _end.daemon = daemon
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING if daemon else _HELD)


class Signals:
    """Turns SIGTERM and SIGINT into the wish to stop and SIGHUP into that to reload, and wakes.

    Attributes:
        stop: somebody wants the process to end.
        reload: somebody wants it to read its files again; for the loop to reset.
    """

    def __init__(self, waker: Waker) -> None:
        self._waker = waker
        self.stop = False
        self.reload = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Note a signal."""
        if number == signal.SIGHUP:
            self.reload = True
        else:
            self.stop = True
        self._waker.wake()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals until the block ends; what is held before is held again then."""
        before = {number: signal.signal(number, self) for number in _HELD}
        mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for number, handler in before.items():
                signal.signal(number, handler)
