"""Every further action of the protocol over real HTTP, and what keeps strangers out."""

import asyncio
import json
import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import md5, sha256
from http.client import HTTPException
from threading import Event
from time import monotonic
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from real_monitor import Caller, running_monitor, stamp

from logwatch_monitis.config.keys import Keys
from logwatch_monitis.protocol.wire import Result, parse_xml
from logwatch_monitis.server.api.passwords import PasswordLogin, save_login
from logwatch_monitis.server.api.read_actions import READS
from logwatch_monitis.server.api.write_actions import WRITES
from logwatch_monitis.server.store.backup import back_up
from logwatch_monitis.server.store.retention import Retention, Tidier
from logwatch_monitis.server.store.store import DATABASE, Definition, Store
from logwatch_monitis.server.web.rate_limit import REMEMBERED, Attempts, network_of

NOON = 1_795_348_800_000  # 2026-11-22 12:00:00 UTC
HOUR = 3_600_000
OK = b'{"status":"ok","data":null}'


@pytest.fixture(scope="module")
def monitor(tmp_path_factory):
    """One monitor with a second account; each test makes monitors of its own."""
    directory = tmp_path_factory.mktemp("actions") / "data"
    other = directory / "accounts" / "other"
    other.mkdir(parents=True)
    with running_monitor(directory) as (_, caller):
        caller.other = Caller(caller.address, Keys.load_or_make(other))
        caller.directory = directory
        yield caller


def test_edit_changes_what_is_given(monitor):
    """The rest stays, another monitor's name is refused, new types count from then on."""
    monitor.make_monitor("Edit taken")
    number = monitor.make_monitor("Edit", "n:N::3")
    assert monitor.post("editMonitor", monitorId=number, resultParams="n:N::2").body == OK
    taken = monitor.post("editMonitor", monitorId=number, name="Edit taken").json
    assert "exists" in taken["status"]
    info = monitor.get("getMonitorInfo", monitorId=number).json
    assert ("Edit", "Edit", 2) == (info["name"], info["tag"], info["resultParams"][0]["dataType"])
    assert "must be a whole number" in monitor.add(number, NOON, "n:few").json["status"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("i:1.5", "i must be a whole number, not '1.5'"),
        ("f:1,5", "f must be a number, not '1,5'"),
        ("f:nan", "f must be a number, not 'nan'"),
        ("b:maybe", "b must be true or false, not 'maybe'"),
    ],
)
def test_values_have_to_be_of_their_type(monitor, value, reason):
    """The error names parameter, type and value, and nothing is stored."""
    number = monitor.make_monitor(f"Typed {value}", "i:I::2;f:F::4;b:B::1;s:S::3")
    assert monitor.add(number, NOON, value).json == {"status": f"Invalid results: {reason}"}
    assert monitor.rows(number) == []


def test_lists_of_values(monitor):
    """A multi-value monitor takes lists, checks their members and returns them as lists."""
    params = {"name": "Many", "tag": "m", "resultParams": "n:N::2;s:S::3", "multiValue": "true"}
    number = str(monitor.post("addMonitor", **params).json["data"])
    assert monitor.add(number, NOON, 'n:[1,2];s:["a","b"]').body == OK
    (row,) = monitor.rows(number)
    assert ([1, 2], ["a", "b"]) == (row["n"], row["s"])
    assert "must be" in monitor.add(number, NOON + 1, "n:[1.5]").json["status"]


def test_additional_results_come_back_unchanged(monitor):
    """Several objects stay several; later ones of the same moment stand behind them."""
    number = monitor.make_monitor("Additional")
    given_objects = [{"bar": 90}, {"bar": 91, "id": "x"}]
    text = json.dumps(given_objects)
    monitor.add(number, NOON, "user_login:a", additionalResults=text)
    more = {"monitorId": number, "checktime": str(NOON), "results": '[{"late":true}]'}
    more["timestamp"] = stamp(time.time())
    for _ in range(2):  # the second one is a repeat
        assert monitor.post("addAdditionalResults", **more).body == OK
    asked = {"monitorId": number, "checktime": str(NOON)}
    found = monitor.get("getAdditionalResults", **asked).json
    assert found == [*given_objects, {"late": True}]
    span = {"monitorId": number, "dateFrom": str(NOON), "dateTo": str(NOON)}
    rows = monitor.get("getAdditionalDataReport", **span).json
    assert [row["checkTimeInGMT"] for row in rows] == [NOON, NOON]


def test_reports_put_intervals_together(monitor):
    """Each interval that has results is one row; each column goes by its function."""
    params = "a:A::2;b:B::2:false::sum;c:C::3"
    number = monitor.make_monitor("Report", params)
    for moment, value in ((0, 1), (HOUR // 2, 3), (HOUR, 10)):
        monitor.add(number, NOON + moment, f"a:{value};b:{value};c:x{value}")
    asked = {"monitorId": number, "dateFrom": str(NOON), "dateTo": str(NOON + HOUR)}
    assert len(monitor.get("getReport", **asked).json) == 3
    hours = monitor.get("getReport", interval="1", intervalType="hour", **asked).json
    assert [(2.0, 4, "x3"), (10.0, 10, "x10")] == [(x["a"], x["b"], x["c"]) for x in hours]
    east = monitor.get("getReport", intervalType="day", timezone="60", **asked).json
    assert [("2026-11-22 00:00", NOON - 13 * HOUR)] == [
        (x["checkTime"], x["checkTimeInGMT"]) for x in east
    ]
    month = monitor.get("getReport", intervalType="month", **asked).json
    assert ["2026-11-01 00:00"] == [row["checkTime"] for row in month]
    assert "error" in monitor.get("getReport", intervalType="year", **asked).json


def test_suspended_monitors_take_nothing(monitor):
    """By id or by tag, until they are activated again."""
    number = monitor.make_monitor("Rest")
    assert monitor.post("suspendMonitors", monitorIds=number).body == OK
    assert monitor.add(number, NOON, "user_login:a").json == {"status": "Monitor is suspended"}
    assert monitor.get("getMonitorInfo", monitorId=number).json["isSuspended"]
    assert monitor.post("activateMonitors", tag="Rest").body == OK
    assert monitor.add(number, NOON, "user_login:a").body == OK


def test_accounts_do_not_see_each_other(monitor):
    """A monitor of one account is unknown to the other, by every action that names one."""
    number = monitor.make_monitor("Mine")
    mine = monitor.other
    assert mine.get("getMonitors").json == []
    assert mine.get("getMonitorInfo", monitorId=number).json == {"error": "Invalid monitorId"}
    for action in ("deleteMonitor", "editMonitor"):
        assert mine.post(action, monitorId=number).json == {"status": "Invalid monitorId"}
    assert monitor.other.raw("GET", f"/?key={mine.keys.page_key}").status == 303
    secret = mine.keys.secret_key
    crossed = monitor.get("authToken", secretkey=secret).json
    assert crossed == {"error": "Authentication failure"}


@pytest.fixture(name="fresh")
def _fresh(tmp_path):
    """A monitor that nobody was wrong with."""
    with running_monitor(tmp_path) as (_, caller):
        caller.directory = tmp_path
        yield caller


def test_keys_for_a_password(fresh):
    """Off without a login; with one, MD5 and SHA-256 in hex fetch both keys."""
    monitor = fresh
    refused = {"error": "Invalid username or password"}
    digests = [form(b"geheim").hexdigest() for form in (md5, sha256)]
    ask = lambda word: monitor.get("apikey", userName="eve", password=word).json  # noqa: E731
    assert ask(digests[0]) == refused
    assert monitor.get("secretkey").json == {"error": "Authentication failure"}
    save_login(monitor.directory, "eve", "geheim")
    both = {"apikey": monitor.keys.api_key, "secretkey": monitor.keys.secret_key}
    assert [both, both, refused] == [ask(word) for word in (*digests, "geheim")]
    assert monitor.get("secretkey").json == {"secretkey": monitor.keys.secret_key}


def test_a_login_is_kept_as_hashes_only(tmp_path):
    """Neither the password nor what clients send of it stands in the file, mode 0600."""
    path = save_login(tmp_path, "eve", "geheim")
    text = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert not any(form(b"geheim").hexdigest() in text for form in (md5, sha256))
    assert not PasswordLogin.load(tmp_path).fits("bob", md5(b"geheim").hexdigest())


def test_wrong_guesses_have_to_wait():
    """After so many failures the next one waits; others do not, and memory is bounded."""
    now = [0.0]
    attempts = Attempts(3, 10.0, stopwatch=lambda: now[0])
    for _ in range(3):
        assert attempts.locked("a") == 0
        attempts.failed("a")
    assert (10, 0) == (attempts.locked("a"), attempts.locked("b"))
    now[0] = 10.0
    assert attempts.locked("a") == 0
    for number in range(2 * REMEMBERED):
        attempts.failed(str(number))
    assert len(attempts._full_at) == REMEMBERED


def test_an_ipv6_network_is_one_address():
    """Who has a /64 has no more tries than others."""
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1")


@pytest.mark.parametrize("action", ["apikey", "userkey"])
def test_guesses_at_once_do_not_pass_the_limit(tmp_path, action):
    """Of 100 passwords sent at the same moment five are looked at; keys beside them count on."""
    with running_monitor(tmp_path / "data") as (_, caller):
        save_login(tmp_path / "data", "eve", "geheim")

        def guess(number):
            return caller.get(action, userName="eve", password=f"{number:064x}")

        with ThreadPoolExecutor(100) as pool:
            answers = list(pool.map(guess, range(100)))
        statuses = Counter(answer.status for answer in answers)
        locked = next(answer for answer in answers if answer.status == 429)
        right = caller.get(action, userName="eve", password=sha256(b"geheim").hexdigest())
        assert caller.make_monitor("m")
    assert {200: 5, 429: 95} == statuses
    assert locked.headers["retry-after"].isdigit()
    assert "error" in locked.json
    assert 429 == right.status


def test_wrong_keys_lock_nobody_out(tmp_path):
    """Beside a flood of them from its own address an agent delivers, after a restart too."""
    done = Event()

    def flood(caller):
        while not done.is_set():
            with suppress(OSError, HTTPException):
                caller.get("authToken", secretkey="wrong")
                caller.form(caller.signed("addResult") | {"checksum": "wrong"})

    for _ in range(2):
        done.clear()
        with running_monitor(tmp_path / "data") as (_, caller), ThreadPoolExecutor(4) as pool:
            for _ in range(4):
                pool.submit(flood, caller)
            try:
                wrong = [caller.get("authToken", secretkey=str(n)).status for n in range(30)]
                began = monotonic()
                answer = caller.add(caller.make_monitor(str(began)), 1, "user_login:alice")
                took = monotonic() - began
            finally:
                done.set()
        assert {200} == {*wrong}
        assert b'{"status":"ok","data":null}' == answer.body
        assert took < 2


def test_old_and_excess_results_go(tmp_path):
    """By age and by size the oldest go first, a chunk at a time."""

    async def scenario(retention):
        store = Store.open(tmp_path / str(retention.days))
        monitor = await store.add_monitor(Definition("m", "m", "", {}))
        days = [Result(NOON - day * 24 * HOUR, {"user_login": "u" * 900}) for day in range(3000)]
        for first in range(0, 3000, 500):
            await store.add_results(monitor, days[first : first + 500])
        tidier = Tidier(retention, now=lambda: NOON / 1000)
        while await store._writer.write(tidier):
            pass
        count = "SELECT count(*), min(checktime) FROM results"
        found = await store.read(lambda connection: connection.execute(count).fetchone())
        store.close()
        return found

    by_age, oldest = asyncio.run(scenario(Retention(days=10)))
    assert (11, NOON - 10 * 24 * HOUR) == (by_age, oldest)
    by_size, _ = asyncio.run(scenario(Retention(mebibytes=6)))
    assert 0 < by_size < 3000


def test_a_forgotten_person_is_nowhere_on_the_disk(tmp_path):
    """No file of the data directory holds the name any more; others' results stay."""

    async def scenario():
        store = Store.open(tmp_path)
        monitor = await store.add_monitor(Definition("m", "m", "", {}))
        people = ("zacharias", "alice")
        rows = [Result(NOON + n, {"user_login": people[n % 2], "host": "h"}) for n in range(5000)]
        await store.add_results(monitor, rows)
        await store.read(lambda connection: connection.execute("SELECT 1").fetchone())
        erased = await store.forget("zacharias")
        left = await store.read(lambda c: c.execute("SELECT count(*) FROM results").fetchone()[0])
        held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        store.close()
        return erased, left, held

    erased, left, held = asyncio.run(scenario())
    assert (2500, 2500) == (erased, left)
    assert b"alice" in held
    assert b"zacharias" not in held


def test_a_backup_of_a_running_monitor(monitor, tmp_path):
    """It is complete, opens as a database, holds no key, and overwrites nothing."""
    number = monitor.make_monitor("Backup")
    monitor.add(number, NOON, "user_login:kept")
    target = tmp_path / "copy.sqlite"
    assert back_up(monitor.directory, target) == target.stat().st_size
    assert target.stat().st_mode & 0o777 == 0o600
    assert monitor.keys.secret_key.encode() not in target.read_bytes()
    with pytest.raises(Exception, match="there already"):
        back_up(monitor.directory, target)
    copy = sqlite3.connect(target)
    query = "SELECT count(*) FROM results WHERE user_login='kept'"
    assert copy.execute(query).fetchone() == (1,)
    copy.close()


def test_a_store_that_cannot_be_read_is_an_answer(tmp_path):
    """A damaged database gives 503 in the protocol's form, no traceback."""
    with running_monitor(tmp_path) as (_, caller):
        number = caller.make_monitor("Broken")
        caller.add(number, NOON, "user_login:a")
    database = sqlite3.connect(tmp_path / DATABASE)
    query = "SELECT rootpage FROM sqlite_schema WHERE name='monitors'"
    (page,) = database.execute(query).fetchone()
    database.close()
    with (tmp_path / DATABASE).open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    with running_monitor(tmp_path) as (_, caller):
        answer = caller.get("getMonitorInfo", monitorId=number)
    assert answer.status == 503
    assert "try again later" in answer.json["error"]


NAMES = st.sampled_from(
    [
        "monitorId",
        "monitorIds",
        "checktime",
        "results",
        "name",
        "tag",
        "resultParams",
        "monitorParams",
        "dateFrom",
        "dateTo",
        "additionalResults",
        "guiStyle",
        "interval",
        "intervalType",
        "timezone",
        "year",
        "month",
        "day",
        "output",
        "user",
        "multiValue",
        "authToken",
        "validation",
        "version",
    ]
)
VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["1", "0", "-1", "xml", "9" * 18, "253402300799999", "a:A::2;b:B::1", "a:1;b:true", "[]"]
    ),
    st.sampled_from(['[{"a":1}]', '[{"id":"\\ud800"}]', "month", "day", "-1440", "1440", "token"]),
)


@pytest.fixture(name="fuzzed", scope="module")
def _fuzzed(tmp_path_factory):
    """A monitor for those who do nearly everything wrong, and are made to wait for it."""
    with running_monitor(tmp_path_factory.mktemp("fuzzed")) as (_, caller):
        yield caller


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([*READS, *WRITES, "authToken", "secretkey", "nothing"]),
    st.dictionaries(NAMES, VALUES, max_size=8),
)
def test_whatever_is_sent_is_answered(fuzzed, action, params):
    """Each action with any parameters: never a server error, always an answer that parses."""
    params = {name: text.encode("utf-8", "replace").decode() for name, text in params.items()}
    params.pop("validation", None)
    send = fuzzed.post if action in WRITES else fuzzed.get
    answer = send(action, **params)
    assert answer.status in (200, 429)
    if answer.body.startswith(b"<"):
        parse_xml(answer.body)
    else:
        json.loads(answer.body)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_whatever_a_body_holds_is_answered(fuzzed, body):
    """Raw bytes in place of a form get an answer of the protocol."""
    query = urlencode({"action": "addResult", "apikey": fuzzed.keys.api_key})
    answer = fuzzed.raw("POST", f"/api?{query}", body)
    assert answer.status in (200, 400, 429)
    assert "status" in answer.json
