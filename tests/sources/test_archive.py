"""Whole files, compressed in any way and damaged in any way (torture.md D57 to D59)."""

import bz2
import contextlib
import gzip
import io
import lzma
import sys
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.errors import MissingExtraError
from logwatch_monitis.sources import compression as packed
from logwatch_monitis.sources.blocks import STDIN, ArchiveDamagedError, read_blocks
from logwatch_monitis.sources.lines import MAX_LINE

LINES = b"".join(b"%d: a line of a log, %d\n" % (n, n * 7919 % 100_003) for n in range(40_000))
PACKERS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}
PACKED = {name: pack(LINES) for name, pack in PACKERS.items()}
BLOCKS = {"gz": 0, "bz2": 900_000, "xz": 20_000, "zst": 131_072}
"""Bytes that damage may take along: one block of the format."""


def read(path, **kwargs):
    """Return the joined data of all blocks, and the error behind them."""
    data = b""
    try:
        for block in read_blocks(str(path), **kwargs):
            assert len(data) == block.offset
            data += block.data
    except ArchiveDamagedError as error:
        return data, error
    return data, None


@pytest.fixture(name="path")
def _path(tmp_path):
    """A file whose name tells nothing."""
    return tmp_path / "file"


@pytest.mark.parametrize("name", PACKERS)
def test_the_beginning_tells_the_format(path, name):
    """Whatever the file is called, it is decompressed."""
    path.write_bytes(PACKED[name])

    assert (LINES, None) == read(path)


@pytest.mark.parametrize("name", PACKERS)
def test_several_members(path, name):
    """They are one file, empty ones and padding included."""
    path.write_bytes(PACKED[name] + PACKERS[name](b"") + bytes(8) + PACKED[name] + bytes(512))

    assert (LINES * 2, None) == read(path)


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("part", [0.3, 0.9, -1])
def test_d57_cut_off(path, name, part):
    """What is there is read; the error says that the end is missing, and how far it was good."""
    size = int(len(PACKED[name]) * part) if part > 0 else len(PACKED[name]) - 1
    path.write_bytes(PACKED[name][:size])
    data, error = read(path)

    assert LINES.startswith(data)
    assert len(data) > len(LINES) * (part if part > 0 else 1) * 0.6 - BLOCKS[name]
    assert (True, "unexpected end", str(path)) == (error.unfinished, error.what, error.path)
    assert data == LINES[: LINES.rfind(b"\n", 0, error.offset) + 1]


@pytest.mark.parametrize("name", PACKERS)
def test_d57_torn_line(path, name):
    """The part of a line before the damage is no line; the message names it."""
    whole = PACKERS[name](b"whole\ntorn" * 10_000)
    path.write_bytes(whole[:-3])
    data, error = read(path)

    assert data.endswith(b"\n")
    assert f"the torn line at byte {len(data)} is left out" in error.render()


@pytest.mark.parametrize("name", PACKERS)
def test_d57_last_line_before_garbage(path, name):
    """What is no part of the archive does not tear its last line."""
    path.write_bytes(PACKERS[name](b"whole\nunfinished") + b"garbage")
    data, error = read(path)

    assert (b"whole\nunfinished", False) == (data, error.torn)


@pytest.mark.parametrize("name", PACKERS)
def test_d57_wrong_checksum(path, name):
    """The error comes behind what was decompressed."""
    whole = bytearray(PACKED[name])
    whole[{"gz": -8, "bz2": -12, "xz": -40, "zst": -1}[name]] ^= 1
    path.write_bytes(whole)
    data, error = read(path)

    assert error is not None
    assert not error.unfinished
    assert len(LINES) - BLOCKS[name] <= len(data) <= len(LINES)


def test_d57_wrong_length(path):
    """Gzip stores the length as well."""
    path.write_bytes(PACKED["gz"][:-1] + b"\7")
    data, error = read(path)

    assert (LINES, "length is wrong") == (data, error.what)


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("garbage", [b"g", b"garbage behind it", b"\0\0garbage"])
def test_d57_trailing_garbage(path, name, garbage):
    """It is told of; nothing is missing."""
    path.write_bytes(PACKED[name] + garbage)
    data, error = read(path)

    assert (LINES, "trailing garbage") == (data, error.what)


@pytest.mark.parametrize("name", PACKERS)
def test_a_member_of_another_format_is_garbage(path, name):
    """Members behind each other are of one kind."""
    other = PACKED["bz2" if name == "gz" else "gz"]
    path.write_bytes(PACKED[name] + other)

    assert "trailing garbage" == read(path)[1].what


@given(st.sampled_from(sorted(PACKERS)), st.integers(0, 1 << 30), st.integers(1, 255))
def test_any_wrong_byte(tmp_path_factory, name, place, change):
    """There is no byte that could do worse than an error."""
    whole = bytearray(PACKED[name])
    whole[place % len(whole)] ^= change
    path = tmp_path_factory.mktemp("wrong") / "file"
    path.write_bytes(whole)
    with contextlib.suppress(ArchiveDamagedError):
        list(read_blocks(str(path)))


def test_gzip_headers(path):
    """Name, comment, extra field and header checksum are passed over, in pieces too."""
    extra = b"\x1f\x8b\x08\x1e" + bytes(6) + b"\5\0extra" + b"name\0" + b"comment\0" + b"\1\2"
    whole = extra + PACKED["gz"][10:]
    file = io.BytesIO(whole)
    file.read, once = (lambda size: once(1)), file.read
    unpacker = packed.Unpacker(file, "x", packed.packing(whole))

    assert LINES == b"".join(iter(unpacker.read, b""))

    path.write_bytes(whole)

    assert (LINES, None) == read(path)


@pytest.mark.parametrize("name", PACKERS)
def test_d59_bomb(path, name):
    """Any amount of nothing takes as little memory, and is no line."""
    zeros = bytes(1 << 20)
    with {
        "gz": gzip.open,
        "bz2": bz2.open,
        "xz": lzma.open,
        "zst": zstandard.open,
    }[name](path, "wb") as file:
        for _ in range(128):
            file.write(zeros)
        file.write(b"\na\n")
    tracemalloc.start()
    data = [block.data for block in read_blocks(str(path))]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert b"a\n" == b"".join(data)[-2:]
    assert peak < 96 << 20


@pytest.mark.parametrize("name", ["", *PACKERS])
def test_standard_input(monkeypatch, name):
    """A pipe is read like a file, compressed or not."""

    class Pipe:
        buffer = io.BytesIO(PACKED.get(name, LINES))

    Pipe.buffer.seek = None
    monkeypatch.setattr(sys, "stdin", Pipe)

    assert LINES == b"".join(block.data for block in read_blocks(STDIN))


@pytest.mark.parametrize("end", [b"", b"rest"])
def test_plain(path, end):
    """Blocks hold whole lines at their offsets; an unfinished last one is marked."""
    path.write_bytes(LINES + end)
    blocks = list(read_blocks(str(path), size=5000))

    assert LINES + end == b"".join(block.data for block in blocks)
    assert not end or (end, False) == (blocks[-1].data, blocks[-1].complete)
    assert all(
        block.data.endswith(b"\n") and block.complete for block in blocks[: -len(end) or None]
    )


def test_over_long_lines_are_counted(path):
    """They are left out at flat memory, also the last one."""
    path.write_bytes(b"a\n" + b"x" * 5 * MAX_LINE + b"\nb\n" + b"y" * 2 * MAX_LINE)
    blocks = list(read_blocks(str(path)))

    assert b"a\nb\n" == b"".join(block.data for block in blocks)
    assert 2 == sum(block.overlong for block in blocks)


@pytest.mark.parametrize("module", ["isal", "zstandard"])
def test_without_the_extra(path, monkeypatch, module):
    """Without isal the standard library does it; without zstandard the message names the extra."""
    monkeypatch.setitem(sys.modules, module, None)
    if module == "isal":
        path.write_bytes(PACKED["gz"])

        assert (LINES, None) == read(path)
    else:
        path.write_bytes(PACKED["zst"])
        with pytest.raises(MissingExtraError, match="zstandard"):
            read(path)


def test_empty_file(path):
    """It has no lines."""
    path.touch()

    assert (b"", None) == read(path)
