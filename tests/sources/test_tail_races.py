"""The tail beside a writer that appends, rotates and compresses without a pause."""

import os
import random
import subprocess
import sys
import time
from collections import Counter

import pytest

from logwatch_monitis.sources.files.tail import Tail

SEEDS = 100 if os.environ.get("LOGWATCH_TEST_EFFORT") == "full" else 3

WRITER = """
import gzip, random, sys, time
from pathlib import Path

path, chance, packed = Path(sys.argv[1]), random.Random(sys.argv[2]), float(sys.argv[3])
number = 0
for turn in range(40):
    with path.open("ab", buffering=0) as file:
        for _ in range(chance.randint(0, 8)):
            number += 1
            file.write(b"2026-11-22T21:41:45.000000+00:00 web sshd[%d]: Accepted\\n" % number)
    for rank in range(60, 0, -1):
        for suffix in ("", ".gz"):
            copy = Path(f"{path}.{rank}{suffix}")
            if copy.exists():
                copy.rename(f"{path}.{rank + 1}{suffix}")
    path.rename(f"{path}.1")
    second = Path(f"{path}.2")
    if second.exists() and chance.random() < packed:
        with gzip.open(f"{second}.gz", "wb") as file:
            file.write(second.read_bytes())
        second.unlink()
    path.touch()
    if chance.random() < 0.3:
        time.sleep(chance.random() * 0.02)
print(number)
"""
"""Prints how many lines it wrote."""


class Reader:
    """Reads a log, and is killed now and then, between two commits or after one."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    risk = 0.05

    def __init__(self, path, seed):
        self.chance = random.Random(seed)
        self.path, self.saved = path, {}
        self.lines, self.again, self.numbering = [], [], None
        self.tail = self.begin()

    def begin(self):
        """Continue at what was committed last."""
        return Tail(
            [str(self.path)], self.saved, clock=self, events=lambda event: None, from_start=True
        )

    def restart(self):
        """Be as if the process had been killed."""
        self.tail.close()
        self.tail = self.begin()

    def look(self):
        """Take what is there, or a part of it."""
        for chunk in self.tail.read():
            self.numbering = self.numbering or chunk.numbering
            anew = chunk.numbering != self.numbering
            (self.again if anew else self.lines).extend(chunk.data.splitlines())
            self.saved[chunk.log] = chunk.checkpoint
            if self.chance.random() < self.risk:
                return self.restart()
        self.saved.update(self.tail.checkpoints())
        return self.restart() if self.chance.random() < 4 * self.risk else None


@pytest.mark.parametrize("packed", [0, 0.5, 1], ids=["plain", "mixed", "packed"])
def test_no_line_is_lost_torn_or_read_twice(tmp_path, packed):
    """Every line arrives once and in order; only what is said to be perhaps known may repeat."""
    for seed in range(SEEDS):
        path = tmp_path / str(seed) / "auth.log"
        path.parent.mkdir()
        path.touch()
        reader = Reader(path, seed)
        command = [sys.executable, "-c", WRITER, str(path), str(seed), str(packed)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            while writer.poll() is None:
                reader.look()
            written = int(writer.stdout.read())
        reader.risk = 0
        reader.restart()
        reader.look()
        reader.tail.close()

        form = b"2026-11-22T21:41:45.000000+00:00 web sshd[%d]: Accepted"
        expected = [form % number for number in range(1, written + 1)]
        fresh = [line for line in expected if line in set(reader.lines)]
        assert fresh == reader.lines, Counter(reader.lines).most_common(3)
        assert set(expected) == set(reader.lines) | set(reader.again)
