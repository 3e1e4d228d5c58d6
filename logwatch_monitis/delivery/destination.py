"""The monitor at the server to which the results go: found, created, found again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from logwatch_monitis.delivery.events import MonitorCreated, MonitorFound
from logwatch_monitis.interfaces import Events
from logwatch_monitis.protocol.client import MonitisClient, MonitorRow
from logwatch_monitis.protocol.encoding import LOGIN_PARAMETERS, Parameter
from logwatch_monitis.protocol.errors import NameTakenError, NoSuchMonitorError
from logwatch_monitis.spool import OutboxEntry

__all__ = ["Facts", "Outbox", "Target", "TargetFinder"]


class Facts(Protocol):
    """Remembers small texts over restarts."""

    def fact(self, name: str) -> str | None:
        """Return a fact, or None."""

    def set_fact(self, name: str, value: str | None) -> None:
        """Store a fact; None forgets it."""


class Outbox(Facts, Protocol):
    """What the spool is to the delivery."""

    def due(self, limit: int) -> list[OutboxEntry]:
        """Return what is next, in the order in which it is to be sent."""

    def delivered(self, sent: Sequence[OutboxEntry]) -> int:
        """Take out what the monitor has."""

    def failed(self, tried: Sequence[OutboxEntry], reason: str) -> None:
        """Count a failed attempt."""

    def refuse(self, entry: OutboxEntry, reason: str) -> bool:
        """Put an entry aside as a dead letter."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which monitor, and how it is made if it is missing."""

    name: str = "Login Monitor"
    tag: str = "loginMonitor"
    parameters: Sequence[Parameter] = LOGIN_PARAMETERS


class TargetFinder:
    """Knows the id of the monitor, and asks the server whenever it may be another one.

    It asks at the start too, although the id is remembered: the answer tells whether the server is
    our own monitor, before anything is sent that only that one understands.
    """

    def __init__(self, client: MonitisClient, target: Target, facts: Facts, events: Events) -> None:
        self._client = client
        self._target = target
        self._facts = facts
        self._events = events
        parts = [client.url, client.api_key, target.name, target.tag]
        digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        self._fact = f"monitor {digest[:32]}"
        self._id = ""

    @property
    def known(self) -> str:
        """The id, as far as it is known without asking."""
        return self._id

    def find(self) -> str:
        """Return the monitor's id, creating the monitor if there is none.

        Raises:
            MonitorError: the server did not say, or the name is taken by a monitor of another tag.
        """
        if not self._id or self._client.ours is None:
            found = self._choose(self._client.monitors(self._target.tag)) or self._create()
            if found != self._id:
                self._events(MonitorFound(found, self._target.name))
            self._id = found
            self._facts.set_fact(self._fact, found)
        return self._id

    def check(self) -> None:
        """See whether the server still answers, and has the monitor.

        Raises:
            MonitorError: it does not.
        """
        if self._id not in [row.id for row in self._client.monitors(self._target.tag)]:
            raise NoSuchMonitorError(f"the monitor {self._id} is not there")

    def forget(self) -> None:
        """Look for the monitor again before the next result."""
        self._id = ""

    def _choose(self, monitors: Sequence[MonitorRow]) -> str:
        """Return the remembered one if it is there, else the first of that name; empty for none.

        The remembered one may have been given another name at the server. Names are compared as
        servers do that refuse a second monitor of one name, whatever its capitals.
        """
        tagged = [row for row in monitors if row.id and row.tag in ("", self._target.tag)]
        remembered = self._facts.fact(self._fact)
        if remembered and remembered in [row.id for row in tagged]:
            return remembered
        name = self._target.name.casefold()
        return next((row.id for row in tagged if row.name.casefold() == name), "")

    def _create(self) -> str:
        target = self._target
        try:
            created = self._client.add_monitor(target.name, target.tag, target.parameters)
        except NameTakenError:
            # Another agent may have been faster.
            found = self._choose(self._client.monitors(target.tag))
            if found:
                return found
            raise NameTakenError(
                f"a monitor {target.name!r} exists, but not with tag {target.tag!r}",
                "change monitor.name or monitor.tag in the configuration",
            ) from None
        self._events(MonitorCreated(created, target.name))
        return created
