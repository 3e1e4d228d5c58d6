"""Logs with very many rotated copies, and very many logs."""

import gzip
import os
import resource
from contextlib import contextmanager

import pytest
from tail_bench import Bench, lines

from logwatch_monitis.sources.files import follower as follow
from logwatch_monitis.sources.files import rotated_copies as shelf
from logwatch_monitis.sources.files import schedule as rota
from logwatch_monitis.sources.files.events import FileGap, FileUnreadable
from logwatch_monitis.sources.files.rotated_names import Sibling

COPIES = 300
LOGS = 150


@pytest.fixture(name="bench")
def _bench(tmp_path):
    """A log with many compressed copies, none of which was seen before."""
    for number in range(1, COPIES + 1):
        copy = tmp_path / f"auth.log.{number}.gz"
        copy.write_bytes(gzip.compress(b"".join(lines(*range(number * 20, number * 20 + 20)))))
        os.utime(copy, (1_000_000 - number,) * 2)
    bench = Bench(tmp_path)
    bench.write(*lines(1))
    yield bench
    bench.stop()


@contextmanager
def descriptors_left(count):
    """Let this process open no more than *count* files in addition to those that it has open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_copy_is_compared_with_its_like_alone(bench, monkeypatch):
    """The work at a rotation grows with the number of copies, not with its square."""
    asked = []
    slot = Sibling.slot
    monkeypatch.setattr(
        Sibling, "slot", property(lambda copy: asked.append(copy) or slot.fget(copy))
    )
    bench.start()
    bench.look()
    bench.shift(keep=COPIES + 1)
    bench.path.rename(f"{bench.path}.1")
    bench.write(*lines(2))

    assert lines(2) == bench.look()
    assert len(asked) < 10 * COPIES


def test_copies_are_opened_once_and_not_at_every_rotation(bench, monkeypatch):
    """What a copy begins with is remembered while the file is the same."""
    opened = []
    open_any = shelf.open_any
    monkeypatch.setattr(shelf, "open_any", lambda path: opened.append(path) or open_any(path))
    bench.start()
    counts = []
    for number in range(4):
        bench.shift(keep=COPIES + 5)
        bench.path.rename(f"{bench.path}.1")
        bench.write(*lines(10 + number))
        bench.look()
        if number:
            bench.pack("auth.log.2")
        counts.append(len(opened))
        bench.clock.time += 700
        bench.look()

    assert counts[-1] - counts[-2] < 20


def test_however_slow_the_machine_history_stays_history(bench, monkeypatch):
    """Where a look may do next to nothing, it takes many to get on, and nothing old is read."""
    monkeypatch.setattr(shelf, "_LOOK_SECONDS", 1e-9)
    bench.start()
    bench.look()
    bench.stop()
    bench.write(*lines(2))
    bench.shift(keep=COPIES + 1)
    bench.path.rename(f"{bench.path}.1")
    bench.pack()
    bench.write(*lines(3))
    found = []
    for _ in range(3 * COPIES):
        found += bench.look()

    assert lines(2, 3) == found
    assert not bench.tail.pending
    bench.shift(keep=COPIES + 2)
    bench.path.rename(f"{bench.path}.1")
    bench.write(*lines(4))
    assert lines(4) == bench.look()


def test_searching_many_copies_takes_few_descriptors(bench):
    """A place is found among hundreds of copies where few files may be open at once."""
    bench.start()
    bench.look()
    bench.stop()
    bench.write(*lines(2))
    bench.shift(keep=COPIES + 1)
    bench.path.rename(f"{bench.path}.1")
    bench.pack()
    bench.write(*lines(3))
    with descriptors_left(60):
        assert lines(2, 3) == bench.look()
    assert [] == bench.told(FileUnreadable) + bench.told(FileGap)


@pytest.fixture(name="logs")
def _logs(tmp_path, monkeypatch):
    """Very many logs, of which few may be open, all of them read."""
    bench = Bench(tmp_path, *(f"{number}.log" for number in range(LOGS)))
    for number in range(LOGS):
        bench.write(*lines(number), name=f"{number}.log")
    monkeypatch.setattr(rota, "for_logs", lambda: 40)
    bench.start(from_start=True)
    assert sorted(lines(*range(LOGS))) == sorted(bench.look())
    bench.clock.time += 5
    bench.look()
    yield bench
    bench.stop()


def test_more_logs_than_descriptors_are_all_followed(logs):
    """What is written, renamed with late lines, or cut, while the file is closed, is read."""
    assert logs.descriptors() <= 40
    expected = []
    for number in range(LOGS):
        path = logs.directory / f"{number}.log"
        if number % 3 == 0:
            logs.write(*lines(1000 + number), name=path.name)
            expected += lines(1000 + number)
        elif number % 3 == 1:
            logs.write(*lines(2000 + number), name=path.name)
            path.rename(f"{path}.1")
            logs.write(*lines(3000 + number), name=path.name)
            expected += lines(2000 + number, 3000 + number)
        else:
            logs.replace(*lines(4000 + number, 5000 + number), name=path.name)
            expected += lines(4000 + number, 5000 + number)

    assert sorted(expected) == sorted(logs.look())
    assert [] == logs.told(FileUnreadable) + logs.told(FileGap)

    late = [number for number in range(LOGS) if number % 3 == 1]
    logs.clock.time += 5
    logs.look()
    for number in late:
        logs.write(*lines(6000 + number), name=f"{number}.log.1")

    assert sorted(lines(*(6000 + number for number in late))) == sorted(logs.look())


def test_a_file_that_is_removed_while_it_is_closed_is_told_of(logs):
    """Nobody can know then what was written to it last, and other logs are read on."""
    first = logs.directory / "0.log"
    logs.write(*lines(77), name="new")
    (logs.directory / "new").replace(first)
    logs.write(*lines(78), name="1.log")

    assert lines(77, 78) == logs.look()
    assert [str(first)] == [event.log for event in logs.told(FileGap)]


def test_without_a_free_descriptor_the_reason_is_named(tmp_path):
    """It is no full disk and no missing permission; once there are some, nothing is missing."""
    bench = Bench(tmp_path)
    bench.write(*lines(1))
    with descriptors_left(60):
        held = []
        try:
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            bench.start(from_start=True)
            assert [] == bench.look()
            told = bench.told(FileUnreadable)
        finally:
            for descriptor in held:
                os.close(descriptor)
        assert lines(1) == bench.look()

    assert 1 == len(told)
    assert "LimitNOFILE" in str(told[0])


def test_logs_of_which_no_event_tells_are_looked_at_in_turn(logs):
    """A log that an event names is read at once, the others soon."""
    logs.tail.directories()
    logs.tail.rely_on_events(working=True)
    logs.look()
    logs.write(*lines(1), name="5.log")
    logs.write(*lines(2), name="6.log")
    assert logs.tail.concerns(str(logs.directory / "5.log"))

    assert lines(1) == logs.look()

    logs.clock.time += 2

    assert lines(2) == logs.look()


def test_checkpoints_are_those_that_changed(logs):
    """Thousands of logs at rest are not committed again and again."""
    logs.tail.rely_on_events(working=True)
    logs.look()
    logs.tail.checkpoints()
    logs.write(*lines(1), name="5.log")
    logs.clock.time += 2
    for chunk in logs.tail.read():
        assert chunk.log.endswith("/5.log")

    assert [str(logs.directory / "5.log")] == list(logs.tail.checkpoints())


def test_what_is_written_while_the_writer_is_asked_for_is_read(tmp_path, monkeypatch):
    """A removed file is not let go of if its last line came just before its writer closed it."""
    bench = Bench(tmp_path)
    bench.write(*lines(1))
    bench.start(from_start=True)
    bench.look()
    writer = bench.path.open("ab", buffering=0)
    bench.path.unlink()
    has_writer = follow.has_writer

    def asked(descriptor):
        if not writer.closed:
            writer.write(b"".join(lines(2)))
            writer.close()
        return has_writer(descriptor)

    monkeypatch.setattr(follow, "has_writer", asked)

    assert lines(2) == bench.look() + bench.look()
    bench.look()
    assert 0 == bench.descriptors()
    bench.stop()
