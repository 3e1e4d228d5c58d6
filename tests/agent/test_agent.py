"""The reading half by itself: how a look begins, ends and is committed."""

import itertools
import math
from contextlib import closing
from datetime import UTC

import pytest
from chaos import Log
from journals import BEGIN_US, JournalDirectory, needs_journal_tools, opened, sshd, sudo
from running import eventually
from spools import SetClock

from logwatch_monitis.agent.reader import LOOK_AT_MOST_S, LogReader
from logwatch_monitis.grammar import load_rules
from logwatch_monitis.sources.files.tail import Tail
from logwatch_monitis.sources.journal.follower import LOG, Journal
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
            LogReader(
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


@pytest.fixture(name="journal_agent")
def _journal_agent(tmp_path):
    """Make agents that go on where the one before was killed, of a journal and a file."""
    clock = SetClock(BEGIN_US / 1e6)
    log, state = tmp_path / "auth.log", tmp_path / "state"
    log.touch()
    journal = JournalDirectory(tmp_path / "journal")
    journal.append(sshd(0, "before"))
    known = {"clock": clock, "events": lambda event: None}

    def make():
        spool = Spool.open(state, **known)
        saved = {name: row.checkpoint for name, row in spool.positions().items()}
        reading = Journal(
            saved.get(LOG), wake=lambda: None, from_start=True, options=journal.options, **known
        )
        agent = LogReader(
            tail=Tail([str(log)], saved, from_start=True, **known),
            journal=reading,
            spool=spool,
            rules=load_rules(),
            zone=UTC,
            machine="web1",
            **known,
        )
        parts.extend([spool, reading])
        return agent, spool

    parts = []
    yield make, journal, log, clock
    for part in parts:
        part.close()


def taken(spool):
    """Return user and proof of what was taken, in order."""
    return [(entry.user, entry.verified) for entry in spool.due(99)]


@needs_journal_tools
def test_what_waits_for_its_proof_is_read_again_after_a_kill(journal_agent):
    """Its log's position stays before it, and what came behind it is taken once all the same."""
    make, journal, _, clock = journal_agent
    journal.append(sudo(1), sshd(1, "behind"))
    agent, spool = make()
    eventually(lambda: agent.step() or len(taken(spool)) == 2)
    assert taken(spool) == [("before", True), ("behind", True)]
    agent.flush()
    spool.close()

    agent, spool = make()
    eventually(lambda: agent.step() or agent.patience < math.inf)
    assert agent.patience == 1.0
    clock.time += 1
    agent.step()
    assert taken(spool) == [("before", True), ("behind", True), ("alice", False)]
    assert agent.patience == math.inf
    with closing(spool):
        agent.flush()
        clock.time += 1
    agent, spool = make()
    journal.append(sshd(2, "after"))
    eventually(lambda: agent.step() or len(taken(spool)) == 4)
    assert taken(spool)[2:] == [("alice", False), ("after", True)]


@needs_journal_tools
@pytest.mark.parametrize("proof", [True, False])
def test_a_files_login_waits_as_long_as_the_journals_account_of_it(journal_agent, proof):
    """One login, with the journal's word on it, though that takes longer than the file would."""
    make, journal, log, clock = journal_agent
    agent, spool = make()
    eventually(lambda: agent.step() or len(taken(spool)) == 1)
    clock.time += 1
    journal.append(sudo(1))
    eventually(lambda: agent.step() or agent.patience < math.inf)
    message = "alice : PWD=/1 ; USER=root ; COMMAND=/usr/bin/true"
    log.write_text(f"2026-11-23T09:20:23+00:00 web1 sudo:    {message}\n")
    agent.step()
    clock.time += 0.9
    agent.step()
    assert len(taken(spool)) == 1
    if proof:
        journal.append(opened(1))
        eventually(lambda: agent.step() or len(taken(spool)) == 2)
    else:
        clock.time += 0.2
        agent.step()
    assert taken(spool) == [("before", True), ("alice", proof)]
