"""The pattern language: what a login line looks like, read from files anybody can write.

Importing this package costs nothing; its names are loaded when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logwatch_monitis.grammar.loader import load_rules
    from logwatch_monitis.grammar.ruleset import Match, PatternFile, RuleSet
    from logwatch_monitis.grammar.tree import MAX_MESSAGE

__all__ = ["MAX_MESSAGE", "Match", "PatternFile", "RuleSet", "load_rules"]

_HOMES = {
    "MAX_MESSAGE": "tree",
    "Match": "ruleset",
    "PatternFile": "ruleset",
    "RuleSet": "ruleset",
    "load_rules": "loader",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
