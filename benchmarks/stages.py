"""Where the time of our scan goes, and what the machine allows: measured step upon step.

    python benchmarks/stages.py LOG

Prints JSON. Each step does what the one before it does, and more. The profile looks at the running
scan every millisecond and charges the line of source that it finds with the processor time since.
"""

from __future__ import annotations

import json
import linecache
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from hashlib import blake2b
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from logwatch_monitis.config.file import load
from logwatch_monitis.grammar import RuleSet, load_rules
from logwatch_monitis.history.reader import History, gather, group
from logwatch_monitis.scanner.literal_search import make_search
from logwatch_monitis.sources.blocks import read_blocks
from tools import RULES, SERVICES

__all__ = ["Stages", "measure_stages"]

PIECE = 256 * 1024
TICK = 0.001
SHOWN = 12
SHORTEST = 0.01
"""Of all time: what takes less is not listed."""


class Stages(NamedTuple):
    """What one log showed.

    Attributes:
        size: bytes of the log.
        limits: seconds of what the machine and the language can do at best.
        steps: seconds of our scan's steps, each with all before it.
        lines: share of the time, module and text of source lines, the most expensive first.
    """

    size: int
    limits: dict[str, float]
    steps: dict[str, float]
    lines: list[tuple[float, str, str]]


def measure_stages(log: Path, env: Mapping[str, str], repeats: int) -> Stages:
    """Measure in a process of its own, which starts as empty as a scan."""
    words = [sys.executable, __file__, str(log), str(repeats)]
    return Stages(
        **json.loads(subprocess.run(words, env=env, check=True, capture_output=True).stdout)
    )


def main() -> None:
    """Measure one log."""
    path, *words = sys.argv[1:]
    repeats = int(*words)
    rules = load_rules(load(None).patterns, services=set(SERVICES))
    limits = {name: _least(step, repeats) for name, step in _limits(path)}
    steps = {name: _least(step, repeats) for name, step in _steps(path, rules)}
    lines = _profile(lambda: _scan(path, rules, rows=True))
    print(json.dumps(Stages(Path(path).stat().st_size, limits, steps, lines)._asdict()))


def _least(step: Callable[[], object], repeats: int) -> float:
    """Return the least seconds: what disturbs only ever adds."""
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        step()
        took.append(time.perf_counter() - began)
    return min(took)


# -- what can be done at best ---------------------------------------------------------------------


def _limits(path: str) -> Iterator[tuple[str, Callable[[], object]]]:
    logins = _logins(path)
    yield "read the page cache into one buffer", lambda: _buffers(path, len)
    yield "the same, and memchr for a byte that is not there", lambda: _buffers(path, _absent)
    yield (
        f"BLAKE2b of {len(logins)} lines, as many as there are logins",
        lambda: [blake2b(line, digest_size=16).hexdigest() for line in logins],
    )


def _buffers(path: str, work: Callable[[bytearray], object]) -> None:
    buffer = bytearray(PIECE)
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - what is measured is the reading
        while file.readinto(buffer):
            work(buffer)


def _absent(buffer: bytearray) -> int:
    return buffer.find(b"\0")


def _logins(path: str) -> list[bytes]:
    literals = (RULES / "literals.txt").read_bytes().splitlines()
    wanted = re.compile(b"|".join(map(re.escape, literals)))
    lines = (line for block in read_blocks(path) for line in block.data.split(b"\n"))
    return [line for line in lines if wanted.search(line)]


# -- what our scan does ---------------------------------------------------------------------------


def _steps(path: str, rules: RuleSet) -> Iterator[tuple[str, Callable[[], object]]]:
    search = make_search(rules.literals, rules.decoys)
    yield "blocks of whole lines", lambda: [None for _ in read_blocks(path)]
    yield "… searched", lambda: [None for block in read_blocks(path) if search(block.data) is None]
    yield "… and logins as objects", lambda: _scan(path, rules, rows=False)
    yield "… or logins as rows of JSON", lambda: _scan(path, rules, rows=True)


def _scan(path: str, rules: RuleSet, *, rows: bool) -> None:
    history = History(rules, machine="here", zone=UTC, rows=rows)
    for log in group(gather([path], history.failures), UTC, history.failures):
        for _ in history.read(log):
            pass


def _profile(work: Callable[[], object]) -> list[tuple[float, str, str]]:
    """Return what the lines of source cost, as shares of the whole."""
    spent: defaultdict[tuple[str, str], float] = defaultdict(float)
    last = time.process_time()

    def look(_signal: int, frame: FrameType | None) -> None:
        nonlocal last
        now = time.process_time()
        if frame is not None:
            spent[_place(frame)] += now - last
        last = now

    signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, TICK, TICK)
    try:
        work()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    whole = sum(spent.values())
    shares = sorted(((took / whole, *place) for place, took in spent.items()), reverse=True)
    return [line for line in shares[:SHOWN] if line[0] >= SHORTEST]


def _place(frame: FrameType) -> tuple[str, str]:
    """Return module and text of the line; a generated function counts as one."""
    name = frame.f_code.co_filename
    text = linecache.getline(name, frame.f_lineno or 0).strip()
    return (Path(name).name, text) if text else ("generated", f"{frame.f_code.co_name}(…)")


if __name__ == "__main__":
    main()
