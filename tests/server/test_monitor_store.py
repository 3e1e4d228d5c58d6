"""The monitor's store: what it keeps, what it refuses, and how it is asked."""

import asyncio
import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from logwatch_monitis.config.keys import Keys
from logwatch_monitis.errors import LockHeldError, SetupError, StateError
from logwatch_monitis.protocol.wire import Result
from logwatch_monitis.server.store.login_queries import LoginFilter, logins
from logwatch_monitis.server.store.monitor_queries import list_monitors, monitor_results
from logwatch_monitis.server.store.store import DATABASE, Definition, Store
from logwatch_monitis.server.store.writer import OperationRefused

NOW = 1_795_348_800_000


def definition(name):
    """Return a definition with that name."""
    return Definition(name, "tag", "", {"resultParams": [], "monitorParams": []})


def login(number, user="alice", host="h", service="sshd", machine="m", *, at=NOW):
    """Return a result as our agent sends it."""
    values = {"user_login": user, "host": host, "srv": service}
    return Result(at, values, {"id": str(number), "machine": machine, "kind": "login"})


def in_store(directory, scenario):
    """Run the coroutine function *scenario* with a store in *directory* and one monitor in it."""

    async def run():
        store = Store.open(directory)
        try:
            return await scenario(store, await store.add_monitor(definition("first")))
        finally:
            store.close()

    return asyncio.run(run())


def test_files_are_for_their_owner_only(tmp_path):
    """Directory 0700, every file in it 0600, also the write-ahead log, whatever the umask."""
    directory = tmp_path / "deep" / "data"
    modes = {}

    async def scenario(store, monitor):
        await store.add_results(monitor, [login(1)])
        modes.update({x.name: stat.S_IMODE(x.stat().st_mode) for x in directory.iterdir()})

    Keys.load_or_make(directory)
    in_store(directory, scenario)
    assert 0o700 == stat.S_IMODE(directory.stat().st_mode)
    assert {"keys.json", DATABASE, f"{DATABASE}-wal"} <= modes.keys()
    assert {0o600} == set(modes.values())


def test_a_data_directory_has_one_monitor(tmp_path):
    """A second store on the directory is refused while the first is open, and not after."""
    store = Store.open(tmp_path)
    with pytest.raises(LockHeldError, match="another monitor"):
        Store.open(tmp_path, patience=0.1)
    store.close()
    Store.open(tmp_path).close()


@pytest.mark.parametrize("content", [b"not a database" * 100, None])
def test_what_is_no_database_of_ours_is_named(tmp_path, content):
    """Another file in its place, or one of a newer version, is an error with its path."""
    path = tmp_path / DATABASE
    if content:
        path.write_bytes(content)
    else:
        newer = sqlite3.connect(path)
        newer.execute("PRAGMA user_version=99")
        newer.close()
    with pytest.raises(StateError, match=DATABASE):
        Store.open(tmp_path)


def test_one_that_cannot_be_stored_takes_no_other_with_it(tmp_path):
    """Operations that wait together are committed together, but fail alone."""

    def broken(connection):
        connection.execute("INSERT INTO results (monitor, checktime, stored_ms) VALUES (1, 1, 1)")
        connection.execute("INSERT INTO nowhere VALUES (1)")

    async def scenario(store, monitor):
        gate = asyncio.Event()
        loop = asyncio.get_running_loop()
        hold = store._writer.write(lambda _: loop.call_soon_threadsafe(gate.set))
        jobs = [store.add_results(monitor, [login(n)]) for n in range(5)]
        jobs[2:2] = [store._writer.write(broken)]
        outcomes = await asyncio.gather(hold, *jobs, return_exceptions=True)
        assert gate.is_set()
        return outcomes[1:], await store.read(logins, LoginFilter(), 100)

    outcomes, stored = in_store(tmp_path, scenario)
    assert isinstance(outcomes.pop(2), sqlite3.OperationalError)
    assert [1] * 5 == outcomes
    assert 5 == len(stored)


def test_a_full_disk_refuses_and_recovers(tmp_path):
    """What does not fit is an error and not stored; once there is room again, storing goes on."""

    def room(pages):
        return lambda c: c.execute(f"PRAGMA max_page_count={pages}").fetchone()

    async def scenario(store, monitor):
        await store.add_results(monitor, [login(0)])
        await store._writer.write(room(30))
        with pytest.raises(sqlite3.OperationalError, match="full"):
            await store.add_results(monitor, [login(n, "x" * 999) for n in range(1, 200)])
        await store._writer.write(room(10_000))
        await store.add_results(monitor, [login(200)])
        return [row.user for row in await store.read(logins, LoginFilter(), 100)]

    assert ["alice", "alice"] == in_store(tmp_path, scenario)


def test_a_batch_tells_how_many_were_new(tmp_path):
    """Ids that are stored are passed over, in one monitor; another monitor has its own."""

    async def scenario(store, monitor):
        other = await store.add_monitor(definition("second"))
        batches = [(monitor, (1, 2)), (monitor, (2, 3)), (other, (1, 2)), (monitor, (3,))]
        return [await store.add_results(m, [login(n) for n in batch]) for m, batch in batches]

    assert [2, 1, 2, 0] == in_store(tmp_path, scenario)


def test_what_has_no_column_is_kept_too(tmp_path):
    """Values of foreign monitors and text that UTF-8 cannot hold are stored, not refused."""

    async def scenario(store, monitor):
        await store.add_results(monitor, [Result(NOW, {"load": "3", "host": "a\ud800b"})])
        return await store.read(lambda c: list(monitor_results(c, monitor, NOW, NOW + 1)))

    assert [(NOW, {"host": "a?b", "load": "3"})] == in_store(tmp_path, scenario)


def test_a_deleted_monitor_is_gone_at_once_and_its_results_soon(tmp_path):
    """Neither list nor page shows it, and its rows are removed bit by bit, other rows never.

    Numbers of rows are not used again: addresses of the page hold them.
    """

    async def scenario(store, monitor):
        other = await store.add_monitor(definition("second"))
        await store.add_results(other, [login(0)])
        await store.add_results(monitor, [login(n) for n in range(5_000)])
        await store.delete_monitors([monitor])
        assert ["0"] == [str(row.seq - 1) for row in await store.read(logins, LoginFilter(), 100)]
        assert [other] == [x.id for x in await store.read(list_monitors, {})]
        with pytest.raises(OperationRefused):
            await store.add_results(monitor, [login(9_999)])
        while await store.read(rows) > 1:  # noqa: ASYNC110 - nobody is told of the tidying
            await asyncio.sleep(0)
        await store.add_results(other, [login(1)])
        return [row.seq for row in await store.read(logins, LoginFilter(), 100)]

    def rows(connection):
        query = "SELECT (SELECT count(*) FROM results) + (SELECT count(*) FROM monitors) - 1"
        return connection.execute(query).fetchone()[0]

    assert [5_002, 1] == in_store(tmp_path, scenario)


def test_keys_are_made_once_and_look_like_the_services(tmp_path):
    """26 characters of 0-9 and A-V, mode 0600, the same on every start, also for two at once."""
    directory = tmp_path / "data"
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: Keys.load_or_make(directory), range(8)))
    (keys,) = made
    assert keys == Keys.load_or_make(directory)
    alphabet = set("0123456789ABCDEFGHIJKLMNOPQRSTUV")
    secrets = {keys.api_key, keys.secret_key, keys.page_key}
    assert [26] * 3 == [len(key) for key in secrets]
    assert alphabet.issuperset("".join(secrets))
    assert [directory / "keys.json"] == list(directory.iterdir())
    assert keys.secret_key not in repr(keys)


def test_given_keys_count_and_are_not_written_down(tmp_path):
    """Keys from the command line stand in for the kept ones; the page's key stays."""
    kept = Keys.load_or_make(tmp_path)
    given_keys = Keys.load_or_make(tmp_path, api_key="API", secret_key="SECRET")
    assert Keys("API", "SECRET", kept.page_key) == given_keys
    assert kept == Keys.load_or_make(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{}", '{"api_key":"a","secret_key":"","page_key":"c"}', "[1]"]
)
def test_a_spoilt_key_file_is_named(tmp_path, text):
    """Nothing is guessed: the file's path and what must be in it are told."""
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(SetupError, match=r"keys\.json: no keys"):
        Keys.load_or_make(tmp_path)


def test_what_was_learnt_in_a_group_that_failed_is_not_believed(tmp_path):
    """A monitor activated in a transaction that was undone takes no result afterwards."""
    tried = []

    def activate_once(connection):
        tried.append(1)
        if len(tried) > 1:
            raise sqlite3.OperationalError("not again")
        connection.execute("UPDATE monitors SET suspended=0")

    def broken(connection):
        connection.execute("INSERT INTO nowhere VALUES (1)")

    async def scenario(store, monitor):
        await store.suspend([monitor], "", suspended=True)
        held = threading.Event()
        hold = asyncio.ensure_future(store._writer.write(lambda _: held.wait(60)))
        jobs = [
            store._writer.write(activate_once),
            store.add_results(monitor, [login(1)]),
            store._writer.write(broken),
        ]
        group = asyncio.gather(*jobs, return_exceptions=True)
        while store._writer._jobs.qsize() < len(jobs):  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0)
        held.set()
        await hold
        return await group, await store.read(logins, LoginFilter(), 100)

    (_, added, _), stored = in_store(tmp_path, scenario)
    assert (2, "Monitor is suspended", []) == (len(tried), str(added), stored)
