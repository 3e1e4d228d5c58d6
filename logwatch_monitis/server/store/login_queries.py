"""Queries for logins, asked by the page: functions on a reader's connection.

Whatever has no filter by user or host is counted from the tables of `rollup`, which are small; the
rest has an index of its own. Lists walk along an index and end when they are full.
"""

# ruff: noqa: S608 - queries are put together from names in this module; values are bound

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from logwatch_monitis.server.page.query import Cursor
from logwatch_monitis.server.store.rollup import SLOT_MS

__all__ = [
    "COLUMNS",
    "AgentRow",
    "LoginCounter",
    "LoginFilter",
    "LoginRow",
    "Tops",
    "agents",
    "first_times",
    "logins",
    "tops",
    "version",
]

COLUMNS = {
    "user": "user_login",
    "host": "host",
    "service": "srv",
    "machine": "machine",
    "kind": "kind",
    "verified": "verified",
}
SAMPLE = 20_000
"""So many of the newest logins tell who is at the top."""

_BEGIN, _END = 0, 1 << 62
_TOP = 8
_INDEXED = ("user", "host")
_RARE = 2_000
_SPANS = 1_000
_TRUTH = {"yes": 1, "no": 0, "unknown": None}
_LOGIN = "seq, checktime, user_login, host, srv, machine, kind, verified, method"


class LoginFilter(NamedTuple):
    """Which logins: pairs of a name of `COLUMNS` and its value; *start* ≤ time < *end* in ms."""

    filters: tuple[tuple[str, str], ...] = ()
    start: int | None = None
    end: int | None = None

    @property
    def direct(self) -> bool:
        """Say whether they are found by user or host."""
        return any(name in _INDEXED for name, _ in self.filters)


class LoginRow(NamedTuple):
    """One login; texts are None where the client did not tell."""

    seq: int
    checktime: int
    user: str
    host: str | None
    service: str | None
    machine: str | None
    kind: str | None
    verified: int | None
    method: str | None


class Tops(NamedTuple):
    """Who is most frequent among the *counted* newest logins; how many different ones there are."""

    counted: int
    users: list[tuple[str, int]]
    hosts: list[tuple[str, int]]
    machines: list[tuple[str, int]]
    different: tuple[int, int, int]


class AgentRow(NamedTuple):
    """What is known of an agent; moments in ms.

    Attributes:
        name: as it calls itself.
        first: time of the earliest result.
        newest: time of the latest result.
        newest_stored: when that one came.
        last_stored: when anything came last.
        results: how many came.
    """

    name: str
    first: int
    newest: int
    newest_stored: int
    last_stored: int
    results: int


class _Where(NamedTuple):
    sql: str
    values: tuple[Any, ...]

    def __and__(self, other: _Where) -> _Where:
        return _Where(f"{self.sql} AND {other.sql}", self.values + other.values)


_LOGINS = _Where("user_login IS NOT NULL", ())


def version(connection: sqlite3.Connection) -> tuple[Any, ...]:
    """Return what changes whenever an answer of this module may change."""
    found = connection.execute(
        "SELECT (SELECT max(seq) FROM results), (SELECT removed FROM removals),"
        " (SELECT group_concat(id) FROM monitors WHERE NOT deleted)"
    ).fetchone()
    return tuple(found)


# -- lists -----------------------------------------------------------------------------------------


def logins(
    connection: sqlite3.Connection,
    wanted: LoginFilter,
    limit: int,
    before: Cursor | None = None,
    after: Cursor | None = None,
) -> list[LoginRow]:
    """Return the wanted logins, newest first; with *after*, those nearest to that place."""
    backwards = after is None
    found: list[LoginRow] = []
    for query in _queries(connection, _bounded(wanted, before, after), limit, backwards=backwards):
        where = query.where & _beyond(before, after)
        order = "DESC" if backwards else "ASC"
        rows = connection.execute(
            f"SELECT {_LOGIN} FROM results INDEXED BY {query.by} WHERE {where.sql}"
            f" ORDER BY checktime {order}, seq {order} LIMIT ?",
            (*where.values, limit - len(found)),
        )
        found += [LoginRow(*row) for row in rows]
        if len(found) >= limit:
            break
    return found if backwards else found[::-1]


def tops(connection: sqlite3.Connection, wanted: LoginFilter) -> Tops:
    """Return who is most frequent among the newest `SAMPLE` of the wanted logins."""
    users: Counter[str] = Counter()
    hosts: Counter[str] = Counter()
    machines: Counter[str] = Counter()
    counted = 0
    for query in _queries(connection, wanted, SAMPLE, backwards=True):
        rows = connection.execute(
            f"SELECT user_login, host, machine FROM results INDEXED BY {query.by}"
            f" WHERE {query.where.sql} ORDER BY checktime DESC LIMIT ?",
            (*query.where.values, SAMPLE - counted),
        ).fetchall()
        for counter, column in zip((users, hosts, machines), zip(*rows, strict=True), strict=False):
            counter.update(column)
        counted += len(rows)
        if counted >= SAMPLE:
            break
    for counter in (hosts, machines):
        counter.pop(None, None)  # type: ignore[call-overload] # a column may hold NULL
    different = len(users), len(hosts), len(machines)
    return Tops(counted, _most(users), _most(hosts), _most(machines), different)


def _most(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:_TOP]


class _Query(NamedTuple):
    by: str
    where: _Where


def _queries(
    connection: sqlite3.Connection, wanted: LoginFilter, need: int, *, backwards: bool
) -> Iterator[_Query]:
    """Yield queries that find the wanted logins in their order, one after the other."""
    plain = _row_conditions(connection, wanted)
    if wanted.direct:
        yield _Query(_rarest(connection, wanted), plain & _within(wanted.start, wanted.end))
    elif not wanted.filters:
        yield _Query("logins_time", plain & _within(wanted.start, wanted.end))
    else:
        for start, end in _spans(connection, wanted, need, backwards=backwards):
            yield _Query("logins_time", plain & _within(start, end))


def _spans(
    connection: sqlite3.Connection, wanted: LoginFilter, need: int, *, backwards: bool
) -> Iterator[tuple[int, int]]:
    """Yield spans of time that hold wanted logins, until they hold *need* of them."""
    slots = sorted(_needed_slots(connection, wanted, need, backwards=backwards), reverse=backwards)
    step = -1 if backwards else 1
    position = 0
    while position < len(slots):
        last = position
        while last + 1 < len(slots) and slots[last + 1] == slots[last] + step:
            last += 1
        low, high = sorted((slots[position], slots[last]))
        start, end = low * SLOT_MS, (high + 1) * SLOT_MS
        yield max(start, wanted.start or start), min(end, wanted.end or end)
        position = last + 1


def _needed_slots(
    connection: sqlite3.Connection, wanted: LoginFilter, need: int, *, backwards: bool
) -> set[int]:
    where = _slot_conditions(connection, wanted)
    low = -1 if wanted.start is None else wanted.start // SLOT_MS
    high = 1 << 60 if wanted.end is None else wanted.end // SLOT_MS
    order = "DESC" if backwards else "ASC"
    rows = connection.execute(
        f"SELECT slot, sum(logins) FROM slots WHERE slot>=? AND slot<=? AND {where.sql}"
        f" GROUP BY slot ORDER BY slot {order}",
        (low, high, *where.values),
    )
    # The slots at both ends may hold only logins from beyond the span.
    found: set[int] = set()
    for slot, count in rows:
        found.add(slot)
        need -= count if low < slot < high else 0
        if need <= 0 or len(found) >= _SPANS:
            low, high = (slot, high) if backwards else (low, slot)
            break
    fresh = connection.execute(
        f"SELECT DISTINCT checktime/{SLOT_MS} AS slot FROM results NOT INDEXED"
        f" WHERE {_fresh(connection).sql} AND slot>=? AND slot<=?",
        (low, high),
    )
    return found | {slot for (slot,) in fresh}


def _bounded(wanted: LoginFilter, before: Cursor | None, after: Cursor | None) -> LoginFilter:
    """Return *wanted* with the bounds of time that the places imply."""
    if before:
        end = before.checktime + 1
        return wanted._replace(end=end if wanted.end is None else min(end, wanted.end))
    if after:
        start = after.checktime
        return wanted._replace(start=start if wanted.start is None else max(start, wanted.start))
    return wanted


def _beyond(before: Cursor | None, after: Cursor | None) -> _Where:
    if before:
        return _Where("(checktime, seq) < (?, ?)", tuple(before))
    return _Where("(checktime, seq) > (?, ?)", tuple(after)) if after else _Where("1", ())


def first_times(connection: sqlite3.Connection, rows: list[LoginRow]) -> set[int]:
    """Return which of the rows (by seq) is the first login of its user from its host."""
    where = _fresh(connection)
    fresh = connection.execute(
        "SELECT user_login, ifnull(host, ''), min(checktime) FROM results NOT INDEXED"
        f" WHERE {where.sql} GROUP BY 1, 2",
        where.values,
    )
    earliest = {(user, host): first for user, host, first in fresh}
    for user, host in {(row.user, row.host or "") for row in rows}:
        known = connection.execute(
            "SELECT first_ms FROM pairs WHERE user_login=? AND host=?", (user, host)
        ).fetchone()
        if known:
            earliest[user, host] = min(known[0], earliest.get((user, host), known[0]))
    return {row.seq for row in rows if row.checktime == earliest.get((row.user, row.host or ""))}


# -- counts ----------------------------------------------------------------------------------------


class LoginCounter:
    """Counts the logins with certain *filters* in any span of time.

    The writer's tables answer for whole slots; the rest are the newest logins, which are not folded
    yet and are fetched once, and the ends of a span, which are looked up in the results. With a
    user or a host an index answers; with more than that and a service, all rows are fetched once.
    """

    def __init__(
        self, connection: sqlite3.Connection, filters: tuple[tuple[str, str], ...]
    ) -> None:
        self._connection = connection
        wanted = LoginFilter(filters)
        self._rows = _row_conditions(connection, wanted)
        self._fresh: list[tuple[int, str]] = []
        names = {name for name, _ in filters}
        if wanted.direct and len(names - {"service"}) > 1:
            self._sum, self._unit = "", 0
            source = f"results INDEXED BY {_rarest(connection, wanted)}"
            self._fresh = self._times(source, self._rows)
            return
        if wanted.direct:
            self._source = f"results INDEXED BY {_rarest(connection, wanted)}"
            self._sum, self._unit, self._where = "count(*)", 1, self._rows
            return
        self._source = "services" if names <= {"service"} else "slots"
        self._sum, self._unit = "sum(logins)", SLOT_MS
        self._where = _slot_conditions(connection, wanted)
        self._fresh = self._times("results NOT INDEXED", self._rows & _fresh(connection))

    def _times(self, source: str, where: _Where) -> list[tuple[int, str]]:
        """Fetch times and services of logins in their order."""
        query = f"SELECT checktime, ifnull(srv, '') FROM {source} WHERE {where.sql}"
        return self._connection.execute(f"{query} ORDER BY checktime", where.values).fetchall()

    def count(self, start: int | None = None, end: int | None = None) -> int:
        """Count those with *start* ≤ time < *end* in ms."""
        first, last = _BEGIN if start is None else start, _END if end is None else end
        found = sum(rows[0][0] or 0 for rows in self._answers("", first, last))
        return found + len(self._newest(first, last))

    def services(self, start: int, end: int) -> Counter[str]:
        """Count those with *start* ≤ time < *end* in ms by service."""
        counts = Counter([service for _, service in self._newest(start, end)])
        for rows in self._answers(", ifnull(srv, '') AS service", start, end):
            for number, service in rows:
                counts[service] += number
        return counts

    def _newest(self, start: int, end: int) -> list[tuple[int, str]]:
        low, high = (bisect_left(self._fresh, (moment, "")) for moment in (start, end))
        return self._fresh[low:high]

    def _answers(self, column: str, start: int, end: int) -> Iterator[list[Any]]:
        """Yield what the queries for a span find."""
        if not self._unit:
            return
        group = " GROUP BY service" if column else ""
        first, last = -(-start // self._unit), end // self._unit
        name = "checktime" if self._unit == 1 else "slot"
        if first < last:
            sql = f"SELECT {self._sum}{column} FROM {self._source} WHERE {self._where.sql}"
            sql += f" AND {name}>=? AND {name}<?{group}"
            yield self._connection.execute(sql, (*self._where.values, first, last)).fetchall()
        for low, high in _edges(start, end, self._unit):
            sql = f"SELECT count(*){column} FROM results INDEXED BY logins_time"
            sql += f" WHERE {self._rows.sql} AND seq <= (SELECT seq FROM folded)"
            sql += f" AND checktime>=? AND checktime<?{group}"
            yield self._connection.execute(sql, (*self._rows.values, low, high)).fetchall()


def _edges(start: int, end: int, unit: int) -> Iterator[tuple[int, int]]:
    """Yield the parts at both ends of a span that are no whole unit."""
    first, last = -(-start // unit) * unit, end // unit * unit
    if start < first:
        yield start, min(first, end)
    if max(start, first, last) < end:
        yield max(start, first, last), end


def agents(connection: sqlite3.Connection) -> list[AgentRow]:
    """Return every agent whose results came in, by name."""
    fresh = (
        "SELECT agent, checktime AS first_ms, checktime AS newest_ms,"
        " stored_ms AS newest_stored_ms, stored_ms AS last_stored_ms, 1 AS results"
        " FROM results NOT INDEXED"
        " WHERE seq > (SELECT seq FROM folded) AND agent IS NOT NULL"
    )
    known = "SELECT agent, first_ms, newest_ms, newest_stored_ms, last_stored_ms, results"
    rows = connection.execute(f"{known} FROM agents UNION ALL {fresh}")
    found: dict[str, AgentRow] = {}
    for row in rows:
        one = AgentRow(*row)
        other = found.get(one.name)
        found[one.name] = _both(other, one) if other else one
    return [found[name] for name in sorted(found)]


def _both(one: AgentRow, other: AgentRow) -> AgentRow:
    later = max(one, other, key=lambda agent: agent.newest)
    return AgentRow(
        one.name,
        min(one.first, other.first),
        later.newest,
        later.newest_stored,
        max(one.last_stored, other.last_stored),
        one.results + other.results,
    )


# -- conditions ------------------------------------------------------------------------------------


def _alive(connection: sqlite3.Connection) -> _Where:
    """Return the condition that a result's monitor is there; deleted ones go bit by bit."""
    rows = connection.execute("SELECT id FROM monitors WHERE deleted").fetchall()
    if not rows:
        return _Where("1", ())
    return _Where(f"monitor NOT IN ({', '.join('?' * len(rows))})", tuple(row[0] for row in rows))


def _fresh(connection: sqlite3.Connection) -> _Where:
    """Return the condition that a login is not folded yet."""
    (last,) = connection.execute("SELECT seq FROM folded").fetchone()
    return _LOGINS & _Where(f"seq > {int(last)}", ())


def _equals(name: str, value: str) -> _Where:
    if name == "verified":
        truth = _TRUTH[value]
        return _Where("verified IS NULL" if truth is None else f"verified = {truth}", ())
    return _Where(f"{COLUMNS[name]} = ?", (value,))


def _row_conditions(connection: sqlite3.Connection, wanted: LoginFilter) -> _Where:
    where = _LOGINS & _alive(connection)
    for name, value in wanted.filters:
        where &= _equals(name, value)
    return where


def _slot_conditions(connection: sqlite3.Connection, wanted: LoginFilter) -> _Where:
    where = _alive(connection)
    for name, value in wanted.filters:
        if name == "verified":
            truth = _TRUTH[value]
            where &= _Where(f"verified = {-1 if truth is None else truth}", ())
        else:
            where &= _equals(name, value)
    return where


def _within(start: int | None, end: int | None) -> _Where:
    return _between("checktime", start, end)


def _between(column: str, start: int | None, end: int | None) -> _Where:
    where = _Where("1", ())
    if start is not None:
        where &= _Where(f"{column} >= ?", (start,))
    if end is not None:
        where &= _Where(f"{column} < ?", (end,))
    return where


def _rarest(connection: sqlite3.Connection, wanted: LoginFilter) -> str:
    """Return the index of the filter with the fewest logins.

    SQLite knows no more than averages, if those; which value is rare is seen by counting a few.
    """
    given: Mapping[str, str] = dict(wanted.filters)
    names = [name for name in _INDEXED if name in given]
    if len(names) == 1:
        return f"logins_{names[0]}"

    def count(name: str) -> int:
        (found,) = connection.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM results INDEXED BY logins_{name}"
            f" WHERE user_login IS NOT NULL AND {COLUMNS[name]}=? LIMIT {_RARE})",
            (given[name],),
        ).fetchone()
        return int(found)

    return f"logins_{min(names, key=count)}"
