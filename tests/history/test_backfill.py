"""``backfill``: the past goes to the monitor, each login once, whatever happens meanwhile."""

import contextlib
import fcntl
import gzip
import json
import os
import pty
import random
import re
import signal
import struct
import subprocess
import termios
from collections import Counter

import pytest
from chaos import FULL, Log, embedded, exactly, expected, pack, plain_config, taken_by
from commands import EXAMPLE_LOG, PROGRAM, denied, process, run, spawn
from fake_monitor import FakeMonitor, answer, hang
from running import eventually

from logwatch_monitis.history import backfill
from logwatch_monitis.interfaces import SystemClock
from logwatch_monitis.spool import Spool

FOUND = Counter(sshd=7, sudo=4, vsftpd=2)
"""Logins of the example."""
ACCEPTED = "Accepted publickey for {} from 192.0.2.7 port 5 ssh2\n"


@contextlib.contextmanager
def backfilling(*words):
    """Run a backfill in a process of its own, until the block ends."""
    with spawn("backfill", *words) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.fixture(name="server")
def _server():
    """A plain server."""
    with FakeMonitor() as server:
        yield server


@pytest.fixture(name="batches")
def _batches():
    """A server that takes batches, as our own does."""
    with FakeMonitor(ours=True) as server:
        yield server


@pytest.fixture(name="log")
def _log(tmp_path):
    """An empty log with an account of what is written to it."""
    return Log(tmp_path / "auth.log")


def configured(directory, server=None, more=""):
    """Write a configuration for a server, or for the embedded monitor, and return its options."""
    path = directory / "backfill.yaml"
    where = plain_config(server, directory) if server else "listen: 127.0.0.1:0\n"
    path.write_text(f"state_directory: {directory}/state\nmachine: web9\n{where}{more}")
    return ["--config", str(path)]


def sent(server):
    """Return services and their number of results."""
    return Counter(result.values["srv"] for result in server.results)


def ids(server):
    """Return the ids of all results of a server that takes them."""
    return [result.additional["id"] for result in server.results]


class TestOnce:
    """Each login arrives once."""

    def test_a_log_and_its_copies(self, log, tmp_path, server):
        """A plain server gets one request for each login, and nothing the next time."""
        options = configured(tmp_path, server)
        for _ in range(3):
            log.append(40)
            log.rotate()
        log.append(40)

        first = run("backfill", *options, tmp_path / "auth.log*")
        second = run("backfill", *options, tmp_path / "auth.log*")

        assert (0, 0, []) == (first.code, second.code, server.unknown)
        assert expected(log) == sorted(taken_by(server))
        found = r"160 logins \(sshd 160\), 320 lines, 4 files, \d+\.\d\d s, \d+\.\d MB/s\n"
        assert re.fullmatch(found + "160 sent\n", first.err)
        assert re.fullmatch(found + "0 sent, 160 sent before\n", second.err)

    def test_the_embedded_monitor(self, log, tmp_path, agent_of):
        """Without an agent it brings the embedded monitor along; a later agent's page shows all."""
        log.append(1200)
        options = configured(tmp_path)

        codes = [run("backfill", "-q", *options, log.path).code for _ in range(2)]

        with agent_of(log.path).start() as agent:
            assert [0, 0] == codes
            assert expected(log) == sorted(embedded(agent))
            assert len(agent.logins("?limit=2000")) == 1200

    def test_what_the_agent_sent_live(self, tmp_path, agent_of, server):
        """Live and from copies a line has the same id, also its byte-identical twins."""
        log, lines = tmp_path / "auth.log", []

        def append(*users, second):
            text = [
                f"2026-11-20T10:00:{second}+00:00 web1 sshd[7]: {ACCEPTED.format(u)}" for u in users
            ]
            lines.extend(users)
            with log.open("a") as file:
                file.writelines(text)

        append("before", "twin", second=10)
        with agent_of(log, config=plain_config(server, tmp_path)).start():
            append("twin", "twin", "live", second=10)
            assert eventually(lambda: len(server.results) == 3)
            log.rename(tmp_path / "auth.log.1")
            append("twin", "live", second=10)
            assert eventually(lambda: len(server.results) == 5)
            (tmp_path / "auth.log.1").rename(tmp_path / "auth.log.2")
            pack(tmp_path / "auth.log.2")
            log.rename(tmp_path / "auth.log.1")
            append("twin", "last", second=11)
            assert eventually(lambda: len(server.results) == 7)
            result = run("backfill", *configured(tmp_path, server), tmp_path / "auth.log*")

        assert result.err.endswith("2 sent, 7 sent before\n")
        assert Counter(lines) == Counter(server.users())

    @pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside an agent"])
    def test_killed_and_run_again(self, log, tmp_path, agent_of, beside):
        """Killed at any moment and run again until done, it has sent exactly what the log holds."""
        log.append(100_000 if FULL else 2000)
        other = tmp_path / "other.log"
        other.touch()
        agent = agent_of(other, config="machine: web9\n")
        if beside:
            agent.start()
        for _ in range(10 if FULL else 2):
            late = contextlib.suppress(subprocess.TimeoutExpired)
            with backfilling(*configured(tmp_path), log.path) as started, late:
                started.wait(random.uniform(0.3, 7 if FULL else 3))
        result = run("backfill", *configured(tmp_path), log.path)

        assert (0, "") == (result.code, result.out)
        exactly(expected(log), lambda: sorted(embedded(agent)), 0)

    def test_several_jobs(self, log, tmp_path):
        """What several processes read is sent in the same order, with the same ids, and counted."""
        for _ in range(4):
            log.append(60)
            last = log.path.read_bytes().splitlines(keepends=True)[-1]
            with log.path.open("ab") as file:
                file.write(last * 2)
            log.rotate()
            log.path.write_bytes(last * 3)
        found = []
        for jobs in ("1", "3"):
            with FakeMonitor(ours=True) as server:
                (tmp_path / jobs).mkdir()
                options = [*configured(tmp_path / jobs, server), "--jobs", jobs]
                result = process("backfill", *options, tmp_path / "auth.log*")
                dry = process("backfill", "--dry-run", *options, tmp_path / "auth.log*")
                found.append((result.code, result.err.split()[:7], dry.out, ids(server)))

        assert found[0] == found[1]
        assert len(found[0][-1]) == len(set(found[0][-1])) == 4 * 65

    def test_filters_do_not_change_ids(self, tmp_path, batches):
        """First some services and users, then all: what was sent before is known again."""
        log = tmp_path / "auth.log"
        lines = EXAMPLE_LOG.read_bytes().splitlines(keepends=True)
        log.write_bytes(b"".join(line * 2 for line in lines))
        options = configured(tmp_path, batches)
        for words in (["--service", "sudo"], ["--user", "alice"], ["--service", "sshd"], []):
            assert run("backfill", *options, *words, log).code == 0

        assert sent(batches) == Counter({name: 2 * count for name, count in FOUND.items()})
        assert len(set(ids(batches))) == 26

    def test_a_line_that_is_still_being_written(self, tmp_path, server):
        """A last line without its end is not taken; it is once it is complete."""
        log = tmp_path / "auth.log"
        line = f"2026-11-20T10:00:00+00:00 web1 sshd[7]: {ACCEPTED}"
        log.write_text(line.format("al") + line.format("bo")[:-1])
        options = configured(tmp_path, server)

        run("backfill", *options, log)
        before = server.users()
        with log.open("a") as file:
            file.write("\n")
        run("backfill", *options, log)

        assert (["al"], ["al", "bo"]) == (before, server.users())


class TestBeside:
    """What runs at the same time."""

    def test_two_at_once(self, log, tmp_path, server):
        """A second one says who is first, with exit code 75."""
        log.append()
        server.always(hang(), "addResult")
        options = configured(tmp_path, server)
        with backfilling(*options, log.path) as first:
            assert eventually(lambda: "addResult" in server.actions())
            second = run("backfill", *options, log.path)

        assert (75, "") == (second.code, second.out)
        assert f"another 'backfill' works on {tmp_path}/state (process {first.pid}," in second.err

    def test_an_agent_that_comes_and_goes(self, log, tmp_path, agent_of):
        """It gets delivery and embedded monitor; when it dies the backfill delivers again."""
        log.append(30_000 if FULL else 6000)
        live = Log(tmp_path / "live.log", first=10**6)
        agent = agent_of(live.path, config="machine: web9\n")
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        with backfilling(*configured(tmp_path), log.path, pipe) as started:
            with pipe.open("w"):  # it cannot end before this is closed
                assert eventually(lambda: len(embedded(agent)) > 1000)
                agent.start()
                live.append(5)
                assert eventually(lambda: 5 == sum(r.number >= 10**6 for r in embedded(agent)))
                agent.kill()
            assert started.wait(120) == 0
            words = started.stderr.read().decode()

        assert sorted(expected(log) + expected(live)) == sorted(embedded(agent))
        assert "Traceback" not in words

    def test_live_logins_are_not_starved(self, log, tmp_path, agent_of):
        """Amid a large backfill a login that happens now is on the page within seconds."""
        log.append(100_000 if FULL else 25_000)
        live = Log(tmp_path / "live.log", first=1_000_000)
        with (
            agent_of(live.path, config="machine: web9\n").start() as agent,
            backfilling("-q", *configured(tmp_path), log.path) as started,
        ):
            assert eventually(lambda: len(embedded(agent)) > 500)
            live.append()
            assert eventually(lambda: any(row.number >= 10**6 for row in embedded(agent)), 10)
            amid = started.poll() is None
            assert started.wait(120) == 0
            assert sorted(expected(log) + expected(live)) == sorted(embedded(agent))

        assert amid

    def test_a_full_outbox(self, log, tmp_path, batches):
        """Where little may wait it waits for the delivery, leaves room for more, and goes on."""
        log.append(2500)
        options = configured(tmp_path, batches, "spool: {max_entries: 1000}\n")
        batches.always(answer(503), "addResults")
        with backfilling(*options, log.path) as started:
            assert eventually(lambda: _waiting(tmp_path) >= 500)
            assert not eventually(lambda: _waiting(tmp_path) > 750, 1)
            batches.always(None, "addResults")
            assert started.wait(60) == 0

        assert _waiting(tmp_path) == 0
        assert expected(log) == taken_by(batches)

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_told_to_stop(self, log, tmp_path, batches, number, code):
        """A signal ends it soon; it says how far it came, and the next one sends the rest."""
        log.append(2000)
        batches.always(answer(503), "addResults")
        options = configured(tmp_path, batches)
        with backfilling(*options, log.path) as started:
            assert eventually(lambda: "addResults" in batches.actions())
            started.send_signal(number)
            assert started.wait(15) == code
            assert started.stdout.read() == b""
            said = started.stderr.read().decode().splitlines()
        batches.always(None, "addResults")

        again = run("backfill", *options, log.path)

        sent = int(said[-2].split()[0])  # single ones, to see whether the server takes those
        assert 1 <= sent < 10
        assert said[-2] == f"{sent} sent, {2000 - sent} not sent yet"
        assert said[-1] == (
            "logwatch-monitis: interrupted; run the same command again to go on"
            f" ({2000 - sent} logins stay in the spool; the next 'run' or 'backfill' sends them)"
        )
        assert again.code == 0
        rest = rf"^{2000 - sent} sent \(\d+ a second\), {sent} sent before$"
        assert re.search(rest, again.err, re.MULTILINE)
        assert expected(log) == taken_by(batches)

    def test_rotation_meanwhile(self, log, tmp_path, batches):
        """Files that were renamed since they were named are read under their new names."""
        first = Log(tmp_path / "a.log", first=10**6)
        first.append(5)
        log.append(500)
        pipe = tmp_path / "a.log.1"
        os.mkfifo(pipe)
        options = configured(tmp_path, batches)
        with backfilling(*options, first.path, pipe, log.path) as started:
            with pipe.open("w"):  # which waits until it is read
                log.rotate()
                log.append(1)
            assert started.wait(60) == 0

        assert sorted(expected(log)[:500] + expected(first)) == sorted(taken_by(batches))


class TestTrouble:
    """What goes wrong."""

    def test_an_unreachable_monitor(self, log, tmp_path, monkeypatch):
        """After a while it says so in one line, with 69; the next run sends what stayed."""
        monkeypatch.setattr(backfill, "PATIENCE_S", 0.5)
        with FakeMonitor() as server:
            port = server.port
        log.append(20)
        options = configured(tmp_path, server)

        failed = run("backfill", *options, log.path)
        with FakeMonitor(port=port) as again:
            second = run("backfill", *options, log.path)

        assert (69, "") == (failed.code, failed.out)
        assert failed.err.splitlines()[-1] == (
            "logwatch-monitis: 127.0.0.1: connection refused"
            " (20 logins stay in the spool; the next 'run' or 'backfill' sends them)"
        )
        assert (0, expected(log)) == (second.code, sorted(taken_by(again)))

    def test_wrong_keys(self, log, tmp_path, server):
        """Waiting would not help, so it ends at once and says what to check."""
        log.append(3)
        options = configured(tmp_path, server)
        (tmp_path / "secret-key").write_text("WRONG")

        result = run("backfill", *options, log.path)

        assert result.code == 1
        assert "Invalid checksum (check the api key and the secret key)" in result.err
        assert "3 logins stay in the spool" in result.err

    def test_a_refused_login(self, log, tmp_path, server):
        """What the monitor never takes becomes a dead letter; the rest arrives; exit code 1."""
        log.append(5)
        address = expected(log)[1].host

        def refuse(exchange):
            refused = address in exchange.request.params["results"]
            exchange.send(b'{"status":"Invalid results"}' if refused else exchange.proper())

        server.always(refuse, action="addResult")

        result = run("backfill", *configured(tmp_path, server), log.path)

        assert (1, 4) == (result.code, len(server.results))
        assert result.err.endswith("1 refused by the monitor, see 'logwatch-monitis spool list'\n")

    def test_a_damaged_archive(self, log, tmp_path, server):
        """What stands before the damage is sent, the damage is named, exit code 1."""
        log.append(2000)
        data = gzip.compress(log.path.read_bytes())
        archive = tmp_path / "auth.log.1.gz"
        archive.write_bytes(data[: len(data) // 20])
        log.path.write_bytes(EXAMPLE_LOG.read_bytes())

        result = run("backfill", *configured(tmp_path, server), archive, log.path)

        assert result.code == 1
        assert f"logwatch-monitis: {archive}: " in result.err
        assert sent(server)["vsftpd"] == 2
        assert 13 < len(server.results) < 2013

    def test_permissions(self, log, tmp_path, server):
        """A file that may not be read is named and the others are sent; without others it is 77."""
        log.append(3)
        closed = tmp_path / "closed.log"
        closed.write_bytes(EXAMPLE_LOG.read_bytes())
        closed.chmod(0)
        options = configured(tmp_path, server)

        some = denied("backfill", *options, closed, log.path)
        none = denied("backfill", *options, closed)

        assert (1, 77) == (some.code, none.code)
        assert f"{closed}: cannot be read: permission denied" in some.err
        assert expected(log) == sorted(taken_by(server))


class TestChoosing:
    """Which logins, and what is said of them."""

    @pytest.mark.parametrize("form", ["human", "json", "jsonl", "csv"])
    def test_a_dry_run(self, tmp_path, form):
        """It counts by service, in any format, sends nothing and makes no state."""
        options = configured(tmp_path, more="ignore: {users: [carol], hosts: [192.0.2.90]}\n")
        words = ["--dry-run", "--format", form, EXAMPLE_LOG]

        lines = run("backfill", *options, *words).lines

        ignored = {"sshd": 1, "sudo": 1, "vsftpd": 1}
        rows = {
            "human": lambda: [line.split() for line in lines[1:]],
            "csv": lambda: [line.split(",") for line in lines[1:]],
            "json": lambda: [list(row.values()) for row in json.loads("".join(lines))],
            "jsonl": lambda: [list(json.loads(line).values()) for line in lines],
        }[form]()
        assert [[name, count, ignored[name]] for name, count in FOUND.most_common()] == [
            [name, int(count), int(out)] for name, count, out in rows
        ]
        assert not (tmp_path / "state").exists()

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("--user bob --user anna", {"sshd": 1, "vsftpd": 1}),
            ("--service sudo --user alice", {"sudo": 2}),
            ("--service su --service cron", {}),
            ("--service vsftpd --service sudo", {"vsftpd": 2, "sudo": 4}),
            ("--host 2001:db8:17::5", {"sshd": 1}),
            ("--from-machine web2", {}),
            ("--since 2026-11-21T15:00:00+01:00", {"sshd": 2, "sudo": 1}),
            ("--until 2026-11-21T07:58:12.00452+01:00", {"sshd": 1}),
            ("--since 2026-11-22 --timezone Asia/Tokyo", {"sshd": 1, "sudo": 1}),
        ],
    )
    def test_filters(self, tmp_path, server, words, expected):
        """The options that choose do what they do for scan; fewer rules invent no logins."""
        result = run("backfill", *configured(tmp_path, server), *words.split(), EXAMPLE_LOG)

        assert (0, expected) == (result.code, sent(server))

    def test_old_lines(self, tmp_path, batches):
        """--year, --timezone and --machine supply what the lines leave out."""
        log = tmp_path / "old.log"
        log.write_text(f"Mar  9 08:00:00 sshd[7]: {ACCEPTED.format('al')}")
        words = ["--year", "2019", "--timezone", "Asia/Tokyo", "--machine", "old1"]

        run("backfill", *configured(tmp_path, batches), *words, log)

        (found,) = batches.results
        assert (1552086000000, "old1") == (found.checktime, found.additional["machine"])

    def test_ignored_logins(self, tmp_path, server):
        """Those that the configuration names are counted and not sent."""
        options = configured(tmp_path, server, "ignore: {users: [alice], services: [vsftpd]}\n")

        result = run("backfill", *options, EXAMPLE_LOG)

        assert sent(server) == {"sshd": 4, "sudo": 2}
        assert result.err.startswith("13 logins (sshd 7, sudo 4, vsftpd 2), ")
        assert result.err.endswith("\n6 sent, 7 left out as configured\n")

    def test_a_format_without_dry_run(self, tmp_path):
        """Nothing is printed but counts, so --format with nothing to count is wrong usage."""
        result = run("backfill", *configured(tmp_path), "--format", "json", EXAMPLE_LOG)

        assert (2, 1) == (result.code, result.err.count("\n"))

    def test_progress(self, tmp_path, batches, log):
        """A terminal shows bytes read, logins found and sent; --quiet and pipes show nothing."""
        log.append(2000)
        log.rotate(packed_from=1)
        log.append(10)
        words = ["backfill", *configured(tmp_path, batches), str(tmp_path / "auth.log*")]

        piped = run(*words, "--quiet")
        (tmp_path / "state" / "spool.sqlite3").unlink()
        shown = on_terminal(*words)
        quiet = on_terminal(*words, "--quiet")

        assert ("", "") == (piped.err, quiet)
        assert re.search(r"read: 100%.* 2010 logins found", shown)
        assert "sent: " in shown
        assert "2010 logins (sshd 2010), 4020 lines, 2 files, " in shown

    def test_progress_on_a_narrow_terminal(self, tmp_path, batches, log):
        """On forty columns all figures are there, no line is longer, and nothing is coloured."""
        log.append(2000)
        words = ["backfill", *configured(tmp_path, batches), str(log.path)]

        shown = on_terminal(*words, columns=40)

        bars, _, _ = shown.partition("2000 logins (")
        lines = re.split(r"\r|\n|\x1b\[A", bars)
        assert max(map(len, lines)) <= 40
        assert any(re.fullmatch(r"read 100% \S+B/s \d+:\d+, 2000 found *", line) for line in lines)
        assert any(re.fullmatch(r"sent 100% \S+ logins/s \S+ *", line) for line in lines)
        assert set(re.findall(r"\x1b\[\d*\w", bars)) <= {"\x1b[A"}


def _waiting(directory):
    if not (directory / "state" / "spool.sqlite3").exists():
        return 0
    spool = Spool.look(directory / "state", clock=SystemClock(), events=lambda _: None)
    with spool:
        return spool.summary().depth


def on_terminal(*words, columns=120):
    """Return what a command writes to standard error where that is a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([*PROGRAM, *words], stderr=theirs, stdin=subprocess.DEVNULL) as started:
        os.close(theirs)
        output = b""
        with contextlib.suppress(OSError):
            while block := os.read(ours, 65_536):
                output += block
        started.wait(60)
    os.close(ours)
    return output.decode()
