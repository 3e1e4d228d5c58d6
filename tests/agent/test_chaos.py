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
    results_of,
    taken_by,
)
from fake_monitor import FakeMonitor, answer, lost_reply, reset, web_page
from fault_proxy import FaultProxy
from real_monitor import running_monitor
from running import eventually

SECONDS = 60 if FULL else 6
LANES = 4


@pytest.fixture(name="log")
def _log(tmp_path):
    """An empty log with an account of what is written to it."""
    return Log(tmp_path / "auth.log")


def test_kills_during_a_burst_lose_and_repeat_nothing(log, agent_of):
    """However often the agent dies amid a burst, the page shows each login once, in order."""
    run = agent_of(log.path)
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


def test_kills_at_any_moment_of_the_start_lose_nothing(log, agent_of):
    """An agent that dies while it starts leaves a state that the next one goes on with."""
    run = agent_of(log.path)
    run.start()
    log.append(20)
    run.kill()
    for _ in range(15 if FULL else 4):
        log.append(20)
        timer = threading.Timer(random.uniform(0.2, 1.5), run.kill)
        timer.start()
        with contextlib.suppress(AssertionError):
            run.start()
        timer.join()
    run.start()
    exactly(expected(log), lambda: embedded(run), 60)
    assert run.stop() == 0


class Faults:
    """Lets a tenth of the results meet a fault, and knows whose answer was lost."""

    def __init__(self):
        self.lost = set()
        self.kinds = [answer(500), reset(), answer(200, {"error": "Database is down"}), web_page()]

    def __call__(self, exchange):
        """Let the request pass, do it and lose the answer, or let it fail."""
        if random.random() > 0.1:
            exchange.send(exchange.proper())
        elif random.random() < 0.3:
            user = exchange.request.params["results"].partition(":u")[2].partition(";")[0]
            self.lost.add(int(user))
            lost_reply()(exchange)
        else:
            random.choice(self.kinds)(exchange)


class Life:
    """An agent's life: written to, rotated, killed and started again, until the time is over."""

    def __init__(self, run, log):
        self.run = run
        self.log = log
        self.kills = 0
        self.said = ""
        self.end = time.monotonic() + SECONDS

    def go(self, *works):
        """Live until the time is over; then go on quietly."""
        self.run.start("--from-start")
        writing = [lambda: self.log.append(random.randrange(1, 8)), lambda: peek(self.run)]
        with meanwhile(*writing, pause=0.05):
            while time.monotonic() < self.end:
                random.choice([self.kill, self.rotate, self.burst, *works])()
        self.said += self.run.text()

    def kill(self):
        """Kill it, let something happen or not, and start it again."""
        self.run.kill()
        self.said += self.run.text()
        self.kills += 1
        random.choice([self.rotate, self.burst])()
        self.run.start()

    def rotate(self):
        """Rotate, at times several times without a pause."""
        for _ in range(random.choice([1, 1, 1, 3])):
            self.log.rotate(keep=6)
        self.rest()

    def burst(self):
        """Write much at once."""
        self.log.append(random.randrange(100))
        self.rest()

    def rest(self):
        """Let some time go by."""
        time.sleep(random.uniform(0, 0.5))


@pytest.mark.soak
def test_a_failing_plain_server_gets_every_login_unaltered(log, tmp_path, agent_of):
    """Amid bursts, rotations, kills and faults a login comes twice only if its reply was lost.

    A kill loses the replies that are under way, one for each connection.
    """
    with FakeMonitor() as server:
        run, faults = agent_of(log.path, config=plain_config(server, tmp_path)), Faults()
        life = Life(run, log)
        server.always(faults, "addResult")
        life.go()
        server.always(None, "addResult")
        repeated = at_least_once(expected(log), lambda: taken_by(server), 120)
        assert run.stop() == 0

    unasked = [number for number in repeated if number not in faults.lost]
    assert len(unasked) <= LANES * life.kills
    assert server.unknown == []
    assert len(server.monitors) == 1
    assert "Traceback" not in life.said
    assert "internal error" not in life.said


@pytest.mark.soak
def test_the_embedded_monitor_has_each_login_exactly_once(log, agent_of):
    """Amid bursts, rotations and kills of agent and monitor the store is exact, and in order."""
    run = agent_of(log.path)
    life = Life(run, log)

    def kill_monitor():
        for child in children_of(run.process.pid):
            os.kill(child, signal.SIGKILL)
        life.rest()

    life.go(kill_monitor)
    exactly(expected(log), lambda: embedded(run), 120)
    assert "Traceback" not in life.said
    assert "internal error" not in life.said
    assert run.stop() == 0


@pytest.mark.soak
def test_a_failing_line_to_our_own_monitor_doubles_nothing(log, tmp_path, agent_of):
    """Whatever something in between answers, cuts or loses, each login is stored once.

    A login that fails twice is overtaken by others, which show whether it is to blame.
    """
    directory = tmp_path / "monitor"
    with running_monitor(directory) as (_, caller), FaultProxy(caller.address.url, 0.3) as proxy:
        keys = {"key": caller.keys.api_key, "secret": caller.keys.secret_key}
        run = agent_of(log.path, config=plain_config(proxy.url, tmp_path, **keys)).start()
        with meanwhile(lambda: log.append(random.randrange(1, 40)), pause=0.1):
            time.sleep(SECONDS)
        proxy.share = 0.1
        exactly(expected(log), lambda: sorted(results_of(directory / "monitor.sqlite")), 120)
        assert run.stop() == 0

    assert len(proxy.met) > 1
