"""What stands in the file: holes, endless lines, bytes that are no text; at flat memory."""

import os
import resource
import tracemalloc

import pytest
from tail_bench import Bench, lines

from logwatch_monitis.sources.files.events import FileTruncated, LineTooLong
from logwatch_monitis.sources.lines import MAX_LINE

A, B, C = lines(1, 2, 3)


@pytest.fixture(name="bench")
def _bench(tmp_path):
    """An empty log."""
    bench = Bench(tmp_path)
    bench.write()
    bench.start()
    yield bench
    bench.stop()


@pytest.fixture(name="flat")
def _flat():
    """Fail if more than 16 MiB were in use at any time."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_a14_stale_writer_after_truncation(bench):
    """NULs before a line are not part of it; NULs inside stay."""
    with bench.path.open("wb", buffering=0) as writer:
        writer.write(A)
        bench.look()
        os.truncate(bench.path, 0)
        writer.write(B + b"x\0y\n")

        assert [B, b"x\0y\n"] == bench.look()

    assert 1 == len(bench.told(FileTruncated))
    assert len(A) == bench.chunks[-1].offset


def test_a14_sparse_file_of_10_gib(bench, flat):
    """A hole costs neither time nor memory."""
    with bench.path.open("r+b") as file:
        file.seek(10 << 30)
        file.write(B + C)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime

    assert [B, C] == bench.look()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 1


def test_a14_nuls_at_the_end_wait(bench):
    """Space reserved in advance is filled later, and then read."""
    with bench.path.open("r+b", buffering=0) as writer:
        writer.truncate(1 << 20)

        assert [] == bench.look()

        writer.write(A)

        assert [A] == bench.look()

        writer.write(B + C)

        assert [B, C] == bench.look()


def test_a14_dense_nuls(bench, flat):
    """NULs that were really written are passed over as well."""
    with bench.path.open("ab") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
        file.write(A)

    assert [A] == bench.look()


def test_c29_bytes_that_are_no_text(bench):
    """They are passed on as they are."""
    odd = b"bad\xff\xfe\x85\r\n"
    bench.write(odd, A)

    assert [odd, A] == bench.look()


@pytest.mark.parametrize("restart", [False, True])
def test_c30_line_of_50_mb(bench, flat, restart):
    """It is left out and counted, also when it comes in parts; the next line is read."""
    for _ in range(50):
        bench.write(b"x" * 1_000_000)
        if restart:
            bench.look()
            bench.start()
    bench.write(b"\n", A)

    assert [A] == bench.look()
    assert [50_000_000] == [event.size for event in bench.told(LineTooLong)]


def test_c30_longest_line(bench):
    """A line of exactly the limit is given whole, though it spans blocks."""
    longest = b"x" * MAX_LINE + b"\n"
    bench.write(A, longest, B)

    assert [A, longest, B] == bench.look()


def test_c56_tiny_file(bench):
    """One short line is enough, to read it and to know the file by it."""
    bench.write(b"x\n")

    assert [b"x\n"] == bench.look()

    bench.rotate()
    bench.pack()
    bench.write(b"y\n")
    bench.start()

    assert [b"y\n"] == bench.look()


def test_written_byte_by_byte(bench):
    """A line is given once, when it is whole."""
    got = []
    for byte in A + B:
        bench.write(bytes([byte]))
        got += bench.look()

    assert [A, B] == got
