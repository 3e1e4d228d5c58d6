"""The password of the page: who knows it gets in as with the key, but not by guessing."""

from __future__ import annotations

import hmac
import secrets
from hashlib import scrypt
from typing import NamedTuple
from urllib.parse import parse_qs

from logwatch_monitis.server.web.asgi import (
    Receive,
    Scope,
    from_elsewhere,
    guesser,
    header,
    read_body,
)
from logwatch_monitis.server.web.rate_limit import Attempts, Guesses, LockedError

__all__ = ["MAX_BODY", "Attempt", "Gate", "is_foreign"]

MAX_BODY = 4_096
AT_ONCE = 5
EACH = 60.0
"""So many wrong passwords at once for an address, and one more each so many seconds."""

# RFC 7914 and OWASP's cheat sheet on storing passwords: 16 MiB and about 50 ms a guess.
_COST = {"n": 2**14, "r": 8, "p": 1, "maxmem": 64 * 1024 * 1024}


class Attempt(NamedTuple):
    """How an attempt to get in ended: the status, and for how many seconds not to try again."""

    status: int
    wait: int = 0


class Gate:
    """Checks the passwords that a form sends."""

    def __init__(self, password: str, attempts: Attempts | None = None) -> None:
        """Take the *password*; only its scrypt hash is kept."""
        self._salt = secrets.token_bytes(16)
        self._hash = self._hashed(password)
        self._guesses = Guesses(attempts or Attempts(AT_ONCE, EACH))

    async def attempt(self, scope: Scope, receive: Receive) -> Attempt:
        """Return 200 for the password; 403 for another one or a form of another site; 429; 413.

        Raises:
            TooLargeError: the form is longer than any password.
            ConnectionError: the client went away.
        """
        if is_foreign(scope):
            return Attempt(403)
        body = await read_body(scope, receive, MAX_BODY)
        given = parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]
        try:
            fits = await self._guesses.attempt(guesser(scope), lambda: self._fits(given) or None)
        except LockedError as locked:
            return Attempt(429, locked.wait)
        return Attempt(200 if fits else 403)

    def _fits(self, password: str) -> bool:
        return hmac.compare_digest(self._hashed(password), self._hash)

    def _hashed(self, password: str) -> bytes:
        return scrypt(password.encode("utf-8", "replace"), salt=self._salt, **_COST)


def is_foreign(scope: Scope) -> bool:
    """Say whether a page of another site sent the form; over plain HTTP only its origin tells."""
    site = header(scope, b"sec-fetch-site")
    return site != "same-origin" if site else from_elsewhere(scope)
