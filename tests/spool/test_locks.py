"""The three locks: one holder each, named to the second comer, gone with its process."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from spools import SetClock

from logwatch_monitis.errors import LockHeldError
from logwatch_monitis.spool import Locks

HOLDER = """
import subprocess, sys
from pathlib import Path
from logwatch_monitis.spool import Locks
from spools import SetClock
lock = Locks(Path(sys.argv[1]), SetClock()).take(sys.argv[2])
child = subprocess.Popen(["sleep", "60"], close_fds=False)
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def locks(tmp_path):
    """Return the locks of a state directory that is not there yet."""
    return Locks(tmp_path / "state", SetClock())


@pytest.fixture
def other(tmp_path):
    """Start another process that holds a lock and has a child of its own."""
    processes, children = [], []

    def start(name):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, tmp_path / "state", name],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        processes.append(process)
        children.append(int(process.stdout.readline()))
        return process

    yield start
    for child in children:
        os.kill(child, signal.SIGKILL)
    for process in processes:
        process.kill()
        process.communicate()


def test_a_second_comer_is_told_who_holds_the_lock(locks, other):
    """The message names the process and the moment, and the exit code is 75."""
    process = other("run")
    with pytest.raises(LockHeldError) as refused:
        locks.take("run")
    assert refused.value.exit_code == 75
    assert f"(process {process.pid}, since 2023-11-14T22:13:20 UTC)" in refused.value.message
    assert locks.poll("run") is None
    assert locks.holder("run") == (process.pid, 1_700_000_000_000_000)


def test_a_lock_ends_with_its_process_though_its_children_live(locks, other):
    """After kill -9 the lock is free at once: the kernel keeps it, and children do not inherit."""
    process = other("run")
    process.kill()
    process.wait()
    assert locks.holder("run") is None
    with locks.take("run"):
        assert locks.holder("run").pid == os.getpid()


def test_the_three_locks_are_independent(locks):
    """Run, backfill and deliver can be held at once; whoever releases one frees that one."""
    run, _, deliver = (locks.take(name) for name in ("run", "backfill", "deliver"))
    run.release()
    run.release()
    assert [locks.holder(name) is None for name in ("run", "backfill", "deliver")] == [
        *(True, False, False)
    ]
    deliver.release()
    assert locks.poll("deliver") is not None


def test_a_look_at_a_lock_does_not_keep_anybody_from_taking_it(locks):
    """Status may ask at any moment; a lock never taken is held by nobody and makes no file."""
    assert locks.holder("run") is None
    assert not list(Path(locks._directory).glob("*"))
    with locks.take("run"):
        pass
    assert locks.holder("run") is None
    assert stat.S_IMODE(locks._file("run").stat().st_mode) == 0o600


def test_a_lock_whose_holder_wrote_nothing_is_still_held(locks):
    """An empty lock file names nobody, and the message does without."""
    with locks.take("run"):
        os.truncate(locks._file("run"), 0)
        assert locks.holder("run") == (0, 0)
        with pytest.raises(LockHeldError, match=r"another 'run' works on \S+$"):
            locks.take("run")
