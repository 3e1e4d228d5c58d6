"""The monitor's side of the protocol, asked over real HTTP and judged to the byte."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlencode

import pytest
from real_monitor import LOGIN_PARAMS, running_monitor, stamp

from logwatch_monitis.config.keys import Keys
from logwatch_monitis.protocol.wire import Result, encode_batch
from logwatch_monitis.server.api.authentication import TOKEN_LIFETIME, Authenticator
from logwatch_monitis.server.store.writer import OperationRefused

NOON = 1_795_348_800_000  # 2026-11-22 12:00:00 UTC
ALICE = "user_login:alice;host:192.0.2.7;srv:sshd"
OK = b'{"status":"ok","data":null}'


@pytest.fixture(scope="module")
def monitor(tmp_path_factory):
    """One monitor for all tests of this module; each makes monitors of its own in it."""
    with running_monitor(tmp_path_factory.mktemp("api") / "data") as (_, caller):
        yield caller


@pytest.mark.parametrize("path", ["/api", "/api/", "/customMonitorApi", "/customMonitorApi/"])
def test_token_is_the_only_key_of_one_short_line(monitor, path):
    """Old clients cut the token out by position and want letters and digits only."""
    answer = monitor.get("authToken", path, secretkey=monitor.keys.secret_key)
    assert re.fullmatch(rb'\{"authToken":"[0-9A-V]{26}"\}', answer.body)


def test_token_in_xml(monitor):
    """The token is an element authToken inside a root."""
    answer = monitor.get("authToken", "/api", secretkey=monitor.keys.secret_key, output="XML")
    assert re.fullmatch(rb"<result><authToken>\w{26}</authToken></result>", answer.body)
    assert "application/xml; charset=utf-8" == answer.headers["content-type"]


@pytest.mark.parametrize(
    ("params", "body"),
    [
        ({"secretkey": "wrong"}, b'{"error":"Authentication failure"}'),
        ({}, b'{"error":"Authentication failure"}'),
        ({"apikey": "wrong"}, b'{"error":"Authentication failure"}'),
        ({"secretkey": "wrong", "output": "xml"}, b"<error>Authentication failure</error>"),
    ],
)
def test_token_for_wrong_keys_is_refused_in_the_services_words(monitor, params, body):
    """Missing or wrong keys get the text that old clients compare with."""
    assert body == monitor.get("authToken", "/api", **params).body


def test_the_announcement_is_on_every_answer_of_the_protocol(monitor):
    """The agent recognises its own kind of monitor by a header, on errors too."""
    answers = [monitor.get("getMonitors"), monitor.get("nonsense"), monitor.post("addResult")]
    assert ["1", "1", "1"] == [answer.headers["x-logwatch-monitis"] for answer in answers]


def test_life_of_a_monitor_to_the_byte(monitor):
    """Create, find by tag, describe, delete: each answer has exactly the form clients cut."""
    made = monitor.post(
        "addMonitor", name="Life", tag="lifeTag", type="t", resultParams=LOGIN_PARAMS
    )
    number = re.fullmatch(rb'\{"status":"ok","data":(\d+)\}', made.body)[1].decode()
    listed = monitor.get("getMonitors", tag="lifeTag").body
    assert f'[{{"id":"{number}","name":"Life","tag":"lifeTag","type":"t"}}]'.encode() == listed
    xml = monitor.get("getMonitors", tag="lifeTag", output="XML").body
    fields = f"<id>{number}</id><name>Life</name><tag>lifeTag</tag><type>t</type>"
    assert f"<monitors><monitor>{fields}</monitor></monitors>".encode() == xml
    assert OK == monitor.post("deleteMonitor", monitorId=number).body
    assert b"[]" == monitor.get("getMonitors", tag="lifeTag").body
    gone = monitor.get("getMonitorInfo", monitorId=number).body
    assert b'{"error":"Invalid monitorId"}' == gone


def test_a_name_is_taken_once_until_it_is_deleted(monitor):
    """A second monitor of one name is refused with «exists»; a deleted name is free, its id not."""
    first = monitor.make_monitor("Twin")
    again = monitor.post("addMonitor", name="Twin", tag="other", resultParams=LOGIN_PARAMS)
    assert b'{"status":"Monitor with that name already exists"}' == again.body
    monitor.post("deleteMonitor", monitorId=first)
    assert int(first) < int(monitor.make_monitor("Twin"))


def test_info_names_every_parameter(monitor):
    """The info tells what addMonitor was told, numbered, dataType as a number."""
    made = monitor.post(
        "addMonitor",
        name="Info",
        tag="info",
        resultParams="position:Position:N/A:2;",
        additionalResultParams="page:Page::3",
        monitorParams="engine:Engine:www:3:false;key:Key:x:3:true",
    ).json["data"]
    info = monitor.get("getMonitorInfo", monitorId=made, excludeHidden="true").body
    assert (
        f'{{"id":"{made}","name":"Info","tag":"info","type":"","resultParams":[{{"id":"1",'
        '"name":"position","displayName":"Position","uom":"N/A","dataType":2}],'
        '"additionalResultParams":[{"id":"1","name":"page","displayName":"Page","uom":"",'
        '"dataType":3}],"monitorParams":[{"id":"1","name":"engine","displayName":"Engine",'
        '"value":"www","dataType":3}]}'
    ).encode() == info
    shown = monitor.get("getMonitorInfo", monitorId=made).json["monitorParams"]
    assert ["engine", "key"] == [row["name"] for row in shown]


def test_body_with_raw_semicolons_and_colons(monitor):
    """The original script sends its lists unescaped."""
    number = monitor.make_monitor("Raw")
    results = "user_login:bob;host:2001:db8::1;srv:sshd"
    pairs = monitor.signed("addResult", monitorId=number, checktime=str(NOON), results=results)
    rest = urlencode({name: value for name, value in pairs.items() if name != "results"})
    answer = monitor.raw("POST", "/customMonitorApi", f"{rest}&results={results}")
    assert OK == answer.body
    assert "2001:db8::1" == monitor.rows(number)[0]["host"]


def test_everything_in_the_query_of_a_post_without_body(monitor):
    """The Java SDK sends its POSTs so."""
    number = monitor.make_monitor("Java")
    pairs = monitor.signed("addResult", monitorId=number, checktime=str(NOON), results=ALICE)
    assert OK == monitor.raw("POST", f"/customMonitorApi?{urlencode(pairs)}").body
    assert 1 == len(monitor.rows(number))


def test_results_of_a_day_in_a_time_zone(monitor):
    """A day begins at midnight of the asked zone; checkTime is local, checkTimeInGMT is not."""
    number = monitor.make_monitor("Day")
    late = NOON + int(11.5 * 3_600_000)
    monitor.add(number, late, ALICE)
    row = '{"user_login":"alice","host":"192.0.2.7","srv":"sshd","checkTime":"%s",'
    row += f'"checkTimeInGMT":{late}}}'
    asked = {"monitorId": number, "year": "2026", "month": "11"}
    utc = monitor.get("getMonitorResults", day="22", **asked).body
    assert f"[{row % '2026-11-22 23:30'}]".encode() == utc
    east = monitor.get("getMonitorResults", day="23", timezone="60", **asked).body
    assert f"[{row % '2026-11-23 00:30'}]".encode() == east
    assert [] == monitor.rows(number, timezone="60")


def test_results_in_xml(monitor):
    """One element per result, one child per parameter."""
    number = monitor.make_monitor("Xml")
    monitor.add(number, NOON, "user_login:<a&b>;srv:sshd")
    parts = {"monitorId": number, "year": "2026", "month": "11", "day": "22", "output": "xml"}
    assert (
        "<results><result><user_login>&lt;a&amp;b&gt;</user_login><srv>sshd</srv>"
        f"<checkTime>2026-11-22 12:00</checkTime><checkTimeInGMT>{NOON}</checkTimeInGMT>"
        "</result></results>"
    ).encode() == monitor.get("getMonitorResults", **parts).body
    done = monitor.post("deleteMonitor", monitorId=number, output="xml").body
    assert b"<result><status>ok</status><data></data></result>" == done


def test_values_come_back_as_their_parameter_says(monitor):
    """Numbers and truth values are such in JSON; what has no parameter is text."""
    params = "n:N:s:2;x:X:s:4;b:B::1;s:S::3"
    number = monitor.make_monitor("Types", params)
    monitor.add(number, NOON, "n:007;x:1.50;b:TRUE;s:12;extra:1")
    row = {"n": 7, "x": 1.5, "b": True, "s": "12", "extra": "1"}
    assert row == {name: monitor.rows(number)[0][name] for name in row}


def test_seconds_are_taken_for_seconds(monitor):
    """The Perl SDK sends checktime in seconds."""
    number = monitor.make_monitor("Perl")
    monitor.add(number, NOON // 1000, ALICE)
    assert [NOON] == [row["checkTimeInGMT"] for row in monitor.rows(number)]


@pytest.mark.parametrize("mode", [{"validation": "token"}, {}])
def test_a_token_in_place_of_a_signature(monitor, mode):
    """A token validates a write, named as the way of validation or just sent."""
    number = monitor.make_monitor(f"Token {mode}")
    token = monitor.get("authToken", secretkey=monitor.keys.secret_key).json["authToken"]
    pairs = {"action": "addResult", "apiKey": monitor.keys.api_key, "authToken": token}
    pairs |= mode | {"monitorId": number, "checktime": str(NOON), "results": ALICE}
    assert OK == monitor.form(pairs).body
    assert b"Invalid" in monitor.form(pairs | {"authToken": token[:-1] + "!"}).body
    flipped = ("0" if token[8] != "0" else "1").join([token[:8], token[9:]])
    assert b"Invalid" in monitor.form(pairs | {"authToken": flipped}).body


class FixedClock:
    """A clock that stands until it is set."""

    def __init__(self, now):
        self.time = now

    def now(self):
        """Return the time that was set."""
        return self.time

    monotonic = now


def test_a_token_lasts_a_day_and_then_says_expired():
    """Clients renew when they read «expire»; another account's token is just invalid."""
    clock = FixedClock(NOON / 1000)
    keys = Keys("API", "SECRET", "PAGE")
    auth = Authenticator(keys, clock)
    token = auth.make_token({"apikey": "API", "secretkey": "SECRET"})
    write = {"apikey": "API", "validation": "token", "authToken": token}
    clock.time += TOKEN_LIFETIME
    auth.check_write(write)
    with pytest.raises(OperationRefused, match="Invalid"):
        Authenticator(Keys("API", "OTHER", "PAGE"), clock).check_write(write)
    clock.time += 1
    with pytest.raises(OperationRefused, match="expire"):
        auth.check_write(write)


def test_a_wrong_signature_stores_nothing(monitor):
    """Changing any signed parameter is noticed."""
    number = monitor.make_monitor("Forged")
    pairs = monitor.signed("addResult", monitorId=number, checktime=str(NOON), results=ALICE)
    forged = monitor.form(pairs | {"results": ALICE.replace("alice", "mallory")})
    assert b'{"status":"Invalid checksum"}' == forged.body
    assert [] == monitor.rows(number)


def test_plus_signs_of_a_signature_may_arrive_as_blanks(monitor):
    """The old PHP SDK does not escape its base64."""
    number = monitor.make_monitor("Plus")
    signed = (
        monitor.signed("addResult", monitorId=number, checktime=str(NOON + n), results=ALICE)
        for n in range(1000)
    )
    pairs = next(pairs for pairs in signed if "+" in pairs["checksum"])
    answer = monitor.form(pairs | {"checksum": pairs["checksum"].replace("+", " ")})
    assert OK == answer.body


@pytest.mark.parametrize(
    ("action", "params", "body"),
    [
        ("addResult", {}, b'{"status":"Missing parameter: monitorId"}'),
        ("addResult", {"monitorId": "1x"}, b'{"status":"Invalid monitorId"}'),
        ("addMonitor", {"name": "x"}, b'{"status":"Missing parameter: tag"}'),
        (
            "addResult",
            {"monitorId": "999999", "checktime": "1", "results": "a:b"},
            b'{"status":"Invalid monitorId"}',
        ),
        (
            "addResult",
            {"monitorId": "1", "checktime": "yesterday", "results": "a:b"},
            b'{"status":"checktime must be milliseconds since 1970"}',
        ),
        (
            "addResults",
            {"monitorId": "1", "results": "[]"},
            b'{"status":"results must be a JSON array of 1 to 500 objects"}',
        ),
        (
            "addMonitor",
            {"name": "x", "tag": "y", "resultParams": "z:Z:s:9"},
            b'{"status":"unknown data type of z; 1 to 4 are known"}',
        ),
    ],
)
def test_what_is_wrong_with_a_write_is_its_status(monitor, action, params, body):
    """The text stands where «ok» would stand, with HTTP 200."""
    answer = monitor.post(action, **params)
    assert (200, body) == (answer.status, answer.body)


@pytest.mark.parametrize(
    ("action", "params", "body"),
    [
        ("getMonitors", {"apikey": "wrong"}, b'{"error":"Invalid api key"}'),
        ("getMonitors", {"apikey": "wrong", "output": "xml"}, b"<error>Invalid api key</error>"),
        ("getNothing", {}, b'{"error":"Invalid action"}'),
        ("getMonitorInfo", {}, b'{"error":"Missing parameter: monitorId"}'),
        ("getMonitorInfo", {"monitorId": "-1"}, b'{"error":"Invalid monitorId"}'),
    ],
)
def test_what_is_wrong_with_a_read_is_its_error(monitor, action, params, body):
    """Where an array is expected, an object with error says what is wrong."""
    answer = monitor.get(action, **params)
    assert (200, body) == (answer.status, answer.body)


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"month": "13"}, "Invalid year, month or day"),
        ({"year": "10000"}, "Invalid year, month or day"),
        ({"timezone": "UTC"}, "Invalid timezone: minutes east of GMT are wanted"),
        ({"timezone": "1441"}, "Invalid timezone: minutes east of GMT are wanted"),
    ],
)
def test_a_day_that_is_none_is_refused(monitor, params, error):
    """Dates and zones out of range are named, not guessed."""
    number = monitor.make_monitor(f"Dates {params}")
    day = {"monitorId": number, "year": "2026", "month": "11", "day": "22"}
    assert {"error": error} == monitor.get("getMonitorResults", **(day | params)).json


def batch(*users, **facts):
    """Return a batch with one login for each user."""
    rows = ({"user_login": user, "host": "192.0.2.7", "srv": "sshd"} for user in users)
    return encode_batch(
        [
            Result(NOON + n, row, {"id": f"{row['user_login']}", **facts})
            for n, row in enumerate(rows)
        ]
    )


def test_a_batch_is_stored_whole_or_not_at_all(monitor):
    """One bad entry keeps all of its batch out; its number is told."""
    number = monitor.make_monitor("Batch")
    broken = json.dumps([*json.loads(batch("a", "b")), {"checktime": NOON, "results": "nonsense"}])
    answer = monitor.post("addResults", monitorId=number, results=broken)
    assert "entry 2" in answer.json["status"]
    assert [] == monitor.rows(number)
    answer = monitor.post("addResults", monitorId=number, results=batch("a", "b"))
    assert b'{"status":"ok","data":2}' == answer.body
    assert ["a", "b"] == [row["user_login"] for row in monitor.rows(number)]


def test_an_event_is_known_by_its_id_however_it_comes(monitor):
    """A retry after a lost reply has another timestamp, perhaps another batch, but the same id."""
    number = monitor.make_monitor("Once")
    monitor.post("addResults", monitorId=number, results=batch("a", "b"))
    answer = monitor.post(
        "addResults", monitorId=number, results=batch("b", "c"), timestamp=stamp(time.time())
    )
    assert b'{"status":"ok","data":2}' == answer.body
    monitor.add(number, NOON, ALICE, additionalResults='[{"id":"c"}]')
    assert ["a", "b", "c"] == sorted(row["user_login"] for row in monitor.rows(number))


def test_without_id_only_the_identical_request_is_a_repeat(monitor):
    """Same timestamp and signature: a repeat. Another second, or another value: another login."""
    number = monitor.make_monitor("Repeat")
    now = time.time()
    for moment in (now, now, now + 1):
        assert OK == monitor.add(number, NOON, ALICE, timestamp=stamp(moment)).body
    assert 2 == len(monitor.rows(number))
    twins = encode_batch([Result(NOON, {"user_login": "twin"})] * 2)
    for _ in range(2):
        monitor.post("addResults", monitorId=number, results=twins, timestamp=stamp(now))
    assert 4 == len(monitor.rows(number))


def test_ten_parallel_logins_of_one_second_are_ten(monitor):
    """Requests without ids that differ in any value are all kept, also when they come at once."""
    number = monitor.make_monitor("Ten")
    users = [f"user_login:u{n};host:192.0.2.7;srv:sshd" for n in range(10)]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda results: monitor.add(number, NOON, results).body, users))
    assert [OK] * 10 == answers
    assert 10 == len(monitor.rows(number))


def test_deleting_a_list_is_all_or_nothing(monitor):
    """A wrong id in the list leaves the others alone."""
    numbers = [monitor.make_monitor(name) for name in ("Delete 1", "Delete 2")]
    wrong = monitor.post("deleteMonitor", monitorId=f"{numbers[0]},999999")
    assert b'{"status":"Invalid monitorId"}' == wrong.body
    assert 1 == len(monitor.get("getMonitors", tag="Delete 1").json)
    assert OK == monitor.post("deleteMonitor", monitorId=", ".join(numbers)).body
    assert [] == monitor.get("getMonitors", name="Delete 1").json


def test_methods_of_no_use_are_named_so(monitor):
    """Writes are POSTs; anything but GET and POST is refused with what is allowed."""
    pairs = urlencode(monitor.signed("addResult"))
    answers = [
        monitor.raw("PUT", "/customMonitorApi"),
        monitor.raw("GET", f"/customMonitorApi?{pairs}"),
    ]
    assert [(405, "GET, POST")] * 2 == [(x.status, x.headers["allow"]) for x in answers]


def test_a_body_has_a_limit(monitor):
    """More than 4 MiB is refused, whether announced or just sent."""
    answer = monitor.raw("POST", "/api", b"x" * (4 * 1024 * 1024 + 1))
    assert 413 == answer.status
    chunks = (b"x" * 65536 for _ in range(65))
    with suppress(ConnectionError):  # or it was cut off before all was sent
        assert 413 == monitor.raw("POST", "/api", chunks).status


def test_too_many_parameters_are_refused(monitor):
    """A body of thousands of pairs costs nobody any time."""
    answer = monitor.raw("POST", "/api", b"a=b&" * 10_000)
    assert (400, b'{"status":"more than 100 parameters"}') == (answer.status, answer.body)


def test_a_page_of_another_site_is_not_answered(monitor):
    """A browser names the page that a request comes from; strangers' pages get nothing."""
    target = f"/api?action=getMonitors&apikey={monitor.keys.api_key}"
    assert 403 == monitor.raw("GET", target, headers={"Origin": "http://evil.example"}).status
    own = {"Origin": f"http://{monitor.address}"}
    assert 200 == monitor.raw("GET", target, headers=own).status
