"""Reading with several processes: the same output as with one, and nothing left behind."""

import gzip
import os
import random
import signal
from datetime import UTC
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from commands import EXAMPLE_LOG, process, spawn

from logwatch_monitis.errors import LogwatchError
from logwatch_monitis.grammar import load_rules
from logwatch_monitis.history import reader as history
from logwatch_monitis.history import workers as jobs
from logwatch_monitis.history.reader import History, gather, group
from logwatch_monitis.sources.blocks import read_blocks

BERLIN = ZoneInfo("Europe/Berlin")


class Collector:
    """Takes pieces in the leading process."""

    anywhere = False

    def __init__(self):
        self.logins, self.ends = [], {}

    def take(self, piece):
        """Keep the logins."""
        self.logins += piece.logins
        self.ends[piece.path] = piece.end

    def divert(self, write):
        """Write nothing."""

    def write(self, data):
        """Write nothing."""

    def report(self):
        """Report nothing."""

    def add(self, report):
        """Add nothing."""


class Killer(Collector):
    """Takes pieces in the process that found them, and is killed by the first."""

    anywhere = True

    def take(self, piece):
        """Die."""
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """Return the rules of the package."""
    return load_rules(system=[], cache_directory=tmp_path_factory.mktemp("cache"))


CUT = ["PWD=/a", "(command continued) /b ; USER=root ; COMMAND=x"]
"""The two parts of a line that is too long for sudo."""


def repeating_lines(rng):
    """Return lines, many alike, some cut, whose clock stutters and passes an hour that repeats."""
    second, lines = 0, []
    for _ in range(rng.choice([20, 200, 1500])):
        second = max(second + rng.choice([0, 0, 0, 0, 1, 2, 9, -1, -2]), 0)
        stamp = f"Oct 25 0{1 + second // 3600}:{second // 60 % 60:02d}:{second % 60:02d}"
        user = rng.choice("abc")
        rest = rng.choice(["TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=x"] * 4 + CUT)
        lines.append(f"{stamp} web1 sudo: {user} : {rest}\n")
        second += 1500 * (rng.random() < 0.01)
    return "".join(lines)


@pytest.mark.parametrize("seed", range(8))
def test_same_logins_as_one_process(seed, rules, tmp_path, monkeypatch):
    """Files and parts of files read beside each other give each login its place, time and id."""
    rng = random.Random(seed)
    monkeypatch.setattr(jobs, "RANGE", rng.choice([300, 3000, 30_000]))
    monkeypatch.setattr(jobs, "SHEET", rng.choice([1, 10_000, 1_000_000]))
    monkeypatch.setattr(history, "read_blocks", partial(read_blocks, size=rng.choice([500, 5000])))
    for name in ("auth.log", "auth.log.1", "vsftpd.log"):
        (tmp_path / name).write_text(repeating_lines(rng))
    (tmp_path / "auth.log.2.gz").write_bytes(gzip.compress(repeating_lines(rng).encode()))
    one, many = (History(rules, machine="m", zone=BERLIN) for _ in range(2))
    logs = group(gather([str(tmp_path)], []), BERLIN, [])
    expected, collector = Collector(), Collector()
    for log in logs:
        for piece in one.read(log):
            expected.take(piece)

    jobs.read_logs(many, logs, 3, collector)

    assert len(expected.logins) > 50
    assert expected.logins == collector.logins
    assert (expected.ends, one.counts) == (collector.ends, many.counts)


def test_an_equal_line_behind_a_full_sheet_has_its_own_id(rules, tmp_path, monkeypatch):
    """A part of a file whose sheet is full may yet hold a line that a part before it holds."""
    names = ["same", *map(str, range(18)), "same"]
    lines = [
        f"Nov 22 21:41:45 web1 sudo: {name:>8} : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=x\n"
        for name in names
    ]
    log = tmp_path / "auth.log"
    log.write_text("".join(lines))
    monkeypatch.setattr(jobs, "RANGE", 10 * len(lines[0]))
    monkeypatch.setattr(jobs, "SHEET", 1)
    blocks = partial(read_blocks, size=3 * len(lines[0]))
    monkeypatch.setattr(history, "read_blocks", blocks)
    collector = Collector()

    jobs.read_logs(
        History(rules, machine="m", zone=BERLIN), group([str(log)], BERLIN, []), 2, collector
    )

    assert [login.user_login for login in collector.logins] == names
    assert len({login.id for login in collector.logins}) == len(names)


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "human"])
def test_same_output_in_every_format(form, tmp_path):
    """The number of jobs changes nothing of what is printed."""
    log = tmp_path / "auth.log"
    log.write_bytes(EXAMPLE_LOG.read_bytes() * 2000)
    (tmp_path / "auth.log.1.gz").write_bytes(b"\x1f\x8bdamaged")
    scan = ("scan", "--format", form, log, tmp_path / "auth.log.1.gz", tmp_path / "no.log")

    one, two = process(*scan, "--jobs", 1), process(*scan, "--jobs", 2)

    assert one.out == two.out
    assert one.code == two.code == 1
    assert one.out.count("\n") > 20_000
    assert sorted(one.err.splitlines()[:-1]) == sorted(two.err.splitlines()[:-1])


def test_filter_and_summary(tmp_path):
    """A filter works in every process, and the summary counts what all of them found."""
    log = tmp_path / "auth.log"
    log.write_bytes(EXAMPLE_LOG.read_bytes() * 2000)
    result = process("scan", "--jobs", 2, "--user", "alice", "--format", "jsonl", log)
    assert result.out.count('"user_login":"alice"') == result.out.count("\n") == 10_000
    assert result.err.startswith("10000 logins (")


def test_killed_process_is_told(rules, tmp_path):
    """When a process is killed, that is one clear error, and no process stays."""
    log = tmp_path / "auth.log"
    log.write_bytes(EXAMPLE_LOG.read_bytes())
    logs = group([str(log)], UTC, [])
    reading = History(rules, machine="m", zone=UTC)
    with pytest.raises(LogwatchError, match=r"ended unexpectedly \(exit code -9\)"):
        jobs.read_logs(reading, logs, 2, Killer())
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_closed_pipe_is_quiet(tmp_path):
    """A reader that has seen enough ends the scan without a word."""
    log = tmp_path / "auth.log"
    log.write_bytes(EXAMPLE_LOG.read_bytes() * 5000)
    with spawn("scan", "--jobs", 2, "--format", "jsonl", log) as started:
        started.stdout.readline()
        started.stdout.close()
        assert started.stderr.read() == b""
    assert started.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_ended_from_outside(number, tmp_path):
    """When the scan is ended, its processes end with it, so the pipe they write to is closed."""
    log = tmp_path / "auth.log"
    log.write_bytes(EXAMPLE_LOG.read_bytes() * 5000)
    with spawn("scan", "--jobs", 2, "--format", "jsonl", log, stderr=None) as started:
        started.stdout.readline()
        started.send_signal(number)
        started.stdout.read()
    assert started.returncode == (-9 if number == signal.SIGKILL else 128 + number)
