"""The signature of a request: HMAC-SHA1 over its parameters, with the secret key."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping

__all__ = ["checksum", "verify"]

NAME = "checksum"


def checksum(secret_key: str, params: Mapping[str, str]) -> str:
    """Return the value of parameter ``checksum``: 28 characters of base64.

    Signed is the text of every parameter except ``checksum``, sorted by name, each name followed by
    its value, in UTF-8 and as it reads after one form decoding. Encodings inside a value stay.
    """
    text = "".join([name + params[name] for name in sorted(params) if name != NAME])
    digest = hmac.digest(secret_key.encode(), text.encode("utf-8", "surrogateescape"), "sha1")
    return b64encode(digest).decode("ascii")


def verify(secret_key: str, params: Mapping[str, str]) -> bool:
    """Say whether the ``checksum`` in *params* is right; takes the same time for every answer.

    A blank in it counts as ``+``: some clients send their base64 without form encoding.
    """
    given = params.get(NAME, "").replace(" ", "+").encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given, checksum(secret_key, params).encode())
