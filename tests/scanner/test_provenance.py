"""What the journal proves of logins, and how long one waits for its proof."""

import pytest
from journals import BEGIN_US, entry, forged, opened, sshd, sudo

from logwatch_monitis.grammar import load_rules
from logwatch_monitis.interfaces import SystemClock
from logwatch_monitis.scanner.provenance import Provenance
from logwatch_monitis.scanner.scanner import Scanner
from logwatch_monitis.sources.journal.formats import batches
from logwatch_monitis.syslog import Timeline, local_zone

LATER = {"_SOURCE_REALTIME_TIMESTAMP": BEGIN_US + 1_000_300}
"""A moment after the first second, when sudo opens its session."""


def decided(*entries, at_once=True):
    """Return the logins of a stream, and the refused ones, read in one batch or entry by entry."""
    timeline = Timeline.live(local_zone("UTC"), SystemClock())
    scanner = Scanner(load_rules(), timeline, machine="web1", path="journal")
    pieces = iter([b"".join(entries)] if at_once else entries)
    provenance, logins, refused = Provenance(), [], []
    outcomes = (
        provenance.decide(batch, scanner.feed(batch.data, batch.begin))
        for batch in batches(lambda: next(pieces, b""), "export", "-", numbered=True)
    )
    for outcome in (*outcomes, provenance.rest()):
        logins += outcome.logins
        refused += outcome.refused
    return logins, refused


def test_each_login_is_judged_by_its_own_entry():
    """Root's are verified, forged ones refused, with the place of the entry for an offset."""
    logins, refused = decided(sshd(1), forged(2), entry(3, "x"), sshd(4))
    assert [(x.user_login, x.offset, x.verified) for x in logins] == [
        ("u1", 1, True),
        ("u4", 4, True),
    ]
    assert [(r.program, r.reason) for r in refused] == [
        ("sshd", "/usr/bin/logger of user 1000 sent it")
    ]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_session_line_of_the_same_process_proves_the_line_of_sudo(at_once):
    """Whether both are read together or one after the other; what lies between is not held up."""
    between = entry(1, "Accepted password for bob from 192.0.2.7 port 22 ssh2")
    logins, refused = decided(sudo(1), between, opened(1, **LATER), at_once=at_once)
    assert [(x.user_login, x.verified) for x in logins] == [("bob", True), ("alice", True)]
    assert refused == []


@pytest.mark.parametrize(
    "session",
    [
        opened(1, **LATER, _PID="4711"),
        opened(1, **LATER, _UID="1001"),
        opened(1, **LATER, _GID="1000"),
        opened(1, **LATER, _EXE="/home/mallory/sudo2"),
        opened(1, **LATER, _HOSTNAME="web2"),
        opened(1, "bob", **LATER),
        opened(1, **LATER, SYSLOG_IDENTIFIER="su"),
        opened(3, _PID="1001"),
        sshd(9),
        b"",
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_without_its_proof_a_line_of_sudo_is_given_out_as_not_verified(session, at_once):
    """Another process, user, group, machine or target; too late; none."""
    logins, refused = decided(sudo(1), session, at_once=at_once)
    assert [x.verified for x in logins if x.srv == "sudo"] == [False]
    assert refused == []


@pytest.mark.parametrize("at_once", [True, False])
def test_what_a_process_wrote_before_it_became_sudo_is_not_proved(at_once):
    """The session line proves the line before it alone."""
    claim = "root : PWD=/ ; USER=root ; COMMAND=/bin/sh"
    logins, _ = decided(sudo(1, claim), sudo(1), opened(1, **LATER), at_once=at_once)
    assert [(x.user_login, x.verified) for x in logins] == [("root", False), ("alice", True)]


def test_sudo_cannot_be_hidden_behind_the_program_that_called_it():
    """Journald remembers a process by what it was a moment ago; the proof counts all the same."""
    script = {"_EXE": "/usr/bin/python3", "_COMM": "python3"}
    logins, refused = decided(sudo(1, **script), opened(1, **LATER))
    assert ([x.verified for x in logins], refused) == ([True], [])
    logins, refused = decided(sudo(1, **script))
    assert logins == []
    assert [r.reason for r in refused] == ["/usr/bin/python3 of user 1000 sent it"]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_command_that_sudo_has_cut_is_proved_like_any_other(at_once):
    """By the entry of its first part, however far that lies back."""
    first = sudo(1, "   alice : PWD=/a")
    rest = sudo(1, "   alice : (command continued) /b ; USER=root ; COMMAND=/bin/ls")
    logins, _ = decided(first, sshd(5), rest, opened(1, **LATER), at_once=at_once)
    assert [(x.user_login, x.offset, x.verified) for x in logins if x.srv == "sudo"] == [
        ("alice", 1, True)
    ]
    forged_rest = forged(1, MESSAGE="   alice : (command continued) x", SYSLOG_IDENTIFIER="sudo")
    logins, _ = decided(first.replace(b"_EXE=/usr/bin/sudo", b"_EXE=/bin/x"), forged_rest)
    assert logins == []


def test_a_login_waits_for_a_second_where_nothing_more_is_written():
    """By the clock that no one can set; then it is given out, once."""
    timeline = Timeline.live(local_zone("UTC"), SystemClock())
    scanner = Scanner(load_rules(), timeline, machine="web1", path="journal")
    pieces = iter([sudo(1)])
    batch = next(batches(lambda: next(pieces, b""), "export", "-"))
    provenance = Provenance()
    provenance.waiting.begin(1, 100.0)

    assert provenance.decide(batch, scanner.feed(batch.data)).logins == []
    assert provenance.overdue(100.9).logins == []
    assert provenance.waiting.patience(100.9) == pytest.approx(0.1)
    assert [x.verified for x in provenance.overdue(101.0).logins] == [False]
    assert provenance.rest() == ([], [])
