"""Writes a tree back as notation: ``parse_line(unparse(line)) == line``."""

from __future__ import annotations

from logwatch_monitis.grammar.tree import Hole, Line, Optional, Part

__all__ = ["unparse", "unparse_part"]


def unparse(line: Line) -> str:
    """Return the shortest notation of *line*.

    Text right after an optional part cannot begin with ``}``, and blanks at a line's ends are not
    part of it: a tree that has either did not come from `parse_line`, and does not come back.
    """
    return "".join(map(unparse_part, line.parts))


def unparse_part(part: Part) -> str:
    """Return the notation of one part."""
    if isinstance(part, Hole):
        return f"{{{part.name}{_kind(part)}}}"
    if isinstance(part, Optional):
        return f"{{?{''.join(map(unparse_part, part.parts))}}}"
    return part.text.replace("{", "{{").replace("}", "}}")


def _kind(hole: Hole) -> str:
    """Return what stands behind the name: nothing for a word."""
    if hole.kind == "choice":
        return ":" + "|".join(hole.choices)
    return "" if hole.kind == "word" else f":{hole.kind}"
