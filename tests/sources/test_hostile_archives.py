"""Compressed files made to cost much: headers, members, windows and bombs."""

import bz2
import gzip
import io
import lzma
import random
import tracemalloc
import zlib

import pytest
import zstandard
from running import eventually
from tail_bench import Bench, lines

from logwatch_monitis.sources.compression import ArchiveDamagedError, Unpacker, packing
from logwatch_monitis.sources.files.events import CopySkipped

MIB = 1 << 20
PACKERS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lambda data: lzma.compress(data, preset=0),
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}


class Source(io.BytesIO):
    """Bytes that count how many of them were read."""

    taken = 0

    def read(self, size=-1):
        """See `io.BytesIO.read`."""
        data = super().read(size)
        self.taken += len(data)
        return data


def unpack(data):
    """Return what the archive holds, what is wrong with it, and how much of it was read."""
    source, found = Source(data), []
    unpacker = Unpacker(source, "file", packing(data[:6]))
    try:
        while piece := unpacker.read():
            found.append(piece)
    except ArchiveDamagedError as error:
        return b"".join(found), error.what, source.taken
    return b"".join(found), "", source.taken


@pytest.mark.parametrize("flags", [0x08, 0x10, 0x18, 0x1C])
def test_a_gzip_header_without_an_end_is_damage(flags):
    """A name or comment is searched for its end once and not for long."""
    extra = b"\x02\0ab" if flags & 4 else b""
    endless = b"\x1f\x8b\x08" + bytes([flags]) + bytes(6) + extra + b"x" * (8 * MIB)
    data, what, taken = unpack(endless)

    assert data == b""
    assert "header of more than 65536 bytes" in what
    assert taken <= 256 * 1024


def test_long_gzip_headers_are_read():
    """What ends within 64 KiB is no damage, wherever the pieces that are read end."""
    for size in (100, 511, 512, 513, 40_000, 65_000):
        plain = gzip.compress(b"a line\n")
        named = plain[:3] + b"\x18" + plain[4:10] + b"n\0" + b"c" * size + b"\0" + plain[10:]

        assert unpack(named * 3)[:2] == (b"a line\n" * 3, "")


@pytest.mark.parametrize("name", PACKERS)
def test_any_row_of_members_and_padding(name):
    """Empty, small and large members with NULs between them come out whole."""
    for seed in range(8):
        chosen = random.Random(seed)
        archive, expected = b"", b""
        for _ in range(chosen.randrange(1, 60)):
            size = chosen.choice([0, 0, 0, 1, 300, 70_000])
            part = chosen.randbytes(size)
            archive += PACKERS[name](part) + bytes(chosen.choice([0, 0, 1, 4, 70_000]))
            expected += part

        assert unpack(archive)[:2] == (expected, "")


def xz_with_dictionary(code):
    """Return an .xz file whose block asks for a dictionary; 40 stands for 4 GiB."""
    data = bytearray(lzma.compress(bytes(1000)))
    end = 12 + (data[12] + 1) * 4
    assert data[14] == 0x21
    data[16] = code
    data[end - 4 : end] = zlib.crc32(data[12 : end - 4]).to_bytes(4, "little")
    return bytes(data)


def zstd_with_window(exponent):
    """Return a .zst file whose frame asks for a window of ``2**exponent`` bytes."""
    block = (1 | 1 << 1 | 1000 << 3).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\0" + bytes([(exponent - 10) << 3]) + block


@pytest.mark.parametrize("hostile", [xz_with_dictionary(40), zstd_with_window(31)])
def test_memory_for_what_an_archive_asks_for_is_bounded(hostile):
    """A dictionary or window of gigabytes is refused, and the words name memory."""
    tracemalloc.start()
    data, what, _ = unpack(hostile)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert data == b""
    assert "memory" in what.lower()
    assert peak < 10 * MIB


def test_dictionaries_in_common_use_are_taken():
    """That of ``xz -9`` is one of them, and the window of ``zstd --long``."""
    assert unpack(xz_with_dictionary(28))[:2] == (bytes(1000), "")
    assert unpack(zstd_with_window(27))[:2] == (bytes(1000), "")


def plant(path, name, body, size):
    """Write an archive that holds *body* again and again, *size* bytes altogether."""
    member = PACKERS[name]((body * (16 * MIB))[: 16 * MIB])
    with path.open("wb") as file:
        for _ in range(size // (16 * MIB)):
            file.write(member)


@pytest.fixture(name="decompressed")
def _decompressed(monkeypatch):
    """The sizes of all pieces that are decompressed."""
    sizes, read = [], Unpacker.read

    def counted(unpacker):
        piece = read(unpacker)
        sizes.append(len(piece))
        return piece

    monkeypatch.setattr(Unpacker, "read", counted)
    return sizes


@pytest.fixture(name="bench")
def _bench(tmp_path):
    """Two logs, which were followed before."""
    bench = Bench(tmp_path, "auth.log", "other.log")
    bench.write(*lines(*range(100)))
    bench.write(*lines(1), name="other.log")
    bench.start(from_start=True)
    bench.look()
    bench.stop()
    yield bench
    bench.stop()


def test_bombs_beside_a_log_are_not_decompressed(tmp_path, decompressed):
    """Neither at the first start nor at a rotation, and both logs are read on."""
    for number, name in enumerate(PACKERS, 1):
        plant(tmp_path / f"auth.log.{number}.{name}", name, b"\0", 1024 * MIB)
    bench = Bench(tmp_path, "auth.log", "other.log")
    bench.write(*lines(1))
    bench.start()
    bench.write(*lines(2))
    assert lines(2) == bench.look()

    for number, name in reversed([*enumerate(PACKERS, 1)]):
        copy = tmp_path / f"auth.log.{number}.{name}"
        copy.rename(tmp_path / f"auth.log.{number + 1}.{name}")
    bench.path.rename(tmp_path / "auth.log.1")
    bench.write(*lines(3))
    bench.write(*lines(4), name="other.log")

    assert lines(3, 4) == bench.look()
    assert sum(decompressed) < 256 * MIB
    bench.stop()


@pytest.mark.parametrize("body", [b"\0", b"a"])
def test_bombs_in_place_of_rotated_files_are_skipped_and_named(bench, decompressed, body):
    """An archive that must be read, and is all one line, is given up; the lines around it come."""
    bench.path.rename(bench.directory / "auth.log.9")
    bombs = [bench.directory / f"auth.log.{n}.{name}" for n, name in enumerate(PACKERS, 1)]
    for bomb, name in zip(bombs, PACKERS, strict=True):
        plant(bomb, name, body, 1024 * MIB)
    bench.write(*lines(102))
    bench.write(*lines(103), name="other.log")
    bench.start()

    assert lines(103) == [line for line in bench.look() if line in lines(103)]
    for _ in bombs:
        bench.look()
    status = bench.tail.statuses()[0]

    assert lines(102) == [c.data for c in bench.chunks if c.log == str(bench.path)][-1:]
    assert tuple(map(str, bombs)) == status.skipped
    assert sorted(map(str, bombs)) == sorted(e.path for e in bench.told(CopySkipped))
    assert sum(decompressed) < 2048 * MIB
    assert not bench.tail.pending


@pytest.mark.parametrize("name", PACKERS)
def test_the_live_file_does_not_wait_for_a_long_archive(bench, name):
    """An archive that gives line after line is read on, but what is written now comes first."""
    bench.path.rename(bench.directory / "auth.log.9")
    plant(bench.directory / f"auth.log.1.{name}", name, b"a\n", 256 * MIB)
    bench.write(*lines(102))
    bench.write(*lines(103), name="other.log")
    bench.start()
    fresh = {}
    for number, chunk in enumerate(bench.tail.read()):
        bench.clock.time += 0.05
        if chunk.path in bench.patterns:
            fresh.setdefault(chunk.path, number)
        if len(fresh) == 2:
            break

    assert set(bench.patterns) == set(fresh)
    assert max(fresh.values()) < 40


def test_a_stop_is_heard_whatever_lies_beside_the_log(tmp_path, agent_of):
    """Beside endless archives a login is delivered, and SIGTERM ends the agent."""
    log = tmp_path / "auth.log"
    log.write_text("")
    for number, name in enumerate(PACKERS, 1):
        plant(tmp_path / f"auth.log.{number}.{name}", name, b"\0", 64 * 1024 * MIB)
    run = agent_of(log).start()
    log.write_text(
        "Nov 28 10:00:00 web sshd[7]: Accepted password for al from 192.0.2.7 port 5 ssh2\n"
    )
    assert eventually(lambda: run.status()["sources"][0]["last_login"])
    for number, name in enumerate(PACKERS, 1):
        (tmp_path / f"auth.log.{number}.{name}").rename(tmp_path / f"auth.log.{number + 4}.{name}")
    log.rename(tmp_path / "auth.log.1")

    assert run.stop() == 0
