"""The spool: logins and positions in one transaction, nothing taken twice, limits that count."""

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from spools import DAY, World, ids_of, login_of, logins_of, waiting

from logwatch_monitis.errors import StateError
from logwatch_monitis.spool import DeadLetter, Gap, OutboxEntry, Position, SpoolFullError, schema
from logwatch_monitis.spool.events import MachineChanged, OutboxDrained, OutboxOverflowed
from logwatch_monitis.spool.machine_id import machine_identity


@pytest.fixture
def world(tmp_path):
    """Return a state directory of its own."""
    world = World(tmp_path / "state")
    yield world
    world.close()


def test_logins_and_positions_are_there_after_a_restart(world):
    """What was committed is found by the next process, the carried ordinals included."""
    place = Position('{"offset":300}', '{"second":7}')
    assert world.open().commit(logins_of(1, 2), {"auth.log": place}) == 2
    world.close()
    again = world.open()
    assert again.positions() == {"auth.log": place}
    assert waiting(again) == ids_of(1, 2)


def test_an_entry_is_the_login_without_what_must_not_be_kept(world):
    """Delivery gets every field it sends; raw lines and commands never reach the disk."""
    spool = world.open()
    spool.commit([login_of(5, verified=True)], {})
    assert spool.due(1) == [
        OutboxEntry(
            *(1, login_of(5).id, 1_700_000_000_000_005, "user5", "192.0.2.7", "sshd", "login"),
            *("web1", True, "publickey", 0, False),
        )
    ]
    stored = b"".join(path.read_bytes() for path in world.directory.iterdir())
    assert b"user5" in stored
    assert b"SECRET" not in stored
    assert b"RAW" not in stored


def test_an_id_is_taken_once(world):
    """A login read again, after its delivery and in the same batch too, is left out."""
    spool = world.open()
    assert spool.commit([*logins_of(1, 2), login_of(1)], {}) == 2
    spool.delivered(spool.due(10))
    assert spool.commit(logins_of(1, 2, 3), {}, history=True) == 1
    assert waiting(spool) == ids_of(3)


def test_a_commit_of_nothing_new_writes_nothing(world):
    """Neither empty blocks nor lines read again cost a write."""
    spool = world.open()
    spool.commit(logins_of(1), {"a": Position("1")})
    statements = []
    spool._connection._raw.set_trace_callback(statements.append)
    assert spool.commit([], {"a": Position("1")}) == 0
    assert statements == []
    before = world.path.read_bytes()
    assert spool.commit(logins_of(1), {"a": Position("1")}) == 0
    assert before == world.path.read_bytes()


def test_a_position_may_move_alone(world):
    """Blocks without logins move the position, and leave those of other logs."""
    spool = world.open()
    spool.commit([], {"a": Position("1"), "b": Position("1")})
    spool.commit([], {"a": Position("2", "o")})
    assert spool.positions() == {"a": Position("2", "o"), "b": Position("1")}


def test_live_logins_go_before_history(world):
    """Whatever was taken first, what happened now is delivered first."""
    spool = world.open()
    spool.commit(logins_of(1, 2), {}, history=True)
    spool.commit(logins_of(3, 4), {})
    assert waiting(spool) == ids_of(3, 4, 1, 2)
    assert waiting(spool, limit=3) == ids_of(3, 4, 1)


def test_the_next_entries_are_found_without_sorting(world):
    """Asking for a few costs the same however many wait."""
    spool = world.open()
    query = "EXPLAIN QUERY PLAN SELECT * FROM outbox ORDER BY history, seq LIMIT 10"
    (step,) = spool._read(query)
    assert step[3] == "SCAN outbox USING INDEX outbox_order"


def test_delivered_entries_leave_and_are_counted(world):
    """An entry leaves once, and a second report of it changes nothing."""
    spool = world.open()
    spool.commit(logins_of(1, 2, 3), {})
    first = spool.due(2)
    assert (spool.delivered(first), spool.delivered(first)) == (2, 0)
    assert waiting(spool) == ids_of(3)
    assert (spool.summary().live, spool.summary().sent) == (1, 2)
    assert spool.summary().last_delivery_us == 1_700_000_000_000_000


def test_a_place_given_away_again_is_another_entry(world):
    """A report about an entry of a replaced database does not remove its successor."""
    spool = world.open()
    spool.commit(logins_of(1), {})
    old = spool.due(1)[0]._replace(id=login_of(9).id)
    assert spool.delivered([old]) == 0
    assert spool.refuse(old, "no") is False
    spool.failed([old], "no")
    assert [entry.attempts for entry in spool.due(9)] == [0]


def test_failed_attempts_are_counted_until_one_succeeds(world):
    """The last error is known to status until something was delivered."""
    spool = world.open()
    spool.commit(logins_of(1, 2), {})
    spool.failed(spool.due(1), "connection refused")
    spool.failed(spool.due(1), "x" * 1000)
    assert [entry.attempts for entry in spool.due(9)] == [2, 0]
    assert spool.summary().last_error == "x" * 500
    spool.delivered(spool.due(1))
    assert spool.summary().last_error == ""


def test_a_refused_entry_is_a_dead_letter_that_can_be_retried_or_dropped(world):
    """Dead letters keep reason and time; retried they are new entries, dropped they stay away."""
    spool = world.open()
    spool.commit(logins_of(1, 2, 3), {})
    for entry in spool.due(9):
        assert spool.refuse(entry, "bad host") is True
    letters = spool.dead()
    assert [letter.entry.id for letter in letters] == ids_of(1, 2, 3)
    assert letters[0] == DeadLetter(letters[0].entry, "bad host", 1_700_000_000_000_000)
    assert [letter.entry.id for letter in spool.dead(1)] == ids_of(1)
    assert (waiting(spool), spool.summary().dead) == ([], 3)
    assert spool.retry_dead(ids_of(2)) == 1
    assert waiting(spool) == ids_of(2)
    assert spool.drop_dead(ids_of(1)) == 1
    assert (spool.drop_dead(ids_of(1)), spool.retry_dead(), spool.dead()) == (0, 1, [])
    assert waiting(spool) == ids_of(2, 3)
    assert spool.commit(logins_of(1), {}) == 0
    assert (spool.summary().live, spool.summary().dead) == (2, 0)


@pytest.mark.parametrize(("keep", "kept"), [("newest", (4, 5, 6)), ("oldest", (1, 2, 3))])
def test_a_full_outbox_gives_up_logins_by_policy(world, keep, kept):
    """It counts them, says so once for each gap, and a later backfill may bring them again."""
    spool = world.open(max_entries=3, keep=keep)
    spool.commit(logins_of(1, 2, 3, 4), {"a": Position("4")})
    spool.commit(logins_of(5, 6), {})
    lost = [number for number in range(1, 7) if number not in kept]
    times = [login_of(number).time for number in lost]
    assert waiting(spool) == ids_of(*kept)
    assert world.events == [OutboxOverflowed(1, 3, keep)]
    assert spool.summary().dropped == 3
    assert spool.summary().gap == Gap(3, times[0], times[-1])
    spool.delivered(spool.due(9))
    assert spool.commit(logins_of(*range(1, 7)), {}, history=True) == 3
    assert waiting(spool) == ids_of(*lost)


def test_history_is_given_up_before_live_logins_and_never_pushes_in(world):
    """A backfill can come again: it makes room for live logins and waits while there is none."""
    spool = world.open(max_entries=3)
    spool.commit(logins_of(1), {})
    spool.commit(logins_of(2), {}, history=True)
    with pytest.raises(SpoolFullError, match="outbox is full"):
        spool.commit(logins_of(3, 4), {"old": Position("4")}, history=True)
    assert spool.positions() == {}
    spool.commit(logins_of(5, 6), {})
    assert waiting(spool) == ids_of(1, 5, 6)
    assert (spool.summary().live, spool.summary().history) == (3, 0)


def test_a_gap_ends_when_half_of_the_outbox_is_free_again(world):
    """What was given up is told as one until then; the next overflow is told as another."""
    spool = world.open(max_entries=4)
    spool.commit(logins_of(*range(1, 7)), {})
    spool.delivered(spool.due(1))
    spool.commit(logins_of(7, 8), {})
    assert spool.summary().gap == Gap(3, login_of(1).time, login_of(4).time)
    spool.delivered(spool.due(2))
    assert spool.summary().gap is None
    spool.commit(logins_of(9, 10, 11), {})
    times = login_of(1).time / 1e6, login_of(4).time / 1e6
    assert world.events == [
        OutboxOverflowed(2, 4, "newest"),
        OutboxDrained(3, *times),
        OutboxOverflowed(1, 4, "newest"),
    ]


def test_ids_are_forgotten_after_so_many_days_of_work(world):
    """An id older than the declared retention is removed; younger ones stay."""
    spool = world.open(seen_days=3)
    for number in range(6):
        world.clock.time += DAY
        spool.commit(logins_of(number), {})
    # Each commit looks at the ids behind its own, so one that sorts first looks at all of them.
    spool.commit([login_of(9, id="0" * 32)], {})
    assert spool.summary().seen == 5
    assert spool.commit(logins_of(0, 1, 2, 3, 4, 5), {}) == 2


def test_a_clock_that_jumps_forgets_no_id(world):
    """Ten years forward and back, or 1970 at boot, are days of work like others."""
    spool = world.open(seen_days=10)
    spool.commit(logins_of(1), {})
    for jump in (3650 * DAY, -3650 * DAY, -world.clock.time):
        world.clock.time += jump
        spool.commit([login_of(2, id="0" * 32)], {})
    assert spool.commit(logins_of(1), {}) == 0


def test_facts_are_kept_and_forgotten(world):
    """A fact is what was last said, over restarts; one known already costs no write."""
    spool = world.open()
    spool.set_fact("monitor", "17")
    spool.set_fact("monitor", "18")
    before = world.path.read_bytes()
    spool.set_fact("monitor", "18")
    assert before == world.path.read_bytes()
    assert world.open().fact("monitor") == "18"
    spool.set_fact("monitor", None)
    assert spool.fact("monitor") is None


def test_the_summary_counts_what_waits_and_what_was_left_out(world):
    """Depth, the oldest login, ignored ones and the size on disk are there for status."""
    spool = world.open()
    spool.commit(logins_of(1), {}, history=True, ignored=2)
    spool.commit(logins_of(2), {})
    found = spool.summary()
    assert (found.depth, found.live, found.history, found.seen, found.ignored) == (2, 1, 1, 2, 2)
    assert found.oldest_us == login_of(2).time
    assert found.disk_bytes >= world.path.stat().st_size


def test_nobody_else_can_read_the_state(world):
    """Directory 0700, files 0600, whatever the umask was; a copy put back wider is narrowed."""
    umask = os.umask(0)
    try:
        world.open().commit(logins_of(1), {})
    finally:
        os.umask(umask)
    assert stat.S_IMODE(world.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in world.directory.iterdir()} == {0o600}
    world.close()
    world.path.chmod(0o644)
    world.open()
    assert stat.S_IMODE(world.path.stat().st_mode) == 0o600


def test_every_commit_is_safe_on_the_disk(world):
    """A rollback journal with EXTRA synchronisation, for several processes may write."""
    spool = world.open()
    assert spool._read("PRAGMA journal_mode") == [("persist",)]
    assert spool._read("PRAGMA synchronous") == [(3,)]


def test_threads_share_a_spool(world):
    """Reader and deliverers work at once, and every login comes out exactly once."""
    spool = world.open()
    numbers = range(100)
    writers = [
        threading.Thread(target=lambda k=k: [spool.commit(logins_of(n), {}) for n in numbers[k::4]])
        for k in range(4)
    ]
    for writer in writers:
        writer.start()
    sent = []
    while len(sent) < len(numbers):
        batch = spool.due(7)
        assert spool.delivered(batch) == len(batch)
        sent += [entry.id for entry in batch]
    for writer in writers:
        writer.join()
    assert sorted(ids_of(*numbers)) == sorted(sent)


def test_processes_share_a_spool(world):
    """Agent and backfill commit at once, the same logins too, and each is taken once."""
    here = world.open()
    program = """
import sys
from pathlib import Path
from spools import World, logins_of
spool = World(Path(sys.argv[1])).open()
for number in range(100):
    spool.commit(logins_of(number), {}, history=True)
"""
    command = [sys.executable, "-c", program, str(world.directory)]
    with subprocess.Popen(command, cwd=Path(__file__).parent.parent) as other:
        mine = sum(here.commit(logins_of(number), {}) for number in reversed(range(100)))
    assert other.returncode == 0
    assert sorted(ids_of(*range(100))) == sorted(waiting(here))
    assert (here.summary().live, here.summary().history) == (mine, 100 - mine)


def test_a_look_changes_nothing(world):
    """Status reads beside the agent; it makes no spool and cannot write to one."""
    with pytest.raises(StateError, match="there is no spool"):
        world.look()
    assert not world.directory.exists()
    world.open().commit(logins_of(1), {"a": Position("1")})
    look = world.look()
    assert (look.summary().live, look.positions()) == (1, {"a": Position("1")})
    with pytest.raises(StateError, match="readonly"):
        look.set_fact("name", "value")


def test_a_state_from_another_machine_is_reported_once(world):
    """A cloned or renamed machine is told to look after its state."""
    world.open(identity="one")
    world.open(identity="one")
    assert world.events == []
    world.open(identity="two")
    world.open(identity="two")
    assert world.events == [MachineChanged(str(world.directory))]


def test_the_identity_of_a_machine_is_a_hash(tmp_path):
    """The machine id decides and is not shown; a machine without one has an identity too."""
    number = tmp_path / "machine-id"
    without = machine_identity(number)
    number.write_text("0123456789abcdef0123456789abcdef\n")
    assert machine_identity(number) == machine_identity(number) != without
    assert "0123456789abcdef" not in machine_identity(number)


def test_an_older_schema_is_brought_forward_with_its_rows(world):
    """Steps that a database has not seen are made once, in one transaction."""
    world.open().commit(logins_of(1), {})
    world.close()
    steps = (*schema.STEPS, ("ALTER TABLE outbox ADD COLUMN later TEXT NOT NULL DEFAULT 'new'",))
    with closing(sqlite3.connect(world.path, isolation_level=None)) as raw:
        now = schema.VERSION
        assert (schema.migrate(raw, steps), schema.migrate(raw, steps)) == (now, now + 1)
        assert raw.execute("SELECT user, later FROM outbox").fetchall() == [("user1", "new")]
        with pytest.raises(sqlite3.OperationalError):
            schema.migrate(raw, (*steps, ("CREATE TABLE x (y)", "CREATE TABLE x (y)")))
        assert schema.version(raw) == now + 1
        assert raw.execute("SELECT count(*) FROM sqlite_master WHERE name = 'x'").fetchone() == (0,)


class Model(RuleBasedStateMachine):
    """The spool against plain lists: whatever is done in whatever order, they agree."""

    numbers = st.lists(st.integers(0, 30), max_size=6)

    @initialize()
    def begin(self):
        """Start empty."""
        memory = Path("/dev/shm")  # where waiting for a disk would be most of the test
        usable = os.access(memory, os.W_OK | os.X_OK)
        self.temporary = tempfile.TemporaryDirectory(dir=memory if usable else None)
        self.world = World(Path(self.temporary.name) / "state")
        self.spool = self.world.open()
        self.queues = {False: [], True: []}
        self.dead, self.seen, self.places, self.sent = [], set(), {}, 0

    @rule(numbers=numbers, log=st.sampled_from("ab"), place=st.integers(0, 9), old=st.booleans())
    def commit(self, numbers, log, place, old):
        """Take logins, some of them again."""
        new = [n for n in dict.fromkeys(numbers) if n not in self.seen]
        position = Position(str(place), str(-place))
        taken = self.spool.commit(logins_of(*numbers), {log: position}, history=old)
        assert taken == len(new)
        self.queues[old] += new
        self.seen.update(new)
        self.places[log] = position

    @rule(limit=st.integers(0, 5))
    def deliver(self, limit):
        """Send some of the next."""
        for entry in self.spool.due(limit):
            self.spool.delivered([entry])
            self.sent += 1
            self._leave(entry)

    @rule()
    def refuse(self):
        """Let the monitor refuse the next."""
        for entry in self.spool.due(1):
            self.spool.refuse(entry, "no")
            self.dead.append((entry.history, self._leave(entry)))

    @rule(number=st.none() | st.integers(0, 30), again=st.booleans())
    def settle_dead(self, number, again):
        """Retry or drop one dead letter or all."""
        chosen = [letter for letter in self.dead if number in (None, letter[1])]
        act = self.spool.retry_dead if again else self.spool.drop_dead
        assert act(None if number is None else ids_of(number)) == len(chosen)
        for old, value in chosen:
            self.dead.remove((old, value))
            if again:
                self.queues[old].append(value)

    @rule()
    def reopen(self):
        """End the process and start another."""
        self.world.close()
        self.spool = self.world.open()

    @invariant()
    def agree(self):
        """Queues, dead letters, positions and counters are those of the model."""
        live, history = self.queues[False], self.queues[True]
        assert ids_of(*live, *history) == waiting(self.spool)
        assert ids_of(*(n for _, n in self.dead)) == [d.entry.id for d in self.spool.dead()]
        assert self.places == self.spool.positions()
        found = self.spool.summary()
        expected = (len(live), len(history), len(self.dead), len(self.seen), self.sent)
        assert expected == (found.live, found.history, found.dead, found.seen, found.sent)

    def teardown(self):
        """Remove the state."""
        if hasattr(self, "world"):
            self.world.close()
            self.temporary.cleanup()

    def _leave(self, entry):
        queue = self.queues[entry.history]
        assert entry.id == login_of(queue[0]).id
        return queue.pop(0)


Model.TestCase.settings = settings(settings.default, stateful_step_count=30)
test_the_spool_agrees_with_a_model = Model.TestCase
