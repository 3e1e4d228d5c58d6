"""The pattern language: what a login line looks like, read from files anybody can write.

Importing this package costs nothing; its names are loaded when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logwatch_monitis.grammar.limits import MAX_MESSAGE
    from logwatch_monitis.grammar.load import load_rules
    from logwatch_monitis.grammar.rules import Match, PatternFile, RuleSet

__all__ = ["MAX_MESSAGE", "Match", "PatternFile", "RuleSet", "load_rules"]

_HOMES = {
    "MAX_MESSAGE": "limits",
    "Match": "rules",
    "PatternFile": "rules",
    "RuleSet": "rules",
    "load_rules": "load",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
