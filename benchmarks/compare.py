"""Compare the speed of our ``scan`` with that of other tools, in one run and on the same files.

    python benchmarks/compare.py [--quick] [--size 1G] [--dense-size 200M] [--repeats 5]

Makes the logs once, checks what every tool finds against the truth (exit code 1 if one is wrong),
then runs the tools in turns and writes the tables to ``benchmarks/results.rst``. A tool that is
not installed is named, with the Debian package that brings it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import report
from facts import Facts
from generate import parse_size
from inputs import Input, WrongResultError, make, packed
from stages import Stages, measure_stages
from timing import CommandError, Measured, Run, run
from tools import Tool, others, ours, starting, zcat

ROOT = Path(__file__).parent.parent
SPARSE, DENSE = 0.01, 0.6
LONG = 3.0
"""Seconds; what takes longer is run fewer times, because its noise is less."""
FEW = 3


@dataclass(slots=True)
class Bench:
    """Runs the tools on logs.

    Attributes:
        directory: where the logs are kept, and what the tools keep.
        repeats: how many times each tool is timed; 0: the run that is checked is the one timed.
    """

    directory: Path
    repeats: int

    def case(self, title: str, log: Input, share: float, tools: Sequence[Tool]) -> report.Case:
        """Check each tool, then time all of them in turns."""
        case = report.Case(title, log, tools, {})
        found = [tool for tool in tools if not tool.missing]
        logs = {tool.name: self._slice(tool, log, share) for tool in found}
        firsts = {tool.name: self._check(title, tool, logs[tool.name]) for tool in found}
        for tool in found:
            case.measured[tool.name] = Measured(logs[tool.name].size)
            if not self.repeats:
                case.measured[tool.name].runs.append(firsts[tool.name])
        for number in range(self.repeats):
            for tool in found:
                if number < FEW or firsts[tool.name].wall < LONG:
                    case.measured[tool.name].runs.append(self._time(tool, logs[tool.name]))
        return case

    def _slice(self, tool: Tool, log: Input, share: float) -> Input:
        return make(self.directory, tool.limit, share) if 0 < tool.limit < log.size else log

    def _check(self, title: str, tool: Tool, log: Input) -> Run:
        """Run a tool for the first time, which also brings the log into the page cache.

        Raises:
            WrongResultError: it did not find what is there.
        """
        print(f"{title}: {tool.name}", file=sys.stderr)
        out = self.directory / "out"
        took = self._run(tool, log, out)
        try:
            if tool.check:
                tool.check(out, log)
        except WrongResultError as error:
            raise WrongResultError(f"{title}: {tool.name}: {error}") from None
        out.unlink()
        return took

    def _time(self, tool: Tool, log: Input) -> Run:
        """Time a tool; what it prints is thrown away at once."""
        return self._run(tool, log, self.directory / "out" if tool.counts else Path(os.devnull))

    def _run(self, tool: Tool, log: Input, out: Path) -> Run:
        cores = sorted(os.sched_getaffinity(0))[-tool.cores :]
        notes = self.directory / "notes"
        command, env = tool.command(log.path), environment(self.directory)
        return run(command, out=out, cores=cores, env=env, notes=notes)


def environment(directory: Path) -> Mapping[str, str]:
    """Return what every tool sees: no settings of the user, one zone, plain bytes."""
    own = str(directory / "home")
    Path(own).mkdir(parents=True, exist_ok=True)
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "CACHE_DIRECTORY"), own)
    return {"PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C", "TERM": "dumb", **homes}


def cases(bench: Bench, options: argparse.Namespace) -> Iterator[report.Case]:
    """Yield what was measured, log after log."""
    sparse = make(bench.directory, options.size, SPARSE)
    dense = make(bench.directory, options.dense_size or options.size // 5, DENSE)
    both = [ours(), ours(services=False)]
    two = [ours(), ours(cores=2, jobs=2)]
    unpackers = [*both, zcat(), ours(cores=2), zcat(cores=2)]
    yield bench.case(report.SPARSE, sparse, SPARSE, [*both, *others()])
    yield bench.case(report.DENSE, dense, DENSE, [*both, *others()])
    yield bench.case(report.PACKED, packed(sparse), SPARSE, unpackers)
    yield bench.case(report.SPARSE_JOBS, sparse, SPARSE, two)
    yield bench.case(report.DENSE_JOBS, dense, DENSE, two)
    small = make(bench.directory, 1000, DENSE)
    yield bench.case(report.START, small, DENSE, list(starting()))


def stages(bench: Bench, options: argparse.Namespace) -> Iterator[Stages]:
    """Yield where our own time goes, for both kinds of log."""
    for share, size in [
        (SPARSE, options.size),
        (DENSE, options.dense_size or options.size // 5),
    ]:
        log = make(bench.directory, size, share)
        yield measure_stages(log.path, environment(bench.directory), max(bench.repeats, 1))


def parse_options(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=parse_size, default="1G", help="of the sparse log")
    parser.add_argument(
        "--dense-size", type=parse_size, help="of the dense log (default: a fifth of the sparse)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each tool")
    parser.add_argument("--quick", action="store_true", help="a megabyte, each tool once")
    parser.add_argument(
        "--data", type=Path, default=ROOT / ".venv" / "bench", help="where the logs are kept"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results.rst", help="the tables"
    )
    options = parser.parse_args(words)
    if options.quick:
        options.size, options.dense_size, options.repeats = 1_000_000, 200_000, 0
    return options


def main() -> int:
    """Run everything; 1 if a tool found what is not there or failed to find what is."""
    options = parse_options()
    bench = Bench(options.data.absolute(), options.repeats)
    facts = Facts.now()
    try:
        found = {case.title: case for case in cases(bench, options)}
        profile = list(stages(bench, options))
    except (CommandError, WrongResultError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 1
    options.out.write_text(report.render(found, profile, facts, quick=options.quick))
    print(report.render_goals(found, quick=options.quick))
    print(f"written to {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
