"""What a signature is worth: one request, read in one way, done once, and only for a while."""

import asyncio
import re
import time
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_monitor import LOGIN_PARAMS, monitor_at, running_monitor, stamp
from spools import SetClock

from logwatch_monitis.interfaces import Reply
from logwatch_monitis.protocol.actions import ACTIONS, unfit
from logwatch_monitis.protocol.client import MonitisClient
from logwatch_monitis.protocol.encoding import LOGIN_PARAMETERS, decode_parameters, decode_results
from logwatch_monitis.protocol.extensions import Result, decode_additional, decode_batch
from logwatch_monitis.protocol.request_parsing import parse_checktime, parse_params
from logwatch_monitis.protocol.signature import checksum
from logwatch_monitis.protocol.transport import RequestsTransport
from logwatch_monitis.server.api.authentication import Demands
from logwatch_monitis.server.api.freshness import is_fresh
from logwatch_monitis.server.api.read_actions import READS, monitor_ids
from logwatch_monitis.server.api.write_actions import WRITES
from logwatch_monitis.server.store.store import Store
from logwatch_monitis.server.store.writer import OperationRefused

NOON = 1_795_348_800_000  # 2026-11-22 12:00:00 UTC
NOW = NOON / 1000
ALICE = "user_login:alice;host:192.0.2.7;srv:sshd"
OK = b'{"status":"ok","data":null}'
MINUTE, HOUR = 60, 3600


@pytest.fixture(name="clock")
def _clock():
    """The monitor's clock."""
    return SetClock(NOW)


@pytest.fixture(name="monitor")
def _monitor(tmp_path, clock):
    """A monitor at noon."""
    with monitor_at(tmp_path / "data", clock) as caller:
        yield caller


def text_of(params):
    """Return what a signature of *params* covers."""
    return "".join(name + params[name] for name in sorted(params) if name != "checksum")


# -- names and values ------------------------------------------------------------------------------


def test_the_list_of_actions_is_the_servers():
    """What may be signed and what the server does are the same actions, reads and writes apart."""
    assert {name for name, action in ACTIONS.items() if action.write} == set(WRITES)
    assert {name for name, action in ACTIONS.items() if not action.write} == set(READS)


def test_a_signed_result_loses_none_of_its_parameters(monitor):
    """Cut anew, with the id hidden in an unknown name, a captured result is not stored again."""
    number = monitor.make_monitor("Cut")
    facts = '[{"id":"1"}]'
    pairs = monitor.signed(
        "addResult",
        monitorId=number,
        checktime=str(NOON),
        results=ALICE,
        additionalResults=facts,
    )
    assert monitor.form(pairs).body == OK
    for cut in range(2, len("additionalResults")):
        name = "additionalResults"[:cut]
        forged = {name: "additionalResults"[cut:] + facts} | pairs
        del forged["additionalResults"]
        assert text_of(forged) == text_of(pairs)
        assert b"Invalid parameter" in monitor.form(forged).body
    assert len(monitor.rows(number)) == 1


@pytest.mark.parametrize("extra", ["nonsense", "acti", "", "secretkey", "authtoken"])
def test_unknown_names_are_refused_where_a_signature_decides(monitor, extra):
    """A signed write with a name of no list is not done; with a token it is, and reads are."""
    number = monitor.make_monitor(f"Unknown {extra}")
    write = {"monitorId": number, "checktime": str(NOON), "results": ALICE, extra: "x"}
    assert extra in monitor.post("addResult", **write).json["status"]
    assert monitor.rows(number) == []
    token = monitor.get("authToken", secretkey=monitor.keys.secret_key).json["authToken"]
    pairs = {"action": "addResult", "apikey": monitor.keys.api_key, "authToken": token}
    assert monitor.form(pairs | write).body == OK
    assert len(monitor.rows(number, **{extra: "x"})) == 1


@pytest.mark.parametrize(
    "extra",
    [
        {"m_type": "x", "type": "y", "orderId": "7", "customUserAgentId": "1"},
        {"nocache": "1310578200000", "validation": "HMACSHA1", "output": "xml"},
        {"nocache": "0.53410100 1310578200", "output": "JSON", "version": "3"},
        {
            "agentId": "1",
            "agentName": "a b",
            "multiValue": "false",
            "monitorParams": "a:A:b:3:false",
        },
    ],
)
def test_names_that_old_clients_send_are_known(monitor, extra):
    """What each of them adds of its own to a signed definition does no harm."""
    params = {"name": f"Old {sorted(extra)}", "tag": "old", "resultParams": LOGIN_PARAMS} | extra
    assert b"ok" in monitor.post("addMonitor", **params).body


def test_the_key_by_another_name(monitor):
    """Publickey stands for apikey in a signed write; beside it it must be the same key."""
    base = {"action": "suspendMonitors", "tag": "none", "timestamp": stamp(NOW)}
    for names in ({"publickey": monitor.keys.api_key}, {"apiKey": monitor.keys.api_key}):
        pairs = base | names
        assert (
            monitor.form(pairs | {"checksum": checksum(monitor.keys.secret_key, pairs)}).body == OK
        )
    pairs = base | {"apikey": monitor.keys.api_key, "publickey": "other"}
    signed = pairs | {"checksum": checksum(monitor.keys.secret_key, pairs)}
    assert monitor.form(signed).json == {"status": "Invalid api key"}


def test_a_name_with_two_values_is_refused(monitor):
    """The signature covers one of them; the same value twice, as in query and body, is harmless."""
    number = monitor.make_monitor("Twice")
    pairs = monitor.signed("deleteMonitor", monitorId=number)
    body = "&".join(f"{name}={quote_plus(value)}" for name, value in pairs.items())
    twice = monitor.raw("POST", "/api", f"{body}&monitorId=999")
    assert "monitorId comes with two values" in twice.json["status"]
    assert monitor.raw("POST", f"/api?monitorId={number}", body).body == OK
    assert parse_params("a=1&a=2&b=1", b"b=1").repeated == {"a"}


# -- one text, one reading -------------------------------------------------------------------------


def cuts(text):
    """Return every way to cut a signed text into a request that the server would do."""
    names = sorted(frozenset().union(*(action.names for action in ACTIONS.values())))
    found = [dict(pairs) for pairs in _cut(text, names)]
    return [params for params in found if accepted(params)]


def _cut(text, names):
    for place, name in enumerate(names):
        if text.startswith(name):
            rest, later = text[len(name) :], names[place + 1 :]
            yield ((name, rest),)
            ends = {match.start() for x in later for match in re.finditer(f"(?={x})", rest)}
            for end in ends:
                yield from (((name, rest[:end]), *more) for more in _cut(rest[end:], later))


def accepted(params):
    """Say whether the server would do what *params* say, were the signature right."""
    action = params.get("action", "")
    if action not in ACTIONS or unfit(params) is not None:
        return False
    if not is_fresh(params.get("timestamp", ""), NOW, "15m", ours=ACTIONS[action].ours):
        return False
    if not all(params.get(name) for name in ACTIONS[action].needed):
        return False
    if params.get("apikey") != "KEY" or action in READS:
        return False
    try:
        _decode(action, params)
    except (ValueError, OperationRefused):
        return False
    return True


def _decode(action, params):
    monitor_ids(params.get("monitorId", "1"))
    monitor_ids(params.get("monitorIds") or "1")
    parse_checktime(params.get("checktime", "1"))
    decode_parameters(params.get("resultParams", ""))
    decode_additional(params.get("additionalResults", ""))
    if action == "addResults":
        decode_batch(params["results"])
    elif action == "addAdditionalResults":
        decode_additional(params["results"])
    elif action == "addResult":
        decode_results(params["results"])


class Recorder:
    """A transport that keeps what a client of our own signs."""

    def __init__(self):
        self.sent = []

    def send(self, method, url, params):
        """Take a request and say ok, as our own monitor."""
        self.sent.append(params)
        return Reply(200, {"x-logwatch-monitis": "1"}, b'{"status":"ok","data":1}')

    def close(self):
        """Close nothing."""


@pytest.fixture(name="recorder", scope="module")
def _recorder():
    """One for all examples."""
    return Recorder()


def client_of(recorder):
    """Return a client whose requests are kept, and that takes the other side for our own."""
    client = MonitisClient(
        "http://127.0.0.1", "KEY", "SECRET", transport=recorder, clock=SetClock(NOW)
    )
    client.ours = True
    return client


NAMES = sorted(frozenset().union(*(action.names for action in ACTIONS.values())))
VALUES = [*ACTIONS, "KEY", "1", "7", "a:b", "[]", '[{"id":"2"}]', "xml", stamp(NOW), "2", ";", ":"]
VALUES += [quote(stamp(NOW)), quote_plus(stamp(NOW)), str(NOON), "user_login:mallory", '"', "\\"]
HOSTILE = st.lists(
    st.one_of(st.sampled_from(NAMES), st.sampled_from(VALUES), st.text(max_size=3)), max_size=8
).map("".join)
UNREADABLE = st.sampled_from(
    [
        "actiondeleteMonitorapikeyKEYmonitorId1timestamp",
        f"apikeyKEYchecktime1monitorId7resultsa:btimestamp{quote(stamp(NOW))}version2",
        f"timestamp{quote_plus(stamp(NOW))}version2",
        "john.validation",
        "x" * 20 + "actiongetMonitorsapikeyKEYoutputxmltagx",
    ]
)
CRAFTED = st.one_of(HOSTILE, UNREADABLE)


@given(user=CRAFTED, host=CRAFTED, machine=CRAFTED)
def test_a_crafted_login_makes_the_agent_sign_nothing_else(recorder, user, host, machine):
    """Whatever a log line holds, what the agent signs reads as that login alone."""
    client = client_of(recorder)
    values = {"user_login": user, "host": host, "srv": "sshd"}
    result = Result(NOON, values, {"id": "a" * 32, "machine": machine, "method": user})
    client.add_result("1", result)
    client.add_results("1", [result, result])
    client.ours = False
    client.add_result("1", result)
    for sent in recorder.sent[-3:]:
        wanted = {name: text for name, text in sent.items() if name != "checksum"}
        assert cuts(text_of(sent)) == [wanted]
        # Nor does a server that takes any name find another action in it.
        assert text_of(sent).count("action") == 1


@given(text=CRAFTED, ids=st.lists(st.integers(1, 999).map(str), min_size=1, max_size=3))
def test_what_our_client_signs_by_hand_reads_in_one_way(recorder, text, ids):
    """Deleting, suspending, forgetting, adding facts, with parameters' names amid all texts."""
    client = client_of(recorder)
    before = len(recorder.sent)
    client.delete_monitor(*ids)
    client.suspend(*ids, tag=text)
    client.add_additional(ids[0], NOON, [{"port": text}])
    client.forget_user(f"x{text}")
    for sent in recorder.sent[before:]:
        wanted = {name: value for name, value in sent.items() if name != "checksum"}
        assert cuts(text_of(sent)) == [wanted]


RECORDED = [
    {"results": "user_login:bob;host:2001:db8::1;srv:sshd"},
    {"results": "user_login%3Aalice;host%3A192.0.2.7", "output": "xml"},
    {"results": "user_login%3Aalice%3Bhost%3A192.0.2.7", "nocache": "1310578200000"},
    {"results": 'n:[1,2];s:["a","b"]', "additionalResults": '[{"disk":"sda","used":90}]'},
    {"results": "status:Voltage and tag;resultsname:typeversion3", "validation": "HMACSHA1"},
]


@given(more=st.sampled_from(RECORDED), user=st.one_of(st.just(""), CRAFTED), form=st.integers(0, 2))
def test_results_of_old_clients_read_in_one_way(more, user, form):
    """Each form that old clients send, the user's name as raw as some of them send it."""
    when = (stamp(NOW), quote(stamp(NOW)), quote(stamp(NOW), safe=":"))[form]
    sent = {"action": "addResult", "apikey": "KEY", "monitorId": "305", "timestamp": when}
    sent |= {"checktime": str(NOON), "version": "2"} | more
    sent["results"] += f";user_login:{user}" if user else ""
    assert cuts(text_of(sent)) == ([sent] if accepted(sent) else [])


@pytest.mark.parametrize(
    "columns", ["v:Voltage:V:4", "n:Hostname and type:tag:3;stage:Stage:name:3"]
)
def test_columns_named_like_parameters_read_in_one_way(recorder, columns):
    """A definition of our own client escapes what could be taken for its tag or name."""
    client_of(recorder).add_monitor("Rack", "rack", decode_parameters(columns))
    sent = {name: text for name, text in recorder.sent[-1].items() if name != "checksum"}
    assert cuts(text_of(sent)) == [sent]
    assert decode_parameters(sent["resultParams"]) == decode_parameters(columns)


# -- the time of a request -------------------------------------------------------------------------


def local(hours, minutes=0):
    """Return the timestamp of a client in the zone of this offset from UTC."""
    return stamp(NOW + hours * HOUR + minutes * MINUTE)


def month_for_minutes(moment):
    """Return the timestamp of the client that prints the month where the minutes belong."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%m:%S")


@pytest.mark.parametrize(
    ("text", "old", "ours"),
    [
        (local(0), True, True),
        (local(0, 15), True, True),
        (local(0, -15), True, True),
        (local(0, 16), False, False),
        (local(0, -16), False, False),
        (local(14), True, False),
        (local(-12), True, False),
        (local(5, 45), True, False),
        (local(14, 16), False, False),
        (local(-12, -16), False, False),
        (quote(local(0)), True, False),
        (quote(local(2), safe=":"), True, False),
        (quote_plus(local(0)), True, False),
        (month_for_minutes(NOW), True, True),  # 12:11, which is right by chance
        (month_for_minutes(NOW + 9 * HOUR + 50 * MINUTE), True, False),
        (month_for_minutes(NOW - 13 * HOUR), False, False),
        (month_for_minutes(NOW + 16 * HOUR), False, False),
        ("2011-07-13 17:30:00", False, False),
        ("2026-11-22 12:00", False, False),
        ("2026-11-31 12:00:00", False, False),
        ("", False, False),
        ("now", False, False),
        ("9" * 5000, False, False),
    ],
)
def test_the_time_at_which_a_request_was_signed(text, old, ours):
    """Ours is now in UTC; of old clients it is now somewhere, in each form that they send."""
    assert (old, ours) == tuple(is_fresh(text, NOW, "15m", ours=x) for x in (False, True))


def test_wider_windows():
    """27h takes what is not more than that away, off takes anything."""
    assert is_fresh(local(26, 59), NOW, "27h", ours=True)
    assert not is_fresh(local(27, 1), NOW, "27h", ours=False)
    assert is_fresh("whatever", NOW, "off", ours=True)


def test_a_signed_write_of_another_time_is_refused(monitor, clock):
    """A suspension of years ago is none, nor is one without a time; the answer tells the time."""
    number = monitor.make_monitor("Late")
    old = monitor.signed("suspendMonitors", monitorIds=number, timestamp="2020-11-22 12:00:00")
    told = {"status": "Invalid timestamp: it is 2026-11-22 12:00:00 UTC here"}
    assert monitor.form(old).json == told
    pairs = {"action": "suspendMonitors", "apikey": monitor.keys.api_key, "monitorIds": number}
    pairs["checksum"] = checksum(monitor.keys.secret_key, pairs)
    assert monitor.form(pairs).json == {"status": "Missing parameter: timestamp"}
    assert "isSuspended" not in monitor.get("getMonitorInfo", monitorId=number).json


def test_the_window_can_be_opened(tmp_path, clock):
    """Off does what was done before there was a window: whatever is signed right is taken."""
    with monitor_at(tmp_path, clock, demands=Demands(window="off")) as caller:
        pairs = {"action": "suspendMonitors", "apikey": caller.keys.api_key, "tag": "x"}
        assert caller.form(pairs | {"checksum": checksum(caller.keys.secret_key, pairs)}).body == OK
        assert caller.post("suspendMonitors", tag="x", timestamp="2020-11-22 12:00:00").body == OK


# -- done once -------------------------------------------------------------------------------------


def test_a_repeated_write_is_answered_as_the_first_time(monitor):
    """A suspension sent again after an activation suspends nothing, a definition keeps its id."""
    made = monitor.signed("addMonitor", name="Once", tag="o", resultParams=LOGIN_PARAMS)
    first = monitor.form(made)
    number = str(first.json["data"])
    suspended = monitor.signed("suspendMonitors", monitorIds=number)
    assert monitor.form(suspended).body == OK
    monitor.post("activateMonitors", monitorIds=number)
    again = monitor.form(suspended)
    assert (again.body, again.headers["x-logwatch-monitis-repeated"]) == (OK, "1")
    assert "isSuspended" not in monitor.get("getMonitorInfo", monitorId=number).json
    monitor.post("deleteMonitor", monitorId=number)
    assert monitor.form(made).body == first.body
    assert "x-logwatch-monitis-repeated" not in first.headers
    assert monitor.get("getMonitors", tag="o").json == []


def test_a_signature_is_known_in_each_of_its_forms(monitor):
    """A blank for a plus sign makes no other request of it."""
    number = monitor.make_monitor("Forms")
    signed = (
        monitor.signed("addResult", monitorId=number, checktime=str(NOON + n), results=ALICE)
        for n in range(1000)
    )
    pairs = next(pairs for pairs in signed if "+" in pairs["checksum"])
    monitor.form(pairs)
    monitor.form(pairs | {"checksum": pairs["checksum"].replace("+", " ")})
    assert len(monitor.rows(number)) == 1


def test_what_was_done_is_known_after_a_restart_for_27_hours(tmp_path, clock):
    """Every kind of write; afterwards its timestamp is of no time on earth."""
    with monitor_at(tmp_path, clock) as caller:
        number = caller.make_monitor("Restart")
        result = {"monitorId": number, "checktime": str(NOON), "results": ALICE}
        east = stamp(NOW + 14 * HOUR)
        writes = [
            caller.signed("addResult", **result, timestamp=east),
            caller.signed("forgetUser", user="alice"),
            caller.signed("editMonitor", monitorId=number, tag="former", timestamp=east),
        ]
        first = [caller.form(pairs).body for pairs in writes]
        caller.post("editMonitor", monitorId=number, tag="latter")
        caller.add(number, NOON + 1, ALICE)
    with monitor_at(tmp_path, clock) as caller:
        assert [caller.form(pairs).body for pairs in writes] == first
        clock.time += 26 * HOUR
        caller.post("suspendMonitors", tag="nothing")  # and it tidies up
        assert caller.form(writes[0]).body == OK
        assert [row["checkTimeInGMT"] for row in caller.rows(number)] == [NOON + 1]
        assert caller.get("getMonitorInfo", monitorId=number).json["tag"] == "latter"
        clock.time += HOUR
        assert b"Invalid timestamp" in caller.form(writes[0]).body


def test_results_with_ids_leave_no_trace_and_the_rest_goes(tmp_path, clock):
    """Such a batch is known by its ids; of the others nothing is kept beyond its time."""

    def known():
        store = Store.open(tmp_path, now=clock.now)
        try:
            query = "SELECT count(*) FROM executed"
            return asyncio.run(store.read(lambda c: c.execute(query).fetchone()[0]))
        finally:
            store.close()

    with monitor_at(tmp_path, clock) as caller:
        number = caller.make_monitor("Trace")
        for n in range(3):
            caller.add(number, NOON, ALICE, additionalResults=f'[{{"id":"{n}"}}]')
    assert known() == 1
    clock.time += 27 * HOUR + 1
    end = time.monotonic() + 30
    while known() and time.monotonic() < end:
        pass
    assert known() == 0


# -- reads that need a proof -----------------------------------------------------------------------


@pytest.fixture(name="guarded")
def _guarded(tmp_path, clock):
    """A monitor that answers reads only with a proof."""
    with monitor_at(tmp_path / "guarded", clock, demands=Demands("proof")) as caller:
        yield caller


def test_the_public_key_alone_reads_nothing(guarded):
    """A signature of now or a token reads; the key, a wrong proof or an old one does not."""
    number = guarded.make_monitor("Guarded")
    guarded.add(number, NOON, ALICE)
    day = {"monitorId": number, "year": "2026", "month": "11", "day": "22"}
    asked = "Missing checksum: this monitor answers reads only with a proof"
    for action in READS:
        assert guarded.get(action, **day).json == {"error": asked}
    signed = guarded.signed("getMonitorResults", **day)
    assert [row["user_login"] for row in guarded.get(**signed).json] == ["alice"]
    assert guarded.get(**signed).json == guarded.get(**signed).json
    assert guarded.get(**signed | {"checksum": "x" * 28}).json == {"error": "Invalid checksum"}
    old = guarded.signed("getMonitorResults", **day, timestamp="2020-11-22 12:00:00")
    assert "Invalid timestamp" in guarded.get(**old).json["error"]
    token = guarded.get("authToken", secretkey=guarded.keys.secret_key).json["authToken"]
    proof = {"authToken": token, "validation": "token", "anything": "else"}
    assert len(guarded.get("getMonitorResults", **day, **proof).json) == 1


def test_a_signed_write_proves_no_read(guarded):
    """A login cut anew, so that it asks for the results in place of adding one, is refused."""
    number = guarded.make_monitor("Write")
    hidden = f"xactiongetMonitorsapikey{guarded.keys.api_key}tag"
    pairs = guarded.signed(
        "addResult", monitorId=number, checktime=str(NOON), results=hidden + ":y"
    )
    text = text_of(pairs)
    start, stop = text.index("actionget"), text.index("timestamp")
    forged = {"acti": text[4:start], "action": "getMonitors", "apikey": guarded.keys.api_key}
    forged |= {"tag": text[text.index("tag", start) + 3 : stop]}
    forged |= {name: pairs[name] for name in ("timestamp", "version", "checksum")}
    assert text_of(forged) == text
    assert "Invalid parameter" in guarded.get(**forged).json["error"]


def test_our_own_client_reads_where_a_proof_is_needed(guarded, clock):
    """It signs, or fetches a token, without being told before."""
    guarded.make_monitor("Ours")
    for mode in ("hmac", "token"):
        transport = RequestsTransport()
        keys = (guarded.keys.api_key, guarded.keys.secret_key)
        client = MonitisClient(
            guarded.address.url, *keys, validation=mode, transport=transport, clock=clock
        )
        assert [row.name for row in client.monitors()] == ["Ours"]
        transport.close()


def test_an_agent_whose_clock_is_wrong_delivers(tmp_path):
    """The real monitor's refusal says what time it is, and what is signed by that is taken."""
    events = []
    with running_monitor(tmp_path, reads="proof") as (_, caller):
        transport = RequestsTransport()
        client = MonitisClient(
            *(caller.address.url, caller.keys.api_key, caller.keys.secret_key),
            transport=transport,
            clock=SetClock(time.time() - 40 * 24 * HOUR),
            events=events.append,
        )
        assert client.monitors() == []
        created = client.add_monitor("Late", "late", LOGIN_PARAMETERS)
        result = Result(NOON, {"user_login": "alice"}, {"id": "x"})
        client.add_results(created, [result])
        assert [row["user_login"] for row in client.results(created, date(2026, 11, 22))] == [
            "alice"
        ]
        transport.close()
    assert [str(event)[:46] for event in events] == [
        "The clock of this machine is 40.0 days behind "
    ]


def test_the_documentation_has_every_parameter():
    """Each action's row names what it needs, and with an asterisk what may be left out."""
    text = (Path(__file__).parent.parent.parent / "docs" / "protocol.rst").read_text()
    rows = re.split(r"\n(?=``|====)", text[text.index("An asterisk marks") :])
    for action, (needed, optional, unread, *_) in ACTIONS.items():
        first = next((n for n, row in enumerate(rows) if row.startswith(f"``{action}``")), None)
        assert first is not None, f"docs/protocol.rst has no row for {action}"
        row = rows[first] if rows[first].count("``") > 2 else rows[first] + rows[first + 1]
        row = rows[first - 1] + row if action == "activateMonitors" else row
        assert all(f"``{name}``" in row for name in needed), action
        assert all(f"``{name}``\\*" in row for name in optional), action
        assert all(f"``{name}``" in text for name in unread), action
