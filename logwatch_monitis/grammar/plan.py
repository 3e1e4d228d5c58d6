"""Plans how the matcher reads the lines of a rule: each line becomes a few steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from logwatch_monitis.grammar.matcher import LinePlan, RulePlan, Step
from logwatch_monitis.grammar.tree import (
    END,
    Hole,
    Line,
    Literal,
    Next,
    Optional,
    ParsedRule,
    Part,
    Piece,
    first_text,
    following,
    is_rest,
    required_texts,
    telling,
)

__all__ = ["plan_line", "plan_rule"]


def plan_rule(rule: ParsedRule) -> RulePlan:
    """Return the plan of *rule*, whose lines must have passed the static rules."""
    lines = tuple(plan_line(line, rule.defaults) for line in rule.lines)
    return RulePlan(lines, tuple(map(plan_line, rule.excepts)))


def plan_line(line: Line, defaults: Mapping[str, str] = MappingProxyType({})) -> LinePlan:
    """Return the plan of *line* in a rule with these *defaults*."""
    steps, texts = _steps(line.parts), required_texts(line)
    # Lines of a rule often begin alike: what stands last tells one from another.
    needs = next(filter(telling, reversed(texts)), max(texts, key=len, default=""))
    return LinePlan(needs, steps, {**defaults, **dict.fromkeys(_certain(steps), "")})


def _steps(parts: Sequence[Part], behind: Next = END) -> tuple[Step, ...]:
    """Return the steps of *parts*; *behind* is NEXT of the place behind them."""
    steps: list[Step] = []
    taken: Part | None = None
    for n, part in enumerate(parts):
        after = following(parts[n + 1 :], behind)
        if is_rest(part):
            return (*steps, _rest(part, parts[n + 1 :]))
        if isinstance(part, Optional):
            text = first_text(part)
            inner = _steps(part.parts[1:], after)
            steps.append(("optional", "", "", (), text, (), len(text), inner))
        elif isinstance(part, Hole):
            # Where only text can follow, finding it is reading it.
            taken = next(iter(parts[n + 1 :]), None) if part.kind != "inside" else None
            length = len(after.fixed) if isinstance(taken, Literal) else 0
            texts = after.fixed, after.optional
            steps.append((part.kind, _check(part), part.name, part.choices, *texts, length, ()))
        elif part is not taken:
            steps.append(("literal", "", "", (), part.text, (), len(part.text), ()))
    return tuple(steps)


def _check(hole: Hole) -> str:
    """Return which check the value of *hole* must pass, besides being a word of a choice."""
    if hole.name == "host" and hole.kind != "ip":
        return "nothing" if hole.kind == "int" else "host"
    if hole.name == "user" and hole.kind in ("text", "inside", "rest"):
        return "user"
    return hole.kind if hole.kind in ("word", "int", "ip", "host") else ""


def _rest(rest: Part, right: Sequence[Part]) -> Step:
    """Return the step of the rest, and of what stands *right* of it."""
    assert isinstance(rest, Hole)
    inner = _steps(tuple(map(_mirrored, reversed(right))))
    return "rest", _check(rest), rest.name, (), "", (), 0, inner


def _mirrored(part: Part) -> Part:
    """Return *part* as it stands in the reversed message."""
    if isinstance(part, Optional):
        return Optional(tuple(map(_mirrored_piece, reversed(part.parts))))
    return _mirrored_piece(part)


def _mirrored_piece(piece: Piece) -> Piece:
    return Literal(piece.text[::-1]) if isinstance(piece, Literal) else piece


def _certain(steps: Sequence[Step]) -> Iterator[str]:
    """Yield the names of the holes that every match gives, in the order of reading."""
    for kind, _, name, _, _, _, _, inner in steps:
        if kind == "rest":
            yield from _certain(inner)
        if name:
            yield name
