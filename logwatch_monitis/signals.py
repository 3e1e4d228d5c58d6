"""Signals as wishes that a loop looks at."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from logwatch_monitis.seams import Waker

__all__ = ["Signals"]


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
        """Handle the signals until the block ends."""
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.signal(number, self) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
