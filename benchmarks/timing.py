"""Runs a command on given processor cores and says what it took."""

from __future__ import annotations

import os
import shlex
import statistics
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

__all__ = ["CommandError", "Measured", "Run", "run"]


class CommandError(Exception):
    """Raised where a command that is measured fails."""


class Run(NamedTuple):
    """What one run took.

    Attributes:
        wall: seconds from start to end.
        cpu: seconds of processor time, of its child processes too.
        memory: MiB of the largest process at its peak; not less than the measuring process has.
    """

    wall: float
    cpu: float
    memory: float


@dataclass(slots=True)
class Measured:
    """The runs of one command over an input of *size* bytes."""

    size: int
    runs: list[Run] = field(default_factory=list)

    @property
    def wall(self) -> float:
        """The median of seconds."""
        return statistics.median(run.wall for run in self.runs)

    @property
    def least(self) -> float:
        """The least seconds."""
        return min(run.wall for run in self.runs)

    @property
    def cpu(self) -> float:
        """The median of seconds of processor time."""
        return statistics.median(run.cpu for run in self.runs)

    @property
    def memory(self) -> float:
        """The highest peak, MiB."""
        return max(run.memory for run in self.runs)

    @property
    def speed(self) -> float:
        """MB/s, of the median."""
        return self.size / self.wall / 1e6


def run(
    words: list[str], *, out: Path, cores: Collection[int], env: Mapping[str, str], notes: Path
) -> Run:
    """Run a command; its output goes to *out*, its messages to *notes*.

    The cores are set for this process and inherited, so nothing runs between fork and exec.

    Raises:
        CommandError: its exit code is not 0.
    """
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(out), write, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, str(notes), write, 0o600),
    ]
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        began = time.perf_counter()
        child = os.posix_spawnp(words[0], words, env, file_actions=actions)
        _, status, usage = os.wait4(child, 0)
        wall = time.perf_counter() - began
    finally:
        os.sched_setaffinity(0, before)
    if code := os.waitstatus_to_exitcode(status):
        said = notes.read_text(errors="replace").strip()
        raise CommandError(f"exit code {code}: {shlex.join(words)}\n{said}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
