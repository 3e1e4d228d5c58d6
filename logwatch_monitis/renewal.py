"""Reading configuration and pattern files again: what is told of it, and what it cannot change."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from logwatch_monitis.config import Config
from logwatch_monitis.seams import Event

__all__ = [
    "ConfigLoaded",
    "ConfigRefused",
    "PatternsLoaded",
    "PatternsRefused",
    "Reading",
    "RestartNeeded",
    "difference",
    "split_fixed",
]

_FIXED = {
    "state": "state_directory",
    "listen": "listen",
    "machine": "machine",
    "timezone": "timezone",
    "spool": "spool",
}
"""Fields of the configuration that hold until the process ends, with the keys that set them."""
_CHANGING = {
    "monitor": "monitor",
    "sources": "sources",
    "patterns": "patterns",
    "ignore": "ignore",
    "log": "log",
}


@dataclass(frozen=True, slots=True)
class PatternsLoaded(Event):
    """The pattern files were read again and are in force."""

    programs: int

    def __str__(self) -> str:
        return f"The pattern files were read again; they know {self.programs} programs"


@dataclass(frozen=True, slots=True)
class PatternsRefused(Event):
    """Pattern files have mistakes, so those read before stay in force."""

    error: str
    level: ClassVar[int] = logging.ERROR

    def __str__(self) -> str:
        first = self.error.partition("\n")[0]
        return (
            f"The pattern files were not read again, the former ones stay in force: {first}"
            " ('logwatch-monitis patterns check' shows all)"
        )


@dataclass(frozen=True, slots=True)
class ConfigLoaded(Event):
    """The configuration was read again and is in force."""

    changed: tuple[str, ...]

    def __str__(self) -> str:
        what = f"changed: {', '.join(self.changed)}" if self.changed else "nothing changed in it"
        return f"The configuration was read again; {what}"


@dataclass(frozen=True, slots=True)
class ConfigRefused(Event):
    """The configuration has mistakes, so the former one stays in force."""

    error: str
    level: ClassVar[int] = logging.ERROR

    def __str__(self) -> str:
        first = self.error.partition("\n")[0]
        return (
            f"The configuration was not read again, the former one stays in force: {first}"
            " ('logwatch-monitis check' shows all)"
        )


@dataclass(frozen=True, slots=True)
class RestartNeeded(Event):
    """Keys were changed that only a new process follows."""

    keys: tuple[str, ...]
    level: ClassVar[int] = logging.WARNING

    def __str__(self) -> str:
        return f"These keys need a restart to change: {', '.join(self.keys)}"


@dataclass(slots=True)
class Reading:
    """How the reading of some files went.

    Attributes:
        loaded: when those in force were read, seconds since the epoch.
        failures: how often mistakes kept the former ones in force.
        error: what is wrong with them now; empty if nothing is.
    """

    loaded: float
    failures: int = 0
    error: str = ""

    def worked(self, now: float) -> None:
        """Note that they are in force."""
        self.loaded, self.error = now, ""

    def failed(self, error: str) -> None:
        """Note that the former ones stay."""
        self.failures += 1
        self.error = error

    def told(self) -> dict[str, Any]:
        """Return it for ``status``."""
        return {"loaded": self.loaded, "failures": self.failures, "error": self.error}


def difference(old: Config, new: Config) -> tuple[str, ...]:
    """Return the sections that differ and that a reload changes."""
    return tuple(_differing(old, new, _CHANGING))


def split_fixed(old: Config, new: Config) -> tuple[Config, tuple[str, ...]]:
    """Return *new* with what only a restart changes as it is in *old*, and those keys by name."""
    kept = {name: getattr(old, name) for name in (*_FIXED, "listen_chosen")}
    return replace(new, **kept), tuple(_differing(old, new, _FIXED))


def _differing(old: Config, new: Config, fields: dict[str, str]) -> Iterator[str]:
    for name, key in fields.items():
        if getattr(old, name) != getattr(new, name):
            yield key
