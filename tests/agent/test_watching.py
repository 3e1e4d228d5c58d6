"""How the running agent notices what happens to its logs, whatever happens to them."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from chaos import Log, embedded, exactly, expected
from commands import DENIED
from running import eventually

LIMITS = ["max_inotify_instances", "max_inotify_watches"]


@pytest.fixture(name="log")
def _log(tmp_path):
    """An empty log with an account of what is written to it, in a directory of its own."""
    (tmp_path / "log").mkdir()
    return Log(tmp_path / "log" / "auth.log")


def stored_exactly(run, log):
    """Demand that what was written is on the embedded monitor, once and in order."""
    exactly(expected(log), lambda: embedded(run), 60)


@pytest.mark.parametrize("limit", LIMITS)
def test_without_inotify_it_polls(log, agent_of, limit):
    """Where the kernel grants no watch it says so once, leaks nothing, and finds all logins."""
    script = f'echo 0 >/proc/sys/user/{limit} && exec "$@"'
    before = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"]
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are not permitted here")
    run = agent_of(log.path, before=before).start()
    for _ in range(3):
        log.append(2)
        stored_exactly(run, log)
    warnings = [line for line in run.text().splitlines() if "warning" in line]
    assert sum(name.endswith(":inotify") for name in descriptors(run)) <= 1
    assert run.stop() == 0
    assert ["cannot be watched"] == re.findall("cannot be watched", "".join(warnings))


def descriptors(run):
    """Return what the agent has open."""
    return [os.path.realpath(link) for link in Path(f"/proc/{run.process.pid}/fd").iterdir()]


def test_a_log_directory_made_anew_is_followed(log, agent_of):
    """Removed with all it holds and made again, it is watched and read from the first byte."""
    run = agent_of(log.path).start()
    log.append(3)
    stored_exactly(run, log)
    shutil.rmtree(log.path.parent)
    assert eventually(lambda: run.status()["sources"][0]["state"] == "waiting")
    log.path.parent.mkdir()
    log.append(3)
    stored_exactly(run, log)
    log.append(3)
    stored_exactly(run, log)
    assert run.stop() == 0


def test_a_link_that_is_turned_is_followed(log, tmp_path, agent_of):
    """A link as the log: its target is rotated, then the link is turned to another file."""
    link = tmp_path / "auth.log"
    link.symlink_to(log.path)
    run = agent_of(link).start()
    log.append(3)
    stored_exactly(run, log)
    log.append(3)
    log.rotate()
    log.append(3)
    stored_exactly(run, log)
    old, log.path = log.path, log.path.with_name("other.log")
    log.append(3)
    (tmp_path / "new").symlink_to(log.path)
    (tmp_path / "new").rename(link)
    log.append(3)
    stored_exactly(run, log)
    log.append(2, old)
    stored_exactly(run, log)
    assert run.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_a_file_that_is_not_yet_readable_is_read_from_its_first_byte(log, agent_of):
    """Between rotation and chmod it may not be read; then nothing of it is missing."""
    run = agent_of(log.path, before=DENIED).start()
    log.append(3)
    log.path.rename(log.path.with_name("auth.log.1"))
    new = log.path.with_name("new")
    new.touch(mode=0o600)
    shutil.chown(new, "nobody")
    new.rename(log.path)
    log.append(3)
    assert eventually(lambda: run.status()["sources"][0]["state"] == "unreadable")
    code, why = run.status()["state"], run.status()["reason"]
    log.append(3)
    shutil.chown(log.path, "root")
    stored_exactly(run, log)
    assert eventually(lambda: run.status()["state"] == "ok")

    assert (code, why) == ("not ok", f"cannot read {log.path}")
    assert run.text().count("cannot be read") == 1
    assert run.stop() == 0


def test_late_lines_in_a_renamed_file_are_found(log, agent_of):
    """A writer that has not yet opened the new file is read on, in the renamed one."""
    run = agent_of(log.path).start()
    log.append(2)
    with log.path.open("a") as late:
        log.rotate()
        log.append(2)
        stored_exactly(run, log)
        late.write(log.text(2))
        late.flush()
        stored_exactly(run, log)
    log.append(2)
    stored_exactly(run, log)
    assert run.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: nobody else sees its descriptors")
def test_a_removed_file_is_read_until_its_writer_closes_it(log, agent_of):
    """What is written to a file without a name arrives; then its descriptor is given back."""
    run = agent_of(log.path).start()

    def deleted():
        return [target for target in descriptors(run) if target.endswith("(deleted)")]

    with log.path.open("a") as writer:
        log.path.unlink()
        writer.write(log.text(1))
        writer.flush()
        stored_exactly(run, log)
        assert len(deleted()) == 1
    assert eventually(lambda: not deleted())
    assert run.stop() == 0


def test_an_idle_agent_rests(log, agent_of):
    """With nothing to do it wakes less than twice a second; its own reading does not wake it."""
    run = agent_of(log.path).start()
    log.append(5)
    stored_exactly(run, log)
    assert eventually(lambda: wakes_per_second(run.process.pid) < 4, 60)
    assert run.stop() == 0


def wakes_per_second(pid):
    """Return how often all threads of a process were woken, over three seconds."""

    def count():
        tasks = Path(f"/proc/{pid}/task").iterdir()
        texts = ((task / "status").read_text() for task in tasks)
        pattern = r"^voluntary_ctxt_switches:\s+(\d+)"
        return sum(int(re.search(pattern, text, re.MULTILINE)[1]) for text in texts)

    before, begun = count(), time.monotonic()
    time.sleep(3)
    return (count() - before) / (time.monotonic() - begun)
