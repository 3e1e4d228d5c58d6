"""``status`` and ``top`` before a socket that lies, and the agent's own before clients that do."""

import json
import os
import socket
import struct
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
from commands import run
from running import eventually
from status_sample import STATUS

from logwatch_monitis.agent import control as controls
from logwatch_monitis.agent.control import MOST_REQUESTS, Control, ask
from logwatch_monitis.config.paths import SOCKET_NAME

HEAD = b"HTTP/1.0 200 OK\r\n\r\n"


def endless(connection):
    """Send for ever."""
    connection.sendall(HEAD)
    while True:
        connection.sendall(b"x" * 65_536)


def drip(connection):
    """Send a byte now and then."""
    while True:
        connection.sendall(b"H")
        time.sleep(0.05)


def sends(answer):
    """Send this and close."""
    return lambda connection: connection.sendall(answer)


def says(status, recent=()):
    """Answer as an agent with this status does."""

    def answer(connection):
        page = connection.recv(1000).split()[1]
        body = json.dumps(recent if page == b"/recent" else status).encode()
        connection.sendall(HEAD + (b"good" if page == b"/readyz" else body))

    return answer


@contextmanager
def listening(directory, answer):
    """Listen where an agent would, and answer like that."""
    directory.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(directory / SOCKET_NAME))
        server.listen()

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(60)
                    try:
                        answer(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.fixture(name="config_file")
def _config_file(tmp_path):
    """A configuration whose state is in a directory of the test."""
    path = tmp_path / "config.yaml"
    path.write_text(f"state_directory: {tmp_path}/state\n")
    return path


SOURCE = STATUS["sources"][0]
LOGIN = {"time": 1.0, "user_login": "a", "host": "h", "srv": "s", "method": "", "machine": "m"}
NONSENSE = {
    "endless": endless,
    "drip": drip,
    "nothing": sends(b""),
    "no HTTP": sends(b"\x00\xff\r\n\r\n"),
    "no code": sends(b"HTTP/1.0 abc\r\n\r\n{}"),
    "deep": sends(HEAD + b"[" * 100_000),
    "large number": sends(HEAD + b'{"pid": ' + b"9" * 5000 + b"}"),
    "list": says([]),
    "text": says("x"),
    "deep status": says(json.loads("[" * 200 + "]" * 200)),
    "sources no list": says(STATUS | {"sources": 3}),
    "source no mapping": says(STATUS | {"sources": ["x"]}),
    "log no text": says(STATUS | {"sources": [SOURCE | {"log": ["x"]}]}),
    "moment too late": says(STATUS | {"since": 1e300}),
    "moment infinite": says(STATUS | {"since": float("inf")}),
    "moment text": says(STATUS | {"since": "x"}),
    "count too large": says(STATUS | {"sources": [SOURCE | {"lines": 10**400}]}),
    "events no counts": says(STATUS | {"events": {"x": "y"}}),
    "recent no list": says(STATUS, {"x": 1}),
    "recent without sense": says(STATUS, [LOGIN | {"time": "x"}]),
}
"""What may answer in an agent's place."""


@pytest.mark.parametrize("command", ["status", "top"])
@pytest.mark.parametrize("kind", NONSENSE)
def test_whatever_answers_is_one_line(kind, command, config_file, tmp_path, monkeypatch):
    """No memory without end, no waiting without end, no traceback: a sentence, and exit code 1."""
    if command == "status" and kind.startswith("recent"):
        return
    monkeypatch.setattr(controls, "ANSWER_S", 1.0)
    with listening(tmp_path / "state", NONSENSE[kind]):
        result = run(command, "-c", config_file)

    assert (result.code, result.out) == (1, "")
    assert len(result.err.splitlines()) == 1
    assert str(tmp_path / "state") in result.err


@pytest.mark.parametrize("command", ["status", "top"])
def test_what_an_answer_says_is_inert_in_the_terminal(command, config_file, tmp_path):
    """Escape characters in any value are shown, not obeyed."""

    def evil(value):
        if isinstance(value, dict):
            return {key: evil(part) for key, part in value.items()}
        if isinstance(value, list):
            return list(map(evil, value))
        return "\x1b]0;evil\x07\u202e" if isinstance(value, str) or value is None else value

    moments = dict.fromkeys(("last_line", "last_login"), 1.0)
    status = evil(STATUS) | {"sources": [evil({"log": "", "state": "", "detail": ""}) | moments]}
    status["delivery"]["last_delivery"] = 1.0
    status["configuration"] = {"needs_restart": evil([""])}
    with listening(tmp_path / "state", says(status, [evil(LOGIN)])):
        result = run(command, "-c", config_file)

    assert result.code in {0, 1}
    assert r"\x1b]0;evil" in result.out
    assert not {"\x1b", "\x07", "\u202e"} & set(result.out + result.err)


@pytest.mark.parametrize("command", ["status", "top"])
def test_an_older_agent_that_says_less_is_shown(command, config_file, tmp_path):
    """What is missing is left open; a new version can look at an agent that still runs."""
    with listening(tmp_path / "state", says({"state": "ok", "new": {"x": [1]}})):
        result = run(command, "-c", config_file)

    assert (result.code, result.err) == (0, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_stranger_who_listens_in_our_directory_is_not_asked(config_file, tmp_path):
    """The message names who it is."""
    (tmp_path / "state").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "state" / SOCKET_NAME))
        os.seteuid(65_534)
        try:
            server.listen()
        finally:
            os.seteuid(0)
        result = run("status", "-c", config_file)

    assert (result.code, result.out) == (1, "")
    assert f"user 65534 listens in {tmp_path}/state, which is not theirs" in result.err


@pytest.fixture(name="events")
def _events():
    """What a control says of its troubles."""
    return []


@pytest.fixture(name="agent")
def _agent(tmp_path, events):
    """A control whose metrics are broken."""
    control = Control(
        status=lambda: {"state": "ok"},
        ready=lambda: (True, "ready"),
        metrics=lambda: bytes(1 // 0),
        events=events.append,
    )
    control.listen_unix(tmp_path)
    yield tmp_path
    control.close()


def connected(directory):
    """Return a connection to a control."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(directory / SOCKET_NAME))
    return connection


def test_a_client_that_is_gone_is_no_news(tmp_path, capfd):
    """A reset at any moment prints nothing; the next one is answered."""
    before = threading.active_count()
    control = Control(status=lambda: {"x": "y" * 10_000_000}, ready=tuple, metrics=bytes)
    host, port = control.listen_tcp("127.0.0.1", 0)
    control.listen_unix(tmp_path)
    for request in (b"", b"GET /st", b"GET /status HTTP/1.0\r\n\r\n"):
        for client in (socket.create_connection((host, port)), connected(tmp_path)):
            with client:
                client.sendall(request)
                if client.family == socket.AF_INET:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert ask(tmp_path, "/healthz")[0] == 200
    assert eventually(lambda: threading.active_count() <= before + 3, 60)
    control.close()

    assert capfd.readouterr() == ("", "")


def test_a_page_that_fails_is_one_line_and_an_answer(agent, events, capfd):
    """The others go on."""
    assert ask(agent, "/metrics") == (500, b"internal error\n")
    assert ask(agent, "/healthz") == (200, b"ok\n")
    assert [str(event).partition(",")[0] for event in events] == [
        "/metrics could not be answered: internal error"
    ]
    assert capfd.readouterr() == ("", "")


def test_idle_clients_keep_nobody_out(agent):
    """With all places taken the oldest one goes; there are never more threads than places."""
    before = threading.active_count()
    with ExitStack() as stack:
        for _ in range(3 * MOST_REQUESTS):
            stack.enter_context(connected(agent)).sendall(b"GET /")
        assert ask(agent, "/healthz") == (200, b"ok\n")
        assert eventually(lambda: threading.active_count() <= before + MOST_REQUESTS)


def test_a_slow_or_long_request_ends(agent, monkeypatch):
    """A request that drips, and one without end, are given up."""
    monkeypatch.setattr(controls, "REQUEST_S", 0.5)
    with connected(agent) as slow:
        slow.settimeout(30)
        slow.sendall(b"GET /healthz HTT")
        assert slow.recv(1) == b""
    with connected(agent) as long:
        long.settimeout(30)
        try:
            long.sendall(b"GET /" + b"x" * 10_000_000)
            answer = long.recv(100)
        except OSError:
            answer = b""
        assert b" 200 " not in answer
