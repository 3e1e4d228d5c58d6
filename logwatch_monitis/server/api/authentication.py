"""Who may do what: keys, signatures and tokens of the protocol."""

from __future__ import annotations

import hmac
import time
from base64 import b32hexdecode, b32hexencode
from binascii import Error as EncodingError
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

from logwatch_monitis.config.keys import Keys
from logwatch_monitis.config.model import ReadProof, Window
from logwatch_monitis.interfaces import Clock
from logwatch_monitis.protocol.actions import ACTIONS, KEY_NAMES, unfit
from logwatch_monitis.protocol.request_parsing import (
    AUTHENTICATION_FAILURE,
    INVALID_API_KEY,
    INVALID_CHECKSUM,
    INVALID_PARAMETER,
    INVALID_TIMESTAMP,
    INVALID_TOKEN,
    MISSING_CHECKSUM,
    MISSING_PARAMETER,
    TOKEN_EXPIRED,
    RequestParams,
    api_key,
)
from logwatch_monitis.protocol.signature import checksum, verify
from logwatch_monitis.server.api.freshness import is_fresh, lifetime
from logwatch_monitis.server.store.executed import Once
from logwatch_monitis.server.store.writer import OperationRefused

__all__ = ["DEFAULT_DEMANDS", "TOKEN_LIFETIME", "Authenticator", "Demands", "Denied", "same"]

TOKEN_LIFETIME = 24 * 3600
_PADDING = "======"
_PROOFS = frozenset({"checksum", "authToken"})


class Demands(NamedTuple):
    """What a request has to show.

    Attributes:
        reads: ``key`` lets everybody read who names the account, ``proof`` demands a signature or a
            token of reads too.
        window: how far the timestamp of a signed request may be from the monitor's clock.
    """

    reads: ReadProof = "key"
    window: Window = "15m"


DEFAULT_DEMANDS = Demands()


class Denied(OperationRefused):
    """Raised for a wrong key, signature, token or password."""


def same(given: str, wanted: str) -> bool:
    """Say whether two secrets are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


class Authenticator:
    """Checks requests against the keys of the one account.

    A token is the second it was made and a signature of it, in the look of the protocol's tokens
    (26 characters, letters and digits only): nothing has to be kept, and it survives a restart.
    """

    def __init__(self, keys: Keys, clock: Clock, demands: Demands = DEFAULT_DEMANDS) -> None:
        self._keys = keys
        self._clock = clock
        self._demands = demands

    def named(self, params: Mapping[str, str]) -> bool:
        """Say whether a request names this account."""
        return same(api_key(params), self._keys.api_key)

    @property
    def pair(self) -> dict[str, str]:
        """Both keys, by the names of the protocol."""
        return {"apikey": self._keys.api_key, "secretkey": self._keys.secret_key}

    def check_read(self, params: Mapping[str, str]) -> None:
        """Let a reading request pass that names the account, and proves it where that is demanded.

        Version 3 proves reads as well. What it sends for that is checked; without any of it, it
        reads as version 2, which sends none, or some that was never looked at.

        Raises:
            Denied: it does not, or a proof is wrong.
            Refused: the proof is missing, or not one of now.
        """
        self.check_key(params)
        if self._demands.reads == "proof":
            if _PROOFS.isdisjoint(params):
                raise OperationRefused(
                    f"{MISSING_CHECKSUM}: this monitor answers reads only with a proof"
                )
            self._check_proof(params)
        elif params.get("version") == "3" and not _PROOFS.isdisjoint(params):
            self._check_secret(params)

    def check_key(self, params: Mapping[str, str]) -> None:
        """Let a request pass that names the account.

        Raises:
            Denied: it does not.
        """
        if not self.named(params):
            raise Denied(INVALID_API_KEY)

    def check_write(self, params: Mapping[str, str]) -> Once | None:
        """Let a writing request pass that is signed, or carries a token.

        Returns:
            By what a signed request is known again; None for one with a token.

        Raises:
            Denied: it is neither, or wrongly; the text says which.
            Refused: the token has expired, or the signed request is not one of now, or could be
                read in another way.
        """
        self.check_key(params)
        return self._check_proof(params)

    def _check_proof(self, params: Mapping[str, str]) -> Once | None:
        if self._check_secret(params):
            return None
        self._check_form(params)
        self._check_time(params)
        until = self._clock.now() + lifetime(self._demands.window).total_seconds()
        return Once(checksum(self._keys.secret_key, params), int(until * 1000))

    def _check_secret(self, params: Mapping[str, str]) -> bool:
        """See that a token or a signature is right; say whether it is a token."""
        mode = params.get("validation", "").lower()
        if mode == "token" or ("authToken" in params and "checksum" not in params):
            self._check_token(params.get("authToken", ""))
            return True
        if not verify(self._keys.secret_key, params):
            raise Denied(INVALID_CHECKSUM)
        return False

    def _check_form(self, params: Mapping[str, str]) -> None:
        """See that a signed request can be read in no other way than it was meant."""
        if (name := unfit(params)) is not None:
            raise OperationRefused(f"{INVALID_PARAMETER} of a signed {params['action']}: {name}")
        if isinstance(params, RequestParams) and params.repeated:
            raise OperationRefused(
                f"{INVALID_PARAMETER}: {min(params.repeated)} comes with two values"
            )
        if not all(same(params[name], self._keys.api_key) for name in KEY_NAMES if name in params):
            raise Denied(INVALID_API_KEY)

    def _check_time(self, params: Mapping[str, str]) -> None:
        window, now = self._demands.window, self._clock.now()
        if window == "off":
            return
        if "timestamp" not in params:
            raise OperationRefused(f"{MISSING_PARAMETER}: timestamp")
        if not is_fresh(params["timestamp"], now, window, ours=ACTIONS[params["action"]].ours):
            here = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now))
            raise OperationRefused(f"{INVALID_TIMESTAMP}: it is {here} UTC here")

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
            raise OperationRefused(TOKEN_EXPIRED)
