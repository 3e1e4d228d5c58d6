"""The tables of a comparison, in reStructuredText, and whether our goals were met."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from facts import Facts, load
from inputs import Input
from stages import Stages
from timing import Measured
from tools import ALL, THREE, Tool

__all__ = ["GOALS", "Case", "Goal", "render", "render_case", "render_goals"]

SPARSE = "Sparse log"
DENSE = "Dense log"
PACKED = "Sparse log, compressed with gzip"
SPARSE_JOBS = "Sparse log, two processes"
DENSE_JOBS = "Dense log, two processes"
START = "Start"

RIPGREP = "rg -o -r"
TWICE = f"{THREE}, --jobs 2"
SPREAD = {TWICE}
"""Work that is spread over cores: its processor time says nothing of its speed."""
COMPARED = ("wall", "least", "cpu")
QUIET = 0.5
"""Load average up to which a machine counts as quiet."""


@dataclass(frozen=True, slots=True)
class Case:
    """What was measured on one log.

    Attributes:
        title: of its table.
        log: which.
        tools: all that were meant to run.
        measured: what the tools that are installed took, by name.
    """

    title: str
    log: Input
    tools: Sequence[Tool]
    measured: dict[str, Measured]

    @property
    def base(self) -> Measured:
        """What the others are compared with: the first."""
        return self.measured[self.tools[0].name]

    def rows(self) -> Iterator[tuple[Tool, Measured]]:
        """Yield the tools that were measured."""
        for tool in self.tools:
            if tool.name in self.measured:
                yield tool, self.measured[tool.name]


class Goal(NamedTuple):
    """How one tool shall compare with another.

    Attributes:
        case: on which log.
        tool: ours.
        other: what it is compared with.
        factor: how many times as fast it shall be; of a start: how many times as long it may take.
        aim: what we would like to reach; 0 if that is the same.
    """

    case: str
    tool: str
    other: str
    factor: float
    aim: float = 0.0


GOALS = (
    Goal(SPARSE, THREE, RIPGREP, 2.5),
    Goal(SPARSE, ALL, RIPGREP, 1.0),
    Goal(DENSE, THREE, RIPGREP, 1.5, 2.5),
    Goal(DENSE, THREE, "lognormalizer", 1.0),
    Goal(PACKED, THREE, "zcat | rg -o -r", 2.0),
    Goal(SPARSE_JOBS, TWICE, THREE, 1.7),
    Goal(DENSE_JOBS, TWICE, THREE, 1.7),
    Goal(START, ALL, "python3", 6.0),
    Goal(START, "--help", "python3", 3.0),
)


def render(
    cases: Mapping[str, Case], stages: Sequence[Stages], facts: Facts, *, quick: bool = False
) -> str:
    """Return all that ``benchmarks/results.rst`` says."""
    parts = [
        ".. Written by benchmarks/compare.py; changes are lost.\n",
        *_about(facts, quick=quick),
        _heading("Goals"),
        render_goals(cases, quick=quick),
    ]
    for case in cases.values():
        parts += [_heading(case.title), render_case(case)]
    for title, stage in zip(("sparse", "dense"), stages, strict=True):
        parts += [_heading(f"Where the time goes, {title} log"), *_stages(stage)]
    return "\n".join(parts)


def _about(facts: Facts, *, quick: bool) -> Iterator[str]:
    now = load()
    yield "".join(f"- {line}\n" for line in facts.lines)
    busy = max(now, facts.load) > QUIET
    yield (
        f"Load average of five minutes before the run {facts.load:.1f}, behind it {now:.1f}"
        f"{': the machine was busy with other things' if busy and not quick else ''}.\n"
    )
    if quick:
        yield "This was the quick form: it shows that everything works, its figures mean nothing.\n"


def render_case(case: Case) -> str:
    """Return what was measured on one log, and which tools are missing."""
    log = case.log
    content = f"{log.size / 1e6:,.6g} MB of text, {log.lines:,} lines, {log.logins:,} logins."
    missing = [tool for tool in case.tools if tool.name not in case.measured]
    return "\n".join(
        [
            f"{content} What each tool found agreed with the truth.\n",
            _table(*(_starts(case) if case.title == START else _speeds(case))),
            *(f"Not installed: {tool.name} (Debian package {tool.package}).\n" for tool in missing),
        ]
    )


def render_goals(cases: Mapping[str, Case], *, quick: bool = False) -> str:
    """Return the table of goals: what was reached, by the median, the best and processor time."""
    judge = _unjudged if quick else _verdict
    head = ["log", "ours", "against", "goal", "median", "best", "CPU", ""]
    return _table(head, [_goal(goal, cases[goal.case], judge) for goal in GOALS])


def _goal(goal: Goal, case: Case, judge: Callable[[Goal, float], str]) -> list[str]:
    sign = "≤" if goal.case == START else "≥"
    aim = f" (aim {goal.aim:g})" if goal.aim else ""
    names = [case.title, goal.tool, goal.other, f"{sign} {goal.factor:g} x{aim}"]
    ours, other = case.measured.get(goal.tool), case.measured.get(goal.other)
    if ours is None or other is None:
        return [*names, "", "", "", "not measured"]
    ratios = [_ratio(goal, getattr(ours, what), getattr(other, what)) for what in COMPARED]
    cells = [f"{ratio:.2f}" for ratio in ratios]
    if goal.tool in SPREAD:
        cells[-1] = ""
    return [*names, *cells, judge(goal, ratios[0])]


def _ratio(goal: Goal, ours: float, other: float) -> float:
    return ours / other if goal.case == START else other / ours


def _verdict(goal: Goal, ratio: float) -> str:
    if goal.case == START:
        return "met" if ratio <= goal.factor else "MISSED"
    if goal.aim and ratio >= goal.aim:
        return "met, the aim too"
    return "met" if ratio >= goal.factor else "MISSED"


def _unjudged(_goal: Goal, _ratio: float) -> str:
    return "not judged"


def _starts(case: Case) -> tuple[list[str], list[list[str]]]:
    rows = [
        [
            tool.name,
            *(f"{seconds * 1e3:.1f}" for seconds in (took.wall, took.least, took.cpu)),
            f"{took.wall / case.base.wall:.2f}",
        ]
        for tool, took in case.rows()
    ]
    return ["command", "ms", "best", "CPU ms", "x python3"], rows


def _speeds(case: Case) -> tuple[list[str], list[list[str]]]:
    """Return one row a tool; ``scan is x`` says how many times as fast our first row is."""
    rows = [
        [
            tool.name,
            tool.gives,
            f"{took.size / 1e6:,.4g}",
            *(f"{seconds:.3f}" for seconds in (took.wall, took.least, took.cpu)),
            f"{took.speed:,.1f}",
            f"{case.base.speed / took.speed:.2f}",
            f"{took.memory:.0f}" if not tool.package else "",
            str(len(took.runs)),
        ]
        for tool, took in case.rows()
    ]
    head = ["tool", "prints", "MB", "s", "best", "CPU s", "MB/s", "scan is x", "peak MiB", "runs"]
    return head, rows


def _stages(stages: Stages) -> Iterator[str]:
    def rows(steps: Mapping[str, float]) -> list[list[str]]:
        return [
            [name, f"{took:.3f}", f"{stages.size / took / 1e6:,.0f}"]
            for name, took in steps.items()
        ]

    yield "What the machine and the language allow at best:\n"
    yield _table(["step", "s", "MB/s"], rows(stages.limits))
    yield "Our scan with the patterns of three services, each step with all before it:\n"
    yield _table(["step", "s", "MB/s"], rows(stages.steps))
    yield "The lines of source that it spends its processor time in:\n"
    lines = [[f"{share:.0%}", module, f"``{text}``"] for share, module, text in stages.lines]
    yield _table(["share", "module", "line"], lines) if lines else "Too few to be seen.\n"


def _heading(text: str) -> str:
    return f"{text}\n{'~' * len(text)}\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a simple table; an empty cell stays empty, but for the first of a row."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = " ".join("=" * max(width, 1) for width in widths)

    def line(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return " ".join(padded).rstrip()

    return "\n".join([rule, line(head), rule, *map(line, rows), rule, ""])
