"""Random histories of a log, against a model that knows what was written where.

`Gapless` does all that happens to logs short of destroying lines: every complete line must come,
once, in its file's order, whatever is rotated, compressed, written late or forgotten by a crash.
`Lossy` also truncates, rewrites, copies and deletes: then nothing may be invented, and whatever
is lost or repeated, an event must have told so.
"""

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from tail_bench import Bench

from logwatch_monitis.sources.files.events import FileGap, FileReplaced, FileTruncated

LOSSES = (FileGap, FileReplaced, FileTruncated)
PADS = st.sampled_from([0, 0, 1, 50, 50, 700, 1100, 3000, 300_000])
HEADS = [b"", b"# log file\n", b"#" * 1100 + b"\n"]


class File:
    """One file of the log: who has it open, and what was written to it."""

    def __init__(self, path):
        self.path = path
        self.writer = path.open("ab", buffering=0)
        self.lines = []
        self.part = b""
        self.looked_at = False

    def write(self, data):
        """Append *data*, which ends at most one line."""
        self.writer.write(data)
        self.part += data
        if data.endswith(b"\n"):
            self.lines.append(self.part)
            self.part = b""

    def close(self):
        """Let go of the file."""
        self.writer.close()

    @property
    def open(self):
        """True while the writer has it."""
        return not self.writer.closed


class Gapless(RuleBasedStateMachine):
    """A log that nobody harms, and a tail that is killed at any time."""

    def __init__(self):
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.bench = Bench(self.directory)
        self.files = []
        self.live = None
        self.rotated = []
        self.count = 0
        self.head = HEADS[0]
        self.bench.start()
        self.bench.look()

    def teardown(self):
        """Look until nothing comes, and compare."""
        try:
            self.bench.look()
            self.bench.clock.time += 5
            self.bench.look()
            self.compare()
        finally:
            self.bench.stop()
            for file in self.files:
                file.close()
            shutil.rmtree(self.directory)

    @property
    def given(self):
        """The lines that were committed, in their order."""
        return b"".join(c.data for c in self.bench.chunks).splitlines(keepends=True)

    def compare(self):
        """Demand each line once, and those of one file in their order."""
        given = self.given
        written = [line for file in self.files for line in file.lines]
        assert Counter(written) == Counter(given)
        rank = {line: number for number, line in enumerate(given)}
        for file in self.files:
            ranks = [rank[line] for line in file.lines if line != self.head]
            assert sorted(ranks) == ranks
        assert [] == self.bench.told(LOSSES)

    def text(self, pad):
        """Return what no other line has."""
        self.count += 1
        return (b"%06d " % self.count) * (1 + pad // 7)

    @rule(head=st.sampled_from(HEADS))
    @precondition(lambda self: not self.files)
    def begin_files_with(self, head):
        """Let each file begin with the same line."""
        self.head = head

    @rule()
    @precondition(lambda self: not self.live)
    def create(self):
        """Make the log."""
        self.live = File(self.bench.path)
        self.files.append(self.live)
        if self.head:
            self.live.write(self.head)
            self.live.write(self.text(0) + b"\n")

    @rule(pads=st.lists(PADS, min_size=1, max_size=4))
    @precondition(lambda self: self.live)
    def append(self, pads):
        """Write whole lines."""
        for pad in pads:
            self.live.write(self.text(pad) + b"\n")

    @rule(pad=PADS)
    @precondition(lambda self: self.live)
    def begin_a_line(self, pad):
        """Write part of a line."""
        self.live.write(self.text(pad))

    @rule(closed=st.booleans())
    @precondition(lambda self: self.live)
    def rotate(self, closed):
        """Rename the log; its writer may keep it."""
        for file in reversed(self.rotated):
            name, number, *packed = file.path.name.rsplit(
                ".", 2 if file.path.suffix == ".gz" else 1
            )
            file.path = file.path.rename(
                self.directory / ".".join([name, str(int(number) + 1), *packed])
            )
        self.live.path = self.live.path.rename(self.directory / "auth.log.1")
        if closed:
            self.live.close()
        self.rotated.insert(0, self.live)
        self.live = None

    @rule(data=st.data(), pad=PADS)
    @precondition(lambda self: any(file.open for file in self.rotated))
    def write_late(self, data, pad):
        """Write to a renamed file."""
        late = [file for file in self.rotated if file.open]
        data.draw(st.sampled_from(late)).write(self.text(pad) + b"\n")

    @rule(data=st.data())
    @precondition(lambda self: any(file.path.suffix != ".gz" for file in self.rotated))
    def pack(self, data):
        """Compress a renamed file, which its writer has let go."""
        plain = [file for file in self.rotated if file.path.suffix != ".gz"]
        file = data.draw(st.sampled_from(plain))
        file.close()
        self.bench.pack(file.path.name)
        file.path = Path(f"{file.path}.gz")

    @rule()
    def look(self):
        """Take and commit all there is."""
        self.bench.look()
        for file in self.files:
            file.looked_at = bool(file.lines)

    @rule(count=st.integers(1, 3))
    def take_some_and_crash(self, count):
        """Commit some chunks, read another that is not committed, and die."""
        for number, chunk in enumerate(self.bench.tail.read()):
            if number == count:
                break
            self.bench.chunks.append(chunk)
            self.bench.saved[chunk.log] = chunk.checkpoint
        self.bench.start()

    @rule()
    def read_and_crash(self):
        """Read everything, commit nothing, and die."""
        list(self.bench.tail.read())
        self.bench.start()

    @rule()
    def crash(self):
        """Die."""
        self.bench.start()

    @rule(seconds=st.sampled_from([0.5, 2, 100]))
    def wait(self, seconds):
        """Let time pass, less than a renamed file is watched."""
        self.bench.clock.time += seconds


class Lossy(Gapless):
    """A log that is also truncated, copied, rewritten and deleted."""

    def compare(self):
        """Demand that nothing is invented, and that losses and repetitions are told."""
        given = Counter(self.given)
        written = Counter(line for file in self.files for line in file.lines)
        assert set(given) <= set(written)
        if given != written:
            assert self.bench.told(LOSSES)

    def cut(self):
        """Forget that the file was looked at: what is written now may vanish unseen."""
        self.live.part = b""
        self.live.looked_at = False

    @rule()
    @precondition(lambda self: self.live and self.live.looked_at)
    def truncate(self):
        """Cut the log to nothing."""
        os.truncate(self.bench.path, 0)
        self.cut()

    @rule(pads=st.lists(PADS, min_size=1, max_size=4), begin=st.booleans())
    @precondition(lambda self: self.live and self.live.looked_at)
    def truncate_and_regrow(self, pads, begin):
        """Write the log anew, perhaps beginning as before, between two looks."""
        first = b"".join(self.bench.path.read_bytes().splitlines(keepends=True)[:1])
        os.truncate(self.bench.path, 0)
        self.cut()
        if begin and first.endswith(b"\n"):
            self.live.writer.write(first)
        self.append(pads)

    @rule()
    @precondition(lambda self: self.live and self.live.looked_at)
    def copy_and_truncate(self):
        """Do what logrotate's copytruncate does."""
        path, writer = self.live.path, self.live.writer
        copied = File(self.directory / "copy")
        copied.writer.write(path.read_bytes())
        copied.close()
        live, self.live = self.live, copied
        self.rotate(closed=True)
        self.live = live
        os.truncate(path, 0)
        assert writer is live.writer
        self.cut()

    @rule(data=st.data())
    @precondition(lambda self: self.live and self.live.looked_at)
    def edit(self, data):
        """Replace the log by a version that lacks a line."""
        lines = self.bench.path.read_bytes().splitlines(keepends=True)
        if lines:
            lines.pop(data.draw(st.integers(0, len(lines) - 1)))
        part = b"" if not lines or lines[-1].endswith(b"\n") else lines[-1]
        edited = File(self.directory / "edited")
        edited.writer.write(b"".join(lines))
        edited.part = part
        self.live.close()
        edited.path = edited.path.rename(self.bench.path)
        self.live = edited
        self.files.append(edited)

    @rule()
    @precondition(lambda self: self.live and self.live.looked_at)
    def delete(self):
        """Remove the log."""
        self.bench.path.unlink()
        self.live.close()
        self.live = None


TestGapless = pytest.mark.filterwarnings("ignore::ResourceWarning")(Gapless.TestCase)
TestLossy = pytest.mark.filterwarnings("ignore::ResourceWarning")(Lossy.TestCase)
TestGapless.settings = settings(stateful_step_count=40)
TestLossy.settings = settings(stateful_step_count=40)
