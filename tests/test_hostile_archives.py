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

from logwatch_monitis.sources.packed import ArchiveDamagedError, Unpacker, packing

MIB = 1 << 20
PACKERS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
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
    for seed in range(20):
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
