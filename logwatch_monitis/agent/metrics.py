"""The agent's figures in the Prometheus text format.

Labels are sources, services, rules, actions, codes and reasons: few, and known beforehand. Users
and hosts are never among them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from logwatch_monitis._version import VERSION
from logwatch_monitis.agent.counters import Counters, Histogram

__all__ = ["FIGURES", "AgentMetric", "prometheus_text"]

Status = Mapping[str, Any]
Samples = Iterator[tuple[tuple[str, ...], Any]]
Sampler = Callable[[Status, Counters], Samples]


class AgentMetric(NamedTuple):
    """One metric.

    Attributes:
        name: as Prometheus shows it, ``_total`` of a counter included.
        kind: ``counter``, ``gauge`` or ``histogram``.
        text: its help.
        labels: their names.
        samples: yields label values with a number or a `Histogram`.
    """

    name: str
    kind: str
    text: str
    labels: tuple[str, ...]
    samples: Sampler


def _source(key: str) -> Sampler:
    """Return what yields a key of each source, where it has a value."""

    def samples(status: Status, _: Counters) -> Samples:
        for row in status["sources"]:
            if row.get(key) is not None:
                yield (row["log"],), row[key]

    return samples


def _one(*path: str) -> Sampler:
    """Return what yields the one value at the end of *path*, if there is one."""

    def samples(status: Status, _: Counters) -> Samples:
        value: Any = status
        for key in path:
            value = value[key]
        if value is not None:
            yield (), value

    return samples


def _each(*path: str, keys: Mapping[str, str] | None = None) -> Sampler:
    """Return what yields each value of a mapping, or those of *keys*, which rename them."""

    def samples(status: Status, _: Counters) -> Samples:
        values: Any = status
        for key in path:
            values = values[key]
        for label, key in (keys or {key: key for key in values}).items():
            yield (label,), values[key]

    return samples


def _tallied(name: str) -> Sampler:
    """Return what yields a mapping of the tally; its keys are a label or a tuple of them."""

    def samples(_: Status, tally: Counters) -> Samples:
        for key, value in list(getattr(tally, name).items()):
            yield (key if isinstance(key, tuple) else (key,)), value

    return samples


def _total(name: str) -> Sampler:
    """Return what yields one figure of the tally."""

    def samples(_: Status, tally: Counters) -> Samples:
        yield (), getattr(tally, name)

    return samples


def _events(status: Status, _: Counters) -> Samples:
    for rule, count in status["events"].items():
        yield (rule.partition("/")[0], rule), count


def _open(status: Status, _: Counters) -> Samples:
    yield (), sum((row["state"] == "reading") + row["older"] for row in status["sources"])


def _unreadable(status: Status, _: Counters) -> Samples:
    for row in status["sources"]:
        yield (row["log"],), row["state"] == "unreadable"


def _is_ok(*path: str) -> Sampler:
    def samples(status: Status, tally: Counters) -> Samples:
        for labels, value in _one(*path)(status, tally):
            yield labels, value == "ok"

    return samples


def _build(_status: Status, _tally: Counters) -> Samples:
    yield (VERSION, sys.version.split()[0]), 1


FIGURES = (
    AgentMetric(
        "logwatch_lines_read_total", "counter", "Lines read.", ("source",), _source("lines")
    ),
    AgentMetric(
        "logwatch_bytes_read_total", "counter", "Bytes read.", ("source",), _source("bytes")
    ),
    AgentMetric(
        "logwatch_file_lag_bytes", "gauge", "Bytes not read yet.", ("source",), _source("lag")
    ),
    AgentMetric(
        "logwatch_source_unreadable",
        "gauge",
        "1 for a log that is there and cannot be read.",
        ("source",),
        _unreadable,
    ),
    AgentMetric(
        "logwatch_last_line_timestamp_seconds",
        "gauge",
        "When the last line was read.",
        ("source",),
        _source("last_line"),
    ),
    AgentMetric(
        "logwatch_last_login_timestamp_seconds",
        "gauge",
        "Time of the last login found.",
        ("source",),
        _source("last_login"),
    ),
    AgentMetric("logwatch_files_open", "gauge", "Files that are being read.", (), _open),
    AgentMetric(
        "logwatch_file_rotations_total",
        "counter",
        "New files under a log's name.",
        ("source",),
        _tallied("rotations"),
    ),
    AgentMetric(
        "logwatch_copies_skipped_total",
        "counter",
        "Rotated copies that are too costly to decompress.",
        ("source",),
        _tallied("skipped"),
    ),
    AgentMetric(
        "logwatch_possible_losses_total",
        "counter",
        "What may have lost lines: gap, truncated, overlong_line.",
        ("reason",),
        _tallied("losses"),
    ),
    AgentMetric(
        "logwatch_logins_refused_total",
        "counter",
        "Logins that the journal does not prove, forged ones among them.",
        ("source",),
        _source("refused"),
    ),
    AgentMetric(
        "logwatch_lines_cut_off_total",
        "counter",
        "First parts of logins whose next part never came, such as sudo's without a command.",
        ("source",),
        _source("cut_off"),
    ),
    AgentMetric("logwatch_events_total", "counter", "Logins found.", ("service", "rule"), _events),
    AgentMetric(
        "logwatch_lines_unmatched_total",
        "counter",
        "Lines of known programs that no rule took.",
        ("service",),
        _each("unmatched"),
    ),
    AgentMetric(
        "logwatch_event_lag_seconds",
        "histogram",
        "From a live login's own time until the monitor had taken it.",
        (),
        _total("lag"),
    ),
    AgentMetric(
        "logwatch_spool_events",
        "gauge",
        "Logins waiting for delivery.",
        ("kind",),
        _each("spool", keys={"live": "live", "history": "history"}),
    ),
    AgentMetric(
        "logwatch_spool_refused_events",
        "gauge",
        "Logins that the monitor refused and that are kept aside.",
        (),
        _one("spool", "dead"),
    ),
    AgentMetric("logwatch_spool_bytes", "gauge", "Size of the spool.", (), _one("spool", "bytes")),
    AgentMetric(
        "logwatch_events_sent_total",
        "counter",
        "Logins delivered since the state was made.",
        (),
        _one("spool", "sent"),
    ),
    AgentMetric(
        "logwatch_events_dropped_total",
        "counter",
        "Logins not sent: ignored by choice, or given up because the spool was full.",
        ("reason",),
        _each("spool", keys={"ignored": "ignored", "outbox_full": "dropped"}),
    ),
    AgentMetric(
        "logwatch_delivery_ok",
        "gauge",
        "1 unless the last delivery failed.",
        (),
        _is_ok("delivery", "state"),
    ),
    AgentMetric(
        "logwatch_last_delivery_timestamp_seconds",
        "gauge",
        "When the monitor last took a login.",
        (),
        _one("delivery", "last_delivery"),
    ),
    AgentMetric(
        "logwatch_api_requests_total",
        "counter",
        "Requests to the monitor by HTTP status; none without a whole answer.",
        ("action", "code"),
        _tallied("requests"),
    ),
    AgentMetric(
        "logwatch_api_request_duration_seconds",
        "histogram",
        "How long requests to the monitor took.",
        ("action",),
        _tallied("durations"),
    ),
    AgentMetric(
        "logwatch_api_retries_total",
        "counter",
        "Deliveries that failed and are tried again.",
        ("reason",),
        _tallied("retries"),
    ),
    AgentMetric(
        "logwatch_monitor_restarts_total",
        "counter",
        "Ends of the embedded monitor that nobody asked for.",
        (),
        _total("monitor_restarts"),
    ),
    AgentMetric("logwatch_ready", "gauge", "1 while everything works.", (), _is_ok("state")),
    AgentMetric(
        "logwatch_patterns_loaded", "gauge", "Rules in force.", (), _one("patterns", "rules")
    ),
    AgentMetric(
        "logwatch_patterns_reload_failures_total",
        "counter",
        "Mistakes in pattern files that kept the former rules.",
        (),
        _one("patterns", "failures"),
    ),
    AgentMetric(
        "logwatch_patterns_last_reload_timestamp_seconds",
        "gauge",
        "When the rules in force were read.",
        (),
        _one("patterns", "loaded"),
    ),
    AgentMetric(
        "logwatch_config_reload_failures_total",
        "counter",
        "Reloads that kept the former configuration.",
        (),
        _one("configuration", "failures"),
    ),
    AgentMetric(
        "logwatch_config_last_reload_timestamp_seconds",
        "gauge",
        "When the configuration in force was read.",
        (),
        _one("configuration", "loaded"),
    ),
    AgentMetric(
        "logwatch_start_time_seconds", "gauge", "When the agent started.", (), _one("since")
    ),
    AgentMetric("logwatch_build_info", "gauge", "The version.", ("version", "python"), _build),
)
"""Every metric, in the order in which they are written."""


def prometheus_text(status: Status, tally: Counters) -> bytes:
    """Return *status* and *tally* as metrics in the Prometheus text format.

    Computed when asked for, so that figures nobody looks at cost nothing.
    """
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from prometheus_client.registry import Collector

    kinds: dict[str, Callable[..., Any]] = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
        "histogram": HistogramMetricFamily,
    }

    class Snapshot(Collector):
        def collect(self) -> Iterator[Metric]:
            for figure in FIGURES:
                family = kinds[figure.kind](figure.name, figure.text, labels=figure.labels)
                for labels, value in figure.samples(status, tally):
                    family.add_metric(labels, *_told(value))
                yield family

    registry = CollectorRegistry()
    registry.register(Snapshot())
    return generate_latest(registry)


def _told(value: Any) -> tuple[Any, ...]:
    """Return what prometheus_client takes for a value."""
    if isinstance(value, Histogram):
        return list(value.buckets()), value.sum
    return (float(value),)
