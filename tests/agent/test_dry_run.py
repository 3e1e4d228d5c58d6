"""``run --dry-run`` prints what ``run`` sends: both look at the same files, in many situations."""

import json
import os
import re
import signal
import subprocess
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from commands import PROGRAM
from fake_monitor import API_KEY, SECRET_KEY, FakeMonitor
from journals import BEGIN_US, JournalDirectory, forged, needs_journal_tools, sshd
from running import Running, eventually
from test_state_trouble import rows_of

NOW = int(time.time() - BEGIN_US / 1e6)
"""The number of a journal entry that is written now."""


def line(user, age=timedelta(0), pid=7):
    """Return a login of *user*, so long ago, under a header with microseconds."""
    stamp = (datetime.now(UTC) - age).isoformat(timespec="microseconds")
    return f"{stamp} web1 sshd[{pid}]: Accepted password for {user} from 192.0.2.7 port 22 ssh2\n"


def old(user, moment, pid=7):
    """Return a login of *user* under a header without a year."""
    stamp = moment.strftime("%b %e %H:%M:%S")
    return f"{stamp} web1 sshd[{pid}]: Accepted password for {user} from 192.0.2.7 port 22 ssh2\n"


class Both:
    """An agent that sends and one that prints, side by side; the tests write to their logs."""

    def __init__(self, directory: Path, stack: ExitStack, config: str):
        self.directory = directory
        self.log = directory / "auth.log"
        self.server = stack.enter_context(FakeMonitor(ours=True))
        secret = directory / "secret-key"
        secret.write_text(SECRET_KEY)
        secret.chmod(0o600)
        head = f"monitor: {{url: '{self.server.url}', api_key: {API_KEY}, "
        head += f"secret_key_file: {secret}}}\nmachine: web1\ntimezone: UTC\n"
        if "sources:" not in config:
            head += f"sources: {{files: ['{self.log}*'], journal: no}}\n"
        self.agents = []
        for name in ("sends", "prints"):
            (directory / name).mkdir()
            run = Running(directory / name, [], head + config)
            self.agents.append(stack.enter_context(Closing(run)))
        self.sends, self.prints = self.agents

    def start(self, *words):
        """Start both, and wait until they have said what they watch."""
        self.sends.start(*words)
        printed = self.prints.directory / "printed"
        with printed.open("wb") as output, self.prints.output.open("wb") as said:
            self.prints.process = subprocess.Popen(
                [*PROGRAM, *self.prints.words, "--dry-run", "--format", "jsonl", *words],
                stdout=output,
                stderr=said,
            )
        assert eventually(lambda: re.search("^Wa(tch|it)ing", self.prints.text(), re.MULTILINE)), (
            self.prints.text()
        )

    def append(self, *lines):
        """Write lines to the log."""
        with self.log.open("a") as file:
            file.write("".join(lines))

    def reload(self, more):
        """Change the configuration of both."""
        for run in self.agents:
            run.config.write_text(run.config.read_text() + more)
            run.process.send_signal(signal.SIGHUP)
        for run in self.agents:
            assert eventually(lambda r=run: "The configuration was read again" in r.text())

    def sent(self):
        """Return id and time (ms) of what was sent."""
        requests = list(self.server.requests)
        return sorted(row[:2] for r in requests for row in rows_of(r.params))

    def printed(self):
        """Return id and time (ms) of what was printed."""
        text = (self.prints.directory / "printed").read_text()
        rows = map(json.loads, text.splitlines())
        return sorted(
            (row["id"], int(datetime.fromisoformat(row["time"]).timestamp() * 1000)) for row in rows
        )

    def have(self, count):
        """Wait until either has that many logins."""
        assert eventually(lambda: len(self.sent()) >= count), self.sends.text()
        assert eventually(lambda: len(self.printed()) >= count), self.prints.text()


class Closing:
    """Ends an agent."""

    def __init__(self, run):
        self.run = run

    def __enter__(self):
        return self.run

    def __exit__(self, *_):
        if self.run.process and self.run.process.poll() is None:
            assert self.run.stop() == 0


def ignored(both):
    """Monitoring accounts are left out."""
    both.log.touch()
    both.start()
    both.append(line("nagios"), line("alice"))
    both.have(1)
    return 1


def old_years(both):
    """A file that is there already, last written long ago, without years in its lines."""
    now = datetime.now(UTC)
    moments = [now - timedelta(days=days) for days in (760, 740, 730)]
    both.append(*(old(f"u{n}", moment) for n, moment in enumerate(moments)))
    os.utime(both.log, (moments[-1].timestamp(), moments[-1].timestamp()))
    both.start("--from-start")
    both.have(3)
    return 3


def rewritten(both):
    """An editor's save: another file in place of the former, with a line more."""
    both.log.touch()
    both.start()
    both.append(line("a"), line("b"))
    both.have(2)
    copy = both.directory / "copy"
    copy.write_text("# a line before\n" + both.log.read_text() + line("c"))
    copy.rename(both.log)
    both.have(3)


def repeated(both):
    """The same line again and again is a login each time; rotation does not count anew."""
    both.log.touch()
    both.start()
    same = line("a")
    both.append(same, same)
    both.have(2)
    both.log.rename(both.directory / "auth.log.1")
    both.append(same, line("b"))
    both.have(4)
    return 4


def appears(both):
    """A log that is made later is read from its first byte."""
    both.start()
    both.append(line("a"))
    both.have(1)
    return 1


def reloaded(both):
    """What is ignored from now on is not printed either."""
    both.log.touch()
    both.start()
    both.append(line("one"))
    both.have(1)
    both.reload("ignore: {users: [one]}\n")
    both.append(line("one"), line("two"))
    both.have(2)
    return 2


def proved(both):
    """What journal and file tell of one login is one; a forged entry is none."""
    both.log.touch()
    both.start()
    both.append(line("file"))
    both.journal.append(sshd(NOW, "both"), forged(NOW + 1))
    moment = datetime.fromtimestamp(BEGIN_US / 1e6 + NOW + 0.3, UTC)
    both.append(old("both", moment, pid=1000 + NOW))
    both.have(2)
    both.append(line("end"))
    both.have(3)
    return 3


SITUATIONS = [
    (ignored, "ignore: {users: [nagios]}\n"),
    (old_years, ""),
    (rewritten, ""),
    (repeated, ""),
    (appears, ""),
    (reloaded, ""),
    pytest.param(
        proved,
        "sources: {files: [AUTH_LOG], journal: yes}\n",
        marks=needs_journal_tools,
    ),
]


@pytest.mark.parametrize(("situation", "config"), SITUATIONS)
def test_a_dry_run_prints_the_logins_that_run_sends(situation, config, tmp_path, monkeypatch):
    """The same ids with the same times, each once, whatever happens to the files."""
    journal = JournalDirectory(tmp_path / "journal") if situation is proved else None
    if journal:
        monkeypatch.setenv("PATH", journal.shim(tmp_path / "bin"))
    with ExitStack() as stack:
        both = Both(tmp_path, stack, config.replace("AUTH_LOG", str(tmp_path / "auth.log")))
        both.journal = journal
        count = situation(both)
    sent, printed = both.sent(), both.printed()

    assert printed == sent
    assert count in (None, len(set(printed)))
    assert not (both.prints.directory / "state").exists()
