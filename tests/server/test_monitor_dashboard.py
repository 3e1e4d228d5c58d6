"""What stands around the list: periods, chips, charts and their links, marks, agents, exports.

The application is called in this process, so that its clock can stand still.
"""

import asyncio
import csv
import io
import itertools
import os
import re
import time
from collections import Counter
from contextlib import asynccontextmanager
from datetime import date, datetime
from html import unescape
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.protocol.wire import Result
from logwatch_monitis.server.api.accounts import Accounts
from logwatch_monitis.server.page import charts, dashboard
from logwatch_monitis.server.page import time_ranges as spans
from logwatch_monitis.server.page.query import FILTERS
from logwatch_monitis.server.store.login_queries import AgentRow
from logwatch_monitis.server.store.store import Definition
from logwatch_monitis.server.web.app import Options, make_app
from logwatch_monitis.syslog.zones import local_zone

HOUR, DAY = 3_600_000, 86_400_000
NOW = 1_795_379_505_000  # 2026-11-22 20:31:45 UTC, 21:31:45 in Berlin
HOSTILE = "=cmd|'/c calc'!A1</x>\u202e\x00"
COLUMNS = ["temp", "Temperature", "°C", "4"]


@pytest.fixture(autouse=True)
def _berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class StoppedClock:
    """Says always the same."""

    def __init__(self, ago=0):
        """It stands so many ms before NOW."""
        self._seconds = (NOW - ago) / 1000

    def now(self):
        """Return when it was stopped."""
        return self._seconds

    def monotonic(self):
        """Return the same."""
        return self._seconds


class Site:
    """Asks an application for its pages, with the cookie."""

    def __init__(self, app, key):
        self._app = app
        self._key = key

    async def get(self, target):
        """Return status, headers and text of an answer."""
        path, _, query = target.partition("?")
        query += f"{'&' if query else ''}key={self._key}"
        headers = [(b"host", b"localhost")]
        status, head, _ = await self._ask(path, query, headers)
        if status != 303 or "set-cookie" not in head:
            return status, head, ""
        headers.append((b"cookie", head["set-cookie"].partition(";")[0].encode()))
        path, _, query = head["location"].partition("?")
        return await self._ask(path, query, headers)

    async def _ask(self, path, query, headers):
        sent = []
        scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
        scope |= {"query_string": query.encode(), "scheme": "http", "root_path": "", "client": None}

        async def receive():
            return {"type": "http.request"}

        async def send(message):
            sent.append(message)

        await self._app(scope | {"server": ("localhost", 80)}, receive, send)
        head = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], head, body.decode()


@asynccontextmanager
async def site(directory, results=(), others=(), arrived=0):
    """Yield a site at NOW; these logins arrived so many ms ago."""
    accounts = Accounts.open(directory, StoppedClock(arrived))
    store = accounts[0].store
    monitor = await store.add_monitor(Definition("Login Monitor", "t", "", {"resultParams": []}))
    await store.add_results(monitor, list(results))
    if others:
        rack = Definition("Rack <1>", "rack", "", {"resultParams": [COLUMNS]})
        await store.add_results(await store.add_monitor(rack), list(others))
    try:
        yield Site(
            make_app(accounts, Options(8460, "web1"), StoppedClock()), accounts[0].keys.page_key
        )
    finally:
        accounts.close()


def fetch(directory, target, results, others=(), arrived=0):
    """Return the answer to one request, its text without entities for the eye."""

    async def run():
        async with site(directory, results, others, arrived) as there:
            return await there.get(target)

    return asyncio.run(run())


def login(number, ago, user="alice", host="192.0.2.7", service="sshd", **facts):
    """Return a login of so many ms ago."""
    facts = {"id": str(number), "machine": "web1", "kind": "login", "verified": True} | facts
    return Result(NOW - ago, {"user_login": user, "host": host, "srv": service}, facts)


MIXED = [
    login(1, HOUR, agent="web1"),
    login(2, 2 * HOUR, service="sudo", kind="command", verified=False),
    login(3, 3 * HOUR, "bob", "::1", machine="db1"),
    login(4, 40 * DAY, "bob"),
    login(5, 300 * DAY, "carol", "192.0.2.9", "su", kind="session"),
]


def bars(html):
    """Return (label, address) of each part of a bar."""
    chart = html[html.index('class="bars"') : html.index('class="legend"')]
    found = re.findall(r'<a href="([^"]+)"[^>]*aria-label="([^"]+)"', chart)
    return [(unescape(label), unescape(address)) for address, label in found]


def days(html):
    """Return {label: address} of the calendar's days with logins."""
    chart = html[html.index('class="cells"') : html.index('class="scale"')]
    found = re.findall(r'<a href="([^"]+)"[^>]*aria-label="([^"]+)"', chart)
    return {unescape(label): unescape(address) for address, label in found}


def users(html):
    """Return the users in the rows, newest first."""
    return re.findall(r'class="user"><a [^>]*><bdi>(.*?)</bdi>', html)


def figures(html):
    """Return the figures by name."""
    pairs = re.findall(r"<dt>(.*?)</dt><dd>(?:<a [^>]*>)?([\d,]+)", html)
    return {name: int(number.replace(",", "")) for name, number in pairs}


def test_each_bar_and_day_leads_to_its_logins(tmp_path):
    """What a part says it counts is what its address shows; the last bar holds the future too."""

    async def run():
        async with site(tmp_path, [*MIXED, login(6, -2 * HOUR, "eve")]) as there:
            html = (await there.get("/"))[2]
            targets = {**dict(bars(html)), **days(html)}
            return {label: users((await there.get(to))[2]) for label, to in targets.items()}

    shown = asyncio.run(run())
    for label, found in shown.items():
        assert int(label.rpartition(": ")[2]) == len(found), label
    assert ["alice"] == shown["Sun 22 Nov, 20:00 to 21:00, sshd: 1"]
    assert ["alice"] == shown["Sun 22 Nov, 19:00 to 20:00, sudo: 1"]
    assert ["eve"] == shown["Sun 22 Nov, 21:00 to 22:00, sshd: 1"]
    assert ["eve", "alice", "alice", "bob"] == shown["Sun 22 Nov 2026: 4"]
    assert ["bob"] == shown["Tue 13 Oct 2026: 1"]
    assert 24 + 4 + 3 == len(shown)


@pytest.mark.parametrize(
    ("query", "count", "called"),
    [
        ({}, 5, "past 24 hours"),
        ({"since": "24h"}, 3, "past 24 hours"),
        ({"since": "365d"}, 5, "past year"),
        ({"since": "2026-10-13", "until": "2026-10-13"}, 1, "13 Oct 2026"),
        ({"since": "2026-11-22T19:30", "until": "2026-11-22T20:31:46"}, 2, "19:30 to 20:31"),
        ({"since": "2026-11-22T19:31:45Z", "until": "2026-11-22T19:31:46Z"}, 1, "20:31"),
        ({"until": "2026-02-01"}, 1, "26 Jan 2026"),
        ({"user": "bob"}, 2, "past 24 hours"),
        ({"user": "carol"}, 1, "past year"),
        ({"kind": "command", "verified": "no"}, 1, "past 24 hours"),
        ({"service": "sshd", "machine": "db1", "host": "::1"}, 1, "past 24 hours"),
    ],
)
def test_filters_and_times_combine(tmp_path, query, count, called):
    """List and total agree; the chart covers the time, or the shortest period with logins."""
    html = fetch(tmp_path, f"/?{urlencode(query)}", MIXED)[2]
    assert count == len(users(html)) == figures(html)["Matching" if query else "All logins"]
    chart = re.search(r'<span class="sub">([^<]*), CET</span>', html)[1]
    assert called in chart


def test_chips_take_one_filter_away_each(tmp_path):
    """Every filter and the time have one; the rest of the address stays."""
    html = fetch(tmp_path, "/?user=bob&kind=login&since=24h", MIXED)[2]
    chips = re.search(r'class="chips".*?</ul>', html, re.DOTALL)[0]
    found = [unescape(address) for address in re.findall(r'href="([^"]+)"', chips)]
    without = ["/?kind=login&since=24h", "/?user=bob&since=24h", "/?user=bob&kind=login", "/"]
    assert without == found
    assert "past 24 hours" in chips


def test_a_form_without_script_gives_a_short_address(tmp_path):
    """Empty fields vanish; from and to are since and until."""
    form = "/?user=bob&host=&since=7d&from=2026-11-20T08%3A00&to="
    status, head, _ = fetch(tmp_path, form, MIXED)
    assert (303, "/?user=bob&since=2026-11-20T08%3A00") == (status, head["location"])


@pytest.mark.parametrize(
    "query",
    [
        "since=0001-01-01",
        "until=9999-12-31",
        "since=yesterday",
        "until=2026-13-01",
        "since=0d",
        "verified=maybe",
        "since=99999d",
    ],
)
def test_what_is_no_time_is_told(tmp_path, query):
    """One plain line that says what it must be."""
    status, _, text = fetch(tmp_path, f"/?{query}", [])
    assert (400, 1) == (status, len(text.splitlines()))
    assert "must be" in text


def test_first_times_and_clocks_ahead_are_marked(tmp_path):
    """A new pair of user and host, and a time in the future, which is shown all the same."""
    rows = [*MIXED, login(6, -2 * HOUR), login(7, 0, "bob")]
    html = fetch(tmp_path, "/", rows)[2]
    shown = re.findall(r'<tr role="row" id.*?</tr>', html, re.DOTALL)
    assert [
        ["alice", "ahead"],
        ["bob"],
        ["alice"],
        ["alice", "first"],
        ["bob", "first"],
        ["bob", "first"],
        ["carol", "first"],
    ] == [[*users(row), *re.findall(r'class="mark (\w+)"', row)] for row in shown]


@pytest.mark.parametrize("moment", [0, 1, 253_402_300_799_999])
@pytest.mark.parametrize("query", ["", "?user=alice", "?since=1970-01-02", "?until=9000-01-01"])
def test_mad_clocks_break_nothing(tmp_path, moment, query):
    """A login of 1970 or of the end of 9999 is shown like any other."""
    status, _, _ = fetch(tmp_path, f"/{query}", [*MIXED, login(8, NOW - moment)])
    assert 200 == status


def test_tops_lead_to_their_logins(tmp_path):
    """Most frequent first; with a filter they are those of the filter."""
    html = fetch(tmp_path, "/", MIXED)[2]
    top = html[html.index('id="top-user"') : html.index('id="top-host"')]
    found = re.findall(r'href="([^"]+)".*?<bdi>(.*?)</bdi></a><b>(\d+)</b>', top)
    assert [("/?user=alice", "alice", "2"), ("/?user=bob", "bob", "2")] == found[:2]


@pytest.mark.parametrize(
    ("usual", "count", "silence", "silent"),
    [
        (60_000, 1_000, HOUR - 1, False),
        (60_000, 1_000, HOUR + 1, True),
        (2 * HOUR, 500, 62 * HOUR, False),  # a weekend
        (2 * HOUR, 500, 81 * HOUR, True),
        (3 * DAY, 100, 11 * DAY, False),
        (3 * DAY, 100, 13 * DAY, True),
        (1_000, 5, 2 * DAY, False),
        (1_000, 5, 8 * DAY, True),
    ],
)
def test_an_agent_is_silent_by_its_own_habits(usual, count, silence, silent):
    """Forty times as long as usual, within an hour and a week; rarer ones four times."""
    newest = NOW - silence
    agent = AgentRow("a", newest - usual * (count - 1), newest, newest + 50, newest + 50, count)
    state = dashboard._state(agent, NOW + 50)
    assert (silence if silent else 0, 50, usual) == (state.silent, state.lag, state.usual)


def test_a_silent_agent_is_warned_of(tmp_path):
    """Above everything else, in plain words; one that is well is only listed."""
    rows = [login(n, 8 * DAY + n * HOUR, agent="web7") for n in range(20)]
    html = fetch(tmp_path, "/", rows, arrived=8 * DAY)[2]
    assert "No news from <bdi>web7</bdi> for 8 days." in html
    assert "Usually a login comes every 1 hour." in html
    html = fetch(tmp_path / "other", "/", rows)[2]
    assert "No news" not in html
    assert "ago</time>, lag 8 days" in html


def test_exports_are_what_is_shown(tmp_path):
    """CSV, JSON and XML have the rows of the page; the last two are linked with its filters."""
    rows = [*MIXED, login(8, 5 * HOUR, HOSTILE)]

    async def run():
        async with site(tmp_path, rows) as there:
            html = (await there.get("/?since=24h"))[2]
            links = re.search(r'class="exports".*?</span>', html, re.DOTALL)[0]
            addresses = [unescape(one) for one in re.findall(r'href="([^"]+)"', links)]
            return html, [await there.get(address) for address in addresses]

    html, (table, document, xml) = asyncio.run(run())
    assert 4 == len(users(html))
    names = [row["user_login"] for row in csv.DictReader(io.StringIO(table[2]))]
    shown = HOSTILE.replace("\u202e", r"\u202e").replace("\x00", r"\x00")
    assert ["alice", "alice", "bob", f"'{shown}"] == names
    assert '"user_login":"bob"' in document[2]
    assert "application/xml" == xml[1]["content-type"]
    tree = ET.fromstring(xml[2])
    found = [one.findtext("user_login") for one in tree.findall("login")]
    assert ["alice", "alice", "bob", HOSTILE.replace("\x00", "\ufffd")] == found


def test_other_monitors_have_a_table_and_lines(tmp_path):
    """Their names lead to their results; numbers are drawn; programs get them typed."""
    results = [
        Result(NOW - n // 2 * 60_000, {"temp": f"{20 + n}", "door": "<b>"}, {}) for n in range(3)
    ]

    async def run():
        async with site(tmp_path, MIXED, results) as there:
            pages = ("/monitors", "/monitors/2", "/monitors/2.json", "/monitors/2.csv")
            found = [await there.get(page) for page in (*pages, "/monitors/99", "/monitors/2.xml")]
            found.append(await there.get("/monitors/2?limit=1"))
            older = re.search(r'href="([^"]+)" rel="next"', found[-1][2])[1]
            return [*found, await there.get(older)]

    every, one, document, table, missing, xml, *pages = asyncio.run(run())
    assert '<a href="/monitors/2"><bdi>Rack &lt;1&gt;</bdi></a>' in every[2]
    assert '<polyline points="0.0,0.0 50.0,100.0 100.0,50.0">' in one[2]
    assert 3 == one[2].count("<bdi>&lt;b&gt;</bdi>")
    assert '{"time":"2026-11-22T20:31:45.000000+00:00","temp":21.0,"door":"<b>"}' in document[2]
    assert table[2].splitlines()[0] == "time,temp,door"
    assert 404 == missing[0]
    shown = [re.findall(r"<td><bdi>(\d+)", text) for _, _, text in pages]
    assert [["21"], ["20", "22"]] == shown
    assert [None] * 3 == [row.find("none") for row in ET.fromstring(xml[2]).findall("result")]


def test_days_begin_when_the_servers_do(tmp_path):
    """Midnight is Berlin's; a day of 23 hours and one of 25 are whole."""
    rows = [login(1, 21 * HOUR + 31 * 60_000 + 45_001), login(2, 21 * HOUR + 31 * 60_000 + 45_000)]
    assert ["Sat 21 Nov 2026: 1", "Sun 22 Nov 2026: 1"] == list(days(fetch(tmp_path, "/", rows)[2]))
    zone = local_zone("Europe/Berlin")
    starts = [spans.day_start(day, zone) for day in spans.days_until(date(2026, 11, 1))]
    lengths = {(b - a) // HOUR for a, b in itertools.pairwise(starts)}
    assert {23, 24, 25} == lengths


@pytest.mark.parametrize(
    ("length", "fewest", "most"),
    [
        (60000, 1, 2),
        (HOUR, 4, 5),
        (DAY, 24, 25),
        (7 * DAY, 28, 30),
        (30 * DAY, 29, 32),
        (365 * DAY, 52, 54),
        (1000 * DAY, 32, 34),
        (9000 * DAY, 24, 26),
    ],
)
def test_bars_cover_a_span_without_gaps(length, fewest, most):
    """From its first to its last instant, few enough to be told apart, names all different."""
    zone = local_zone("Europe/Berlin")
    found = spans.buckets(NOW - length, NOW, zone)
    assert fewest <= len(found) <= most
    edges = [found[0].start, *(one.end for one in found)]
    assert [NOW - length, NOW] == [edges[0], edges[-1]]
    assert edges[:-1] == [one.start for one in found]
    assert len(found) == len({one.name for one in found})
    inner = [datetime.fromtimestamp(one.start / 1000, zone) for one in found[1:]]
    if length == 365 * DAY:
        assert {(0, 0)} == {(moment.weekday(), moment.hour) for moment in inner}


def test_parts_of_a_bar_stand_upon_each_other():
    """From the bottom up without a gap, the most frequent service first; the rest is one part."""
    spans_ = [spans.Bucket(n, n + 1, str(n)) for n in range(2)]
    services = {f"s{n}": n for n in range(1, 10)}
    chart = charts.bars(spans_, [Counter(services), Counter(s9=20)], {1: "x"})
    assert ["s9", "s8", "s7", "s6", "s5", "s4", charts.OTHER] == [name for name, *_ in chart.series]
    bottom = 100.0
    for part in chart.bars[0].segments:
        assert bottom == pytest.approx(part.top + part.height, abs=0.01)
        bottom = part.top
    highest = chart.ticks[-1][0]
    assert bottom == pytest.approx(100 - 100 * 45 / highest, abs=0.01)
    assert highest >= 45 > highest - chart.ticks[1][0]
    assert (("x", 75.0),) == chart.labels


def test_the_zone_is_named(tmp_path):
    """Times are the server's until a script makes them the reader's; UTC stands in the title."""
    html = fetch(tmp_path, "/", MIXED[:1])[2]
    assert 'title="2026-11-22 19:31:45 UTC">2026-11-22 20:31:45</time>' in html
    assert '<span id="zone">CET</span>' in html
    assert os.environ["TZ"] == "Europe/Berlin"


NAMES = st.sampled_from([*FILTERS, "since", "until", "from", "to", "before", "after", "limit", "x"])
WORDS = st.sampled_from(
    ["7d", "1h", "9999d", "2026-11-22", "2026-10-25T02:30", "0-0", "1795379505000-3", "yes", "1"]
)


def test_no_address_breaks_the_page(tmp_path_factory):
    """There is a page, a shorter address, or a line that says what is wrong."""

    @given(st.dictionaries(NAMES, WORDS | st.text(max_size=12), max_size=4), st.integers(0, 3))
    def check(query, which):
        path = ("/", "/logins.xml", "/monitors/1", "/monitors/1.csv")[which]
        status, _, text = loop.run_until_complete(there.get(f"{path}?{urlencode(query)}"))
        assert status in (200, 303, 400)
        assert status != 400 or "must be" in text

    loop = asyncio.new_event_loop()
    stack = site(tmp_path_factory.mktemp("site"), MIXED)
    there = loop.run_until_complete(stack.__aenter__())
    try:
        check()
    finally:
        loop.run_until_complete(stack.__aexit__(None, None, None))
        loop.close()
