"""One login told of by a log file and by the journal: one entry of the spool."""

import itertools

import pytest
from spools import World, login_of, waiting

from logwatch_monitis.scanner.login_id import login_id
from logwatch_monitis.spool.duplicates import WITHIN_US

MESSAGE = "Accepted password for alice from 192.0.2.7 port 5022 ssh2"
_places = itertools.count()


@pytest.fixture(name="world")
def _world(tmp_path):
    world = World(tmp_path / "state")
    yield world
    world.close()


def account(
    kind, after_us=0, *, message=MESSAGE, machine="web1", pid=7, program="sshd", proved=True
):
    """Return a login as a file or the journal tells of it, so many µs later."""
    tag = program if pid is None else f"{program}[{pid}]"
    when = f"2023-11-14T22:13:20.{next(_places):06d}Z"
    line = f"{when} {machine} {tag}: {message}".encode()
    return login_of(
        0,
        id=login_id(line, None, None, 0),
        time=1_700_000_000_000_000 + after_us,
        machine=machine,
        program=program,
        pid=pid,
        line=line,
        verified=kind == "journal" and proved,
        journal=kind == "journal",
    )


def taken(spool, *batches):
    """Commit batches and return how many logins of each were new."""
    return [spool.commit(batch, {}) for batch in batches]


@pytest.mark.parametrize("order", [("file", "journal"), ("journal", "file")])
def test_the_second_account_of_a_login_is_not_sent_and_the_entry_is_verified(world, order):
    """Whichever comes first is sent, proved by the journal."""
    spool = world.open()
    assert taken(spool, [account(order[0])], [account(order[1], -WITHIN_US)]) == [1, 0]
    assert [entry.verified for entry in spool.due(9)] == [True]


@pytest.mark.parametrize("order", [("file", "journal"), ("journal", "file")])
def test_a_journals_account_without_proof_is_an_account_too(world, order):
    """It finds its twin, and does not make it verified."""
    spool = world.open()
    first, second = (account(kind, proved=False) for kind in order)
    assert taken(spool, [first], [second]) == [1, 0]
    assert [entry.verified for entry in spool.due(9)] == [False]


def test_of_accounts_that_come_together_the_journals_is_sent(world):
    """The file's, though it stands first, is the one that is left out."""
    spool = world.open()
    file, journal = account("file"), account("journal")
    assert spool.commit([file, journal], {}) == 1
    assert waiting(spool) == [journal.id]


@pytest.mark.parametrize(
    "change",
    [
        {"after_us": WITHIN_US + 1},
        {"message": MESSAGE.replace("alice", "bob")},
        {"machine": "web2"},
        {"pid": 8},
        {"program": "sshd-session"},
        {"kind": "file"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_differs_in_one_respect_is_another_login(world, change):
    """Time, message, machine, process id, program and the kind of source all count."""
    spool = world.open()
    other = account(**{"kind": "journal", **change})
    assert taken(spool, [account("file")], [other]) == [1, 1]


def test_a_domain_or_a_missing_process_id_makes_no_difference(world):
    """Sudo writes no process id into a file, and rsyslog cuts the domain off."""
    spool = world.open()
    file = account("file", machine="web1", pid=None, program="sudo")
    journal = account("journal", machine="Web1.example.org", pid=99, program="sudo")
    assert taken(spool, [file], [journal]) == [1, 0]


def test_each_account_has_one_twin_at_most(world):
    """Two equal lines within two seconds in both kinds of source are two logins."""
    spool = world.open()
    files = [account("file", n * 1_000_000) for n in range(2)]
    journals = [account("journal", n * 1_000_000) for n in range(3)]
    assert taken(spool, files, journals) == [2, 1]


def test_pairs_are_known_again_after_a_restart(world):
    """The other account may be read by another process, and again: it stays one login."""
    file, journal = account("file"), account("journal")
    assert taken(world.open(), [file]) == [1]
    world.close()
    assert taken(world.open(), [journal], [journal, file]) == [0, 0]


def test_what_was_given_up_is_no_twin(world):
    """An entry that a full outbox gave up can be brought back from the other kind of source."""
    spool = world.open(max_entries=1)
    spool.commit([account("file")], {})
    spool.commit([login_of(5)], {})
    assert taken(spool, [account("journal")]) == [1]


def test_accounts_are_forgotten_like_ids(world):
    """What is remembered of pairs is bounded by the same days."""
    spool = world.open(seen_days=1)
    for day in range(10):
        world.clock.time += 86400
        spool.commit([account("file", message=f"{MESSAGE} {day} {n}") for n in range(200)], {})
    assert spool._read("SELECT count(*) FROM twin")[0][0] < 1000


def test_a_damaged_entry_is_not_made_valid(world):
    """Only an entry that proves itself is marked as verified."""
    spool = world.open()
    spool.commit([account("file")], {})
    spool._write(lambda cursor: cursor.execute("UPDATE outbox SET user = 'mallory'"))
    spool.commit([account("journal")], {})
    assert spool._read("SELECT user, verified FROM outbox") == [("mallory", 0)]
