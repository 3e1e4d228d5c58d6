"""``run`` as people and systemd start it: what it prints, and how it ends."""

import json
import signal
import socket

import pytest
from commands import EXAMPLE_LOG, denied, process, run, spawn

LOGINS_OF_THE_EXAMPLE = 13


@pytest.fixture(name="config_file")
def _config_file(tmp_path):
    """A configuration with its state in the test's directory and any port."""
    path = tmp_path / "config.yaml"
    path.write_text(f"state_directory: {tmp_path}/state\nlisten: 127.0.0.1:0\nmachine: web1\n")
    return path


def until(stream, text):
    """Return the lines of a stream up to one that holds *text*."""
    lines = []
    for line in stream:
        lines.append(line.decode())
        if text in lines[-1]:
            break
    return lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_what_it_watches_and_stops_cleanly(config_file, number):
    """The logs and the page are printed; SIGTERM and SIGINT end the daemon with 0."""
    with spawn("run", "-c", config_file, "--log", EXAMPLE_LOG) as started:
        lines = until(started.stdout, "http://")
        started.send_signal(number)
        code = started.wait(30)

    assert f"Watching {EXAMPLE_LOG}\n" in lines
    assert "/?key=" in lines[-1]
    assert code == 0


def test_a_second_one_is_refused(config_file):
    """Who comes second to a state gets 75 and is told who works on it."""
    with spawn("run", "-c", config_file, "--log", EXAMPLE_LOG) as started:
        until(started.stdout, "http://")
        second = process("run", "-c", config_file)
        started.send_signal(signal.SIGTERM)
        started.wait(30)

    assert second.code == 75
    assert f"process {started.pid}" in second.err


def test_a_dry_run_prints_and_keeps_nothing(config_file, tmp_path):
    """With --dry-run the logins are data on standard output, as jsonl in a pipe; no state."""
    with spawn(
        "run", "-c", config_file, "--dry-run", "--from-start", "--log", EXAMPLE_LOG
    ) as started:
        found = [json.loads(started.stdout.readline()) for _ in range(LOGINS_OF_THE_EXAMPLE)]
        started.send_signal(signal.SIGTERM)
        out, _ = started.communicate(timeout=30)

    assert (found[0]["user_login"], out, started.returncode) == ("alice", b"", 0)
    assert not (tmp_path / "state").exists()


def test_a_port_that_was_asked_for_and_is_taken(config_file):
    """A taken port is an error of the set-up if it was chosen."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        result = run("run", "-c", config_file, "--listen", address)

    assert (result.code, "is taken by another program" in result.err) == (78, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("monitor: {url: 'https://x.example.org'}", "the monitor's api key is not known"),
        ("monitr: {}", "unknown key 'monitr'"),
        (
            "monitor: {url: 'http://x.example.org', api_key: A, validation: token}",
            "secrets would cross the network in clear text",
        ),
    ],
)
def test_what_must_be_put_right_first(tmp_path, monkeypatch, text, message):
    """Missing keys, mistakes in the configuration and unsafe addresses give 78 and one reason."""
    monkeypatch.setenv("LOGWATCH_MONITIS_SECRET_KEY", "S")
    path = tmp_path / "config.yaml"
    where = "" if "monitr" in text else f"\nstate_directory: {tmp_path}/state\nlisten: 127.0.0.1:0"
    path.write_text(text + where)

    result = run("run", "-c", path, "--log", EXAMPLE_LOG)

    assert (result.code, message in result.err) == (78, True)


def test_all_logs_denied(config_file, tmp_path):
    """If none of the logs that exist may be read it ends with 77 and says what to do."""
    log = tmp_path / "auth.log"
    log.touch(0)
    for words in ((), ("--dry-run",)):
        result = denied("run", "-c", config_file, "--log", log, "--log", tmp_path / "none", *words)

        assert (result.code, f"may not read {log} (" in result.err) == (77, True)
