"""A tail that is told to watch other logs while it runs."""

import pytest
from spools import SetClock
from tail_bench import lines

from logwatch_monitis.sources.files.tail import Tail

A, B, C, D, E, F = lines(*range(1, 7))


class Watched:
    """A tail over files of one directory, and what it has committed."""

    def __init__(self, directory, *names):
        self.directory = directory
        self.saved = {}
        self.tail = Tail(self._paths(names), {}, clock=SetClock(), events=lambda _event: None)

    def _paths(self, names):
        return [str(self.directory / name) for name in names]

    def write(self, name, *parts):
        """Append to a file."""
        with (self.directory / name).open("ab") as file:
            file.write(b"".join(parts))

    def look(self):
        """Return the lines that are there now."""
        return [line for chunk in self.tail.read() for line in chunk.data.splitlines(keepends=True)]

    def change(self, *names):
        """Commit, and watch other files."""
        self.saved |= self.tail.checkpoints()
        self.tail.change(self._paths(names), self.saved)


@pytest.fixture(name="watched")
def _watched(tmp_path):
    """A tail over two files, each of which has a line that was there before it."""
    for name in ("a.log", "b.log", "c.log"):
        (tmp_path / name).write_bytes(A)
    watched = Watched(tmp_path, "a.log", "b.log")
    assert watched.look() == []
    yield watched
    watched.tail.close()


def test_what_stays_is_not_touched(watched):
    """A log that is watched before and after gives every line once, its renamed file included."""
    watched.write("a.log", B)
    (watched.directory / "a.log").rename(watched.directory / "a.log.1")
    watched.write("a.log.1", C)
    watched.write("a.log", D)
    watched.change("a.log", "c.log")

    assert watched.look() == [B, C, D]


def test_a_file_that_is_new_is_read_from_its_end_and_one_that_comes_later_from_its_start(watched):
    """The rule of the first start holds for what is configured later, too."""
    watched.change("a.log", "b.log", "c.log", "d.log")
    watched.write("c.log", B)
    watched.write("d.log", C)

    assert watched.look() == [B, C]


def test_what_was_watched_before_goes_on_where_it_was_left(watched):
    """Lines written in between are not lost when a log is taken up again."""
    watched.write("b.log", B)
    assert watched.look() == [B]
    watched.change("a.log")
    watched.write("b.log", C)
    assert watched.look() == []
    watched.change("a.log", "b.log")

    assert watched.look() == [C]


def test_a_glob_in_place_of_a_name(watched):
    """Files that a new glob matches go on if they were watched, the others begin at their end."""
    watched.write("a.log", B)
    watched.write("c.log", C)
    watched.change("*.log")
    watched.write("c.log", D)

    assert watched.look() == [B, D]
    watched.change("c.log")
    watched.write("a.log", E)
    watched.write("c.log", F)
    assert watched.look() == [F]


def test_the_second_name_of_a_file_reads_on_when_the_first_is_let_go(watched):
    """A file watched under two names is read once; the name that stays takes over."""
    (watched.directory / "same.log").symlink_to(watched.directory / "a.log")
    watched.change("a.log", "same.log")
    watched.write("a.log", B)
    assert watched.look() == [B]
    watched.change("same.log")
    watched.write("a.log", C)

    assert watched.look() == [C]
