"""What a monitor that fails makes of the agent: one clear line, a true status, nothing lost."""

import contextlib
import itertools
import os
import time
from pathlib import Path

import pytest
from chaos import (
    Log,
    descendants_of,
    exactly,
    expected,
    plain_config,
    status_of,
    taken_by,
)
from fake_monitor import API_KEY, SECRET_KEY, FakeMonitor, answer, hang, lost_reply, web_page
from running import eventually

from logwatch_monitis.interfaces import SystemClock
from logwatch_monitis.sources.files.checkpoint import load
from logwatch_monitis.spool import Spool

MENDS_ITSELF = {
    "an error 500": (answer(500, "Internal Server Error"), "HTTP 500"),
    "an error in a 200": (answer(200, {"error": "Database is down"}), "Database is down"),
    "a captive portal": (web_page(), "captive portal"),
}
WRONG_KEYS = {
    "a wrong key": ({"key": "WRONGKEY00000000000000001"}, "Invalid api key"),
    "a wrong secret": ({"secret": "WRONGSECRET000000000000001"}, "Invalid checksum"),
}


@pytest.fixture(name="log")
def _log(tmp_path):
    """An empty log with an account of what is written to it."""
    return Log(tmp_path / "auth.log")


def complaints(run):
    """Return the lines in which the agent complains."""
    return [line for line in run.text().splitlines() if "warning:" in line or "error:" in line]


def assert_unhealthy(run, words):
    """Demand one line and a status that say what is wrong, both in these words."""
    assert eventually(lambda: complaints(run))
    (line,) = complaints(run)
    code, text = status_of(run)
    assert words in line
    assert code == 1
    assert "not healthy" in text
    assert words in text


@pytest.mark.parametrize("name", MENDS_ITSELF)
def test_a_failing_monitor_is_waited_for(log, tmp_path, name, agent_of):
    """However often it is tried again, one line tells of it; when it is well, all arrives once."""
    fault, words = MENDS_ITSELF[name]
    with FakeMonitor() as server:
        run = agent_of(log.path, config=plain_config(server, tmp_path)).start()
        server.always(fault, "addResult")
        log.append(3)
        assert eventually(lambda: server.actions().count("addResult") >= 3)
        assert_unhealthy(run, words)
        server.always(None, "addResult")
        exactly(expected(log), lambda: taken_by(server), 60)
        assert eventually(lambda: "Delivery works again" in run.text())
        assert status_of(run)[0] == 0
        assert len(complaints(run)) == 1
        assert run.stop() == 0


def test_a_no_from_something_in_between_costs_no_id(log, tmp_path, agent_of):
    """What a gateway answers for our own monitor does not make the agent take it for another one.

    It would leave out the ids then, and the monitor could not know a repeated login again.
    """

    def gateway(exchange):
        exchange.server.ours = False
        exchange.send(b'{"error":"Service is down"}')
        exchange.server.ours = True

    with FakeMonitor(ours=True) as server:
        server.program(gateway, lost_reply(), action="addResult")
        run = agent_of(log.path, config=plain_config(server, tmp_path)).start()
        log.append()
        assert eventually(lambda: server.actions().count("addResult") == 3)
        log.append(3)
        exactly(expected(log), lambda: taken_by(server), 60)
        assert run.stop() == 0


def test_an_unreachable_monitor_is_waited_for(log, tmp_path, agent_of):
    """An agent that starts while nobody listens goes on; the logins arrive when somebody does."""
    with FakeMonitor() as server:
        port = server.port
    run = agent_of(log.path, config=plain_config(f"http://127.0.0.1:{port}", tmp_path)).start()
    log.append(3)
    assert_unhealthy(run, "refused")
    with FakeMonitor(port=port) as server:
        exactly(expected(log), lambda: taken_by(server), 60)
        assert eventually(lambda: status_of(run)[0] == 0)
        assert len(complaints(run)) == 1
        assert run.stop() == 0


@pytest.mark.parametrize("name", WRONG_KEYS)
def test_wrong_keys_lose_nothing(log, tmp_path, name, agent_of):
    """Who has mistyped a key is told so; with the right one the agent delivers what waited."""
    keys, words = WRONG_KEYS[name]
    with FakeMonitor() as server:
        run = agent_of(log.path, config=plain_config(server, tmp_path, **keys)).start()
        log.append(3)
        assert_unhealthy(run, words)
        assert_no_secrets(run, [SECRET_KEY, *keys.values()])
        assert run.stop() == 0
        run = agent_of(log.path, config=plain_config(server, tmp_path)).start()
        exactly(expected(log), lambda: taken_by(server), 60)
        assert status_of(run)[0] == 0
        assert run.stop() == 0


def assert_no_secrets(run, secrets):
    """Demand that no output, no command line, no environment and no state holds a secret."""
    places = {"output": run.output.read_bytes(), "status": status_of(run)[1].encode()}
    for pid in descendants_of(run.process.pid):
        for name in ("cmdline", "environ"):
            with contextlib.suppress(PermissionError):  # not even its own user may look
                places[f"{name} of {pid}"] = Path(f"/proc/{pid}/{name}").read_bytes()
    files = (path for path in run.state.rglob("*") if path.is_file())
    places |= {str(path): path.read_bytes() for path in files}
    found = [
        place
        for (place, data), secret in itertools.product(places.items(), secrets)
        if secret.encode() in data
    ]
    assert found == []


def test_secrets_stay_where_they_are(log, tmp_path, agent_of):
    """Neither token nor key is in an output, a command line or the state, though all goes wrong."""
    with FakeMonitor() as server:
        config = plain_config(server, tmp_path) + "  validation: token\n"
        run = agent_of(log.path, config=config).start()
        log.append()
        exactly(expected(log), lambda: taken_by(server), 60)
        echo = f"Database is down for {API_KEY} {SECRET_KEY} {server.tokens[0]}"
        server.always(answer(200, {"error": echo}))
        log.append()
        assert_unhealthy(run, "Database is down for")
        assert_no_secrets(run, [SECRET_KEY, *server.tokens])
        assert run.stop() == 0


def test_a_stop_does_not_wait_for_a_slow_server(log, tmp_path, agent_of):
    """With a request under way that nobody answers it ends in time; the login goes out later."""
    with FakeMonitor() as server:
        run = agent_of(log.path, config=plain_config(server, tmp_path)).start()
        server.always(hang(), "addResult")
        log.append()
        assert eventually(lambda: "addResult" in server.actions())
        begun = time.monotonic()
        assert run.stop() == 0
        assert time.monotonic() - begun < 5 + slowness()
        server.always(None, "addResult")
        run.start()
        exactly(expected(log), lambda: taken_by(server), 60)
        assert run.stop() == 0


def taken_into_spool(run):
    """Return how many logins the spool of an agent has taken."""
    with Spool.look(run.state, clock=SystemClock(), events=lambda _: None) as spool:
        return spool.summary().seen


def test_a_stop_does_not_wait_for_a_backlog(log, agent_of):
    """Amid a hundred thousand lines it ends before the last one, and notes how far it came."""
    log.append(60_000)
    run = agent_of(log.path).launch("--from-start")
    assert eventually(lambda: "reading from byte 0" in run.text())
    assert eventually(lambda: taken_into_spool(run))
    assert run.stop() == 0
    taken = taken_into_spool(run)
    with Spool.look(run.state, clock=SystemClock(), events=lambda _: None) as spool:
        checkpoint = load(spool.positions()[str(log.path)].checkpoint)
    passed = log.path.read_bytes()[: checkpoint.files[-1].place.offset]
    assert 0 < taken < 60_000
    assert taken == passed.count(b"Accepted password")


def slowness() -> float:
    """Return seconds to allow for a machine that is busy with other things."""
    return 2 * os.getloadavg()[0] / (os.cpu_count() or 1)
