"""The dashboard around the list of logins: figures, charts, most frequent names, agents."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from datetime import date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from logwatch_monitis.server.page import charts
from logwatch_monitis.server.page import time_ranges as spans
from logwatch_monitis.server.page.query import Asked, Cursor
from logwatch_monitis.server.store import login_queries as views
from logwatch_monitis.server.store.login_queries import LoginCounter, LoginFilter, Tops

__all__ = ["AgentState", "Dashboard", "KeyFigure", "Overview", "Overviews", "look", "wanted"]

T = TypeVar("T")

PERIODS = (("24h", "24 hours"), ("7d", "7 days"), ("30d", "30 days"), ("365d", "Year"))
AHEAD_MS = 60_000
"""Clocks may differ so much before the page says so."""

_HOUR = spans.HOUR
_KEPT = 100
_GONE = 30 * spans.DAY


class KeyFigure(NamedTuple):
    """A number with its name, and the span in the address that shows what it counts."""

    name: str
    logins: int
    since: str


class AgentState(NamedTuple):
    """An agent with how late its latest result came, and since when it is silent, all in ms.

    Attributes:
        agent: what is known of it.
        lag: from the login to its arrival; negative if its clock is ahead.
        usual: how long it usually is between two results.
        silent: how long nothing came, if that is much longer than usual; else 0.
    """

    agent: views.AgentRow
    lag: int
    usual: int
    silent: int


class Overview(NamedTuple):
    """Everything that is counted.

    Attributes:
        total: what the filters and the span of time let through.
        figures: of some spans of time.
        bars: by time and service.
        span: what the bars cover, in words.
        calendar: of a year.
        tops: the most frequent names.
    """

    total: int
    figures: tuple[KeyFigure, ...]
    bars: charts.BarChart
    span: str
    calendar: charts.Calendar
    tops: Tops


class Dashboard(NamedTuple):
    """The whole answer: rows (one more than asked for, if there is one), firsts by seq, counts."""

    rows: list[views.LoginRow]
    firsts: set[int]
    overview: Overview
    agents: list[AgentState]


class Overviews:
    """Remembers what was counted for as long as nothing changes. Readers' threads share it."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what *make* returned for this key."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                found: T = self._known[key]
                return found
        found = make()
        with self._lock:
            self._known[key] = found
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return found


def wanted(asked: Asked) -> LoginFilter:
    """Return which logins are asked for."""
    return LoginFilter(tuple(sorted(asked.filters.items())), asked.start, asked.end)


def look(
    connection: sqlite3.Connection, asked: Asked, now: int, zone: tzinfo, known: Overviews
) -> Dashboard:
    """Return what the page shows at *now* (ms)."""
    which = wanted(asked)
    rows = views.logins(connection, which, asked.limit + 1, asked.before, asked.after)
    begun = asked.before or asked.after
    key = (which, now // _HOUR, views.version(connection), str(zone))
    if not rows and not begun:
        return Dashboard(rows, set(), _nothing(now, zone), states(connection, now))
    overview = known.get(key, lambda: _overview(connection, which, now, zone))
    return Dashboard(rows, views.first_times(connection, rows), overview, states(connection, now))


def _overview(
    connection: sqlite3.Connection, which: LoginFilter, now: int, zone: tzinfo
) -> Overview:
    tally = LoginCounter(connection, which.filters)
    figures = [
        KeyFigure(name, tally.count(spans.recent(since, now, zone)), since)
        for since, name in (("1d", "Today"), ("7d", "Last 7 days"))
    ]
    start, end = _span(connection, which, now, zone)
    last = min(end - 1, now)
    shown = now if last >= spans.recent("365d", now, zone) else last
    return Overview(
        tally.count(which.start, which.end),
        tuple(figures),
        _bars(tally, which, spans.buckets(start, end, zone), zone),
        _called(which, start, end, now, zone),
        _calendar(tally, datetime.fromtimestamp(shown / 1000, zone).date(), zone),
        views.tops(connection, which),
    )


def _nothing(now: int, zone: tzinfo) -> Overview:
    """Return the overview of no logins."""
    hours = spans.buckets(now - now % _HOUR, now - now % _HOUR + _HOUR, zone)
    bars = charts.bars(hours, [Counter() for _ in hours], {})
    days = spans.days_until(datetime.fromtimestamp(now / 1000, zone).date())
    calendar = charts.calendar(days, [0] * len(days), days[-1])
    return Overview(0, (), bars, "", calendar, Tops(0, [], [], [], (0, 0, 0)))


def _span(
    connection: sqlite3.Connection, which: LoginFilter, now: int, zone: tzinfo
) -> tuple[int, int]:
    """Return what the bars cover: what was asked for, or the shortest period with logins."""
    end = which.end or (now // _HOUR + 1) * _HOUR
    if which.start is not None:
        return which.start, max(end, which.start + _HOUR)
    newest = views.logins(connection, which, 1)
    if not newest:
        return end - 24 * _HOUR, end
    if which.end is None:
        for period, _ in PERIODS:
            start = spans.recent(period, now, zone)
            if newest[0].checktime >= start:
                return start, end
        end = (newest[0].checktime // _HOUR + 1) * _HOUR
    oldest = views.logins(connection, which, 1, after=Cursor(-1, -1))
    return min(oldest[0].checktime // _HOUR * _HOUR, end - _HOUR), end


def _bars(
    tally: LoginCounter, which: LoginFilter, buckets: list[spans.Bucket], zone: tzinfo
) -> charts.BarChart:
    """Return the chart; what lies beyond its open end, as skewed clocks make it, is in the last."""
    stacks = [tally.services(bucket.start, bucket.end) for bucket in buckets]
    if which.end is None:
        stacks[-1] = tally.services(buckets[-1].start, 1 << 62)
    return charts.bars(buckets, stacks, spans.labels(buckets, zone))


def _called(which: LoginFilter, start: int, end: int, now: int, zone: tzinfo) -> str:
    for period, name in PERIODS:
        if which.end is None and start == spans.recent(period, now, zone):
            return f"past {name.lower()}"
    return spans.named(start, end, zone)


def _calendar(tally: LoginCounter, last: date, zone: tzinfo) -> charts.Calendar:
    days = spans.days_until(last)
    edges = [spans.day_start(day, zone) for day in (*days, days[-1] + timedelta(days=1))]
    sums = [tally.count(start, end) for start, end in pairwise(edges)]
    return charts.calendar(days, sums, last)


def states(connection: sqlite3.Connection, now: int) -> list[AgentState]:
    """Return every agent that sent anything in the last 30 days, those that are silent first."""
    found = [_state(agent, now) for agent in views.agents(connection)]
    recent = [state for state in found if now - state.agent.last_stored < _GONE]
    return sorted(recent, key=lambda state: (not state.silent, state.agent.name))


def _state(agent: views.AgentRow, now: int) -> AgentState:
    """Judge an agent by its own habits: weekends are silent too.

    Forty times the usual distance of two results is too long, but no more than a week, unless
    results are as rare as that; and no less than an hour.
    """
    usual = (agent.newest - agent.first) // max(1, agent.results - 1)
    limit = max(_HOUR, min(40 * usual, 7 * spans.DAY), 4 * usual)
    if agent.results < 10:  # noqa: PLR2004 - too few to know its habits
        limit = 7 * spans.DAY
    silence = now - agent.last_stored
    lag = agent.newest_stored - agent.newest
    return AgentState(agent, lag, usual, silence if silence > limit else 0)
