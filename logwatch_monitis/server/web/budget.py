"""Limit on memory: how many bytes of requests and answers are held at once, for all clients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from urllib.parse import quote, quote_plus

from logwatch_monitis.server.web.asgi import TooLargeError

__all__ = [
    "MAX_UNNAMED",
    "MOST_UNSENT",
    "UNCOUNTED",
    "Answers",
    "Budget",
    "BudgetError",
    "HeldBytes",
    "Standing",
]

_MIB = 1024 * 1024

UNCOUNTED = 4 * 1024
"""Bytes of each request that do not count: the places for connections bound those."""

MAX_UNNAMED = 128 * 1024
"""How long a request, its head included, may be that names no known api key."""


MOST_UNSENT = 64 * _MIB
SHORT = 256 * 1024
"""An answer up to that size is always given."""


class Standing(IntEnum):
    """What a connection has shown: nothing, an api key in this request, a right signature once."""

    UNKNOWN = 0
    NAMED = 1
    PROVEN = 2


_LIMITS = {Standing.UNKNOWN: 16 * _MIB, Standing.NAMED: 48 * _MIB, Standing.PROVEN: 64 * _MIB}
"""Up to which sum of all requests one of that standing may grow."""


class BudgetError(Exception):
    """Raised when a request would need more memory than is left for its standing."""


class Budget:
    """The bytes of all requests that have not been answered yet, 64 MiB at most.

    Strangers get a quarter of it, so that a flood of unfinished requests without a known key leaves
    room for those that name one; the last quarter is kept for who has shown a right signature.
    """

    def __init__(self, api_keys: Iterable[str]) -> None:
        self._keys = {
            form.encode() for key in api_keys for form in (key, quote(key), quote_plus(key))
        }
        self._longest = max(map(len, self._keys), default=1)
        self._total = 0

    def held(self) -> HeldBytes:
        """Return the account of one connection."""
        return HeldBytes(self)

    def _grow(self, size: int, standing: Standing) -> None:
        if size > 0 and self._total + size > _LIMITS[standing]:
            raise BudgetError
        self._total += size

    def _names_key(self, data: bytes) -> bool:
        return any(key in data for key in self._keys)


class HeldBytes:
    """What the present request of one connection holds."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._size = 0
        self._named = False
        self._tail = b""

    def add(self, data: bytes, *, proven: bool = False) -> None:
        """Count *data*, which came behind what was counted before.

        Raises:
            BudgetError: there is no room for it at present.
            TooLargeError: the request is longer than `MAX_UNNAMED` and has named no known key.
        """
        self._look_for_key(data)
        size = self._size + len(data)
        if size > MAX_UNNAMED and not (self._named or proven):
            raise TooLargeError
        standing = Standing.PROVEN if proven else Standing(self._named)
        self._budget._grow(max(size - UNCOUNTED, 0) - self._counted, standing)  # noqa: SLF001
        self._size = size

    def release(self) -> None:
        """Give everything back: the request was answered, or its connection ended."""
        self._budget._grow(-self._counted, Standing.PROVEN)  # noqa: SLF001
        self._size, self._named, self._tail = 0, False, b""

    @property
    def _counted(self) -> int:
        return max(self._size - UNCOUNTED, 0)

    def _look_for_key(self, data: bytes) -> None:
        """Look for a key as it stands on the wire; one may lie across two pieces."""
        if not self._named:
            seen = self._tail + data
            self._named = self._budget._names_key(seen)  # noqa: SLF001
            self._tail = seen[-self._budget._longest :]  # noqa: SLF001


class Answers:
    """The bytes of answers that their clients have not taken yet, about `MOST_UNSENT` at most."""

    def __init__(self) -> None:
        self._unsent = 0

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Count an answer of that *size* while it is sent.

        Raises:
            BudgetError: it is long, and there is no room for it at present.
        """
        if size > SHORT and self._unsent and self._unsent + size > MOST_UNSENT:
            raise BudgetError
        self._unsent += size
        try:
            yield
        finally:
            self._unsent -= size
