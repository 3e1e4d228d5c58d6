"""A spool that cannot be used is set aside and the work goes on; a full disk loses nothing."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from spools import World, ids_of, logins_of, waiting

from logwatch_monitis.errors import StateError
from logwatch_monitis.spool import Position, SpoolDamagedError, SpoolFullError

PLACE = {"auth.log": Position("7", "o")}
PAGE = 4096


@pytest.fixture
def world(tmp_path):
    """Return a state directory of its own."""
    world = World(tmp_path / "state")
    yield world
    world.close()


def zero(path):
    """Do what a power cut can do to a file."""
    path.write_bytes(bytes(path.stat().st_size))


def rewrite(path, *statements):
    """Change a database as another program would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        for statement in statements:
            raw.execute(statement)


def make_foreign(path):
    """Put another program's database in place."""
    path.unlink()
    rewrite(path, "CREATE TABLE outbox (x)", "INSERT INTO outbox VALUES (1)")


def make_directory(path):
    """Put a directory in place."""
    path.unlink()
    path.mkdir()


def make_fifo(path):
    """Put a pipe in place, which must not be waited for."""
    path.unlink()
    os.mkfifo(path)


DAMAGES = {
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "zeroed": (zero, "is damaged: file is not a database"),
    "cut off": (lambda path: os.truncate(path, 3 * PAGE), "is damaged: .* malformed"),
    "random": (lambda path: path.write_bytes(os.urandom(PAGE)), "is damaged: .* not a database"),
    "foreign": (make_foreign, "is no spool of this program"),
    "wrong schema": (lambda path: rewrite(path, "DROP TABLE seen"), "lacks tables"),
    "directory": (make_directory, "is no regular file"),
    "fifo": (make_fifo, "is no regular file"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_spool_is_set_aside_and_the_work_goes_on(world, damage):
    """The user is told what and where, nothing is deleted, and the logs are to be read again."""
    do, reason = DAMAGES[damage]
    world.open().commit(logins_of(*range(50)), PLACE)
    world.close()
    do(world.path)
    spool = world.open()
    (event,) = world.events
    aside = world.aside()[0]
    assert (event.path, event.aside) == (str(world.path), str(aside))
    assert aside.name == "spool.sqlite3.damaged-20231114T221320Z"
    assert re.fullmatch(reason, event.reason)
    assert f"The spool {world.path} {event.reason}; it is kept as {aside}" in str(event)
    assert (spool.recovered, spool.positions()) == (True, {})
    spool.commit(logins_of(*range(50)), PLACE)
    assert sorted(ids_of(*range(50))) == sorted(waiting(spool))


def test_a_sound_spool_raises_no_alarm(world):
    """A first start and a restart are no recovery."""
    assert world.open().recovered is False
    assert world.open().recovered is False
    assert world.events == []


def test_a_second_damage_in_the_same_second_gets_a_name_of_its_own(world):
    """Nothing that was set aside is overwritten."""
    for _ in range(3):
        world.open()
        world.close()
        world.path.write_bytes(b"")
    names = [path.name.removeprefix("spool.sqlite3.damaged-") for path in world.aside()]
    assert names == ["20231114T221320Z", "20231114T221320Z-2"]


def test_a_recovery_lasts_until_the_logs_were_read_again(world):
    """A crash between the recovery and the end of the reading does not hide it."""
    world.open()
    world.path.write_bytes(b"")
    world.close()
    world.open().commit(logins_of(1), PLACE)
    world.close()
    spool = world.open()
    assert spool.recovered is True
    spool.settle()
    assert world.open().recovered is False


def test_a_newer_schema_is_set_aside_with_its_waiting_logins_saved(world):
    """After a downgrade the unsent logins of the newer version are sent by the older one."""
    spool = world.open()
    spool.commit(logins_of(1, 2), {})
    spool.commit(logins_of(3), {}, history=True)
    spool.refuse(spool.due(1)[0], "no")
    world.close()
    rewrite(
        world.path,
        "ALTER TABLE outbox ADD COLUMN later TEXT NOT NULL DEFAULT ''",
        "PRAGMA user_version = 99",
    )
    spool = world.open()
    (event,) = world.events
    assert (event.reason, event.saved) == ("was written by a newer version of this program", 3)
    assert waiting(spool) == ids_of(2, 3)
    assert [letter.reason for letter in spool.dead()] == ["no"]
    assert spool.summary()[:4] == (1, 1, 1, 3)
    assert spool.commit(logins_of(1, 2, 3), {}) == 0


@pytest.mark.parametrize("page", range(2, 40, 4))
def test_every_login_saved_from_a_damaged_database_is_what_was_written(world, page):
    """Rows around a bad page are saved, whole; ids of the others may be taken again."""
    world.open().commit(logins_of(*range(1000)), PLACE)
    world.close()
    data = bytearray(world.path.read_bytes())
    data[page * PAGE : (page + 1) * PAGE] = b"\xa5" * PAGE
    world.path.write_bytes(data)
    spool = world.open()
    whole = {(login.id, login.user_login, login.time) for login in logins_of(*range(1000))}
    saved = [(entry.id, entry.user, entry.time_us) for entry in spool.due(1000)]
    assert whole.issuperset(saved)
    assert len(saved) == world.events[0].saved >= 850
    assert spool.commit(logins_of(*range(1000)), PLACE) == 1000 - len(saved)


def test_a_login_changed_on_the_disk_is_never_handed_out(world):
    """A flipped letter that SQLite does not see is damage: that login is read again, not sent."""
    spool = world.open()
    spool.commit(logins_of(1, 2), PLACE)
    data = world.path.read_bytes()
    world.path.write_bytes(data.replace(b"user1", b"userl"))
    world.close()
    spool = world.open()
    assert waiting(spool) == ids_of(2)
    assert world.events[0].reason == "is damaged: an entry is not what was written"
    with pytest.raises(SpoolDamagedError):
        spool.commit(logins_of(1), PLACE)
    assert spool.positions() == {}
    assert spool.commit(logins_of(1, 2), PLACE) == 1


def delete(path):
    """Lose the database."""
    path.unlink()


def overwrite(path):
    """Destroy all pages but the first, as seen by a process that has the file open."""
    with path.open("r+b") as file:
        file.seek(PAGE)
        file.write(b"\xa5" * (path.stat().st_size - PAGE))


@pytest.mark.parametrize(("damage", "kept"), [(delete, []), (overwrite, ["", "-journal"])])
def test_damage_at_work_is_found_and_reading_begins_anew(world, damage, kept):
    """The commit that meets it takes nothing and says so; after that all goes on."""
    spool = world.open()
    spool.commit(logins_of(*range(100)), PLACE)
    world.open().commit(logins_of(100), {})  # so that the first one must look at the file again
    damage(world.path)
    with pytest.raises(SpoolDamagedError, match="was replaced"):
        spool.commit(logins_of(101), {"auth.log": Position("8")})
    with pytest.raises(SpoolDamagedError, match="was replaced"):
        spool.commit(logins_of(102), {})
    assert (spool.positions(), spool.recovered) == ({}, True)
    assert spool.commit(logins_of(101), PLACE) == 1
    assert len(world.events) == 1
    stem = "spool.sqlite3.damaged-20231114T221320Z"
    assert [path.name.removeprefix(stem) for path in world.aside()] == kept


def test_two_processes_that_find_the_same_damage_set_it_aside_once(world):
    """The second one takes the first one's fresh database."""
    one, two = world.open(), world.open()
    one.commit(logins_of(1), PLACE)
    two.commit(logins_of(2), {})
    delete(world.path)
    assert one.delivered(one.due(1)) == 0
    one.positions()
    one.commit(logins_of(3), {})
    with pytest.raises(SpoolDamagedError):
        two.commit(logins_of(4), {})
    assert waiting(two) == ids_of(3)
    assert len(world.events) == 1


def test_a_replacement_cut_short_between_its_moves_is_finished(world):
    """A crash after the damaged file went and before the fresh one came loses no recovery."""
    world.open()
    world.close()
    world.path.write_bytes(b"")
    world.open().commit(logins_of(1), {})
    world.close()
    world.path.rename(world.path.with_name("spool.sqlite3.new"))
    spool = world.open()
    assert (spool.recovered, waiting(spool)) == (True, ids_of(1))


def test_a_database_left_half_made_is_made_again(world):
    """A crash during the first start leaves nothing that counts as damage."""
    world.directory.mkdir(0o700)
    world.path.with_name("spool.sqlite3.new").write_bytes(b"")
    assert world.open().recovered is False


def test_a_look_sets_nothing_aside(world):
    """Status tells of damage and leaves it to the agent."""
    world.open()
    world.close()
    world.path.write_bytes(b"")
    with pytest.raises(StateError, match="is empty"):
        world.look()
    assert world.aside() == []


def test_a_full_disk_stops_the_commit_and_nothing_advances(world):
    """Logins and positions stay as they were, delivery still works, and then it goes on."""
    spool = world.open()
    spool.commit(logins_of(1, 2), PLACE)
    pages = spool._read("PRAGMA page_count")[0][0]
    spool._read(f"PRAGMA max_page_count = {pages}")
    many = logins_of(*range(3, 500))
    for _ in range(2):
        with pytest.raises(SpoolFullError, match="full"):
            spool.commit(many, {"auth.log": Position("9")})
    assert waiting(spool) == ids_of(1, 2)
    assert spool.positions() == PLACE
    assert spool.delivered(spool.due(1)) == 1
    spool._read("PRAGMA max_page_count = 100000")
    assert spool.commit(many, {"auth.log": Position("9")}) == 497


ON_A_SMALL_DISK = """
import json, subprocess, sys
from pathlib import Path
from logwatch_monitis.spool import Position, SpoolFullError
from spools import World, ids_of, logins_of, waiting

place = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "none", place], check=True)
world = World(place / "state")
spool = world.open()
taken, refusals = 0, []
while len(refusals) < 3:
    try:
        taken += spool.commit(logins_of(*range(taken, taken + 50)), {"a": Position(str(taken))})
    except SpoolFullError as error:
        refusals.append(error.message)
assert spool.positions() == {"a": Position(str(taken - 50))}
assert waiting(spool) == ids_of(*range(taken))
while batch := spool.due(3000):
    assert spool.delivered(batch) == len(batch), "room for what leaves"
assert spool.commit(logins_of(taken), {}) == 1, "room again"
spool.close()
subprocess.run(["mount", "-o", "remount,ro", place], check=True)
print(json.dumps({"taken": taken, "refusals": refusals}))
try:
    world.open()
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_real_disk_may_fill_up(tmp_path):
    """On a file system of 2 MiB nothing is lost, what leaves has room, and the user is told."""
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("only root may mount a small disk")
    done = subprocess.run(
        ["unshare", "-m", sys.executable, "-c", ON_A_SMALL_DISK, tmp_path],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    figures, refusal = done.stdout.splitlines()
    found = json.loads(figures)
    assert found["taken"] > 2000
    assert all("takes nothing now: database or disk is full" in text for text in found["refusals"])
    assert refusal.startswith("StateError the state directory")
    assert refusal.endswith("cannot be written")


def test_a_state_directory_that_cannot_be_used_is_one_clear_line(tmp_path):
    """A file in its place, or one that others may write, is named with what to do."""
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StateError, match=f"cannot make the state directory {file}") as failed:
        World(file).open()
    assert "state_directory" in failed.value.hint
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(StateError, match="may be written by others") as failed:
        World(shared).open()
    assert failed.value.hint == f"chmod 700 {shared}"


@pytest.fixture
def plain_user():
    """Let root be nobody for a while, in a directory that nobody can reach."""
    if os.geteuid():
        pytest.skip("only root can change owners")
    with tempfile.TemporaryDirectory() as top:
        Path(top).chmod(0o755)
        yield Path(top), lambda: os.seteuid(65534)
        os.seteuid(0)


def test_files_that_root_makes_belong_to_the_service(plain_user):
    """After a command typed with sudo the service can still open its state."""
    top, become = plain_user
    own = top / "own"
    own.mkdir(0o700)
    os.chown(own, 65534, 65534)
    World(own).open().commit(logins_of(1), PLACE)
    assert {path.stat().st_uid for path in own.iterdir()} == {65534}
    become()
    assert waiting(World(own).open()) == ids_of(1)


def test_a_state_that_a_plain_user_may_not_use_is_one_clear_line(plain_user):
    """Somebody else's directory, a sealed one and files restored as root's are named, no more."""
    top, become = plain_user
    for name, owner, mode in (
        ("roots", 0, 0o700),
        ("sealed", 65534, 0o500),
        ("mixed", 65534, 0o700),
    ):
        (top / name).mkdir()
        World(top / name).open()
        os.chown(top / name, owner, owner)
        (top / name).chmod(mode)
    become()
    for name, message in (
        ("roots", f"the state directory {top / 'roots'} belongs to user 0, not to 65534"),
        ("sealed", f"the state directory {top / 'sealed'} cannot be written"),
        ("mixed", f"cannot open {top / 'mixed'}/spool.lock: Permission denied"),
        ("new/below", f"cannot make the state directory {top}/new/below: Permission denied"),
    ):
        with pytest.raises(StateError) as failed:
            World(top / name).open()
        assert failed.value.message == message
        assert failed.value.hint
