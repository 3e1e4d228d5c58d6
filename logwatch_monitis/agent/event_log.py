"""What a running agent writes about itself: log lines, for people, journald and programs."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from logwatch_monitis.interfaces import Event, Events
from logwatch_monitis.text import visible

__all__ = ["LEVELS", "LogEvents", "fan_out", "logs_to_journal"]

LEVELS = ("debug", "info", "warning", "error")

_SYSLOG_LEVELS = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}
"""Python's levels as priorities of sd-daemon(3), which journald reads from ``<N>``."""


def logs_to_journal(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether *stream* leads to journald (``JOURNAL_STREAM`` of systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class LogEvents:
    """Writes events as lines: with the time for people, with the priority for journald, or JSON.

    Args:
        stream: where to; standard error if it is not given.
        level: of `logging`; events below it are left out.
        form: ``human`` or ``json``.
        prefixed: priorities stand in front, for journald; found out if it is not given.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        level: int = logging.INFO,
        form: str = "human",
        *,
        prefixed: bool | None = None,
    ) -> None:
        self._stream = stream or sys.stderr
        self._prefixed = logs_to_journal(self._stream) if prefixed is None else prefixed
        self.adjust(level, form)

    def adjust(self, level: int, form: str) -> None:
        """Go on with another level and form."""
        self._level = level
        self._line = _json if form == "json" else _human

    def __call__(self, event: Event, /) -> None:
        """Write the event's line, if it is grave enough; a reader that is gone is no error."""
        if event.level < self._level:
            return
        line = self._line(event, plain=self._prefixed)
        if self._prefixed:
            line = f"<{_SYSLOG_LEVELS.get(event.level, 6)}>{line}"
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass


def _human(event: Event, *, plain: bool) -> str:
    """Return the line for people; journald shows time and priority itself."""
    text = visible(str(event))
    if plain:
        return text
    word = f"{_level(event)}: " if event.level >= logging.WARNING else ""
    return f"{datetime.now().astimezone():%H:%M:%S} {word}{text}"


def _json(event: Event, *, plain: bool) -> str:  # noqa: ARG001 - all forms are called alike
    """Return the line for programs, in ASCII, with names of the Elastic Common Schema."""
    values = dataclasses.asdict(event)
    return json.dumps(
        {
            "@timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "log.level": _level(event),
            "event.dataset": "logwatch-monitis.agent",
            "event.action": _action(event),
            "message": str(event),
            "process.pid": os.getpid(),
            **({"logwatch": values} if values else {}),
        },
        default=str,
    )


def _level(event: Event) -> str:
    return logging.getLevelName(event.level).lower()


def _action(event: Event) -> str:
    """Return the event's name as programs write it: ``FileRotated`` is ``file-rotated``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(event).__name__).lower()


def fan_out(*takers: Events) -> Events:
    """Return events that go to all of *takers*."""

    def take(event: Event, /) -> None:
        for taker in takers:
            taker(event)

    return take
