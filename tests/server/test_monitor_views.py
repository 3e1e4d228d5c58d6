"""What the page asks of the store: lists, counts and agents, folded in or not."""

import asyncio
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logwatch_monitis.protocol.wire import Result
from logwatch_monitis.server.page.query import Cursor
from logwatch_monitis.server.store import login_queries as views
from logwatch_monitis.server.store import rollup
from logwatch_monitis.server.store.login_queries import LoginCounter, LoginFilter
from logwatch_monitis.server.store.store import Definition, Store

HOUR = 3_600_000
NOW = 1_795_348_800_000
FIELDS = ("user", "host", "service", "machine", "kind", "verified")
TRUTH = {"yes": True, "no": False, "unknown": None}


@pytest.fixture(autouse=True, scope="module")
def _fold_early():
    """Fold a few at a time, so that some are folded and some are not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollup, "FOLD_FROM", 2)
        patch.setattr(rollup, "FOLD_AT_ONCE", 3)
        yield


def result(number, row):
    """Return a result with the values of a row: those of FIELDS, and the time."""
    user, host, service, machine, kind, verified, at = row
    facts = {"id": str(number), "machine": machine, "kind": kind, "agent": machine}
    truth = TRUTH[verified]
    facts |= {} if truth is None else {"verified": truth}
    return Result(at, {"user_login": user, "host": host, "srv": service}, facts)


def in_store(directory, scenario):
    """Run the coroutine function *scenario* with a store in *directory* and one monitor in it."""

    async def run():
        store = Store.open(directory)
        try:
            monitor = await store.add_monitor(Definition("first", "", "", {"resultParams": []}))
            return await scenario(store, monitor)
        finally:
            store.close()

    return asyncio.run(run())


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["alice", "bob", "josé"]),
        st.sampled_from(["192.0.2.7", "::1"]),
        st.sampled_from(["sshd", "su"]),
        st.sampled_from(["web1", "db2"]),
        st.sampled_from(["login", "session"]),
        st.sampled_from(list(TRUTH)),
        st.sampled_from([NOW, NOW + 9, NOW - HOUR]) | st.integers(NOW - 30 * HOUR, NOW + HOUR),
    ),
    max_size=40,
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "user": st.sampled_from(["alice", "nobody"]),
        "host": st.sampled_from(["192.0.2.7"]),
        "service": st.sampled_from(["sshd"]),
        "machine": st.sampled_from(["web1"]),
        "kind": st.sampled_from(["session"]),
        "verified": st.sampled_from(list(TRUTH)),
    },
)
MOMENT = (
    st.none()
    | st.sampled_from([NOW, NOW + 5, NOW + 10, NOW - HOUR])
    | st.integers(NOW - 31 * HOUR, NOW + HOUR)
)


def fits(row, filters, start, end):
    """Say whether a row matches."""
    equal = all(row[FIELDS.index(name)] == value for name, value in filters.items())
    return equal and (start is None or row[6] >= start) and (end is None or row[6] < end)


DENSE = [("alice", "::1", "sshd", "web1", "login", "yes", NOW + n % 3) for n in range(12)]


@given(ROWS, FILTERS, st.tuples(MOMENT, MOMENT), st.booleans())
@example(rows=DENSE, filters={}, span=(None, NOW + 2), erased=False)
@example(rows=DENSE, filters={"kind": "login"}, span=(NOW + 1, None), erased=False)
@example(rows=DENSE, filters={"service": "sshd"}, span=(NOW + 1, NOW + 2), erased=False)
def test_lists_and_counts_are_those_of_a_plain_search(
    tmp_path_factory, rows, filters, span, erased
):
    """Back and forth by pages, totals, services and tops: whatever the filters, span and folding.

    So it is after a person was erased.
    """
    start, end = span
    limit = 1 + len(rows) // 4
    wanted = LoginFilter(tuple(sorted(filters.items())), start, end)
    left = [row for row in rows if not (erased and row[0] == "bob")]
    matching = [row for row in left if fits(row, filters, start, end)]

    async def scenario(store, monitor):
        for number, row in enumerate(rows):
            await store.add_results(monitor, [result(number, row)])
        if erased:
            await store.forget("bob")
        back, place = [], None
        while page := await store.read(views.logins, wanted, limit, place):
            back += page
            place = Cursor(page[-1].checktime, page[-1].seq)
        forth, place = [], Cursor(-1, -1)
        while page := await store.read(views.logins, wanted, limit, after=place):
            forth = page + forth
            place = Cursor(page[0].checktime, page[0].seq)
        return back, forth, await store.read(counted), await store.read(views.tops, wanted)

    def counted(connection):
        tally = LoginCounter(connection, wanted.filters)
        low, high = start or 0, 1 << 61 if end is None else end
        return tally.count(start, end), tally.services(low, high)

    back, forth, (total, services), tops = in_store(
        tmp_path_factory.mktemp("views") / "data", scenario
    )
    assert sorted((row[6] for row in matching), reverse=True) == [row.checktime for row in back]
    assert back == forth
    assert len(matching) == total == tops.counted
    assert Counter(row[2] for row in matching) == +services
    assert Counter(row[0] for row in matching) == dict(tops.users)


@given(ROWS)
def test_the_first_login_of_a_user_from_a_host_is_known(tmp_path_factory, rows):
    """The earliest by its own time, also if it came late."""

    async def scenario(store, monitor):
        for number, row in enumerate(rows):
            await store.add_results(monitor, [result(number, row)])
        found = await store.read(views.logins, LoginFilter(), 100)
        firsts = await store.read(views.first_times, found)
        return {(row.user, row.host, row.checktime) for row in found if row.seq in firsts}

    earliest = {}
    for user, host, *_, at in rows:
        earliest[user, host] = min(at, earliest.get((user, host), at))
    expected = {(*pair, at) for pair, at in earliest.items()}
    assert expected == in_store(tmp_path_factory.mktemp("firsts") / "data", scenario)


@given(ROWS, st.booleans())
def test_agents_are_known_by_their_results(tmp_path_factory, rows, deleted):
    """First and newest time, and how many, folded or not; a deleted monitor has no logins."""

    async def scenario(store, monitor):
        for number, row in enumerate(rows):
            await store.add_results(monitor, [result(number, row)])
        found = await store.read(views.agents)
        if deleted:
            await store.delete_monitors([monitor])
            assert [] == await store.read(views.logins, LoginFilter(), 100)
            assert 0 == await store.read(lambda c: LoginCounter(c, ()).count())
        return [(a.name, a.first, a.newest, a.results) for a in found]

    times = {}
    for row in rows:
        times.setdefault(row[3], []).append(row[6])
    expected = [(name, min(at), max(at), len(at)) for name, at in sorted(times.items())]
    assert expected == in_store(tmp_path_factory.mktemp("agents") / "data", scenario)


def test_a_version_changes_with_what_is_stored(tmp_path):
    """New results, erased ones, deleted monitors: counts are made anew."""

    async def scenario(store, monitor):
        seen = [await store.read(views.version)]
        row = ("bob", "h", "sshd", "web1", "login", "yes", NOW)
        for step in (
            lambda: store.add_results(monitor, [result(1, row)]),
            lambda: store.forget("bob"),
            lambda: store.delete_monitors([monitor]),
        ):
            await step()
            seen.append(await store.read(views.version))
        return seen

    assert 4 == len(set(in_store(tmp_path, scenario)))
