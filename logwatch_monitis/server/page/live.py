"""Live updates: tells open pages that something changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

__all__ = ["MAX_PAGES", "Live"]

MAX_PAGES = 64


class Live:
    """A number that grows with every change, and those who wait for it to grow.

    For one event loop; nothing runs while nothing changes, but a comment line per `HEARTBEAT` to
    each open page, without which the end of a broken connection would never be noticed.
    """

    HEARTBEAT = 30.0
    PAUSE = 0.25

    def __init__(self) -> None:
        self._version = 0
        self._changed = asyncio.Event()
        self._closed = False
        self.pages = 0

    def announce(self) -> None:
        """Wake all who wait."""
        self._version += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        self.announce()

    async def stream(self) -> AsyncIterator[str]:
        """Yield server-sent events: one at the start, one per change, at most four a second."""
        self.pages += 1
        try:
            yield "retry: 1000\n"
            seen = -1
            while not self._closed:
                if seen == self._version and not await self._wait():
                    yield ":\n\n"
                    continue
                seen = self._version
                yield f"data: {seen}\n\n"
                await asyncio.sleep(self.PAUSE)
        finally:
            self.pages -= 1

    async def _wait(self) -> bool:
        try:
            await asyncio.wait_for(self._changed.wait(), self.HEARTBEAT)
        except TimeoutError:
            return False
        return True
