"""Keys stay in the memory of who uses them, whatever fails, and that memory stays private."""

import json
import os
from pathlib import Path

import pytest
from commands import process
from fake_monitor import (
    API_KEY,
    SECRET_KEY,
    TOKEN,
    FakeMonitor,
    answer,
    garbage,
    redirect,
    reset,
    web_page,
)
from running import Running, eventually

LINE = "2026-11-22T21:41:45+00:00 web1 sshd[7]: Accepted password for a from 192.0.2.7 port 5\n"
DEBUG = {"LOGWATCH_MONITIS_DEBUG": "1"}


def echo(exchange):
    """Answer with all that was asked, keys included."""
    exchange.send(json.dumps({"error": repr(exchange.request.params)}).encode(), 403)


FAULTS = {
    "an error": answer(500),
    "all that was sent, in an error": echo,
    "a page": web_page(),
    "no HTTP": garbage(),
    "a reset": reset(),
    "a redirect": redirect("http://elsewhere.invalid/?secretkey=x"),
}


def configured(tmp_path, server, validation):
    """Return a configuration with everything told, for this server."""
    key = tmp_path / "secret-key"
    key.write_text(SECRET_KEY)
    key.chmod(0o600)
    keys = f"api_key: {API_KEY}, secret_key_file: {key}, validation: {validation}"
    return f"monitor: {{url: '{server.url}', {keys}}}\nlog: {{level: debug}}\n"


def written_by(process):
    """Return what can be seen of a process; its environment by root alone."""
    place = Path("/proc", str(process.pid))
    if os.geteuid() == 0:
        return (place / "cmdline").read_text() + (place / "environ").read_text()
    with pytest.raises(PermissionError):
        (place / "environ").read_text()
    return (place / "cmdline").read_text()


@pytest.mark.parametrize("validation", ["hmac", "token"])
@pytest.mark.parametrize("fault", FAULTS)
def test_no_key_leaves_the_agent(tmp_path, fault, validation):
    """Debug on, writes fail: nothing in argv, environment, log, status or state; no core file."""
    log = tmp_path / "auth.log"
    log.touch()
    before = ["env", *(f"{name}={value}" for name, value in DEBUG.items())]
    with FakeMonitor() as server:
        for action in ("addMonitor", "addResult"):
            server.always(FAULTS[fault], action=action)
        config = configured(tmp_path, server, validation)
        with Running(tmp_path, [log], config, before=before).start() as run:
            log.write_text(LINE)
            assert eventually(lambda: run.status()["delivery"]["state"] != "ok")
            seen = run.text() + repr(run.status()) + written_by(run.process)
            limits = Path("/proc", str(run.process.pid), "limits").read_text()
            held = [path.read_bytes() for path in run.state.rglob("*") if path.is_file()]
        assert ("authToken" in server.actions()) == (validation == "token")

    for secret in (SECRET_KEY, API_KEY, TOKEN.partition("{")[0]):
        assert secret not in seen
        assert not any(secret.encode() in data for data in held)
    assert "Max core file size        0                    0 " in limits


COMMANDS = [
    ("check", "--online"),
    ("monitor", "token"),
    ("monitor", "list"),
    ("monitor", "create", "--name", "x", "--tag", "x", "--result-params", "a:b:c:3"),
]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        *((words, fault) for words in COMMANDS for fault in FAULTS),
        (("backfill",), "all that was sent, in an error"),
    ],
)
def test_no_key_leaves_a_command(tmp_path, words, fault, monkeypatch):
    """Debug on, the server fails, the secret key in the environment: nothing of it is printed."""
    log, config = tmp_path / "auth.log", tmp_path / "config.yaml"
    log.write_text(LINE)
    with FakeMonitor() as server:
        server.always(FAULTS[fault])
        text = configured(tmp_path, server, "hmac")
        config.write_text(f"state_directory: {tmp_path}/state\n{text}")
        files = (log,) if words == ("backfill",) else ()
        done = process(*words, *files, "-c", config, env=os.environ | DEBUG)

    assert done.code != 0
    assert done.err + done.out
    assert SECRET_KEY not in done.err + done.out
    assert API_KEY not in done.err + done.out
