"""What the outside sees of a running agent: its log lines and its figures."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TextIO

from logwatch_monitis._version import VERSION
from logwatch_monitis.output import visible
from logwatch_monitis.seams import Event, Events

__all__ = ["LogEvents", "fan_out", "logs_to_journal", "prometheus_text"]

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
    """Writes events as lines: with the time for people, with the priority for journald."""

    def __init__(self, stream: TextIO | None = None, level: int = logging.INFO) -> None:
        self._stream = stream or sys.stderr
        self._level = level
        self._journal = logs_to_journal(self._stream)

    def __call__(self, event: Event, /) -> None:
        """Write the event's line, if it is grave enough; a reader that is gone is no error."""
        if event.level < self._level:
            return
        text = visible(str(event))
        if self._journal:
            line = f"<{_SYSLOG_LEVELS.get(event.level, 6)}>{text}"
        else:
            grave = event.level >= logging.WARNING
            word = f"{logging.getLevelName(event.level).lower()}: " if grave else ""
            line = f"{datetime.now().astimezone():%H:%M:%S} {word}{text}"
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass


def fan_out(*takers: Events) -> Events:
    """Return events that go to all of *takers*."""

    def take(event: Event, /) -> None:
        for taker in takers:
            taker(event)

    return take


@dataclass(frozen=True, slots=True)
class _Figure:
    """One metric: its kind, help text, label names, and where its samples come from."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...]
    samples: Callable[[Mapping[str, Any]], Iterator[tuple[tuple[str, ...], float]]]


def _per_source(key: str) -> Callable[[Mapping[str, Any]], Iterator[tuple[tuple[str, ...], float]]]:
    def samples(status: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], float]]:
        for source in status["sources"]:
            if source.get(key) is not None:
                yield (source["log"],), float(source[key])

    return samples


def _one(*path: str) -> Callable[[Mapping[str, Any]], Iterator[tuple[tuple[str, ...], float]]]:
    def samples(status: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], float]]:
        value: Any = status
        for key in path:
            value = value[key]
        if value is not None:
            yield (), float(value)

    return samples


def _events(status: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], float]]:
    for rule, count in status["events"].items():
        yield (rule.partition("/")[0], rule), count


def _spooled(status: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], float]]:
    for kind in ("live", "history"):
        yield (kind,), status["spool"][kind]


def _dropped(status: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], float]]:
    for reason, key in (("ignored", "ignored"), ("outbox_full", "dropped"), ("refused", "dead")):
        yield (reason,), status["spool"][key]


def _build(_status: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], float]]:
    yield (VERSION, sys.version.split()[0]), 1


_FIGURES = (
    _Figure("logwatch_lines_read", "counter", "Lines read.", ("source",), _per_source("lines")),
    _Figure("logwatch_bytes_read", "counter", "Bytes read.", ("source",), _per_source("bytes")),
    _Figure(
        "logwatch_file_lag_bytes", "gauge", "Bytes not read yet.", ("source",), _per_source("lag")
    ),
    _Figure(
        "logwatch_last_line_timestamp_seconds",
        "gauge",
        "When the last line was read.",
        ("source",),
        _per_source("last_line"),
    ),
    _Figure(
        "logwatch_last_login_timestamp_seconds",
        "gauge",
        "Time of the last login found.",
        ("source",),
        _per_source("last_login"),
    ),
    _Figure("logwatch_events", "counter", "Logins found.", ("service", "rule"), _events),
    _Figure("logwatch_spool_events", "gauge", "Logins waiting.", ("kind",), _spooled),
    _Figure("logwatch_spool_bytes", "gauge", "Size of the spool.", (), _one("spool", "bytes")),
    _Figure("logwatch_events_sent", "counter", "Logins delivered.", (), _one("spool", "sent")),
    _Figure("logwatch_events_dropped", "counter", "Logins not sent.", ("reason",), _dropped),
    _Figure("logwatch_patterns_loaded", "gauge", "Rules in force.", (), _one("patterns", "rules")),
    _Figure(
        "logwatch_patterns_reload_failures",
        "counter",
        "Reloads that kept the old rules.",
        (),
        _one("patterns", "failures"),
    ),
    _Figure("logwatch_build_info", "gauge", "The version.", ("version", "python"), _build),
)


def prometheus_text(status: Mapping[str, Any]) -> bytes:
    """Return *status* as metrics in the Prometheus text format.

    Computed when asked for, so that figures nobody looks at cost nothing.
    """
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector

    families = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}

    class Snapshot(Collector):
        def collect(self) -> Iterator[Metric]:
            for figure in _FIGURES:
                family = families[figure.kind](figure.name, figure.text, labels=figure.labels)
                for labels, value in figure.samples(status):
                    family.add_metric(labels, value)
                yield family

    registry = CollectorRegistry()
    registry.register(Snapshot())
    return generate_latest(registry)
