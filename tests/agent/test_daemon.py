"""The running agent, watched from outside."""

import os
import shutil
import signal
from datetime import UTC, datetime

import pytest
from chaos import children_of, status_of
from running import Running, eventually

PATTERN = """\
service: vault
program: [vault]
rules:
  - name: login
    line: |
      {user} opened the vault from {host:ip}
    accept:
      - {line: 'alice opened the vault from 192.0.2.7', user: alice, host: 192.0.2.7}
"""


def _line(program: str, message: str) -> str:
    return f"{datetime.now(UTC).isoformat(timespec='microseconds')} web1 {program}[7]: {message}\n"


@pytest.fixture(name="log")
def _log(tmp_path):
    """An empty log."""
    path = tmp_path / "auth.log"
    path.touch()
    return path


def _append(log, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def test_says_what_it_watches_and_what_it_waits_for(log, tmp_path):
    """Each log gets a line in plain words, and the page's address carries its key."""
    missing = tmp_path / "secure"
    with Running(tmp_path, [log, missing]).start() as run:
        text = run.text()

    assert f"Watching {log}\n" in text
    assert f"Waiting for {missing}, which does not exist yet\n" in text
    assert "/?key=" in run.page


def test_what_is_no_log_yet(log, tmp_path):
    """A glob that matches nothing is waited for; for a directory it says what to name instead."""
    with Running(tmp_path, [f"{tmp_path}/*.none", tmp_path]).start() as run:
        text, sources = run.text(), run.status()["sources"]

    assert f"Waiting for files like {tmp_path}/*.none, none exists yet\n" in text
    assert f"warning: {tmp_path} cannot be read: it is a directory\n" in text
    assert f"Cannot read {tmp_path}: it is a directory; name its files, as {tmp_path}/*" in text
    assert ["unreadable", "waiting"] == [source["state"] for source in sources]


def test_a_file_that_appears_later_is_read_from_its_first_byte(tmp_path):
    """The very first line of a new log is on the page."""
    log = tmp_path / "auth.log"
    with Running(tmp_path, [log]).start() as run:
        log.write_text(_line("sshd", "Accepted password for alice from 192.0.2.7 port 5 ssh2"))
        rows = eventually(run.logins)

    assert [(row["user_login"], row["host"], row["srv"]) for row in rows] == [
        ("alice", "192.0.2.7", "sshd")
    ]


def test_new_pattern_files_are_used_and_broken_ones_are_not(log, tmp_path):
    """A file dropped in is in force without a restart; a mistake keeps the former rules."""
    patterns = tmp_path / "patterns.d"
    patterns.mkdir(mode=0o755)
    with Running(tmp_path, [log], f"patterns: {{directories: [{patterns}]}}\n").start() as run:
        (patterns / "vault.yaml").write_text(PATTERN)
        assert eventually(lambda: "read again" in run.text())
        (patterns / "vault.yaml").write_text(PATTERN.replace("{host:ip}", "{host:ipp}"))
        assert eventually(lambda: "former ones stay in force" in run.text())
        _append(log, _line("vault", "alice opened the vault from 192.0.2.7"))
        rows = eventually(run.logins)
        status = run.status()

    assert [row["srv"] for row in rows] == ["vault"]
    assert status["patterns"]["failures"] == 1
    assert "unknown kind 'ipp'" in status["patterns"]["error"]


def test_hangup_reloads_at_once(log, tmp_path):
    """SIGHUP reads the pattern files again and does not end the agent."""
    with Running(tmp_path, [log]).start() as run:
        run.process.send_signal(signal.SIGHUP)

        assert eventually(lambda: "read again" in run.text())
        assert run.stop() == 0


def test_status_tells_of_a_monitor_that_died(log, tmp_path):
    """How often, when and with which exit status it ended; it answers again."""
    with Running(tmp_path, [log]).start() as run:
        for child in children_of(run.process.pid):
            os.kill(child, signal.SIGKILL)
        assert eventually(lambda: run.status()["monitor"]["restarts"])
        monitor = run.status()["monitor"]
        _, text = status_of(run)
        assert eventually(lambda: run.text().count("The embedded monitor listens") == 2)

    assert (monitor["restarts"], monitor["exit_status"]) == (1, -9)
    assert "(ended by itself 1 time and was started again, last " in text


def test_a_second_agent_is_refused(log, tmp_path):
    """One state, one agent: the second one says who is first, with exit code 75."""
    with Running(tmp_path, [log]).start() as run:
        second = Running(tmp_path, [log])
        second.output = tmp_path / "second"
        with pytest.raises(AssertionError, match=str(run.process.pid)):
            second.start()

        assert second.process.wait(10) == 75


def test_ignored_logins_are_counted_and_not_sent(log, tmp_path):
    """The monitoring account is in the figures and not on the page."""
    with Running(tmp_path, [log], "ignore: {users: [nagios]}\n").start() as run:
        for user in ("nagios", "alice"):
            _append(log, _line("sshd", f"Accepted password for {user} from 192.0.2.7 port 5 ssh2"))
        rows = eventually(run.logins)
        status = run.status()

    assert [row["user_login"] for row in rows] == ["alice"]
    assert (status["events"], status["spool"]["ignored"]) == ({"sshd/accepted": 2}, 1)


def test_an_agent_whose_state_was_removed_leaves_it_to_the_next_one(log, tmp_path):
    """Two agents never share a state, though the lock was removed together with everything else."""
    with Running(tmp_path, [log]).start() as first:
        shutil.rmtree(first.state)
        with Running(tmp_path, [log]) as second:
            second.output = tmp_path / "second"
            _append(log, _line("sshd", "Accepted password for alice from 192.0.2.7 port 5 ssh2"))

            assert first.process.wait(30) == 75
            assert f"process {second.process.pid}" in first.text()
            assert [row["user_login"] for row in eventually(second.logins)] == ["alice"]
            assert second.status()["state"] == "ok"
