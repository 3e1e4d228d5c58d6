"""Cookies of the page: each entry has one of its own, which ends with Leave or after 30 days."""

from __future__ import annotations

import hmac
import secrets
import sqlite3
import time
from collections.abc import Callable
from hashlib import sha256

from logwatch_monitis.server.api.authentication import same
from logwatch_monitis.server.store.store import Store

__all__ = ["COOKIE_SECONDS", "Cookies"]

COOKIE_SECONDS = 30 * 24 * 3600
FRESH_SECONDS = 10.0
"""After so long what another process ended is looked up again."""


class Cookies:
    """Makes and checks the values of cookies.

    A value is the second it ends, a random part and a seal of both, so nothing is kept of those
    that are in use: they hold on every process that serves the store, over restarts. Kept are those
    that were left before their end.
    """

    def __init__(
        self, page_key: str, password: str, store: Store, now: Callable[[], float] = time.time
    ) -> None:
        """Seal with the page's key; a new *password* makes the cookies of the former worthless."""
        self._seal_key = hmac.digest(page_key.encode(), b"cookie" + _digest(password), sha256)
        self._store = store
        self._now = now
        self._left: frozenset[str] = frozenset()
        self._looked = float("-inf")

    def make(self) -> str:
        """Return the value for someone who has shown the key or the password."""
        return self._sealed(f"{int(self._now()) + COOKIE_SECONDS:x}-{secrets.token_hex(16)}")

    async def holds(self, value: str) -> bool:
        """Say whether *value* was made here, and has not ended."""
        if not self._is_ours(value):
            return False
        if time.monotonic() - self._looked > FRESH_SECONDS:
            self._left = await self._store.read(_left)
            self._looked = time.monotonic()
        return value.rpartition("-")[0] not in self._left

    async def end(self, value: str) -> None:
        """Let *value* hold no longer, for whoever has it."""
        if self._is_ours(value):
            name, now = value.rpartition("-")[0], int(self._now())
            await self._store.end_cookie(name, int(name.partition("-")[0], 16), now)
            self._left |= {name}

    def _is_ours(self, value: str) -> bool:
        name = value.rpartition("-")[0]
        return same(value, self._sealed(name)) and int(name.partition("-")[0], 16) > self._now()

    def _sealed(self, name: str) -> str:
        seal = hmac.digest(self._seal_key, name.encode("utf-8", "replace"), sha256)
        return f"{name}-{seal.hex()}"


def _digest(password: str) -> bytes:
    return sha256(password.encode("utf-8", "replace")).digest()


def _left(connection: sqlite3.Connection) -> frozenset[str]:
    return frozenset(name for (name,) in connection.execute("SELECT name FROM ended_cookies"))
