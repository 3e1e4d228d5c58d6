"""Random histories of a log that is also rewritten, against a model that counts equal lines.

Its lines have no process ids, so that many of one second are equal to the last byte. The model: a
chapter is what rotation keeps together, a rewrite begins the next one; of equal lines, as many
logins are sent as the fullest chapter has.
"""

import shutil
import tempfile
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from reading import Reader, login
from tail_bench import Bench

USERS = st.lists(st.sampled_from(["ann", "bob", "cy", ""]), min_size=1, max_size=4)
"""Who logs in; the empty name stands for somebody who never did before."""


class Rewritten(RuleBasedStateMachine):
    """A log that is appended to, rotated and rewritten, and an agent that is killed at any time."""

    def __init__(self):
        super().__init__()
        self.bench = Bench(tempfile.mkdtemp())
        self.bench.write()
        self.reader = Reader(self.bench)
        self.chapters = [Counter()]
        self.read = []
        self.count = 0

    def teardown(self):
        """Look until nothing comes, and compare."""
        try:
            self.reader.look()
            expected = Counter()
            for chapter in self.chapters:
                expected |= chapter
            assert expected == self.reader.sent
        finally:
            self.reader.close()
            shutil.rmtree(self.bench.directory)

    @property
    def path(self):
        """The log."""
        return self.bench.path

    @property
    def lines(self):
        """The lines of the live file."""
        return self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []

    @property
    def full(self):
        """Whether the next rotation would remove the oldest copy."""
        return len(list(self.bench.directory.glob("auth.log.*"))) > 8

    def logins(self, users):
        """Return new lines, each the login of a user of this second."""
        second, made = int(self.bench.clock.time), []
        for user in users:
            self.count += not user
            made.append(login(f"{user or self.count}-{second}", second))
        return made

    def found(self, lines):
        """Count logins in the present chapter."""
        self.chapters[-1].update(line.split()[3].decode() for line in lines if b"sudo" in line)

    @rule(users=USERS)
    def append(self, users):
        """Log in."""
        lines = self.logins(users)
        self.bench.write(*lines)
        self.found(lines)

    @rule(seconds=st.sampled_from([1, 2, 3, 60]))
    def tick(self, seconds):
        """Let time pass."""
        self.bench.clock.time += seconds

    @rule()
    def look(self):
        """Take and commit all there is."""
        self.reader.look()
        self.read = self.lines

    @rule()
    def restart(self):
        """Die, and be started again."""
        self.reader.kill()
        self.reader.start()

    @rule(create=st.booleans())
    @precondition(lambda self: self.lines and not self.full)
    def rotate(self, create):
        """Rename the log; what is read in it by then was committed."""
        self.reader.agent.flush()
        self.bench.rotate()
        if create:
            self.bench.write()

    @rule()
    @precondition(lambda self: self.lines and not self.full)
    def copy_and_truncate(self):
        """Do what logrotate's copytruncate does; what is written then does not begin as before."""
        self.reader.agent.flush()
        self.bench.copy()
        lines = self.logins([""])
        self.bench.replace(*lines)
        self.found(lines)

    @rule()
    @precondition(lambda self: self.lines and (self.bench.directory / "auth.log.1").exists())
    def pack(self):
        """Compress the newest copy."""
        self.bench.pack()

    @rule(
        data=st.data(),
        how=st.sampled_from(["in place", "by halves", "renamed", "removed first"]),
        stopped=st.booleans(),
        users=st.just([]) | USERS,
    )
    @precondition(lambda self: self.lines and self.read == self.lines)
    def rewrite(self, data, how, stopped, users):
        """Replace what was read by what lacks lines, has more before them, or is older."""
        old = self.lines
        start = data.draw(st.integers(0, len(old)), label="kept from")
        end = data.draw(st.integers(start, len(old)), label="kept to")
        note = data.draw(st.sampled_from([[], [b"# a note\n"], self.logins([""])]), label="before")
        new = [*note, *old[start:end], *self.logins(users)]
        while new[: len(old)] == old:
            new = new[1:]
        self.chapters.append(Counter())
        self.found(new)
        if stopped:
            self.reader.kill()
        self.put(b"".join(new), how, stopped=stopped)
        if stopped:
            self.reader.start()
        self.look()

    def put(self, content, how, *, stopped):
        """Let the log have this content."""
        half = content[: len(content) // 2]
        if how == "by halves" and not stopped:
            self.path.write_bytes(half)
            self.look()
            self.bench.write(content[len(half) :])
        elif how == "removed first" and not stopped:
            self.path.unlink()
            self.look()
            self.path.write_bytes(content)
        elif how == "renamed":
            (self.bench.directory / "new").write_bytes(content)
            (self.bench.directory / "new").rename(self.path)
        else:
            self.path.write_bytes(content)

    @rule(data=st.data(), renamed=st.booleans())
    @precondition(lambda self: self.lines and self.read == self.lines)
    @precondition(lambda self: (self.bench.directory / "auth.log.1").exists())
    def rewrite_copy(self, data, renamed):
        """Delete a line of the newest copy, which was read."""
        copy = self.bench.directory / "auth.log.1"
        lines = copy.read_bytes().splitlines(keepends=True)
        gone = data.draw(st.integers(0, len(lines)), label="line")
        lines[gone : gone + 1] = []
        if renamed:
            copy.unlink()
        copy.write_bytes(b"".join(lines))


TestRewritten = pytest.mark.filterwarnings("ignore::ResourceWarning")(Rewritten.TestCase)
TestRewritten.settings = settings(stateful_step_count=25)
