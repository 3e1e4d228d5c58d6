"""Trouble with the state, and with single logins: said in one line, and nothing is lost."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from chaos import Log, embedded, exactly, expected, plain_config, taken_by
from commands import process, spawn
from fake_monitor import FakeMonitor, answer
from running import eventually

from logwatch_monitis.agent.control import ask


def may(*words):
    """Return whether a command can be run here."""
    return not subprocess.run([*words, "true"], capture_output=True, check=False).returncode


needs_mounts = pytest.mark.skipif(
    os.geteuid() != 0 or not may("unshare", "--mount"), reason="needs root and mount namespaces"
)


@pytest.fixture(name="log")
def _log(tmp_path):
    """An empty log with an account of what is written to it."""
    return Log(tmp_path / "auth.log")


def on_a_small_disk(state):
    """Return what starts a command that has its state on a disk of its own, of 4 MiB."""
    state.mkdir()
    script = 'mount -t tmpfs -o size=4m,mode=700 tmpfs "$0" && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(state)]


def inside(run):
    """Return the state directory of an agent with a disk of its own, as seen from here."""
    return Path(f"/proc/{run.process.pid}/root{run.state}")


def fill(path):
    """Write to a file until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def write_until(run, log, words):
    """Write logins until the agent has said something."""

    def attempt():
        log.append(50)
        return eventually(lambda: words in run.text(), 0.3)

    assert eventually(attempt)


@needs_mounts
def test_a_full_disk_pauses_reading(log, tmp_path, agent_of):
    """Without space it reads no further and says so once; with space again it goes on."""
    with FakeMonitor() as server:
        config = plain_config(server, tmp_path)
        run = agent_of(log.path, config=config, before=on_a_small_disk(tmp_path / "state")).start()
        server.always(answer(503), "addResult")
        fill(inside(run) / "other")
        write_until(run, log, "Reading pauses")
        code, why = ask(inside(run), "/readyz")
        log.append(50)
        (inside(run) / "other").unlink()
        assert eventually(lambda: "Reading goes on" in run.text())
        server.always(None, "addResult")
        exactly(expected(log), lambda: taken_by(server), 60)
        assert run.stop() == 0

    assert (code, why.decode()) == (503, "reading pauses: the spool takes nothing\n")
    assert run.text().count("Reading pauses") == 1


@needs_mounts
def test_a_backfill_on_a_full_disk_goes_on_when_there_is_space(log, tmp_path):
    """It ends with one line that says what to do; the same command then sends each login once."""
    log.append(20_000)
    script = (
        'mount -t tmpfs -o size=4m,mode=700 tmpfs "$0"; "$@"; echo $? >"$0.code";'
        ' while [ ! -e "$0.more" ]; do sleep 0.1; done; mount -o remount,size=64m "$0"; exec "$@"'
    )
    state = tmp_path / "state"
    state.mkdir()
    config = tmp_path / "config.yaml"
    with FakeMonitor(ours=True) as server:
        server.always(answer(503), "addResults")
        config.write_text(f"state_directory: {state}\n{plain_config(server, tmp_path)}")
        before = ["unshare", "--mount", "sh", "-c", script, state]
        with spawn("backfill", "--config", config, log.path, before=before) as started:
            assert eventually((tmp_path / "state.code").exists, 60)
            server.always(None, "addResults")
            (tmp_path / "state.more").touch()
            _, said = started.communicate(timeout=120)

    assert (tmp_path / "state.code").read_text() == "1\n"
    assert b"takes nothing now: database or disk is full (nothing is lost; when that is" in said
    assert started.returncode == 0
    assert expected(log) == taken_by(server)


@needs_mounts
def test_check_names_a_full_disk(tmp_path):
    """A state directory whose disk has no space left is an error that says so."""
    (tmp_path / "state").mkdir()
    script = (
        'mount -t tmpfs -o size=64k,mode=700 tmpfs "$0";'
        ' dd if=/dev/zero of="$0/fill" 2>/dev/null; exec "$@"'
    )
    before = ["unshare", "--mount", "sh", "-c", script, str(tmp_path / "state")]
    path = tmp_path / "config.yaml"
    path.write_text(f"state_directory: {tmp_path / 'state'}\n")

    result = process("check", "--quiet", "--config", path, before=before)

    assert result.code == 1
    assert (
        f"the disk of the state directory {tmp_path / 'state'} is full" in result.out + result.err
    )


@needs_mounts
def test_a_read_only_state_is_refused(log, tmp_path, agent_of):
    """Where nothing can be written it does not start, and says what to do."""
    script = 'mount -t tmpfs -o ro,mode=700 tmpfs "$0" && exec "$@"'
    (tmp_path / "state").mkdir()
    before = ["unshare", "--mount", "sh", "-c", script, str(tmp_path / "state")]
    run = agent_of(log.path, before=before).launch()
    past = process("backfill", "--config", run.config, log.path, before=before)

    assert (run.process.wait(60), past.code) == (1, 1)
    for line in run.text(), past.err:
        assert line.count("\n") == 1
        assert f"the state directory {run.state} cannot be written" in line
        assert "remount it writable" in line


def test_a_missing_state_directory_is_made(log, tmp_path, agent_of):
    """State and parents are made, for the owner alone."""
    state = tmp_path / "var" / "lib" / "state"
    run = agent_of(log.path)
    run.config.write_text(f"state_directory: {state}\nlisten: 127.0.0.1:0\n")
    run.start()

    assert state.stat().st_mode & 0o777 == 0o700
    assert run.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_state_of_another_user_is_refused(log, tmp_path, agent_of):
    """After a restore with the wrong owner it does not start, and names both users."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    (tmp_path / "state").mkdir(mode=0o700)
    before = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    run = agent_of(log.path, before=before).launch()

    assert run.process.wait(60) == 1
    (line,) = run.text().splitlines()
    assert "belongs to user 0, not to 65534" in line


def test_an_old_state_put_back_repeats_the_same_ids(log, tmp_path, agent_of):
    """After a snapshot is restored, what was sent since is sent again: same id, same result."""
    with FakeMonitor(ours=True) as server:
        run = agent_of(log.path, config=plain_config(server, tmp_path)).start()
        log.append(20)
        assert eventually(lambda: len(server.results) == 20)
        assert run.stop() == 0
        shutil.copytree(run.state, tmp_path / "snapshot")
        run.start()
        log.append(30)
        assert eventually(lambda: len(server.results) == 50)
        assert run.stop() == 0
        shutil.rmtree(run.state)
        shutil.copytree(tmp_path / "snapshot", run.state)
        run.start()
        log.append(10)
        exactly(expected(log), lambda: taken_by(server), 60)
        assert run.stop() == 0
        sent = Counter(row for request in server.requests for row in rows_of(request.params))

    assert Counter({2: 30, 1: 30}) == Counter(sent.values())


def rows_of(params):
    """Return id, time and values of each result in a request."""
    if params["action"] == "addResults":
        rows = json.loads(params["results"])
    else:
        rows = [params] if params["action"] == "addResult" else []
    for row in rows:
        additional = row["additionalResults"]
        extra = json.loads(additional) if isinstance(additional, str) else additional
        yield extra[0]["id"], int(row["checktime"]), row["results"]


def test_a_login_that_is_never_taken_holds_up_no_other(log, tmp_path, agent_of):
    """The one that the server refuses is put aside; sent again by hand, it arrives."""

    def refuse_one(exchange):
        if "user_login:u3;" in exchange.request.params["results"]:
            exchange.send(b'{"error":"Invalid results"}', 400)
        else:
            exchange.send(exchange.proper())

    with FakeMonitor() as server:
        run = agent_of(log.path, config=plain_config(server, tmp_path)).start()
        server.always(refuse_one, "addResult")
        log.append(8)
        wanted = expected(log)
        exactly(wanted[:3] + wanted[4:], lambda: taken_by(server), 60)
        assert eventually(lambda: run.status()["spool"]["dead"]) == 1
        assert run.text().count("error: Put login") == 1
        server.always(None, "addResult")
        words = ["-m", "logwatch_monitis", "spool", "retry", "--all", "--config", str(run.config)]
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        exactly(wanted, lambda: taken_by(server), 60)
        assert run.status()["spool"]["dead"] == 0
        assert run.stop() == 0


def test_a_batch_taken_by_half_is_completed(log, tmp_path, agent_of):
    """Where a server stored a part and then failed, the rest follows and nothing comes twice."""

    def store_half(exchange):
        rows = json.loads(exchange.request.params["results"])
        exchange.server._store(exchange.request.params["monitorId"], rows[: len(rows) // 2])
        exchange.send(b"{}", 500)

    with FakeMonitor(ours=True) as server:
        server.program(store_half, store_half, action="addResults")
        run = agent_of(log.path, config=plain_config(server, tmp_path)).start()
        log.append(40)
        exactly(expected(log), lambda: taken_by(server), 60)
        assert server.actions().count("addResults") > 2
        assert run.stop() == 0


def test_an_outbox_that_overflows_keeps_the_newest(log, tmp_path, agent_of):
    """After a long outage the newest logins arrive; how many were given up is said and counted."""
    with FakeMonitor() as server:
        server.always(answer(503))
        config = plain_config(server, tmp_path) + "spool: {max_entries: 1000}\n"
        run = agent_of(log.path, config=config).start()
        log.append(1200)
        assert eventually(lambda: run.status()["spool"]["dropped"] == 200)
        log.append(30)
        assert eventually(lambda: run.status()["spool"]["dropped"] == 230)
        server.always(None)
        exactly(expected(log)[230:], lambda: taken_by(server), 60)
        assert run.text().count("The outbox is full") == 1
        assert run.stop() == 0


DRAINED = "The outbox has room again; 300 logins between "


def test_each_overflow_of_the_outbox_is_told(log, tmp_path, agent_of):
    """The second one in the same process as well as one after a restart, each with its end."""
    with FakeMonitor() as server:
        config = plain_config(server, tmp_path) + "spool: {max_entries: 1000}\n"
        run = agent_of(log.path, config=config)
        for times in ([1, 2], [1]):
            run.start()
            for time in times:
                server.always(answer(503))
                log.append(1300)
                assert eventually(lambda n=time: run.text().count("The outbox is full") == n)
                server.always(None)
                assert eventually(lambda n=time: run.text().count(DRAINED) == n, 60), run.text()
                assert eventually(lambda: run.status()["spool"]["depth"] == 0, 60)
            assert run.stop() == 0


def test_a_stopped_agent_catches_up(log, agent_of):
    """Frozen amid many changes and several rotations, it finds everything when it goes on."""
    run = agent_of(log.path).start()
    run.process.send_signal(signal.SIGSTOP)
    for number in range(300):
        log.append(2)
        for name in ("made", "made2"):
            (log.path.parent / f"{name}-{number}").touch()
        if number % 50 == 49:
            log.rotate(keep=7)
    run.process.send_signal(signal.SIGCONT)
    exactly(expected(log), lambda: embedded(run), 60)
    assert run.stop() == 0
