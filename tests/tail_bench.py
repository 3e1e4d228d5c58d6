"""A directory with logs, and a tail that looks at them when it is told to."""

import gzip
import os
import shutil
from pathlib import Path

from logwatch_monitis.sources.files.tail import Tail


class Clock:
    """Stands still until it is moved."""

    def __init__(self):
        self.time = 1_000_000.0

    def now(self):
        """See `logwatch_monitis.interfaces.Clock`."""
        return self.time

    def monotonic(self):
        """See `logwatch_monitis.interfaces.Clock`."""
        return self.time


class Bench:
    """A tail of ``auth.log`` (or other *patterns*), what it gave and what it told."""

    def __init__(self, directory, *patterns):
        self.directory = Path(directory)
        self.path = self.directory / "auth.log"
        self.patterns = [str(self.directory / pattern) for pattern in patterns or ("auth.log",)]
        self.clock = Clock()
        self.events = []
        self.chunks = []
        self.saved = {}
        self.tail = None

    def start(self, *, from_start=False):
        """Continue with a new tail at what was committed last."""
        self.stop()
        self.tail = Tail(
            self.patterns,
            self.saved,
            clock=self.clock,
            events=self.events.append,
            from_start=from_start,
        )

    def stop(self):
        """Be as if the process had been killed."""
        if self.tail:
            self.tail.close()
        self.tail = None

    def look(self):
        """Take and commit all that is there; return its lines."""
        if not self.tail:
            self.start()
        before = len(self.chunks)
        for chunk in self.tail.read():
            self.chunks.append(chunk)
            self.saved[chunk.log] = chunk.checkpoint
        self.saved.update(self.tail.checkpoints())
        return b"".join(chunk.data for chunk in self.chunks[before:]).splitlines(keepends=True)

    def told(self, kind):
        """Return the events of this kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def write(self, *lines, name="auth.log"):
        """Append to a file, which is made if need be."""
        with (self.directory / name).open("ab") as file:
            file.write(b"".join(lines))

    def replace(self, *lines, name="auth.log"):
        """Truncate a file and write to it, in place."""
        with (self.directory / name).open("wb") as file:
            file.write(b"".join(lines))

    def shift(self, keep=9):
        """Rename the rotated copies to the next number."""
        for number in range(keep, 0, -1):
            for suffix in ("", ".gz"):
                copy = self.directory / f"auth.log.{number}{suffix}"
                if copy.exists():
                    copy.rename(self.directory / f"auth.log.{number + 1}{suffix}")

    def rotate(self):
        """Rename the log to ``.1``; nothing is made in its place."""
        self.shift()
        self.path.rename(f"{self.path}.1")

    def copy(self):
        """Copy the log to ``.1``, as logrotate's copytruncate does first."""
        self.shift()
        shutil.copyfile(self.path, f"{self.path}.1")

    def pack(self, name="auth.log.1"):
        """Compress a rotated copy."""
        plain = self.directory / name
        with gzip.open(f"{plain}.gz", "wb") as file:
            file.write(plain.read_bytes())
        plain.unlink()

    def descriptors(self):
        """Return how many files below the directory this process has open."""
        links = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
        targets = (os.readlink(link) for link in links if os.path.islink(link))
        return sum(target.startswith(str(self.directory)) for target in targets)


def lines(*numbers):
    """Return lines of a syslog that tell the numbers apart."""
    form = b"2026-11-22T21:41:45.%06d+00:00 web sshd[%d]: Accepted\n"
    return [form % (number, number) for number in numbers]
