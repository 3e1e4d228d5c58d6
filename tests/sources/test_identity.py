"""Places, positions, names of copies and lines: the small parts a tail is made of."""

import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.sources.files.checkpoint import FileState, SavedLog, dump, load
from logwatch_monitis.sources.files.fingerprint import (
    REACH,
    FilePosition,
    advance,
    digest,
    line_start,
    matches,
    place_at,
)
from logwatch_monitis.sources.files.rotated_names import list_siblings, log_path
from logwatch_monitis.sources.lines import MAX_LINE, Cut, cut

contents = st.lists(st.binary(max_size=700), max_size=8).map(b"\n".join)


def reader(data):
    """Return what reads *data* as a file is read."""
    return lambda offset, size: data[offset : offset + size]


@given(contents, contents, st.data())
def test_a_place_matches_the_bytes_it_was_made_from(data, more, drawn):
    """It matches the same file grown, and no file that differs where the place looks."""
    offset = drawn.draw(st.integers(0, len(data)))
    place = place_at(reader(data), offset)
    changed = bytearray(data)

    assert matches(place, reader(data + more))

    looked_at = {*range(place.print_size), *range(offset - place.reach, offset)}
    if looked_at:
        changed[drawn.draw(st.sampled_from(sorted(looked_at)))] ^= 1

        assert not matches(place, reader(bytes(changed)))
        assert not matches(place, reader(data[: max(looked_at)]))


@given(contents, st.data())
def test_advancing_is_the_same_as_beginning_there(data, drawn):
    """However one comes to a place, it is the same."""
    end = drawn.draw(st.integers(0, len(data)))
    start = drawn.draw(st.integers(0, end))
    moved = advance(place_at(reader(data), start), end, data[:end][-REACH:])

    assert place_at(reader(data), end) == moved


@given(contents)
def test_the_line_start_is_behind_the_last_line_end(data):
    """Bytes behind it are a line not finished yet."""
    assert data.rfind(b"\n") + 1 == line_start(reader(data), len(data)).offset


def test_a_place_of_nothing_is_blank():
    """Only a file of which nothing is known has a blank place."""
    assert FilePosition().blank
    assert place_at(reader(b""), 0).blank
    assert not place_at(reader(b"x"), 0).blank
    assert "" == digest(b"")


places = st.builds(
    FilePosition,
    st.integers(0, REACH),
    st.sampled_from(["", "0123456789abcdef"]),
    st.integers(0, 1 << 60),
    st.sampled_from(["", "0123456789abcdef"]),
    st.integers(0, 1 << 60),
)
numbers = st.integers(0, 1 << 63)
files = st.builds(
    FileState, st.text(), numbers, numbers, numbers, places, st.booleans(), st.booleans(), numbers
)


@given(st.builds(SavedLog, st.lists(files, max_size=3).map(tuple), st.booleans(), numbers))
def test_a_position_is_read_as_it_was_written(state):
    """Nothing of a position is lost in its text."""
    assert state == load(dump(state))


def test_a_path_that_is_no_utf8_is_kept():
    """File names are bytes."""
    path = os.fsdecode(b"/var/log/\xff")
    state = SavedLog((FileState(path, 1, 2, 3, FilePosition()),), live=True)

    assert path == load(dump(state)).files[0].path


@given(st.text() | st.sampled_from(["null", "[]", "1", '{"v":1}', '{"v":1,"files":3,"live":1}']))
def test_other_text_is_no_position(text):
    """Whatever is not a position is refused in one way."""
    with pytest.raises(ValueError, match=r"[a-z]"):
        load(text)


@pytest.mark.parametrize(
    ("name", "log"),
    [
        ("auth.log.1", "auth.log"),
        ("auth.log.12.gz", "auth.log"),
        ("auth.log-20261122", "auth.log"),
        ("auth.log-20261122.xz", "auth.log"),
        ("auth.log-2026112213.zst", "auth.log"),
        ("auth.log-20261122-1795389600.bz2", "auth.log"),
        ("auth.log-1795389600", "auth.log"),
        ("auth.log.2026-11-22", "auth.log"),
        ("auth.log_2026-11-22T13:05", "auth.log"),
        ("auth.1.log", "auth.log"),
        ("auth-20261122.log.gz", "auth.log"),
        ("secure-20261122", "secure"),
        ("auth.log", None),
        ("auth.log.gz", None),
        ("auth.log.old", None),
        ("auth.log-20261322", None),
    ],
)
def test_names_of_copies(name, log):
    """The names logrotate, savelog and their kin give to copies are known."""
    assert (log and f"/var/log/{log}") == log_path(f"/var/log/{name}")


def make(directory, *names):
    """Make files, each written a minute after the one before."""
    for minute, name in enumerate(names):
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (minute * 60, minute * 60))


def listed(path, *, below=False):
    """Return the copies' names."""
    return [
        os.path.relpath(copy.path, path.parent) for copy in list_siblings(str(path), below=below)
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["auth.log.10.gz", "auth.log.9.gz", "auth.log.2.gz", "auth.log.1"],
        ["auth.log-20251231.gz", "auth.log-20260101", "auth.log-2026010112", "auth.log-20260102"],
        ["auth.log.2.gz", "auth.log.1.gz", "auth.log-20260101", "auth.log-20260102"],
        ["auth.log-20260101", "auth.log-20260102", "auth.log.2", "auth.log.1"],
        ["auth-20260101.log", "auth.log-20260102"],
    ],
)
def test_the_order_of_rotation(tmp_path, names):
    """Larger numbers and earlier dates are older; between the two, the time of writing decides."""
    make(tmp_path, *names)
    make(tmp_path, "auth.log", "auth.log.old", "other.log.1", "xauth.log.1", "auth.log.1.swp")

    assert names == listed(tmp_path / "auth.log")


def test_copies_below(tmp_path):
    """Directories one level below are looked into when asked; only regular files are copies."""
    make(tmp_path, "old/auth.log.2", "auth.log.1", "old/deeper.log.1")
    (tmp_path / "auth.log.3").mkdir()
    (tmp_path / "auth.log.4").symlink_to("auth.log.1")

    assert ["auth.log.1"] == listed(tmp_path / "auth.log")
    assert ["old/auth.log.2", "auth.log.1"] == listed(tmp_path / "auth.log", below=True)


def cuts(data, block):
    """Return what `cut` yields of *data* when it is read in blocks."""
    found, offset, skipping = [], 0, 0
    while piece := cut(data[offset : offset + block], offset, skipping):
        found.append(piece)
        offset, skipping = piece.end, piece.skipping
    return found, offset


@given(st.lists(st.binary(max_size=30), max_size=20).map(b"\n".join), st.integers(64, 200))
def test_lines_end_at_newlines_only(data, block):
    """All whole lines come, at their offsets, without the NULs before them."""
    pieces, end = cuts(data, block)
    got = b"".join(piece.data for piece in pieces).split(b"\n")[:-1]
    whole = data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]

    assert [line.lstrip(b"\0") for line in whole] == got
    assert all(data[p.start :].startswith(p.data) for p in pieces)
    assert data[end:].strip(b"\0").count(b"\n") == 0


def test_other_line_ends_are_no_line_ends():
    """Carriage return, vertical tab, form feed, NEL and U+2028 are bytes of the line."""
    data = "a\rb\vc\fd\x85e\u2028f\n".encode()

    assert Cut(0, data, len(data)) == cut(data + b"rest", 0)


def test_an_endless_line_is_passed_over():
    """It is counted when it ends; the next line is whole."""
    data = b"a\n" + b"x" * (3 * MAX_LINE) + b"\nb\n"
    pieces, end = cuts(data, MAX_LINE + 1)

    assert [b"a\n", b"b\n"] == [piece.data for piece in pieces if piece.data]
    assert [3 * MAX_LINE] == [piece.skipped for piece in pieces if piece.skipped]
    assert len(data) == end


def test_the_longest_line():
    """A line of exactly the limit is a line, one byte more is not."""
    longest = b"x" * MAX_LINE + b"\n"

    assert Cut(0, longest, MAX_LINE + 1) == cut(longest, 0)
    assert b"" == cut((b"x" + longest)[: MAX_LINE + 1], 0).data


def test_random_bytes_are_cut_alike_in_any_blocks():
    """The size of blocks changes nothing."""
    data = random.Random(1).randbytes(50_000).replace(b"\7", b"\n\0")

    assert 1 == len({b"".join(p.data for p in cuts(data, n)[0]) for n in (5000, 7777, 50_000)})
