"""Who may do what: keys, signatures and tokens of the protocol."""

from __future__ import annotations

import hmac
from base64 import b32hexdecode, b32hexencode
from binascii import Error as EncodingError
from collections.abc import Mapping
from hashlib import sha256

from logwatch_monitis.monitis.wire import (
    AUTHENTICATION_FAILURE,
    INVALID_API_KEY,
    INVALID_CHECKSUM,
    INVALID_TOKEN,
    TOKEN_EXPIRED,
    api_key,
    verify,
)
from logwatch_monitis.seams import Clock

from .keys import Keys
from .writer import Refused

__all__ = ["TOKEN_LIFETIME", "Authenticator", "Denied", "same"]

TOKEN_LIFETIME = 24 * 3600
_PADDING = "======"
_PROOFS = frozenset({"checksum", "authToken"})


class Denied(Refused):
    """Raised for a wrong key, signature, token or password."""


def same(given: str, wanted: str) -> bool:
    """Say whether two secrets are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


class Authenticator:
    """Checks requests against the keys of the one account.

    A token is the second it was made and a signature of it, in the look of the protocol's tokens
    (26 characters, letters and digits only): nothing has to be kept, and it survives a restart.
    """

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def named(self, params: Mapping[str, str]) -> bool:
        """Say whether a request names this account."""
        return same(api_key(params), self._keys.api_key)

    @property
    def pair(self) -> dict[str, str]:
        """Both keys, by the names of the protocol."""
        return {"apikey": self._keys.api_key, "secretkey": self._keys.secret_key}

    def check_read(self, params: Mapping[str, str]) -> None:
        """Let a reading request pass that names the account.

        Version 3 proves reads as well. What it sends for that is checked; without any of it, it
        reads as version 2, which sends none, or some that was never looked at.

        Raises:
            Denied: it does not, or a proof is wrong.
        """
        self.check_key(params)
        if params.get("version") == "3" and not _PROOFS.isdisjoint(params):
            self._check_proof(params)

    def check_key(self, params: Mapping[str, str]) -> None:
        """Let a request pass that names the account.

        Raises:
            Denied: it does not.
        """
        if not self.named(params):
            raise Denied(INVALID_API_KEY)

    def check_write(self, params: Mapping[str, str]) -> None:
        """Let a writing request pass that is signed, or carries a token.

        Raises:
            Denied: it is neither, or wrongly; the text says which.
            Refused: the token has expired.
        """
        self.check_key(params)
        self._check_proof(params)

    def _check_proof(self, params: Mapping[str, str]) -> None:
        mode = params.get("validation", "").lower()
        if mode == "token" or ("authToken" in params and "checksum" not in params):
            self._check_token(params.get("authToken", ""))
        elif not verify(self._keys.secret_key, params):
            raise Denied(INVALID_CHECKSUM)

    def make_token(self, params: Mapping[str, str]) -> str:
        """Return a token for a request with both keys, good for `TOKEN_LIFETIME` seconds.

        Raises:
            Denied: a key is missing or wrong.
        """
        known = self.named(params)
        if not (same(params.get("secretkey", ""), self._keys.secret_key) and known):
            raise Denied(AUTHENTICATION_FAILURE)
        return self._token(int(self._clock.now()))

    def _token(self, made: int) -> str:
        stamp = made.to_bytes(5, "big")
        key = f"{self._keys.secret_key} {self._keys.api_key}".encode()
        seal = hmac.digest(key, b"token " + stamp, sha256)[:11]
        return b32hexencode(stamp + seal).decode("ascii").rstrip("=")

    def _check_token(self, token: str) -> None:
        try:
            made = int.from_bytes(b32hexdecode(token.upper() + _PADDING)[:5], "big")
        except (EncodingError, ValueError):
            raise Denied(INVALID_TOKEN) from None
        if not same(token.upper(), self._token(made)):
            raise Denied(INVALID_TOKEN)
        if not 0 <= self._clock.now() - made + 60 <= TOKEN_LIFETIME + 60:
            raise Refused(TOKEN_EXPIRED)
