"""Reading configuration and pattern files again: what is told of it, and what it cannot change."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, TypeVar

from logwatch_monitis.config.model import Config, Reload, settings
from logwatch_monitis.interfaces import Event

__all__ = [
    "ConfigLoaded",
    "ConfigRefused",
    "LoadState",
    "PatternsLoaded",
    "PatternsRefused",
    "RestartNeeded",
    "changed_keys",
    "with_fixed",
]

T = TypeVar("T")


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
    """Keys were changed that only a new process follows; the former values stay in force."""

    keys: tuple[str, ...]
    level: ClassVar[int] = logging.WARNING

    def __str__(self) -> str:
        return (
            f"These keys need a restart to change: {', '.join(self.keys)}"
            " (systemctl restart logwatch-monitis)"
        )


@dataclass(slots=True)
class LoadState:
    """How the reading of some files went.

    Attributes:
        loaded: when those in force were read, seconds since the epoch.
        failures: how often mistakes kept the former ones in force.
        error: what is wrong with them now; empty if nothing is.
        waiting: keys whose new values need a restart.
    """

    loaded: float
    failures: int = 0
    error: str = ""
    waiting: tuple[str, ...] = field(default=())

    def worked(self, now: float, waiting: tuple[str, ...] = ()) -> None:
        """Note that they are in force, but for the keys that are *waiting* for a restart."""
        self.loaded, self.error, self.waiting = now, "", waiting

    def failed(self, error: str) -> None:
        """Note that the former ones stay."""
        self.failures += 1
        self.error = error

    def told(self) -> dict[str, Any]:
        """Return it for ``status``."""
        return {
            "loaded": self.loaded,
            "failures": self.failures,
            "error": self.error,
            "needs_restart": list(self.waiting),
        }


def changed_keys(old: Config, new: Config, kinds: Collection[Reload]) -> tuple[str, ...]:
    """Return the keys with another value in *new*, of those that a reload treats in such a way."""
    pairs = zip(settings(old), settings(new), strict=True)
    changed = [a.key for a, b in pairs if a.reload in kinds and a.value != b.value]
    return tuple(dict.fromkeys(changed))


def with_fixed(old: T, new: T) -> T:
    """Return *new*, a configuration or a section, with what only a restart changes as in *old*.

    Raises:
        KeyError: a field does not say what a reload does with it.
    """
    kept: dict[str, Any] = {}
    for place in fields(new):  # type: ignore[arg-type]
        before, after = getattr(old, place.name), getattr(new, place.name)
        if is_dataclass(after) and "reload" not in place.metadata:
            kept[place.name] = with_fixed(before, after)
        elif place.metadata["reload"] is Reload.RESTART:
            kept[place.name] = before
    return replace(new, **kept)  # type: ignore[type-var]
