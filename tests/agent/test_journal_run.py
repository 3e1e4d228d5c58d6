"""The journal through the whole agent, `scan` and `backfill`: verified logins, each one once."""

import gzip
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from chaos import FULL
from commands import run as command
from journals import BEGIN_US, JournalDirectory, entry, forged, needs_journal_tools, sshd
from running import Running, eventually

pytestmark = needs_journal_tools

NOW = int(time.time() - BEGIN_US / 1e6)
"""The number of an entry that is written now."""


@pytest.fixture(name="journal")
def _journal(tmp_path, monkeypatch):
    """The machine's own journal, as far as our programs know."""
    journal = JournalDirectory(tmp_path / "journal")
    monkeypatch.setenv("PATH", journal.shim(tmp_path / "bin"))
    return journal


@pytest.fixture(name="agent_with")
def _agent_with(tmp_path):
    """Make agents that read the journal and, if it exists, a file."""
    made = []

    def make(choice):
        config = f"sources: {{files: [{tmp_path}/auth.log], journal: {choice}}}\nmachine: web1\n"
        made.append(Running(tmp_path, [], config))
        return made[-1]

    yield make
    for run in made:
        run.__exit__()


def stored(run):
    """Return user and proof of every login that the embedded monitor has."""
    database = run.state / "monitor" / "monitor.sqlite"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reader:
        return reader.execute("SELECT user_login, verified FROM results").fetchall()


def line(number, user=None, sent=0.3):
    """Return what a syslog daemon writes to a file of the same login, a moment later."""
    moment = BEGIN_US / 1e6 + number + sent
    stamp = time.strftime("%b %e %H:%M:%S", time.localtime(moment))
    message = f"Accepted password for {user or f'u{number}'} from 192.0.2.7 port 22 ssh2"
    return f"{stamp} web1 sshd[{1000 + number}]: {message}\n"


def test_kills_lose_and_repeat_nothing(journal, agent_with):
    """However often the agent dies, each login of the journal arrives once, and is verified."""
    run, numbers = agent_with("yes"), iter(range(10_000))

    def write(count):
        journal.append(*(sshd(next(numbers)) for _ in range(count)))

    for attempt in range(20 if FULL else 4):
        write(60)
        run.start("--from-start")
        if attempt == 1:
            journal.rotate()
        write(60)
        eventually(lambda goal=(attempt * 120 + 70): len(stored(run)) > goal)
        run.kill()
        write(7)
    run.start()
    count = next(numbers)
    eventually(lambda: len(stored(run)) >= count)
    assert Counter(stored(run)) == Counter((f"u{n}", 1) for n in range(count))
    assert run.stop() == 0


def test_the_same_login_in_journal_and_file_is_one(journal, agent_with, tmp_path):
    """Whichever account comes first, and over a restart; what stands in one of them counts too."""
    log = tmp_path / "auth.log"
    log.touch()
    run = agent_with("yes").start()
    journal.append(sshd(NOW, "first"))
    log.write_text(line(NOW, "first"))
    eventually(lambda: len(stored(run)) == 1)
    with log.open("a") as file:
        file.write(line(NOW + 1, "second"))
        file.flush()
        journal.append(sshd(NOW + 1, "second"))
    eventually(lambda: len(stored(run)) == 2)
    assert run.stop() == 0
    journal.append(sshd(NOW + 2, "third"))
    run.start()
    eventually(lambda: len(stored(run)) == 3)
    with log.open("a") as file:
        file.write(line(NOW + 2, "third") + line(NOW + 3, "fourth"))
    eventually(lambda: len(stored(run)) == 4)
    assert [user for user, _ in stored(run)] == ["first", "second", "third", "fourth"]
    assert dict(stored(run)) | {"second": 1} == {"first": 1, "second": 1, "third": 1, "fourth": 0}


def test_forged_entries_are_refused_and_counted(journal, agent_with):
    """They are told of, stand in status and metrics, and reach nobody."""
    run = agent_with("auto").start()
    journal.append(forged(1), forged(2, _UID="0"), sshd(3), entry(4, "Accepted nothing"))
    eventually(lambda: run.status()["sources"][-1]["refused"] == 2)
    eventually(lambda: len(stored(run)) == 1)
    assert stored(run) == [("u3", 1)]
    assert "in the name of sshd is refused: /usr/bin/logger of user" in run.text()
    words = [sys.executable, "-m", "logwatch_monitis", "status", "-c", str(run.config)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "2 logins refused" in said
    assert run.stop() == 0


def test_auto_reads_the_journal_where_no_file_exists_and_goes_on_with_it(
    journal, agent_with, tmp_path
):
    """A file that appears later is read as well, and nothing in both of them is sent twice."""
    run = agent_with("auto").start()
    assert "Watching the journal of systemd\n" in run.text()
    journal.append(sshd(NOW))
    eventually(lambda: len(stored(run)) == 1)
    log = tmp_path / "auth.log"
    log.write_text(line(NOW) + line(NOW + 1, "in-file"))
    eventually(lambda: len(stored(run)) == 2)
    assert run.stop() == 0
    journal.append(sshd(NOW + 2, "in-journal"))
    run.start()
    eventually(lambda: len(stored(run)) == 3)
    assert stored(run) == [(f"u{NOW}", 1), ("in-file", 0), ("in-journal", 1)]


def test_auto_leaves_the_journal_where_a_file_exists(journal, agent_with, tmp_path):
    """As the contract has it."""
    (tmp_path / "auth.log").touch()
    run = agent_with("auto").start()
    journal.append(sshd(1))
    assert [row["log"] for row in run.status()["sources"]] == [str(tmp_path / "auth.log")]


def test_a_reload_takes_the_journal_up_and_lets_go_of_it(journal, agent_with):
    """Without a restart."""
    run = agent_with("no").start()
    run.config.write_text(run.config.read_text().replace("journal: no", "journal: yes"))
    run.process.send_signal(1)
    eventually(lambda: run.status()["sources"][-1]["log"] == "journal")
    journal.append(sshd(1))
    eventually(lambda: stored(run) == [("u1", 1)])
    run.config.write_text(run.config.read_text().replace("journal: yes", "journal: no"))
    run.process.send_signal(1)
    eventually(lambda: run.status()["sources"][-1]["log"] != "journal")
    assert stored(run) == [("u1", 1)]


def test_dry_run_prints_what_the_journal_has(journal, tmp_path):
    """Verified logins, in the interchange format."""
    journal.append(sshd(1), forged(2))
    config = tmp_path / "config.yaml"
    config.write_text(f"sources: {{files: [{tmp_path}/none]}}\n")
    words = ["run", "--dry-run", "--from-start", "--format", "jsonl", "-c", str(config)]
    with subprocess.Popen(
        [sys.executable, "-m", "logwatch_monitis", *words], stdout=subprocess.PIPE
    ) as process:
        row = json.loads(process.stdout.readline())
        process.terminate()
    assert process.returncode == 0
    assert (row["user_login"], row["verified"], row["source"]["path"]) == ("u1", True, "journal")


def test_check_tells_whether_the_journal_can_be_read(journal, tmp_path, monkeypatch):
    """That it is empty, that it is readable, that there is no journalctl."""
    config = tmp_path / "config.yaml"
    config.write_text(f"state_directory: {tmp_path}/state\nsources: {{files: [], journal: yes}}\n")
    assert "note   journal: it holds nothing" in command("check", "-c", config).out
    journal.append(sshd(1))
    done = command("check", "-c", config)
    assert (done.code, "ok     journal: it can be read" in done.out) == (0, True)
    monkeypatch.setenv("PATH", "/nowhere")
    for words in (["check"], ["run"]):
        done = command(*words, "-c", config)
        assert done.code == 78
        assert "install the package systemd, or set 'journal: no'" in done.out + done.err


DATA = sshd(1) + forged(2) + entry(3, b"\xff") + sshd(4)


@pytest.mark.parametrize("form", ["export", "json"])
@pytest.mark.parametrize("way", ["file", "gz", "stdin", "jobs"])
def test_scan_reads_what_journalctl_prints(journal, tmp_path, form, way):
    """Export format and JSON, however they come: the same logins, with the same ids."""
    journal.append(DATA)
    words = ["journalctl", "--all", f"--output={form}"]
    data = subprocess.run(words, capture_output=True, check=True).stdout
    path = tmp_path / "journal.export"
    path.write_bytes(gzip.compress(data) if way == "gz" else data)
    known = [json.loads(row)["id"] for row in command("scan", "journal:").lines]
    more = ["--jobs", "2"] if way == "jobs" else []
    done = command("scan", "-" if way == "stdin" else path, *more, stdin=data)
    rows = [json.loads(row) for row in done.lines]
    assert [(row["user_login"], row["verified"]) for row in rows] == [("u1", True), ("u4", True)]
    assert [row["id"] for row in rows] == known
    assert "1 login refused, the journal does not prove who wrote it" in done.err
    assert done.code == 0


def test_scan_tells_of_a_damaged_export(tmp_path):
    """What is readable is printed, the exit code is 1."""
    path = tmp_path / "cut"
    path.write_bytes(DATA[:600])
    done = command("scan", path)
    assert (done.code, len(done.lines)) == (1, 1)
    assert f"{path}: it ends in a journal entry after" in done.err


def test_scan_of_a_journal_directory_or_file(tmp_path):
    """With the numbers of its entries for offsets; what does not exist is named."""
    journal = JournalDirectory(tmp_path / "journal")
    journal.append(DATA)
    for place in (journal.path, journal.live):
        rows = [json.loads(row) for row in command("scan", f"journal:{place}").lines]
        assert [row["source"] for row in rows] == [
            {"path": f"journal:{place}", "offset": n} for n in (1, 4)
        ]
    done = command("scan", f"journal:{tmp_path}/none")
    assert (done.code, done.out) == (1, "")
    assert "cannot be read: no such file or directory" in done.err
    done = command("scan", "journal:/etc/passwd")
    assert (done.code, "journalctl failed" in done.err) == (1, True)


def test_since_and_until_are_handed_over(journal, tmp_path):
    """So that journalctl does not print years of which nothing is wanted."""
    journal.append(*(sshd(n) for n in range(0, 1000, 100)))
    since, until = (
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(BEGIN_US / 1e6 + n)) for n in (300, 500)
    )
    program = tmp_path / "bin" / "journalctl"
    program.write_text(program.read_text().replace("exec", f'echo "$@" >>{tmp_path}/words\nexec'))
    done = command("scan", "journal:", "--timezone", "UTC", "--since", since, "--until", until)
    assert [json.loads(row)["user_login"] for row in done.lines] == ["u300", "u400"]
    assert "3 lines" in done.err
    begin = BEGIN_US // 1_000_000
    words = (tmp_path / "words").read_text()
    assert f"--since=@{begin + 240} --until=@{begin + 560}" in words


def test_backfill_of_the_journal_sends_nothing_that_the_agent_has_sent(
    journal, agent_with, tmp_path
):
    """Neither what it read there nor what it read in a file."""
    log = tmp_path / "auth.log"
    log.write_text(line(NOW, "both"))
    run = agent_with("no").start("--from-start")
    eventually(lambda: len(stored(run)) == 1)
    journal.append(sshd(NOW, "both"), sshd(NOW + 1, "old"))
    for outcome in ("1 sent, 1 sent before", "2 sent before"):
        done = command("backfill", "journal:", "-c", run.config)
        assert done.code == 0, done.err
        assert outcome in done.err
    eventually(lambda: len(stored(run)) == 2)
    assert Counter(user for user, _ in stored(run)) == {"both": 1, "old": 1}


@pytest.mark.skipif(os.geteuid() != 0 and "CI" not in os.environ, reason="needs root")
def test_whoever_may_not_read_the_journal_is_told_what_to_do():
    """77 and the group that may, instead of an empty journal."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        machine = Path(name) / ("0" * 32)
        machine.mkdir()
        (machine / "system.journal").touch(mode=0o640)
        config = Path(name) / "config.yaml"
        config.write_text(f"state_directory: {name}/state\nsources: {{files: [], journal: yes}}\n")
        (Path(name) / "state").mkdir()
        os.chown(Path(name) / "state", 65534, 65534)
        program = (
            "import sys; from pathlib import Path;"
            "from logwatch_monitis.sources.journal import journalctl;"
            f"journalctl._DIRECTORIES = (Path({name!r}),);"
            "from logwatch_monitis.cli.main import execute; sys.exit(execute(sys.argv[1:]))"
        )
        denied = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
        denied += ["--reuid=65534", "--regid=65534", "--clear-groups", sys.executable]
        run = ["run", "-c", str(config)]
        for words in (["scan", "journal:"], ["check", "-c", str(config)], run):
            done = subprocess.run(
                [*denied, "-c", program, *words], capture_output=True, text=True, check=False
            )
            assert done.returncode == 77, done.stdout + done.stderr
            assert "systemd-journal" in done.stdout + done.stderr
