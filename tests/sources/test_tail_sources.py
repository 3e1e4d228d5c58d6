"""Which logs a tail reads, what it remembers of them, and how it yields their lines."""

import json
import os
from pathlib import Path

import pytest
from tail_bench import Bench, lines

from logwatch_monitis.sources.files.events import FileUnreadable, SameFile
from logwatch_monitis.sources.files.follower import Follower
from logwatch_monitis.sources.files.open_file import PlainHandle

A, B, C, D, E, F = lines(*range(1, 7))
NOBODY = 65534


@pytest.fixture(name="bench")
def _bench(tmp_path):
    """A log that does not exist yet."""
    bench = Bench(tmp_path)
    yield bench
    bench.stop()


def test_a_file_that_exists_is_read_from_its_end(bench):
    """From its last line start: an unfinished line is not over."""
    bench.write(A, B[:20])

    assert [] == bench.look()

    bench.write(B[20:], C)

    assert [B, C] == bench.look()


def test_from_start(bench):
    """On request it is read from its first byte."""
    bench.write(A, B)
    bench.start(from_start=True)

    assert [A, B] == bench.look()


def test_from_the_end_behind_an_endless_line(bench):
    """The rest of a line that is too long to be one is passed over."""
    bench.write(A, b"x" * 3_000_000)
    bench.look()
    bench.write(b"x\n", B)

    assert [B] == bench.look()


def test_a_chunk_is_taken_when_the_next_is_asked_for(bench):
    """Leave the loop, and it comes again; confirm it, and it does not."""
    bench.start()
    bench.write(A)
    first = next(bench.tail.read())
    again = next(bench.tail.read())
    bench.tail.confirm()

    assert [(first.data, first.checkpoint)] == [(again.data, again.checkpoint)]
    assert [] == list(bench.tail.read())


def test_checkpoints_leave_out_what_is_not_taken(bench):
    """They never run ahead of the consumer, nor behind it."""
    bench.start()
    bench.write(A)
    reading = bench.tail.read()
    chunk = next(reading)

    assert {} == bench.tail.checkpoints()

    bench.tail.confirm()

    assert {str(bench.path): chunk.checkpoint} == bench.tail.checkpoints()


def test_a_restart_from_any_checkpoint_goes_on_there(bench):
    """Each chunk's checkpoint is complete in itself, in the middle of a rotation too."""
    bench.start()
    bench.look()
    expected = [A, B, C, D]
    for line in expected:
        bench.write(line)
        bench.rotate()
    bench.look()

    for number, chunk in enumerate(bench.chunks):
        other = Bench(bench.directory)
        other.saved = {chunk.log: chunk.checkpoint}

        assert expected[number + 1 :] == other.look()

        other.stop()


def test_chunks_are_bounded_and_take_turns(tmp_path):
    """Chunks have at most 1 MiB of whole lines; no log waits until another one is read."""
    bench = Bench(tmp_path, "auth.log", "other.log")
    bench.start(from_start=True)
    bench.write(*lines(*range(20_000)))
    bench.write(A, name="other.log")
    bench.look()

    assert max(len(chunk.data) for chunk in bench.chunks) <= 1 << 20
    assert all(chunk.data.endswith(b"\n") for chunk in bench.chunks)
    assert str(tmp_path / "other.log") == bench.chunks[1].log


def test_offsets_are_those_of_the_lines(bench):
    """A chunk's offset is where its data begin in the file."""
    bench.start()
    bench.write(*lines(*range(20_000)))
    bench.look()
    content = bench.path.read_bytes()

    assert all(content[c.offset :].startswith(c.data) for c in bench.chunks)


def test_c54_two_names_of_one_file(tmp_path):
    """It is read once; what the second name leads to later is read from its first byte."""
    bench = Bench(tmp_path, "auth.log", "same.log")
    same = tmp_path / "same.log"
    bench.write()
    os.link(bench.path, same)
    bench.look()
    bench.write(A)

    assert [A] == bench.look()
    assert [SameFile(str(same), str(bench.path))] == bench.told(SameFile)

    bench.rotate()
    bench.write(B)
    same.unlink()
    bench.write(C, name="same.log")

    assert [B, C] == sorted(bench.look())


def test_c54_the_second_name_goes_on_alone(tmp_path):
    """When the first log lets the file go, the second reads on where it was."""
    bench = Bench(tmp_path, "auth.log", "same.log")
    bench.write()
    os.link(bench.path, tmp_path / "same.log")
    bench.look()
    bench.write(A)
    bench.look()
    bench.rotate()
    bench.write(B)
    bench.look()
    bench.clock.time += 601
    bench.look()
    bench.write(C, name="same.log")

    assert [C] == bench.look()


def test_globs(tmp_path):
    """Matches are logs, those that come later from their first byte; copies are no logs."""
    bench = Bench(tmp_path, "*/auth.log*")
    for name in ("web", "db"):
        (tmp_path / name).mkdir()
    bench.write(A, name="web/auth.log")
    bench.write(A, name="web/auth.log.1")

    assert [] == bench.look()

    bench.write(B, name="db/auth.log")
    bench.start()

    assert [B] == bench.look()

    bench.stop()
    (tmp_path / "db/auth.log").rename(tmp_path / "db/auth.log.1")
    bench.write(C, name="db/auth.log.1")

    assert [C] == bench.look()


def test_a_path_with_brackets_is_a_path(tmp_path):
    """What exists under the very name is meant, not what a glob would match."""
    bench = Bench(tmp_path, "auth[1].log")
    bench.write(A, name="auth[1].log")
    bench.start(from_start=True)

    assert [A] == bench.look()


@pytest.mark.parametrize("made", ["directory", "pipe"])
def test_what_is_no_file_is_not_opened(bench, made):
    """It is told of once, and does no harm."""
    bench.path.mkdir() if made == "directory" else os.mkfifo(bench.path)

    assert [] == bench.look() + bench.look()
    assert 1 == len(bench.told(FileUnreadable))
    assert ["unreadable"] == [status.state for status in bench.tail.statuses()]


@pytest.fixture(name="as_nobody")
def _as_nobody(tmp_path_factory):
    """Run a function with a bench in a child process without root's rights."""
    directory = tmp_path_factory.mktemp("nobody")
    bench = Bench(directory)

    def run(scenario):
        os.chown(directory, NOBODY, NOBODY)
        reading, writing = os.pipe()
        if not (child := os.fork()):
            os.chdir(directory)
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.write(writing, json.dumps(scenario(bench)).encode())
            os._exit(0)
        os.close(writing)
        os.waitpid(child, 0)
        with open(reading) as pipe:
            return json.load(pipe)

    if os.geteuid():
        return lambda scenario: json.loads(json.dumps(scenario(bench)))
    bench.directory, bench.path, bench.patterns = Path(), Path("auth.log"), ["auth.log"]
    return run


def test_c46_permission_window_at_rotation(as_nobody):
    """A new file that may not be read yet is read from its first byte when it may."""

    def scenario(bench):
        bench.write(A)
        bench.look()
        bench.rotate()
        bench.write(B)
        bench.path.chmod(0)
        result = [len(bench.look() + bench.look()), len(bench.told(FileUnreadable))]
        result.append(bench.tail.statuses()[0].state)
        bench.path.chmod(0o600)
        return [*result, bench.look() == [B], bench.tail.statuses()[0].state]

    assert [0, 1, "unreadable", True, "reading"] == as_nobody(scenario)


def test_c46_unreadable_when_first_configured(as_nobody):
    """It existed, so it is read from where its end was then."""

    def scenario(bench):
        bench.write(A)
        bench.path.chmod(0)
        bench.look()
        bench.path.chmod(0o600)
        bench.write(B)
        bench.start()
        return bench.look() == [B]

    assert as_nobody(scenario)


def test_c48_stale_handle(bench, monkeypatch):
    """A handle that a network file system has forgotten is opened anew."""
    bench.start()
    bench.write(A)
    bench.look()
    bench.write(B)

    def stale(self, offset, size):
        monkeypatch.undo()
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(PlainHandle, "read_at", stale)
    bench.look()

    assert [B] == bench.look()


def test_statuses(bench):
    """They say what is read, how far, and what is waited for."""
    bench.start()
    list(bench.tail.read())

    assert [("waiting", 0, None)] == [(s.state, s.lag, s.last_read) for s in bench.tail.statuses()]

    bench.write(A)
    bench.look()
    bench.write(b"unfinished")
    bench.look()
    status = bench.tail.statuses()[0]

    assert ("reading", len(A), 10, 0) == (status.state, status.offset, status.lag, status.older)
    assert bench.clock.now() == status.last_read


def test_directories_and_concerns(tmp_path):
    """Where changes matter, and of which files: links and globs included."""
    bench = Bench(tmp_path, "auth.log", "hosts/*/vsftpd.log")
    (tmp_path / "data").mkdir()
    (tmp_path / "hosts" / "web").mkdir(parents=True)
    bench.path.symlink_to(tmp_path / "data" / "real.log")
    bench.start()
    names = ["auth.log", "auth.log.1", "real.log", "vsftpd.log", "syslog"]

    assert {tmp_path, tmp_path / "data", tmp_path / "hosts", tmp_path / "hosts/web"} == (
        bench.tail.directories()
    )
    assert [True] * 4 + [False] == [bench.tail.concerns(f"/var/log/{name}") for name in names]


def test_memory_is_not_kept_for_what_was_read(bench):
    """A file at rest holds no block of its data."""
    bench.start()
    bench.write(*lines(*range(20_000)))
    bench.look()
    held = [
        value
        for chain in bench.tail._chains.values()
        for file in chain.files
        if isinstance(file, Follower)
        for value in vars(file).values()
        if isinstance(value, bytes)
    ]

    assert max(map(len, held), default=0) <= 1024
