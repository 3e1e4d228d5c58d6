"""What a running agent says of itself, asked over its socket and not believed before it is checked.

Whatever listens on the socket may be slow, endless, or no agent at all.
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from logwatch_monitis.agent.control import ask
from logwatch_monitis.errors import LogwatchError

__all__ = ["Said", "ask_agent", "recent_logins"]

_OK = 200
_DEEPEST = 12
_LARGEST = 1 << 63
_LATEST = 253_402_000_000
"""Seconds since the epoch, shortly before the year 10000, where Python's calendar ends."""


class Said(NamedTuple):
    """What an agent says of itself.

    Attributes:
        healthy: whether it reads and delivers.
        why: why not.
        whole: its status, as it came.
        status: its status as far as it is known here: what is missing, as from an older agent, is
            empty, and every value is of its type.
    """

    healthy: bool
    why: str
    whole: Mapping[str, Any]
    status: Mapping[str, Any]


def ask_agent(directory: Path, command: str) -> Said:
    """Ask the agent that works on the state *directory*, for ``logwatch-monitis`` *command*.

    Raises:
        LogwatchError: none answers, or not as an agent does.
    """
    code, why = _answer(directory, "/readyz", command)
    _, body = _answer(directory, "/status", command)
    try:
        whole = _parse(body)
        status = _mapping(whole, _STATUS)
    except (ValueError, RecursionError):
        raise _no_sense(directory) from None
    return Said(code == _OK, why.decode("utf-8", "replace").strip(), whole, status)


def recent_logins(directory: Path, command: str) -> Sequence[Mapping[str, Any]]:
    """Return the last logins that the agent has seen, newest first.

    Raises:
        LogwatchError: see `ask_agent`.
    """
    _, body = _answer(directory, "/recent", command)
    try:
        return _rows(_LOGIN)(_parse(body))
    except (ValueError, RecursionError):
        raise _no_sense(directory) from None


def _answer(directory: Path, page: str, command: str) -> tuple[int, bytes]:
    try:
        return ask(directory, page)
    except PermissionError as error:
        said = error.strerror if error.errno == errno.EPERM else None
        message = said or f"{directory} belongs to another user"
        raise LogwatchError(message, f"sudo logwatch-monitis {command}") from None
    except TimeoutError:
        raise LogwatchError(
            f"the agent with the state in {directory} does not answer in time",
            "if it hangs, restart it: systemctl restart logwatch-monitis",
        ) from None
    except OSError:
        root = os.geteuid() == 0
        hint = "" if root else f"for the agent of root: sudo logwatch-monitis {command}"
        raise LogwatchError(f"no agent runs with the state in {directory}", hint) from None
    except ValueError:
        raise _no_sense(directory) from None


def _no_sense(directory: Path) -> LogwatchError:
    return LogwatchError(
        f"what answers on {directory}/agent.sock gives no sensible answer",
        "if another version of the agent still runs, restart it",
    )


# -- what may stand in an answer; each check returns its value or raises ValueError ----------------

Check = Callable[[Any], Any]


def _parse(body: bytes) -> Any:
    value = json.loads(body)
    _shallow(value, _DEEPEST)
    return value


def _shallow(value: Any, levels: int) -> None:
    """Refuse what is nested too deeply to be written again."""
    if not levels:
        raise ValueError("too deep")
    if isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            _shallow(part, levels - 1)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("no text")  # noqa: TRY004 - one error for all that is wrong
    return value


def _count(value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not -_LARGEST < value < _LARGEST:
        raise ValueError("no count")
    return value


def _moment(value: Any) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value < _LATEST:
        raise ValueError("no moment")
    return float(value)


def _mapping(value: Any, checks: Mapping[str, Check]) -> dict[str, Any]:
    """Return a mapping in which every key of *checks* has a value."""
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise ValueError("no mapping")  # noqa: TRY004 - as above
    return {key: check(value.get(key)) for key, check in checks.items()}


def _section(**checks: Check) -> Check:
    return lambda value: _mapping(value, checks)


def _rows(check: Check) -> Callable[[Any], list[Any]]:
    def rows(value: Any) -> list[Any]:
        if not isinstance(value or [], list):
            raise ValueError("no list")  # noqa: TRY004 - as above
        return list(map(check, value or []))

    return rows


def _number(value: Any) -> int:
    return _count(value) or 0


def _counts(value: Any) -> dict[str, int]:
    if not isinstance(value or {}, dict):
        raise ValueError("no mapping")  # noqa: TRY004 - as above
    return {key: _number(count) for key, count in (value or {}).items()}


_LOGIN = _section(
    time=lambda value: _moment(value) or 0.0,
    user_login=_text,
    host=_text,
    srv=_text,
    method=_text,
    machine=_text,
)
_SOURCE = _section(
    log=_text,
    state=_text,
    detail=_text,
    position=_count,
    size=_count,
    lag=_count,
    last_line=_moment,
    last_login=_moment,
    lines=_number,
    bytes=_number,
    refused=_count,
    skipped=_rows(_text),
    cut_off=_count,
)
_STATUS: dict[str, Check] = {
    "state": _text,
    "reason": _text,
    "pid": _count,
    "since": _moment,
    "version": _text,
    "sources": _rows(_SOURCE),
    "events": _counts,
    "spool": _section(
        depth=_number,
        dead=_number,
        last_refused=_section(id=_text, refused=_moment, reason=_text),
    ),
    "delivery": _section(
        state=_text,
        last_delivery=_moment,
        last_error=_text,
        held=_rows(_section(id=_text, reason=_text, refusals=_number, judged=bool)),
    ),
    "monitor": _section(url=_text, page=_text, restarts=_number, died=_moment, exit_status=_count),
    "configuration": _section(needs_restart=_rows(_text)),
}
