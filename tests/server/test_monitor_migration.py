"""Databases of former versions, opened by this one, and one of a later version."""

import asyncio
import json
import sqlite3
import time
from contextlib import closing

import pytest

from logwatch_monitis.errors import StateError
from logwatch_monitis.protocol.extensions import Result
from logwatch_monitis.server.store import rollup, schema
from logwatch_monitis.server.store.executed import Once
from logwatch_monitis.server.store.login_queries import LoginCounter, LoginFilter, agents, logins
from logwatch_monitis.server.store.monitor_queries import list_monitors
from logwatch_monitis.server.store.store import DATABASE, Store, find_definition

NOON = 1_795_348_800_000
ROWS = 2_500

FIRST_RELEASE = """
CREATE TABLE monitors (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL,
    name TEXT NOT NULL,
    tag TEXT NOT NULL,
    type TEXT NOT NULL,
    params TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX monitors_name ON monitors (account, name) WHERE NOT deleted;

CREATE TABLE results (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: addresses and totals hold it
    monitor INTEGER NOT NULL REFERENCES monitors (id),
    checktime INTEGER NOT NULL,
    stored_ms INTEGER NOT NULL,
    once TEXT,
    user_login TEXT,
    host TEXT,
    srv TEXT,
    machine TEXT,
    kind TEXT,
    verified INTEGER,
    method TEXT,
    agent TEXT,
    other_values TEXT,
    other_facts TEXT
) STRICT;
CREATE UNIQUE INDEX results_once ON results (monitor, once) WHERE once IS NOT NULL;
CREATE INDEX results_day ON results (monitor, checktime);
CREATE INDEX logins_time ON results (checktime) WHERE user_login IS NOT NULL;
CREATE INDEX logins_user ON results (user_login, checktime) WHERE user_login IS NOT NULL;
CREATE INDEX logins_host ON results (host, checktime) WHERE user_login IS NOT NULL;
CREATE INDEX logins_service ON results (srv, checktime) WHERE user_login IS NOT NULL;
CREATE INDEX logins_machine ON results (machine, checktime) WHERE user_login IS NOT NULL;
"""


def first_release(path):
    """Make the database as the first release left it: one deleted monitor, one with logins."""
    params = json.dumps({"resultParams": [["user_login", "Login", "logins", "3"]]})
    rows = [
        (2, NOON + n, NOON + n, f"id{n}", f"user{n % 3}", "h", ("sshd", "su")[n % 2])
        for n in range(ROWS)
    ]
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.executescript(FIRST_RELEASE + "PRAGMA user_version=1;")
        database.executemany(
            "INSERT INTO monitors VALUES (?, 1, 'Logins', 'tag', 'kind', ?, 5, ?)",
            [(1, params, 1), (2, params, 0)],
        )
        database.executemany(
            "INSERT INTO results (monitor, checktime, stored_ms, once, user_login, host, srv,"
            " agent, other_facts) VALUES (?, ?, ?, ?, ?, ?, ?, 'web1', '{\"port\":22}')",
            rows,
        )
        database.commit()


def test_a_database_of_the_first_release_is_taken_over(tmp_path):
    """Rows, definitions, additional facts and the page's counts are right, folded in and not."""
    first_release(tmp_path / DATABASE)

    async def scenario():
        store = Store.open(tmp_path)
        while not await store.read(lambda c: c.execute("SELECT seq FROM folded").fetchone()[0]):  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0)
        try:
            return await store.read(seen)
        finally:
            store.close()

    def seen(connection):
        facts = connection.execute("SELECT DISTINCT additional FROM results").fetchall()
        tally = LoginCounter(connection, ())
        services = tally.services(NOON - rollup.SLOT_MS, NOON + rollup.SLOT_MS)
        (agent,) = agents(connection)
        definition = find_definition(connection, 2)
        shown = [monitor.id for monitor in list_monitors(connection, {})]
        newest = logins(connection, LoginFilter(), 1)[0].checktime
        return facts, tally.count(), services, agent.results, definition, shown, newest

    facts, count, services, results, definition, shown, newest = asyncio.run(scenario())
    assert facts == [('[{"port":22}]',)]
    assert (ROWS, ROWS, NOON + ROWS - 1) == (count, results, newest)
    assert services == {"sshd": ROWS // 2, "su": ROWS // 2}
    assert ("Logins", "tag", "kind", False) == (*definition[:3], definition.suspended)
    assert [["user_login", "Login", "logins", "3"]] == definition.params["resultParams"]
    assert shown == [2]


SIGNATURE = "5DCzp8RvHm+Yp5aqZQB0sY1Ga1w="
INSERT = "INSERT INTO results (monitor, checktime, stored_ms, once) VALUES (?, ?, ?, ?)"
INSERT_ADDED = "INSERT INTO additions (monitor, checktime, once, objects) VALUES (?, ?, ?, '[]')"


def former(path, version):
    """Make a database as an earlier version left it, with results of two signed requests."""
    first_release(path)
    now = int(time.time() * 1000)
    once = f" 2026-11-22 21:41:45 {SIGNATURE.replace('+', ' ')} "
    rows = [(2, NOON, now - 60_000, f"{once}{number}") for number in range(12)]
    rows.append((2, NOON, now - 28 * 3_600_000, once.replace("5DCz", "OLD=") + "0"))
    with closing(sqlite3.connect(path)) as database:
        for step in schema._STEPS[1:version]:
            database.executescript(step)
        database.executemany(INSERT, rows)
        if version > 1:
            database.execute(INSERT_ADDED, (2, NOON, once.replace("5DCz", "ADD=") + "0"))
        database.execute(f"PRAGMA user_version={version}")
        database.commit()


@pytest.mark.parametrize("version", range(1, 5))
def test_what_a_former_version_had_executed_is_not_done_again(tmp_path, version):
    """A request of the last day is known by its signature; one of long ago need not be."""
    former(tmp_path / DATABASE, version)
    names = [SIGNATURE, SIGNATURE.replace("5DCz", "OLD="), SIGNATURE.replace("5DCz", "ADD=")]

    async def scenario():
        store = Store.open(tmp_path)
        try:
            requests = [Once(name, 10**15) for name in names]
            for once in requests:
                await store.add_results(2, [Result(NOON, {"user_login": "again"})], once)
            return [once.repeated for once in requests]
        finally:
            store.close()

    assert asyncio.run(scenario()) == [True, False, version > 1]


def test_a_database_of_a_later_version_stays_as_it_is(tmp_path):
    """Not a byte of it changes, and the error says what to do."""
    first_release(tmp_path / DATABASE)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database:
        database.execute("PRAGMA journal_mode=DELETE")
        database.execute(f"PRAGMA user_version={schema.VERSION + 1}")
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(StateError, match="newer version") as caught:
        Store.open(tmp_path)
    assert caught.value.exit_code == 78
    assert (tmp_path / DATABASE).read_bytes() == before
