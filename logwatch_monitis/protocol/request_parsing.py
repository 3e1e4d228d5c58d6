"""A request as the server reads it, and its words for what is wrong."""

from __future__ import annotations

from binascii import a2b_qp
from collections.abc import Mapping
from urllib.parse import unquote_plus

from logwatch_monitis.protocol.actions import KEY_NAMES
from logwatch_monitis.protocol.extensions import MAX_CHECKTIME

__all__ = [
    "API_PATH",
    "AUTHENTICATION_FAILURE",
    "CUSTOM_PATH",
    "INVALID_ACTION",
    "INVALID_API_KEY",
    "INVALID_CHECKSUM",
    "INVALID_LOGIN",
    "INVALID_MONITOR",
    "INVALID_PARAMETER",
    "INVALID_TIMESTAMP",
    "INVALID_TOKEN",
    "MAX_PARAMETERS",
    "MISSING_CHECKSUM",
    "MISSING_PARAMETER",
    "NAME_EXISTS",
    "REPEATED",
    "TOKEN_EXPIRED",
    "RequestParams",
    "api_key",
    "parse_checktime",
    "parse_number",
    "parse_params",
    "wants_xml",
]

API_PATH = "/api"
CUSTOM_PATH = "/customMonitorApi"
MAX_PARAMETERS = 100

# The first four are the service's own words, on which its clients act; of the tokens' texts only
# the words "expire" and "Invalid" are known. The rest are ours.
INVALID_API_KEY = "Invalid api key"
AUTHENTICATION_FAILURE = "Authentication failure"
INVALID_LOGIN = "Invalid username or password"
NAME_EXISTS = "Monitor with that name already exists"
TOKEN_EXPIRED = "Authentication token has expired"  # noqa: S105
INVALID_TOKEN = "Invalid authentication token"  # noqa: S105
INVALID_CHECKSUM = "Invalid checksum"
INVALID_MONITOR = "Invalid monitorId"
INVALID_ACTION = "Invalid action"
INVALID_PARAMETER = "Invalid parameter"
INVALID_TIMESTAMP = "Invalid timestamp"
MISSING_CHECKSUM = "Missing checksum"
MISSING_PARAMETER = "Missing parameter"

REPEATED = "x-logwatch-monitis-repeated"
"""The response header that tells a write which was done before, and not again."""

_SECONDS_UNTIL = 100_000_000_000
_SPECIAL = ("=", "%%", "\r", "\n")
_AS_QUOTED_PRINTABLE = bytes.maketrans(b"%+", b"= ")


class RequestParams(dict[str, str]):
    """The parameters of a request.

    Attributes:
        repeated: the names that came again with another value, which does not count.
    """

    repeated: frozenset[str] = frozenset()


def parse_params(query: str, body: bytes = b"") -> RequestParams:
    """Return the parameters of a request: those of the query and those of the body, decoded once.

    Pairs are separated by ``&`` alone, since values hold raw ``;``. If a name comes twice the first
    one counts, the query before the body. Names stay as sent, because the signature covers them.

    Raises:
        ValueError: more than `MAX_PARAMETERS` pairs.
    """
    parts = [query, body.decode("utf-8", "replace").strip("\r\n")]
    pairs = [pair for part in parts if part for pair in part.split("&", MAX_PARAMETERS)]
    if len(pairs) > MAX_PARAMETERS:
        raise ValueError(f"more than {MAX_PARAMETERS} parameters")
    params, repeated = RequestParams(), set[str]()
    for left, _, right in (pair.partition("=") for pair in pairs if pair):
        name, value = _decoded(left), _decoded(right)
        if params.setdefault(name, value) != value:
            repeated.add(name)
    params.repeated = frozenset(repeated)
    return params


def _decoded(text: str) -> str:
    """Return what `urllib.parse.unquote_plus` returns, for a long text thirty times as fast.

    Quoted-printable has the same escapes with another sign, and is decoded in C. What it does more,
    and what is no proper escape, is left to the slow way: then the length is not the expected one.
    """
    if text.isascii() and not any(sign in text for sign in _SPECIAL):
        data = text.encode("ascii")
        found = a2b_qp(data.translate(_AS_QUOTED_PRINTABLE))
        if len(found) == len(data) - 2 * data.count(b"%"):
            return found.decode("utf-8", "replace")
    return unquote_plus(text)


def api_key(params: Mapping[str, str]) -> str:
    """Return the public key, by any of its three names; empty for none."""
    return next((params[name] for name in KEY_NAMES if params.get(name)), "")


def wants_xml(params: Mapping[str, str]) -> bool:
    """Say whether the answer has to be XML; JSON is the default."""
    return params.get("output", "").lower() == "xml"


def parse_number(text: str, digits: int = 18) -> int | None:
    """Return what at most so many ASCII *digits* stand for, None for any other text.

    For everything that strangers send: `int` takes signs, blanks, underscores and digits of all
    scripts, and raises above 4,300 of them.
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def parse_checktime(text: str, name: str = "checktime") -> int:
    """Return milliseconds since the epoch; a value that small that it must be seconds is taken so.

    The *name* of the parameter stands in errors.

    Raises:
        ValueError: no whole number, or beyond the year 9999.
    """
    number = parse_number(text, 15)
    if number is None:
        raise ValueError(f"{name} must be milliseconds since 1970")
    value = number * (1000 if number < _SECONDS_UNTIL else 1)
    if value > MAX_CHECKTIME:
        raise ValueError(f"{name} lies beyond the year 9999")
    return value
