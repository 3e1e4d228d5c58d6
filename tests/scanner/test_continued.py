"""Commands whose line sudo has cut: they count if the rest follows, else they are named."""

import json
import math
from datetime import UTC

import pytest
from commands import run as command
from running import Running, eventually
from spools import SetClock

from logwatch_monitis.agent.reader import LogReader
from logwatch_monitis.grammar import load_rules
from logwatch_monitis.scanner.login_id import login_id
from logwatch_monitis.scanner.scanner import Scanner
from logwatch_monitis.sources.files.tail import Tail
from logwatch_monitis.spool import Spool
from logwatch_monitis.syslog import Timeline

BEGIN = 1_795_425_622
"""The second of most lines here, since the epoch."""


def line(text, *, second=22, program="sudo", pid=None, machine="web1"):
    """Return a line of the log."""
    tag = program if pid is None else f"{program}[{pid}]"
    return f"2026-11-23T09:20:{second:02d}+00:00 {machine} {tag}: {text}\n"


CUT = "   alice : PWD=/srv/a"
NEXT = "   alice : (command continued) a/b ; USER=root ; COMMAND=/bin/ls"
SSHD = line("Accepted password for bob from 192.0.2.7 port 22 ssh2", program="sshd", pid=9)


@pytest.fixture(name="scanner", scope="module")
def _scanner():
    rules = load_rules(system=[])

    def make():
        timeline = Timeline.live(UTC, SetClock(BEGIN))
        return Scanner(rules, timeline, machine="web1", path="auth.log")

    return make


def found(scanner, *lines):
    """Return who logs in by these lines, each of which is read by itself, and what is cut off."""
    users, offset = [], 0
    for one in lines:
        users += [login.user_login for login in scanner.feed(one.encode(), offset)]
        offset += len(one.encode())
    scanner.cut.end()
    return users, scanner.cut.cut_off


def test_a_cut_command_counts_with_the_id_of_its_first_line(scanner):
    """The line, its time and its place are those of the first part, as they always were."""
    (login,) = scanner().feed((line(CUT) + SSHD.replace("Acc", "Dec") + line(NEXT)).encode())
    text = line(CUT).rstrip().encode()
    assert (login.id, login.line, login.offset) == (login_id(text, None, None, 0), text, 0)
    assert (login.user_login, login.srv, login.kind) == ("alice", "sudo", "command")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (line(CUT), line(NEXT)),
        (line(CUT, pid=7), line(NEXT, pid=7)),
        (line(CUT), line(NEXT, second=27)),
        (line(CUT, second=23), line(NEXT)),
        (line(CUT), line("   alice : (command continued) aaaa")),
        (line(CUT, program="sudo-rs"), line("[...] /b ; COMMAND=/bin/ls", program="sudo-rs")),
        (line(CUT), SSHD.replace("Acc", "Dec") * 900 + line(NEXT)),
    ],
)
def test_it_counts_if_the_rest_follows(scanner, first, second):
    """From the same process within five seconds, whatever part of the command it holds."""
    assert found(scanner(), first, second) == (["alice"], 0)


@pytest.mark.parametrize(
    "second",
    [
        "",
        line(NEXT, second=28),
        line(NEXT, pid=8),
        line(NEXT, machine="web2"),
        line(NEXT, program="sudo-rs"),
        line(NEXT.replace("alice", "bob")),
        line("[...] a/b ; USER=root ; COMMAND=/bin/ls", pid=8),
        line("   alice : a password is required ; PWD=/ ; USER=root ; COMMAND=/bin/ls", pid=7),
        line("x" * 1023) * 1024 + line(NEXT, pid=7),
    ],
)
def test_it_is_cut_off_if_nothing_follows(scanner, second):
    """Nor what follows another process, another user, too late or too far away."""
    assert found(scanner(), line(CUT, pid=7), second) == ([], 1)


def test_a_second_first_part_takes_nobodys_place(scanner):
    """Whoever writes one in front of a true one, or into it, adds to what counts at most."""
    forged, other = line(CUT.replace("alice", "mallory")), line(CUT)
    users, cut_off = found(scanner(), other, forged, other, line(NEXT), line(NEXT))
    assert (users, cut_off) == (["alice", "alice"], 1)


def test_every_way_to_cut_a_log_into_blocks_gives_the_same(scanner):
    """The same logins, in the same order."""
    lines = [line(CUT), SSHD, line(NEXT), SSHD, line(CUT), SSHD, line(NEXT), line(NEXT), SSHD]
    expected = [login.id for login in scanner().feed("".join(lines).encode())]
    assert len(expected) == 6
    for cut in range(1, len(lines)):
        one, ids, offset = scanner(), [], 0
        for part in ("".join(lines[:cut]), "".join(lines[cut:])):
            ids += [login.id for login in one.feed(part.encode(), offset)]
            offset += len(part)
        assert ids == expected


def test_over_a_rotation_and_in_the_summary(tmp_path):
    """The rest may stand in the next file; what is cut off is named."""
    (tmp_path / "auth.log.1").write_text(line(CUT, pid=7))
    (tmp_path / "auth.log").write_text(line(NEXT, pid=7) + line(CUT, pid=8, second=30))
    for jobs in ("1", "2"):
        done = command("scan", tmp_path, "--jobs", jobs)
        rows = [json.loads(row) for row in done.lines]
        assert [(row["user_login"], row["pid"]) for row in rows] == [("alice", 7)]
        assert rows[0]["source"] == {"path": str(tmp_path / "auth.log.1"), "offset": 0}
        assert "1 login (sudo 1), 3 lines" in done.err
        assert "1 line cut off" in done.err


def test_many_cut_lines_cost_little(scanner):
    """Twenty thousand in five seconds, for which nothing or one line follows, cost no more each."""
    many = "".join(line(CUT.replace("alice", f"u{n}")) for n in range(20_000))
    rest = line("[...] a/b ; USER=root ; COMMAND=/bin/ls")
    assert len(scanner().feed((many + rest * 20_000).encode())) > 10_000


@pytest.fixture(name="agent_of")
def _agent_of(tmp_path):
    """Make agents of one log, each of which goes on where the one before was killed."""
    clock, opened = SetClock(BEGIN), []
    log = tmp_path / "auth.log"
    log.touch()

    def make():
        known = {"clock": clock, "events": lambda event: None}
        spool = Spool.open(tmp_path / "state", **known)
        saved = {name: row.checkpoint for name, row in spool.positions().items()}
        tail = Tail([str(log)], saved, from_start=True, **known)
        opened.extend([spool, tail])
        return (
            LogReader(
                tail=tail, spool=spool, rules=load_rules(), zone=UTC, machine="web1", **known
            ),
            spool,
        )

    yield make, log, clock
    for one in opened:
        one.close()


def test_what_waits_for_its_rest_is_read_again_after_a_kill(agent_of):
    """The position stays before it; each login is taken once."""
    make, log, _ = agent_of
    log.write_text(line(CUT) + SSHD)
    agent, spool = make()
    agent.step()
    agent.flush()
    spool.close()

    agent, spool = make()
    with log.open("a") as file:
        file.write(line(NEXT))
    agent.step()
    agent.flush()
    assert [entry.user for entry in spool.due(9)] == ["bob", "alice"]
    spool.close()
    agent, spool = make()
    agent.step()
    assert [entry.user for entry in spool.due(9)] == ["bob", "alice"]


def test_where_nothing_more_is_written_it_is_cut_off_after_five_seconds(agent_of):
    """Then the position moves on, and nothing is read again."""
    make, log, clock = agent_of
    log.write_text(line(CUT))
    agent, spool = make()
    agent.step()
    assert (agent.patience, agent.sources()[0]["cut_off"]) == (5.0, 0)
    clock.time += 5
    agent.step()
    assert (agent.patience, agent.sources()[0]["cut_off"]) == (math.inf, 1)
    agent.flush()
    spool.close()
    agent, _ = make()
    agent.step()
    assert agent.patience == math.inf


def test_status_and_metrics_name_what_was_cut_off(tmp_path):
    """Of the running agent."""
    log = tmp_path / "auth.log"
    log.write_text(line(CUT))
    with Running(tmp_path, [log]).start("--from-start") as run:
        assert eventually(lambda: run.status()["sources"][0]["cut_off"] == 1)
        assert "1 line cut off" in command("status", "-c", run.config).out


@pytest.mark.parametrize(("text", "word"), [(CUT, "first part"), (NEXT, "next part")])
def test_explain_tells_of_the_parts(text, word):
    """Alone they are no logins."""
    done = command("explain", line(text).strip())
    assert done.code == 1
    assert word in done.out
    assert "COMMAND" in done.out or "alice, cut off" in done.out
