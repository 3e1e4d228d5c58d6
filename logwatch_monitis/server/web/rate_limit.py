"""Rate limit: how often passwords may be guessed, and whom an address counts for."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from math import ceil
from typing import TypeVar

__all__ = ["Attempts", "Guesses", "LockedError", "network_of"]

T = TypeVar("T")

REMEMBERED = 4_096
LONGEST = 64
"""More characters than any address has."""

MOST_WAITING = 32
"""So many passwords wait to be looked at, each for 50 ms and 16 MiB."""


class LockedError(Exception):
    """Raised for an attempt that is not looked at; *wait* is in how many seconds one may be."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"try again in {wait} s")
        self.wait = wait


def network_of(address: str) -> str:
    """Return whom an address counts for: itself, with IPv6 the /64 that one customer has.

    What is no address, as a proxy may name it, counts for all that are none.
    """
    return _network_of(address[:LONGEST])


@lru_cache(maxsize=REMEMBERED)
def _network_of(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    mapped = found.ipv4_mapped
    return str(mapped or ipaddress.ip_network((found, 64), strict=False).network_address)


class Attempts:
    """Counts wrong guesses by who made them, in memory of a fixed size.

    Each has a store of failures that refills with time. Once it is used up, `locked` tells for how
    long nothing more is looked at, so that guessing is slow.
    """

    def __init__(
        self, burst: int, seconds: float, stopwatch: Callable[[], float] = time.monotonic
    ) -> None:
        """Allow *burst* failures at once, and another one each so many *seconds*."""
        self._burst = burst
        self._seconds = seconds
        self._stopwatch = stopwatch
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def locked(self, who: str) -> int:
        """Return for how many whole seconds *who* has to wait, 0 for not at all.

        A store that is full at moment t has (t - now) / seconds failures missing.
        """
        full_at = self._full_at.get(who, 0.0)
        over = full_at - self._stopwatch() - (self._burst - 1) * self._seconds
        return max(ceil(over), 0)

    def failed(self, who: str) -> None:
        """Note a failure."""
        now = self._stopwatch()
        self._full_at[who] = max(self._full_at.pop(who, now), now) + self._seconds
        if len(self._full_at) > REMEMBERED:
            self._full_at.popitem(last=False)


class Guesses:
    """Looks at passwords one after the other; a wrong one counts before the next is looked at.

    The only way to compare a password with one that is kept. What has 128 random bits, keys and
    signatures, needs none of this: it cannot be guessed, and a limit would only shut out those who
    share an address with a stranger.
    """

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._one = asyncio.Lock()
        self._waiting = 0

    async def attempt(self, who: str, check: Callable[[], T | None]) -> T | None:
        """Return what *check*, run in a thread, returns; None is a wrong guess of *who*.

        Raises:
            LockedError: there were too many wrong ones, or too many wait already.
        """
        if self._waiting >= MOST_WAITING:
            raise LockedError(self._attempts.locked(who) or 1)
        self._waiting += 1
        try:
            async with self._one:
                if wait := self._attempts.locked(who):
                    raise LockedError(wait)
                found = await asyncio.to_thread(check)
                if found is None:
                    self._attempts.failed(who)
                return found
        finally:
            self._waiting -= 1
