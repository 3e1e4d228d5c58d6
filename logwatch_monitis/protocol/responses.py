"""Reads what a server answered; only a body that says so means yes."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from logwatch_monitis.errors import MonitorError
from logwatch_monitis.interfaces import Reply
from logwatch_monitis.protocol.errors import (
    BusyError,
    DeniedError,
    ForbiddenError,
    RefusedError,
    UnclearError,
    WrongTimeError,
    classify,
    inert,
)
from logwatch_monitis.protocol.rendering import SizeBound, parse_json, parse_xml

__all__ = ["parse_date", "read_answer", "read_data", "retry_after", "server_words"]

_WEB_PAGE = "a web page, as of a captive portal or a wrong address"
_BY_STATUS: Mapping[int, type[MonitorError]] = {
    400: RefusedError,
    401: DeniedError,
    403: ForbiddenError,
    413: RefusedError,
    422: RefusedError,
}
_ALWAYS_BUSY = (408, 425, 429, 503)
_WORDS_FROM = 4_096
_MARKUP = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>?", re.DOTALL | re.IGNORECASE)


def read_answer(
    reply: Reply,
    now: float,
    secrets: tuple[str, ...] = (),
    bound: SizeBound = SizeBound(),  # noqa: B008 - immutable
) -> Any:
    """Return what a read brought: a JSON object or array, or the root of an XML document.

    Args:
        reply: whatever came.
        now: seconds since the epoch, for a ``Retry-After`` with a date.
        secrets: kept out of the texts of errors, should the server repeat them.
        bound: how large the answer may be.

    Raises:
        MonitorError: one of the tree in `faults`.
    """
    return _checked(_ParsedAnswer(reply, now, secrets, bound))


def read_data(
    reply: Reply,
    now: float,
    secrets: tuple[str, ...] = (),
    bound: SizeBound = SizeBound(),  # noqa: B008 - immutable
) -> Any:
    """Return the ``data`` of a write that the server took.

    Args: as of `read_answer`.

    Raises:
        MonitorError: one of the tree in `faults`; also when the body does not say ok.
    """
    answer = _ParsedAnswer(reply, now, secrets, bound)
    value = _checked(answer)
    if not isinstance(value, dict) or "status" not in value:
        raise _busy(answer, "the answer does not say ok")
    return value.get("data")


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return for how many seconds the server wants to be left alone; nonsense counts as silence.

    Both forms are read, a number of seconds and a date.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    moment = parse_date(text)
    return None if moment is None else max(moment - now, 0.0)


def parse_date(text: str) -> float | None:
    """Return the moment of an HTTP date, seconds since the epoch; None for what is none.

    The standard library raises several kinds of errors, for a zone of +9999 an OverflowError.
    """
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def server_words(body: bytes, secrets: tuple[str, ...] = ()) -> str:
    """Return what a body says to a person: no markup, inert, short; empty if it says nothing."""
    text = body[:_WORDS_FROM].decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
        text = html.unescape(_MARKUP.sub(" ", text))
    return inert(" ".join(text.split()), secrets)


class _ParsedAnswer(NamedTuple):
    reply: Reply
    now: float
    secrets: tuple[str, ...]
    bound: SizeBound


def _checked(answer: _ParsedAnswer) -> Any:
    value = _value(answer)
    message = _message(value)
    if message:
        raise _fault(answer, inert(message, answer.secrets))
    if not 200 <= answer.reply.status < 300:  # noqa: PLR2004
        raise _busy(answer, "no error is named")
    return value


def _value(answer: _ParsedAnswer) -> Any:
    body, bound = answer.reply.body.strip(), answer.bound
    if not body:
        raise _busy(answer, "the answer is empty")
    try:
        value = parse_xml(body, bound) if body.startswith(b"<") else parse_json(body, bound)
    except ValueError:
        web = body[:15].lower().startswith((b"<!doctype html", b"<html"))
        raise _busy(answer, _WEB_PAGE if web else "the answer is broken") from None
    if isinstance(value, Element) and value.tag.lower().endswith("html"):
        raise _busy(answer, _WEB_PAGE)
    if not isinstance(value, dict | list | Element):
        raise _busy(answer, "the answer is not one of this protocol")
    return value


def _message(value: Any) -> str:
    """Return the error that an answer of the protocol names, or the empty text."""
    if isinstance(value, Element):
        if value.tag == "error":
            return value.text or "error"
        error, status = value.findtext("error"), value.findtext("status")
    elif isinstance(value, dict):
        error, status = value.get("error"), value.get("status")
    else:
        return ""
    if error:
        return str(error)
    return "" if status is None or str(status).lower() == "ok" else str(status) or "no status"


def _fault(answer: _ParsedAnswer, message: str) -> MonitorError:
    kind, status = classify(message), answer.reply.status
    if status in _ALWAYS_BUSY:
        return _busy(answer, message, named=True)
    if status >= 500 and issubclass(kind, RefusedError | UnclearError):  # noqa: PLR2004
        return _busy(answer, message, named=True)
    if kind is WrongTimeError:
        server_time = parse_date(answer.reply.headers.get("date", ""))
        return WrongTimeError(f"the monitor says: {message}", server_time)
    if kind is UnclearError:
        kind = _BY_STATUS.get(status, UnclearError)
    return kind(f"the monitor says: {message}")


def _busy(answer: _ParsedAnswer, what: str, *, named: bool = False) -> BusyError:
    """Return the error; *what* are the server's words already, or (not *named*) ours."""
    reply = answer.reply
    status = "" if reply.status == 200 else f"HTTP {reply.status}, "  # noqa: PLR2004
    return BusyError(
        f"{status}{what}",
        retry_after=retry_after(reply.headers, answer.now),
        status=reply.status,
        words="" if named else server_words(reply.body, answer.secrets),
    )
