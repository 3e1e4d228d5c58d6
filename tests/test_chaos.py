"""The whole agent under kills, rotations and a failing server: nothing lost, nothing twice."""

import contextlib
import os
import random
import signal
import threading
import time

import pytest
from chaos import (
    FULL,
    Log,
    at_least_once,
    children_of,
    embedded,
    exactly,
    expected,
    meanwhile,
    peek,
    plain_config,
    taken_by,
)
from fake_monitor import FakeMonitor, answer, lost_reply, reset, web_page
from running import Running, eventually

SECONDS = 60 if FULL else 6
LANES = 4


@pytest.fixture(name="log")
def _log(tmp_path):
    """An empty log with an account of what is written to it."""
    return Log(tmp_path / "auth.log")


def test_kills_during_a_burst_lose_and_repeat_nothing(log, tmp_path):
    """However often the agent dies amid a burst, the page shows each login once, in order."""
    run = Running(tmp_path, [log.path])
    for _ in range(50 if FULL else 5):
        log.append(150)
        run.start("--from-start")
        log.append(150)
        goal = random.randrange(len(log.written) - 300, len(log.written))
        eventually(lambda goal=goal: len(embedded(run)) > goal)
        log.append(random.randrange(50))
        run.kill()
    run.start()
    exactly(expected(log), lambda: embedded(run), 60)
    assert [f"u{number}" for number, _ in log.written[:-51:-1]] == [
        row["user_login"] for row in run.logins()
    ][:50]
    assert run.stop() == 0


def test_kills_at_any_moment_of_the_start_lose_nothing(log, tmp_path):
    """An agent that dies while it starts leaves a state that the next one goes on with."""
    run = Running(tmp_path, [log.path])
    run.start()
    log.append(20)
    run.kill()
    for _ in range(25 if FULL else 4):
        log.append(20)
        with contextlib.suppress(AssertionError):
            threading.Timer(random.uniform(0.2, 1.5), lambda: run.process.kill()).start()
            run.start()
        run.process.wait(10)
    run.start()
    exactly(expected(log), lambda: embedded(run), 60)
    assert run.stop() == 0
