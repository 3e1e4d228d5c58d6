"""Killed at any moment, the spool loses nothing, and its position agrees with its logins."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from spools import World, ids_of, login_of, waiting

FULL = os.environ.get("LOGWATCH_TEST_EFFORT") == "full"
VICTIM = Path(__file__).parent.parent / "spool_victim.py"


class Scene:
    """A spool, the file that its deliveries go to, and the processes that work on them."""

    def __init__(self, top):
        self.directory = top / "state"
        self.sent = top / "sent"

    def run(self, upto, *end, under=()):
        """Run a process to its end; return its return code."""
        command = [*under, sys.executable, VICTIM, self.directory, self.sent, str(upto), *end]
        return subprocess.run(command, cwd=VICTIM.parent, check=False).returncode

    def lines(self):
        """Return what was delivered, in order."""
        return self.sent.read_text().splitlines() if self.sent.exists() else []

    def check(self):
        """Demand that the logins before the position, and no others, wait or were delivered."""
        world = World(self.directory)
        spool = world.open()
        position = spool.positions().get("log")
        taken = ids_of(*range(int(position.checkpoint) if position else 0))
        found = {line.split()[0] for line in self.lines()} | set(waiting(spool))
        world.close()
        assert set(taken) == found
        assert world.events == []
        return len(taken)

    def repeats(self, upto):
        """Return how many lines came again, all of them as they were, after a run to the end."""
        assert self.run(upto) == 0
        counts = Counter(self.lines())
        expected = [f"{(x := login_of(n)).id} {x.time} {x.user_login}" for n in range(upto)]
        assert expected == list(counts)
        return counts.total() - upto


@pytest.fixture
def scene(tmp_path):
    """Return a spool of its own."""
    return Scene(tmp_path)


@pytest.mark.parametrize(
    ("step", "nth", "again"),
    [
        ("BEGIN IMMEDIATE", 1, 0),
        ("INSERT OR IGNORE INTO seen", 2, 0),
        ("INSERT INTO outbox", 3, 0),
        ("INSERT INTO position", 1, 0),
        ("COMMIT", 1, 0),
        ("after commit", 1, 0),
        ("after send", 1, 1),
        ("BEGIN IMMEDIATE", 2, 2),
        ("DELETE FROM outbox", 2, 2),
        ("COMMIT", 2, 2),
        ("after delivered", 1, 0),
        ("COMMIT", 3, 0),
    ],
)
def test_a_kill_at_a_named_step_loses_nothing(scene, step, nth, again):
    """Only what was sent and not yet marked is sent again, and then the same."""
    assert scene.run(9, step, str(nth)) == -signal.SIGKILL
    scene.check()
    assert scene.repeats(9) == again


def test_kills_at_random_moments_lose_nothing(scene):
    """However often it dies, all arrives in order, and each kill repeats one batch at most."""
    wanted = 1000 if FULL else 12
    kills = taken = 0
    while kills < wanted or taken < 3 * wanted:
        assert scene.run(10**6, str(random.uniform(0.0001, 0.05))) == -signal.SIGALRM
        kills += 1
        now = scene.check()
        assert now >= taken
        taken = now
    assert scene.repeats(taken) <= 2 * kills


def test_a_kill_between_any_two_writes_to_the_disk_loses_nothing(scene, tmp_path):
    """Every single system call of a commit and a delivery may be the last one."""
    calls = "trace=pwrite64,fdatasync,fsync,ftruncate,unlink,rename,fallocate"
    kill = "inject=pwrite64,fdatasync,fsync,ftruncate,unlink,rename,fallocate:signal=SIGKILL"
    strace = ["strace", "-f", "-o", "/dev/null", "-e", calls]
    if not shutil.which("strace") or subprocess.run([*strace, "true"], check=False).returncode:
        pytest.skip("strace is not installed or not permitted")
    stride = 1 if FULL else 5
    deaths = 0
    for nth in range(1 + random.randrange(stride), 1000, stride):
        place = Scene(tmp_path / str(nth))
        place.directory.parent.mkdir()
        code = place.run(2, under=[*strace, "-e", f"{kill}:when={nth}"])
        place.check()
        assert place.repeats(4) in (0, 2)
        if code == 0:
            break
        deaths += 1
    assert deaths * stride > 50
