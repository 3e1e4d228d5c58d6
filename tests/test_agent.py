"""The reading half by itself: how a look begins, ends and is committed."""

import itertools
from datetime import UTC

import pytest
from chaos import Log
from spools import SetClock

from logwatch_monitis.agent import LOOK_AT_MOST_S, Agent
from logwatch_monitis.grammar import load_rules
from logwatch_monitis.sources.tail import Tail
from logwatch_monitis.spool import Spool


class RunningClock(SetClock):
    """Goes on by *tick* seconds each time that it is asked."""

    tick = LOOK_AT_MOST_S / 10

    def monotonic(self):
        """See `Clock.monotonic`."""
        self.time += self.tick
        return self.time


class CountingSpool(Spool):
    """Notes how many logins each commit took."""

    commits: tuple[int, ...] = ()

    def commit(self, logins, positions, **more):
        """See `Spool.commit`."""
        if logins:
            self.commits += (len(logins),)
        return super().commit(logins, positions, **more)


@pytest.fixture(name="logs")
def _logs(tmp_path):
    """Three logs, which are written to whenever a block of them was taken."""
    return [Log(tmp_path / f"{name}.log", n * 1000) for n, name in enumerate(("a", "b", "c"))]


@pytest.fixture(name="agent_that")
def _agent_that(logs, tmp_path):
    """Make an agent that asks a function whether to leave."""
    clock, events = RunningClock(), []
    with CountingSpool.open(tmp_path / "state", clock=clock, events=events.append) as spool:
        paths = [str(log.path) for log in logs]
        tail = Tail(paths, {}, clock=clock, events=events.append)
        yield lambda leave: (
            Agent(
                tail=tail,
                spool=spool,
                rules=load_rules(),
                zone=UTC,
                machine="web1",
                clock=clock,
                events=events.append,
                leave=leave,
            ),
            spool,
        )
        tail.close()


def test_a_look_at_busy_logs_ends_after_each_had_its_turn(logs, agent_that):
    """Logs that get lines faster than they are read do not keep the agent from all else."""

    def write():
        for log in logs:
            log.append(1)
        return False

    agent, spool = agent_that(write)
    agent.step()
    write()

    assert agent.step() is True
    taken = {entry.user for entry in spool.due(100)}
    assert {f"u{log.written[0].number}" for log in logs} <= taken


def test_a_look_ends_when_it_is_time_to_leave(logs, agent_that):
    """What was read is committed, what was not is read the next time."""
    answers = itertools.chain([True], itertools.repeat(False))
    agent, spool = agent_that(lambda: next(answers))
    agent.step()
    for log in logs:
        log.append(1)

    assert agent.step() is True
    assert [entry.user for entry in spool.due(9)] == ["u0"]
    assert agent.step() is False
    assert [entry.user for entry in spool.due(9)] == ["u0", "u1000", "u2000"]


def test_logins_found_together_are_committed_together(logs, agent_that, monkeypatch):
    """Three logs with a login each cost one transaction, not three."""
    monkeypatch.setattr(RunningClock, "tick", 0)
    agent, spool = agent_that(lambda: False)
    agent.step()
    for log in logs:
        log.append(1)
    agent.step()

    assert spool.commits == (3,)
