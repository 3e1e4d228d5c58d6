"""Counts logins without counting all of them again each time."""

# ruff: noqa: S608 - queries are put together from names in this package; values are bound

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from .queries import conditions

__all__ = ["Counts", "Totals"]

HOUR_MS = 3_600_000
HOURS = 24
KEPT = 100


class Counts(NamedTuple):
    """How many logins there are, and were in each of the last 24 hours, the latest one last."""

    total: int
    hours: tuple[int, ...]


class Totals:
    """Remembers totals by filter, and up to which row each of them counts.

    Rows are only ever added to a monitor, or removed with all of it, so a total stays right for the
    same set of monitors. Readers' threads share one.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[object, tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()

    def counts(
        self, connection: sqlite3.Connection, filters: Mapping[str, str], now: int
    ) -> Counts:
        """Count the logins that the *filters* let through; *now* in ms since the epoch.

        Logins from the future, as skewed clocks make them, count for the last hour.
        """
        return Counts(self._total(connection, filters), _hours(connection, filters, now))

    def _total(self, connection: sqlite3.Connection, filters: Mapping[str, str]) -> int:
        live = connection.execute("SELECT group_concat(id) FROM monitors WHERE NOT deleted")
        key = (live.fetchone(), tuple(sorted(filters.items())))
        (last,) = connection.execute("SELECT max(seq) FROM results").fetchone()
        with self._lock:
            seq, total = self._known.get(key, (0, 0))
        source, where, values = conditions(connection, filters)
        if seq:
            source, where, values = "NOT INDEXED", f"{where} AND seq>?", [*values, seq]
        query = f"SELECT count(*) FROM results {source} WHERE {where}"
        (more,) = connection.execute(query, values).fetchone()
        total += int(more)
        with self._lock:
            self._known[key] = (last or 0, total)
            self._known.move_to_end(key)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return total


def _hours(connection: sqlite3.Connection, filters: Mapping[str, str], now: int) -> tuple[int, ...]:
    source, where, values = conditions(connection, filters)
    rows = connection.execute(
        f"SELECT max(0, ? - checktime) / {HOUR_MS} AS age, count(*) FROM results {source}"
        f" WHERE {where} AND checktime>? GROUP BY age",
        (now, *values, now - HOURS * HOUR_MS),
    )
    ages = dict(rows.fetchall())
    return tuple(ages.get(age, 0) for age in reversed(range(HOURS)))
