"""Reads what a server answered; only a body that says so means yes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from xml.etree.ElementTree import Element

from logwatch_monitis.errors import MonitorError
from logwatch_monitis.seams import Reply

from .faults import BusyError, DeniedError, RefusedError, UnclearError, classify, inert
from .replies import parse_json, parse_xml

__all__ = ["read_answer", "read_data", "retry_after"]

_WEB_PAGE = "a web page, as of a captive portal or a wrong address"
_BY_STATUS: Mapping[int, type[MonitorError]] = {
    400: RefusedError,
    401: DeniedError,
    403: DeniedError,
    413: RefusedError,
    422: RefusedError,
}
_ALWAYS_BUSY = (408, 425, 429, 503)


def read_answer(reply: Reply, now: float, secrets: tuple[str, ...] = ()) -> Any:
    """Return what a read brought: a JSON object or array, or the root of an XML document.

    Args:
        reply: whatever came.
        now: seconds since the epoch, for a ``Retry-After`` with a date.
        secrets: kept out of the texts of errors, should the server repeat them.

    Raises:
        MonitorError: one of the tree in `faults`.
    """
    value = _value(reply, now)
    message = _message(value)
    if message:
        raise _fault(reply, inert(message, secrets), now)
    if not 200 <= reply.status < 300:  # noqa: PLR2004
        raise _busy(reply, "no error is named", now)
    return value


def read_data(reply: Reply, now: float, secrets: tuple[str, ...] = ()) -> Any:
    """Return the ``data`` of a write that the server took.

    Args: as of `read_answer`.

    Raises:
        MonitorError: one of the tree in `faults`; also when the body does not say ok.
    """
    value = read_answer(reply, now, secrets)
    if not isinstance(value, dict) or "status" not in value:
        raise _busy(reply, "the answer does not say ok", now)
    return value.get("data")


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return for how many seconds the server wants to be left alone; both forms are read."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now, 0.0)


def _value(reply: Reply, now: float) -> Any:
    body = reply.body.strip()
    if not body:
        raise _busy(reply, "the answer is empty", now)
    try:
        value = parse_xml(body) if body.startswith(b"<") else parse_json(body)
    except ValueError:
        web = body[:15].lower().startswith((b"<!doctype html", b"<html"))
        raise _busy(reply, _WEB_PAGE if web else "the answer is broken", now) from None
    if isinstance(value, Element) and value.tag.lower().endswith("html"):
        raise _busy(reply, _WEB_PAGE, now)
    if not isinstance(value, dict | list | Element):
        raise _busy(reply, "the answer is not one of this protocol", now)
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


def _fault(reply: Reply, message: str, now: float) -> MonitorError:
    kind = classify(message)
    if reply.status in _ALWAYS_BUSY:
        return _busy(reply, message, now)
    if reply.status >= 500 and issubclass(kind, RefusedError | UnclearError):  # noqa: PLR2004
        return _busy(reply, message, now)
    if kind is UnclearError:
        kind = _BY_STATUS.get(reply.status, UnclearError)
    return kind(f"the monitor says: {message}")


def _busy(reply: Reply, what: str, now: float) -> BusyError:
    status = "" if reply.status == 200 else f"HTTP {reply.status}, "  # noqa: PLR2004
    return BusyError(f"{status}{what}", retry_after=retry_after(reply.headers, now))
