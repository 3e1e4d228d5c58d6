"""How often an address may be wrong about keys, signatures and passwords."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from math import ceil

__all__ = ["Attempts", "network_of"]

REMEMBERED = 4_096


@lru_cache(maxsize=REMEMBERED)
def network_of(address: str) -> str:
    """Return whom an address counts for: itself, with IPv6 the /64 that one customer has."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    mapped = found.ipv4_mapped
    return str(mapped or ipaddress.ip_network((found, 64), strict=False).network_address)


class Attempts:
    """Counts failures by address, in memory of a fixed size.

    An address has a store of failures that refills with time. Once it is used up, `locked` tells
    for how long nothing of that address is looked at, so that guessing is slow. An address from
    which something right came is not locked: many agents may share it, and one with a wrong key
    must not silence the others. Its failures are counted all the same.
    """

    def __init__(
        self,
        burst: int,
        seconds: float,
        *,
        trusting: bool = True,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        """Allow *burst* failures at once, and another one each so many *seconds*.

        With *trusting* false, nothing right keeps an address from being locked.
        """
        self._burst = burst
        self._seconds = seconds
        self._trusting = trusting
        self._stopwatch = stopwatch
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._good: OrderedDict[str, None] = OrderedDict()

    def locked(self, address: str) -> int:
        """Return for how many whole seconds the address has to wait, 0 for not at all."""
        return 0 if address in self._good else self._wait(address)

    def failed(self, address: str) -> int:
        """Note a failure; return how many seconds to wait if there had been too many already."""
        wait = self._wait(address)
        if not wait:
            now = self._stopwatch()
            used = max(self._full_at.pop(address, now), now)
            self._full_at[address] = used + self._seconds
            _shorten(self._full_at)
        return wait

    def succeeded(self, address: str) -> None:
        """Note that something right came from the address."""
        if self._trusting and address not in self._good:
            self._good[address] = None
            _shorten(self._good)

    def _wait(self, address: str) -> int:
        """A store that is full at moment t has (t - now) / seconds failures missing."""
        full_at = self._full_at.get(address, 0.0)
        over = full_at - self._stopwatch() - (self._burst - 1) * self._seconds
        return max(ceil(over), 0)


def _shorten(kept: OrderedDict[str, float] | OrderedDict[str, None]) -> None:
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)
