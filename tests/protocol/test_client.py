"""The client against a real server that follows the protocol, or does not."""

from datetime import date

import pytest
from fake_monitor import (
    API_KEY,
    SECRET_KEY,
    FakeMonitor,
    Stored,
    answer,
    lost_reply,
    web_page,
)
from spools import SetClock

from logwatch_monitis.errors import MonitorError, SetupError, UnreachableError
from logwatch_monitis.protocol.client import MonitisClient, MonitorRow
from logwatch_monitis.protocol.errors import (
    BusyError,
    DeniedError,
    ForbiddenError,
    NameTakenError,
    NoSuchMonitorError,
    RefusedError,
    TokenExpiredError,
    UnclearError,
    UnknownActionError,
    WrongTimeError,
)
from logwatch_monitis.protocol.events import ClockDiffers, SignedInClear
from logwatch_monitis.protocol.transport import RequestsTransport
from logwatch_monitis.protocol.wire import LOGIN_PARAMETERS, Result

VALUES = {"user_login": "alice;b:c", "host": "2001:db8::1", "srv": "sshd"}
RESULT = Result(1310578200000, VALUES, {"id": "ab", "verified": False})


@pytest.fixture(name="server")
def _server():
    """A plain server."""
    with FakeMonitor() as server:
        yield server


@pytest.fixture(name="clock")
def _clock():
    """A clock that is set by hand."""
    return SetClock(1310578200.0)


@pytest.fixture(name="connect")
def _connect(server, clock):
    """Makes clients of the server."""
    transport = RequestsTransport(connect=1, read=1, total=2)
    keys = {"api_key": API_KEY, "secret_key": SECRET_KEY}

    def connect(url=server.url, **options):
        return MonitisClient(url, **(keys | options), transport=transport, clock=clock)

    yield connect
    transport.close()


@pytest.fixture(name="client")
def _client(connect):
    """A client of the plain server that signs."""
    return connect()


def test_life_of_a_monitor(server, client):
    """Create, find by tag in JSON and in XML, add a result, read it, delete: all signed right."""
    created = client.add_monitor("Login Monitor", "loginMonitor", LOGIN_PARAMETERS)
    client.add_monitor("Other", "other", LOGIN_PARAMETERS)
    client.add_result(created, RESULT)

    expected = [MonitorRow("305", "Login Monitor", "loginMonitor", "")]
    assert expected == client.monitors("loginMonitor")
    assert expected == client.monitors("loginMonitor", output="xml")
    assert client.monitors("third") == []
    assert client.monitor_info("305")["name"] == "Login Monitor"
    assert [Stored("305", 1310578200000, VALUES, {})] == server.results
    assert client.results("305", date(2011, 7, 13)) == [VALUES | {"checkTimeInGMT": 1310578200000}]
    client.delete_monitor(created)
    assert [row.name for row in client.monitors()] == ["Other"]
    assert server.unknown == []


def test_post_form(server, client):
    """A write carries exactly the documented parameters; the timestamp is UTC to the second."""
    with pytest.raises(NoSuchMonitorError):
        client.add_result("1", RESULT)

    checksum = server.requests[0].params.pop("checksum")
    assert len(checksum) == 28
    assert server.requests[0].params == {
        "action": "addResult",
        "apikey": API_KEY,
        "version": "2",
        "timestamp": "2011-07-13 17:30:00",
        "monitorId": "1",
        "checktime": "1310578200000",
        "results": "user_login:alice%3Bb%3Ac;host:2001%3Adb8%3A%3A1;srv:sshd",
    }
    assert server.requests[0].path == "/customMonitorApi"


def test_only_our_own_monitor_is_told_more(connect, client):
    """Additional results and batches go to a server that announces itself, and to no other."""
    with pytest.raises(ValueError, match="our own"):
        client.add_results("305", [RESULT])
    with FakeMonitor(ours=True) as ours:
        client = connect(ours.url)
        created = client.add_monitor("Login Monitor", "loginMonitor", LOGIN_PARAMETERS)
        client.add_result(created, RESULT)
        client.add_results(created, [RESULT, RESULT._replace(additional={"id": "cd"})])

        assert [result.additional for result in ours.results] == [
            {"id": "ab", "verified": False},
            {"id": "cd"},
        ]
        ours.program(lost_reply())
        with pytest.raises(UnreachableError):
            client.add_result(created, RESULT)
        assert client.ours is None, "whoever answers next has not announced itself"


def test_token_mode(server, connect, clock):
    """A token is bought once, kept for twelve hours, and never sent with a signature."""
    client = connect(validation="token")
    created = client.add_monitor("Login Monitor", "loginMonitor", LOGIN_PARAMETERS)
    client.add_result(created, RESULT)
    clock.time += 12 * 3600
    client.add_result(created, RESULT)

    assert server.actions() == ["authToken", "addMonitor", "addResult", "authToken", "addResult"]
    assert server.requests[0].path == "/api"
    assert "checksum" not in server.requests[1].params
    assert server.unknown == []


@pytest.mark.parametrize("words", ["Token has EXPIREd", "Invalid token", "Invalid"])
def test_token_is_renewed(server, connect, words):
    """A token that the server no longer takes is renewed, and nothing is dropped."""
    client = connect(validation="token")
    created = client.add_monitor("Login Monitor", "loginMonitor", LOGIN_PARAMETERS)
    server.program(answer(200, {"error": words}), action="addResult")
    client.add_result(created, RESULT)

    assert server.users() == ["alice;b:c"]
    assert server.actions().count("authToken") == 2


def test_token_is_renewed_once(server, connect):
    """A server that takes no token at all is not asked for ever."""
    client = connect(validation="token")
    server.always(answer(403, {"error": "Token expired"}), "addMonitor")
    with pytest.raises(TokenExpiredError):
        client.add_monitor("Login Monitor", "loginMonitor", LOGIN_PARAMETERS)

    assert server.actions() == ["authToken", "addMonitor", "authToken", "addMonitor"]


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (answer(200, {"error": "Invalid api key"}), DeniedError, "Invalid api key"),
        (answer(403, {"error": "Authentication failure"}), DeniedError, "Authentication failure"),
        (answer(200, {"status": "Invalid checksum"}), DeniedError, "Invalid checksum"),
        (answer(403, {"error": "no"}), ForbiddenError, "no"),
        (answer(200, "<error>Invalid api key</error>"), DeniedError, "Invalid api key"),
        (answer(200, {"status": "Invalid monitorId"}), NoSuchMonitorError, "Invalid monitorId"),
        (answer(200, {"status": "monitorNameExists"}), NameTakenError, "monitorNameExists"),
        (answer(200, {"error": "That already exists"}), NameTakenError, "That already exists"),
        (answer(200, {"error": "Invalid action"}), UnknownActionError, "Invalid action"),
        (answer(200, {"status": "Invalid results"}), RefusedError, "Invalid results"),
        (answer(400, {"status": "no"}), RefusedError, "no"),
        (answer(413, {"error": "no"}), RefusedError, "no"),
        (answer(422, "<r><status>no</status></r>"), RefusedError, "no"),
        (answer(200, {"status": "error"}), UnclearError, "error"),
        (answer(200, {"status": "a\x1b[31m" + "b" * 500}), UnclearError, r"a\x1b[31mbbb"),
        (answer(500), BusyError, "HTTP 500, the answer is empty"),
        (answer(500, {"status": "storing results failed"}), BusyError, "HTTP 500, storing"),
        (answer(500, {"status": "ok"}), BusyError, "HTTP 500, no error is named"),
        (answer(503, {"error": "api key is over its rate"}), BusyError, "HTTP 503, api key"),
        (answer(404, "gone"), BusyError, "HTTP 404, the answer is broken"),
        (web_page(), BusyError, "a web page, as of a captive portal"),
        (web_page(502), BusyError, "HTTP 502, a web page"),
        (answer(200, "<html><body/></html>"), BusyError, "a web page"),
        (answer(200, ""), BusyError, "the answer is empty"),
        (answer(200, '{"status":"ok","da'), BusyError, "the answer is broken"),
        (answer(200, "null"), BusyError, "not one of this protocol"),
        (answer(200, "[]"), BusyError, "does not say ok"),
        (answer(200, {}), BusyError, "does not say ok"),
        (answer(200, {"data": 1}), BusyError, "does not say ok"),
        (answer(200, {"status": 0}), UnclearError, "0"),
        (answer(200, {"status": ""}), UnclearError, "no status"),
    ],
)
def test_answers_that_are_no_yes(server, client, fault, kind, text):
    """Each kind of answer is told apart by what there is to do; none but a clear ok is a yes."""
    server.program(fault)
    with pytest.raises(MonitorError) as caught:
        client.add_result("305", RESULT)

    assert kind is type(caught.value)
    assert text in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("value", ["OK", "Ok"])
def test_ok_in_capitals(server, client, value):
    """The word ok counts in any capitals, as old clients take it."""
    server.program(answer(200, {"status": value}))
    client.add_result("305", RESULT)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("Wed, 13 Jul 2011 17:31:00 GMT", 60.0),
        ("Wed, 13 Jul 2010 17:31:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("9" * 400, 999999999.0),
    ],
)
def test_retry_after(server, client, header, seconds):
    """Both forms of Retry-After are read; nonsense is none."""
    server.program(answer(429, {"error": "slow down"}, Retry_After=header))
    with pytest.raises(BusyError) as caught:
        client.monitors()

    assert seconds == caught.value.retry_after


def test_errors_keep_secrets(server, connect):
    """A server that repeats our keys in its error does not get them into our logs."""
    client = connect(validation="token")
    token = client.auth_token()
    server.program(answer(200, {"error": f"{API_KEY} {SECRET_KEY} {token}"}))
    with pytest.raises(UnclearError) as caught:
        client.add_result("305", RESULT)

    assert str(caught.value) == "the monitor says: *** *** ***"


def test_wrong_keys(connect):
    """A wrong api key and a wrong secret are refused by name, for writes, reads and tokens."""
    for options in ({"api_key": "X"}, {"secret_key": "X"}):
        with pytest.raises(DeniedError):
            connect(**options).add_monitor("a", "b", LOGIN_PARAMETERS)
        with pytest.raises(DeniedError, match=r"Invalid api key|Authentication failure"):
            connect(**options).auth_token()
    with pytest.raises(DeniedError, match="Invalid api key"):
        connect(api_key="X").monitors("b")


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://m.example.org/", "https://m.example.org"),
        ("http://m.example.org:81/a/customMonitorApi/", "http://m.example.org:81/a"),
        ("http://[::1]:8460/api", "http://[::1]:8460"),
    ],
)
def test_address(connect, url, base):
    """The protocol's paths are appended to whatever stands before them."""
    assert base == connect(url).url


@pytest.mark.parametrize(
    "url",
    [
        *("", "m.example.org", "ftp://m.example.org", "http://", "http://m:x/", "http://[::1"),
        *("http://user@m.org", "http://m.example.org/?apikey=SECRET", "http://m.org/#x"),
    ],
)
def test_address_refused(connect, url):
    """What is no address, or carries secrets, is refused without repeating it."""
    with pytest.raises(SetupError) as caught:
        connect(url)
    assert "SECRET" not in caught.value.render()


def test_no_secrets_in_clear_text(connect):
    """Tokens and plain HTTP go together on this machine only, or where the user says so."""
    remote = "http://monitor.invalid"
    with pytest.raises(SetupError, match=r"clear text to monitor\.invalid"):
        connect(remote, validation="token")
    with pytest.raises(SetupError, match="clear text"):
        connect(remote).auth_token()
    connect(remote, validation="token", insecure=True)
    connect("https://monitor.invalid", validation="token")
    for host in ("localhost", "127.9.9.9", "[::1]"):
        connect(f"http://{host}", validation="token")
    for host in ("127.evil.example", "localhost.evil.example", "0.0.0.0", "[::ffff:8.8.8.8]"):
        with pytest.raises(SetupError):
            connect(f"http://{host}", validation="token")


TOO_OLD = {"status": "Invalid timestamp: it is 2011-07-13 19:30:00 UTC here"}
TWO_HOURS_LATER = "Wed, 13 Jul 2011 19:30:00 GMT"


def test_a_wrong_clock_is_told_once_and_made_up_for(server, connect):
    """Refused for its time, a request is signed by the server's clock, as are all that follow."""
    events = []
    client = connect(events=events.append)
    created = client.add_monitor("Login Monitor", "loginMonitor", LOGIN_PARAMETERS)
    server.program(answer(200, TOO_OLD, Date=TWO_HOURS_LATER), action="addResult")
    client.add_result(created, RESULT)
    client.add_result(created, RESULT)

    stamps = [request.params["timestamp"] for request in server.requests]
    assert stamps == ["2011-07-13 17:30:00"] * 2 + ["2011-07-13 19:30:00"] * 2
    assert events == [ClockDiffers(7200)]
    assert "7200 s behind the monitor's" in str(events[0])
    assert len(server.results) == 2


@pytest.mark.parametrize("date", ["Wed, 13 Jul 2011 17:30:59 GMT", "", "soon"])
def test_a_time_that_is_refused_for_no_reason(server, connect, date):
    """Where the server's clock says the same, or nothing, the request is not sent again."""
    events = []
    server.always(answer(200, TOO_OLD, Date=date), "deleteMonitor")
    with pytest.raises(WrongTimeError, match="19:30:00 UTC here") as caught:
        connect(events=events.append).delete_monitor("305")

    assert "clocks" in caught.value.hint
    assert (server.actions(), events) == (["deleteMonitor"], [])


def test_reads_are_signed_where_that_is_asked_for(server, connect):
    """A read that is not answered without a proof is signed, or has a token, and so is the next."""
    refusal = answer(200, {"error": "Missing checksum: this monitor answers reads only with"})
    for mode, proof in (("hmac", "checksum"), ("token", "authToken")):
        server.program(refusal, action="getMonitors")
        client = connect(validation=mode)
        server.requests.clear()
        assert client.monitors() == client.monitors() == []
        reads = [request for request in server.requests if request.params["action"] != "authToken"]
        assert [proof in request.params for request in reads] == [False, True, True]
    assert server.unknown == []


def test_a_write_that_somebody_signed_in_the_same_second_is_meant_again(server, connect):
    """What a monitor has done before is signed anew; results are not, they were lost answers."""
    done = answer(200, {"status": "ok", "data": None}, X_Logwatch_Monitis_Repeated="1")
    server.program(done, answer(200, {"status": "ok"}), action="suspendMonitors")
    server.program(done, action="addResult")
    client = connect()
    client.suspend("305")
    client.add_result("305", RESULT)

    stamps = [request.params["timestamp"] for request in server.requests]
    assert server.actions() == ["suspendMonitors", "suspendMonitors", "addResult"]
    assert stamps == ["2011-07-13 17:30:00", "2011-07-13 17:30:01", "2011-07-13 17:30:00"]


def test_signing_in_the_clear_is_warned_of(connect):
    """Plain HTTP beyond this machine shows every login; who says so, or sends tokens, knows."""
    events = []
    for url in ("https://monitor.invalid", "http://localhost", "http://[::1]:8460"):
        connect(url, events=events.append)
    connect("http://monitor.invalid", insecure=True, events=events.append)
    assert events == []
    connect("http://monitor.invalid:81", events=events.append)
    assert events == [SignedInClear("http://monitor.invalid:81")]
    assert "monitor.invalid are signed but not encrypted" in str(events[0])
