"""The journal as a source, read by the real journalctl from real journal files."""

import os
import re
import signal
import stat

import pytest
from journals import BEGIN_US, JournalDirectory, entry, needs_journal_tools, sshd
from running import eventually
from spools import SetClock

from logwatch_monitis.agent.choose_sources import is_wanted
from logwatch_monitis.agent.status import about, refuse_denied
from logwatch_monitis.config.model import Sources
from logwatch_monitis.errors import NotPermittedError
from logwatch_monitis.sources.files.tail import SourceStatus
from logwatch_monitis.sources.journal import journalctl
from logwatch_monitis.sources.journal.events import (
    JournalEnded,
    JournalFound,
    JournalGap,
    JournalPositionDamaged,
    JournalSuppressed,
    JournalUnreadable,
)
from logwatch_monitis.sources.journal.follower import LAST_DELAY_S, LOG, Journal, JournalCursor

pytestmark = needs_journal_tools

ACCEPTED = re.compile(r"\[\d+\]: Accepted password for (\S+)").findall


class Bench:
    """One journal, and readers of it one after the other."""

    def __init__(self, directory):
        self.files = JournalDirectory(directory / "journal")
        self.clock = SetClock()
        self.events = []
        self.saved = None
        self.given = []
        self.journal = None

    def open(self, **options):
        """Start reading, from the place committed last."""
        self.close()
        self.journal = Journal(
            self.saved,
            clock=self.clock,
            events=self.events.append,
            wake=lambda: None,
            options=self.files.options,
            **options,
        )
        return self

    def look(self):
        """Take what is there, and commit."""
        for chunk in self.journal.read():
            users = ACCEPTED(chunk.data.decode("latin-1"))
            self.given += [(user, chunk.numbering) for user in users]
            self.saved = chunk.checkpoint
        return self.users

    @property
    def users(self):
        """Whose logins were given."""
        return [user for user, _ in self.given]

    def await_users(self, *users):
        """Read until these were given."""
        eventually(lambda: self.look() == list(users))
        assert self.users == list(users)

    def close(self):
        """End the reader."""
        if self.journal:
            self.journal.close()


@pytest.fixture(name="bench")
def _bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_from_its_end_and_then_what_is_appended(bench):
    """A journal that is first configured is read from its end, and that place is known at once."""
    bench.files.append(sshd(1), sshd(2))
    bench.open().look()
    assert JournalCursor.load(bench.journal.checkpoints()[LOG]).time_us == BEGIN_US + 2_000_000
    assert bench.events == [JournalFound(BEGIN_US + 2_000_000)]
    bench.files.append(sshd(3))
    bench.await_users("u3")


def test_from_its_first_entry(bench):
    """If that is asked for."""
    bench.files.append(sshd(1), sshd(2))
    bench.open(from_start=True).await_users("u1", "u2")


def test_from_a_moment_on(bench):
    """As after the loss of the state."""
    bench.files.append(sshd(1), sshd(9), sshd(10))
    bench.open(from_start=True, since=BEGIN_US / 1e6 + 9).await_users("u9", "u10")


def test_an_empty_journal_is_read_from_its_first_entry(bench):
    """The first entry ever is not missed."""
    bench.open().look()
    bench.files.append(sshd(1))
    bench.await_users("u1")


def test_a_restart_goes_on_behind_the_last_entry(bench):
    """Nothing twice, nothing left out, and no gap is told."""
    bench.files.append(sshd(1))
    bench.open(from_start=True).await_users("u1")
    bench.close()
    bench.files.append(sshd(2))
    bench.open().await_users("u1", "u2")
    assert bench.events == []


def test_what_was_not_taken_is_given_again(bench):
    """A consumer that leaves before `confirm` gets the chunk again."""
    bench.files.append(sshd(1))
    bench.open(from_start=True)
    first = eventually(lambda: next(bench.journal.read(), None))
    assert bench.journal.checkpoints() == {}
    assert next(bench.journal.read()) == first


def test_rotation_and_vacuum_while_it_is_read(bench):
    """Archived and deleted files make no difference to who is up to date."""
    bench.files.append(sshd(1))
    bench.open(from_start=True).await_users("u1")
    archived = bench.files.rotate()
    bench.files.append(sshd(2))
    bench.await_users("u1", "u2")
    archived.unlink()
    bench.files.append(sshd(3))
    bench.await_users("u1", "u2", "u3")
    assert bench.events == []


def test_rotation_while_it_is_not_read(bench):
    """The first entry behind a rotation is not skipped."""
    bench.files.append(sshd(1))
    bench.open(from_start=True).await_users("u1")
    bench.close()
    bench.files.append(sshd(2))
    bench.files.rotate()
    bench.files.append(sshd(3))
    bench.open().await_users("u1", "u2", "u3")
    assert bench.events == []


def test_a_vacuumed_place_is_a_gap_and_the_oldest_newer_entry_comes_next(bench):
    """What was removed unread is told of, nothing that is left is missed."""
    bench.files.append(sshd(1))
    bench.open(from_start=True).await_users("u1")
    bench.close()
    bench.files.append(sshd(2))
    bench.files.rotate().unlink()
    bench.files.append(sshd(3), sshd(4))
    bench.open().await_users("u1", "u3", "u4")
    at = [BEGIN_US + n * 1_000_000 for n in (1, 3)]
    assert bench.events == [JournalGap(*at, None)]
    assert bench.given[0][1] != bench.given[1][1] == bench.given[2][1]


def test_another_machines_journal_is_a_gap(bench):
    """After a restore or a cloned state, only what is newer than what was read is taken."""
    bench.files.append(sshd(5))
    bench.open(from_start=True).await_users("u5")
    bench.close()
    bench.files.live.unlink()
    boot = {"_BOOT_ID": "e" * 32}
    bench.files.append(sshd(4, "old", **boot), sshd(6, "new", **boot))
    bench.open().await_users("u5", "new")
    assert [type(event) for event in bench.events] == [JournalGap]


def test_a_cursor_that_is_none_is_replaced_by_the_time(bench):
    """It is refused; reading goes on at the last entry's time, which is known already."""
    bench.files.append(sshd(1), sshd(2), sshd(3))
    bench.saved = JournalCursor("garbage", BEGIN_US + 2_000_000, 1).dump()
    bench.open().await_users("u2", "u3")
    assert bench.given[0][1] != 1
    assert bench.events == [JournalPositionDamaged(BEGIN_US + 2_000_000)]
    bench.close()
    bench.open().look()
    assert bench.users == ["u2", "u3"]


@pytest.mark.parametrize("saved", ["", "[]", "{}", '{"v":9,"cursor":"","time_us":0}', '{"v":1}'])
def test_a_position_that_is_none_begins_at_the_first_entry(bench, saved):
    """As for files: rather read again than not at all."""
    bench.files.append(sshd(1))
    bench.saved = saved
    bench.open().await_users("u1")
    assert bench.events == [JournalPositionDamaged(None)]


def test_a_killed_journalctl_is_started_again_after_a_while(bench):
    """At the place where it was, later each time, and soon again once it has lasted."""
    bench.files.append(sshd(1))
    bench.open(from_start=True).await_users("u1")
    for delay in (1, 2, 4):
        os.kill(bench.journal.pid, signal.SIGKILL)
        bench.journal.wait(10)
        eventually(lambda: bench.look() and not bench.journal.reading)
        assert bench.events.pop() == JournalEnded("killed by signal 9", delay)
        bench.clock.time += delay - 0.1
        bench.look()
        assert not bench.journal.reading
        bench.clock.time += 0.2
        bench.look()
        assert bench.journal.reading
    bench.files.append(sshd(2))
    bench.await_users("u1", "u2")
    bench.clock.time += LAST_DELAY_S + 1
    os.kill(bench.journal.pid, signal.SIGKILL)
    eventually(lambda: bench.look() and not bench.journal.reading)
    assert bench.events == [JournalEnded("killed by signal 9", 1)]


def test_messages_that_are_binary_long_or_of_several_lines(bench):
    """Each stays one entry, and none can pass for a login or hide the next one."""
    bench.files.append(
        entry(1, b"\xff\xfe"),
        entry(2, "A" * (1 << 20)),
        entry(3, b"B" * (3 << 20)),
        entry(4, "x\nAccepted password for root from 192.0.2.9 port 1 ssh2"),
        sshd(5, "C" * 60_000),
        sshd(6),
    )
    bench.open(from_start=True)
    eventually(lambda: "u6" in bench.look())
    assert bench.users[-2:] == ["C" * 60_000, "u6"]
    assert bench.events == []


def test_what_journald_suppressed_is_told_of(bench):
    """Its rate limit drops entries; nobody else can say so."""
    said = "Suppressed 12 messages from ssh.service"
    journald = {"SYSLOG_IDENTIFIER": "systemd-journald", "_TRANSPORT": "driver"}
    bench.files.append(entry(1, said, **journald), entry(2, said), sshd(3))
    bench.open(from_start=True).await_users("u3")
    assert bench.events == [JournalSuppressed(said)]


def test_several_boots_are_one_journal(bench):
    """Following does not begin at the present boot."""
    bench.files.append(sshd(1), sshd(2, _BOOT_ID="e" * 32), sshd(3, _BOOT_ID="d" * 32))
    bench.open(from_start=True).await_users("u1", "u2", "u3")


def test_closing_ends_journalctl(bench):
    """No process stays behind, however much it still has to say."""
    bench.files.append(*(entry(n, "x" * 40_000) for n in range(300)))
    bench.open(from_start=True).journal.begin()
    pid = bench.journal.pid
    bench.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_status_tells_position_and_trouble(bench, monkeypatch):
    """The number of the last entry, and why it cannot be read."""
    bench.files.append(sshd(1), sshd(2))
    bench.open(from_start=True).await_users("u1", "u2")
    status = bench.journal.status()
    assert (status.log, status.state, status.offset, status.lag) == ("journal", "reading", 2, 0)
    monkeypatch.setenv("PATH", "/nowhere")
    bench.open().look()
    assert bench.journal.status().state == "unreadable"
    assert [type(event) for event in bench.events] == [JournalUnreadable]
    assert "install the package systemd" in str(bench.events[0])


def test_a_journal_without_permission(tmp_path, monkeypatch):
    """Whoever may not read the system's journal is told what to do, though journalctl is silent."""
    machine = tmp_path / ("0" * 32)
    monkeypatch.setattr(journalctl, "_DIRECTORIES", (tmp_path,))
    machine.mkdir()
    assert (journalctl.is_kept(), journalctl.denied()) == (False, False)
    system = machine / "system.journal"
    system.write_bytes(b"")
    assert (journalctl.is_kept(), journalctl.denied()) == (True, False)
    monkeypatch.setattr(os, "access", lambda *_: bool(system.stat().st_mode & stat.S_IROTH))
    system.chmod(0o640)
    assert (journalctl.is_kept(), journalctl.denied()) == (True, True)
    assert "systemd-journal" in journalctl.permission_error().hint


def test_the_child_has_nothing_of_our_environment(bench, monkeypatch):
    """No key that stands in the agent's environment reaches journalctl."""
    monkeypatch.setenv("LOGWATCH_MONITIS_API_KEY", "SECRET")
    bench.open().journal.begin()
    with open(f"/proc/{bench.journal.pid}/environ", "rb") as environ:
        names = {pair.partition(b"=")[0] for pair in environ.read().split(b"\0") if pair}
    assert names <= {b"PATH", b"LC_ALL"}


def test_when_the_journal_is_wanted(tmp_path, monkeypatch):
    """``auto`` reads it where no file of the list exists, or where it was read before."""
    there, missing = tmp_path / "a.log", str(tmp_path / "b.log")
    there.touch()
    wanted = {
        "both": is_wanted(Sources((str(there), missing))),
        "glob": is_wanted(Sources((str(tmp_path / "*.log"),))),
        "none": is_wanted(Sources((missing,))),
        "before": is_wanted(Sources((str(there),)), known=True),
        "by hand": is_wanted(Sources((missing,)), [missing]),
        "yes": is_wanted(Sources((str(there),), "yes"), [missing]),
        "no": is_wanted(Sources((missing,), "no"), known=True),
    }
    assert [name for name, is_so in wanted.items() if is_so] == ["none", "before", "yes"]
    monkeypatch.setenv("PATH", "/nowhere")
    assert not is_wanted(Sources((missing,)))


def test_only_a_journal_that_was_asked_for_keeps_the_agent_from_running():
    """With ``auto`` files may still come, so an unreadable journal is said and waited for."""
    trouble = journalctl.permission_error().render()
    status = SourceStatus(LOG, "unreadable", trouble, 0, 0, 0, None)
    waiting = SourceStatus("/var/log/auth.log", "waiting", "", 0, 0, 0, None)
    refuse_denied([waiting, status], "auto")
    assert next(about([status])).startswith("Cannot read the journal: permission denied (")
    with pytest.raises(NotPermittedError, match="journal"):
        refuse_denied([waiting, status], "yes")
