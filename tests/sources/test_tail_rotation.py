"""Following one log through what torture.md, section A, C and D, does to it."""

import os
import shutil

import pytest
from tail_bench import Bench, lines

from logwatch_monitis.sources.files.events import (
    FileGap,
    FileReplaced,
    FileRotated,
    FileTruncated,
    FileUnreadable,
    PartialLineDropped,
)

A, B, C, D, E, F = lines(*range(1, 7))


@pytest.fixture(name="bench")
def _bench(tmp_path):
    """A log with one line that has been read."""
    bench = Bench(tmp_path)
    bench.write(A)
    bench.start(from_start=True)
    assert [A] == bench.look()
    yield bench
    bench.stop()


def test_a2_rotated_while_stopped(bench):
    """The unread end of the rotated file comes before the new file."""
    bench.stop()
    bench.write(B)
    bench.rotate()
    bench.write(C)

    assert [B, C] == bench.look()
    assert [] == bench.told(FileGap)


def test_a3_inode_reused_while_stopped(bench):
    """A new file with the old one's inode, longer than the old position, is read whole."""
    bench.stop()
    inode = bench.path.stat().st_ino
    for _ in range(200):
        bench.path.unlink()
        bench.write(B, C, D)
        if bench.path.stat().st_ino == inode:
            break

    assert [B, C, D] == bench.look()
    assert 1 == len(bench.events) - 1


def test_a4_truncated_and_grown_while_stopped(bench):
    """All new lines are read, though the file is longer than the position."""
    bench.stop()
    bench.replace(B, C, D)

    assert [B, C, D] == bench.look()
    assert 1 == len(bench.told(FileTruncated))


def test_a5_truncated_and_grown_between_two_looks(bench):
    """The same while running; the event counts what was seen but not read."""
    bench.write(b"unfinished")
    bench.look()
    bench.replace(B, C, D)

    assert [B, C, D] == bench.look()
    assert [10] == [event.lost for event in bench.told(FileTruncated)]


def test_a6_same_first_bytes(bench):
    """A file that begins as before is read whole, and numbers its lines anew."""
    head = b"x" * 2000 + b"\n"
    bench.replace(head, B)
    bench.look()
    bench.replace(head, C, D)

    assert [head, C, D] == bench.look()
    assert 3 == len({chunk.numbering for chunk in bench.chunks})


@pytest.mark.parametrize("later", [2, 30, 600])
def test_a7_late_write_to_the_renamed_file(bench, later):
    """What a writer that kept the file open still writes is read, up to ten minutes later."""
    with bench.path.open("ab", buffering=0) as writer:
        bench.rotate()
        bench.write(C)
        bench.look()
        bench.clock.time += later
        writer.write(B)

        assert [B] == bench.look()

        bench.clock.time += 601
        bench.look()

        assert 1 == bench.descriptors() - 1


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_a8_five_rotations_between_two_looks(bench, stopped, packed):
    """The files that were never seen are read whole, oldest first."""
    if stopped:
        bench.stop()
    expected = lines(*range(10, 20))
    for number in range(0, 10, 2):
        bench.write(*expected[number : number + 2])
        bench.rotate()
        if packed and number:
            bench.pack()

    bench.write(F)

    assert [*expected, F] == bench.look()


def test_history_is_not_read(tmp_path):
    """Copies that were there at first are left to backfill, whatever happens later."""
    bench = Bench(tmp_path)
    bench.write(A, name="auth.log.2")
    bench.pack("auth.log.2")
    bench.write(B, name="auth.log.1")
    bench.write(C)

    assert [] == bench.look()

    bench.rotate()
    bench.pack("auth.log.2")
    bench.write(D)
    bench.start()

    assert [D] == bench.look()


def test_a9_rotated_and_compressed_while_away(bench):
    """After days away, all that still exists is read in order, compressed or not."""
    bench.stop()
    for line in (B, C, D):
        bench.write(line)
        bench.rotate()
        bench.pack()
    bench.write(E)

    assert [B, C, D, E] == bench.look()


def test_a13_copied_and_truncated(bench):
    """The copy is finished first; that something may be lost unseen is said."""
    bench.write(B)
    bench.copy()
    bench.replace(C)

    assert [B, C] == bench.look()
    assert [f"{bench.path}.1"] == [event.copy for event in bench.told(FileTruncated)]


@pytest.mark.parametrize("stopped", [False, True])
def test_a13_copied_and_truncated_twice(bench, stopped):
    """Each copy is read, also that of lines which were never seen in the log."""
    if stopped:
        bench.stop()
    for line in (B, C):
        bench.write(line)
        bench.copy()
        bench.replace()
    bench.write(D)

    assert [B, C, D] == bench.look()


def test_a13_filled_copied_and_truncated_unseen(bench):
    """A log that was empty at one look and is empty at the next gives what its copy has."""
    bench.rotate()
    bench.write()
    bench.look()
    bench.write(B)
    bench.copy()
    bench.replace()

    assert [B] == bench.look()


def test_a13_copy_that_ends_before_the_position(bench):
    """A line read between copying and truncating makes the copy repeat, in another numbering."""
    bench.rotate()
    bench.write(B)
    bench.look()
    bench.copy()
    bench.write(C)
    bench.look()
    bench.replace(D)

    assert [B, D] == bench.look()
    before, copy, live = [chunk.numbering for chunk in bench.chunks[-3:]]
    assert before != copy == live


def test_a15_partial_line_across_a_restart(bench):
    """A line is given once, when its end is written."""
    bench.write(B[:20])

    assert [] == bench.look()

    bench.start()
    bench.write(B[20:])

    assert [B] == bench.look()


def test_a16_partial_line_never_finished(bench):
    """It is not glued to the new file's first line; when the watch ends it is told of."""
    bench.write(B[:20])
    bench.rotate()
    bench.write(C)

    assert [C] == bench.look()

    bench.clock.time += 601
    bench.look()

    assert [20] == [event.size for event in bench.told(PartialLineDropped)]


def test_a16_partial_line_finished_in_the_renamed_file(bench):
    """It is a line, though its end came after the rename."""
    with bench.path.open("ab", buffering=0) as writer:
        writer.write(B[:20])
        bench.rotate()
        bench.write(C)
        bench.look()
        writer.write(B[20:])

        assert [B] == bench.look()


def test_a_position_that_matches_nothing_is_a_gap(bench):
    """Unknown copies are history; the loss is told; the live file is read whole."""
    bench.stop()
    bench.path.unlink()
    bench.write(B, name="auth.log.1")
    bench.write(C)

    assert [C] == bench.look()
    assert [None] == [event.lost for event in bench.told(FileGap)]


@pytest.mark.parametrize("saved", ["", "{}", '{"v":99}', '{"v":1,"files":[[1]],"live":true}', "\0"])
def test_a18_damaged_position(bench, saved):
    """A position that makes no sense means: from the first byte."""
    bench.saved = {str(bench.path): saved}
    bench.write(B)
    bench.start()

    assert [A, B] == bench.look()


def test_c43_directory_removed_and_made_anew(bench):
    """The log in the new directory is read from its first byte."""
    shutil.rmtree(bench.directory)

    assert [] == bench.look()

    bench.directory.mkdir()
    bench.write(B)

    assert [B] == bench.look()


def test_c44_target_of_a_link_rotated_then_link_turned(tmp_path):
    """Whatever the link leads to is finished before what it leads to next."""
    bench = Bench(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    (data / "x.log").write_bytes(A)
    bench.path.symlink_to(data / "x.log")
    bench.look()
    bench.write(B, name="data/x.log")
    (data / "x.log").rename(data / "x.log.1")
    bench.write(C, name="data/x.log")

    assert [B, C] == bench.look()

    bench.stop()
    bench.write(D, name="data/x.log")
    bench.write(E, name="data/y.log")
    bench.path.unlink()
    bench.path.symlink_to(data / "y.log")

    assert [D, E] == bench.look()


@pytest.mark.parametrize("gone", [False, True])
def test_c45_file_that_appears_later(tmp_path, gone):
    """It is read from its first byte, also if it was rotated away before anybody looked."""
    bench = Bench(tmp_path)
    bench.look()
    bench.stop()
    bench.write(A)
    if gone:
        bench.rotate()
        bench.pack()
        bench.write(B)

    assert ([A, B] if gone else [A]) == bench.look()


def test_c50_deleted_file_is_read_until_its_writer_closes(bench):
    """What is still written arrives; then the file is let go, and its space is free."""
    with bench.path.open("ab", buffering=0) as writer:
        bench.path.unlink()
        bench.look()
        bench.clock.time += 3600
        bench.look()
        writer.write(B)

        assert [B] == bench.look()

    bench.look()

    assert 0 == bench.descriptors()


def test_c51_moved_away_and_back(bench):
    """It is the same file, also after a restart in between."""
    away = bench.directory / "elsewhere"
    bench.path.rename(away)
    bench.look()
    bench.start()
    bench.look()
    away.rename(bench.path)
    bench.write(B)

    assert [B] == bench.look()


def test_c52_olddir(bench):
    """Copies in a directory below the log's own are found, as are those by date."""
    old = bench.directory / "archive"
    old.mkdir()
    bench.stop()
    bench.write(B)
    bench.path.rename(old / "auth.log-20261122")
    bench.write(C)
    bench.path.rename(old / "auth.log-20261123")
    bench.write(D)

    assert [B, C, D] == bench.look()


@pytest.mark.parametrize("in_place", [False, True])
def test_c53_editor_removes_a_line(bench, in_place):
    """The file is read again in another numbering, no line is missed."""
    bench.write(B, C)
    bench.look()
    if in_place:
        bench.replace(A, C, D)
    else:
        bench.write(A, C, D, name="tmp")
        (bench.directory / "tmp").rename(bench.path)

    assert [A, C, D] == bench.look()
    assert 1 == len(bench.told(FileTruncated if in_place else FileReplaced))


def test_c53_editor_changes_nothing(bench):
    """A file replaced by one with the same bytes is read on where it was."""
    bench.write(A, B, name="tmp")
    (bench.directory / "tmp").rename(bench.path)

    assert [B] == bench.look()


def test_c55_two_logs_with_equal_beginnings(tmp_path):
    """Each is read."""
    bench = Bench(tmp_path, "auth.log", "copy.log")
    bench.start(from_start=True)
    bench.write(A)
    bench.write(A, name="copy.log")

    assert [A, A] == bench.look()


def test_d57_copy_that_is_still_being_compressed(bench):
    """What is there of it is read; the rest when it is."""
    bench.stop()
    bench.write(*lines(*range(100, 3000)))
    bench.rotate()
    bench.pack()
    packed = bench.directory / "auth.log.1.gz"
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2])

    first = bench.look()
    with packed.open("ab") as file:
        file.write(whole[len(whole) // 2 :])

    assert 0 < len(first) < 2900
    assert lines(*range(100, 3000)) == first + bench.look()


def test_d57_copy_that_stays_cut(bench):
    """After ten minutes the damage is told, and where it is."""
    bench.stop()
    bench.write(*lines(*range(100, 3000)))
    bench.rotate()
    bench.pack()
    packed = bench.directory / "auth.log.1.gz"
    os.truncate(packed, packed.stat().st_size - 20)
    bench.look()
    bench.clock.time += 601
    bench.look()

    assert ["unexpected end"] == [
        event.reason.split(" after")[0] for event in bench.told(FileUnreadable)
    ]


def test_d60_plain_and_compressed_copy(bench):
    """Where compressing was interrupted, the plain file counts, once."""
    bench.stop()
    bench.write(B)
    bench.rotate()
    plain = bench.directory / "auth.log.1"
    data = plain.read_bytes()
    bench.pack()
    plain.write_bytes(data)
    bench.write(C)

    assert [B, C] == bench.look()


def test_rotation_is_told_once(bench):
    """An ordinary rotation is one event that names the file finished first."""
    bench.rotate()
    bench.write(B)
    bench.look()
    bench.look()

    assert [FileRotated(str(bench.path), (f"{bench.path}.1",))] == bench.events[1:]
