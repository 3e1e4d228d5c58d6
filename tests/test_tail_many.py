"""Logs with very many rotated copies, and very many logs."""

import gzip
import os
import resource
from contextlib import contextmanager

import pytest
from tail_bench import Bench, lines

from logwatch_monitis.sources import shelf
from logwatch_monitis.sources.events import FileGap, FileUnreadable
from logwatch_monitis.sources.siblings import Sibling

COPIES = 300


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
