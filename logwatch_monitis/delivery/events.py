"""What happens while logins are delivered."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import ClassVar

from logwatch_monitis.interfaces import Event

__all__ = [
    "DeadLettered",
    "Delivered",
    "DeliveryFailed",
    "DeliveryResumed",
    "DeliveryStillFailing",
    "LoginHeld",
    "MonitorCreated",
    "MonitorFound",
]


@dataclass(frozen=True, slots=True)
class Delivered(Event):
    """The monitor has taken so many logins.

    Attributes:
        count: how many.
        live_us: the times of those that were read as they happened, microseconds since the epoch.
    """

    count: int
    live_us: tuple[int, ...] = field(default=(), compare=False)
    level: ClassVar[int] = logging.DEBUG

    def __str__(self) -> str:
        return f"Delivered {self.count} logins"


@dataclass(frozen=True, slots=True)
class DeliveryFailed(Event):
    """Nothing was lost: what waits is tried again after *wait* seconds.

    Attributes:
        reason: one line.
        wait: seconds.
        kind: the name of the error's class.
    """

    reason: str
    wait: float
    kind: str = field(default="", compare=False)
    level: ClassVar[int] = logging.WARNING

    def __str__(self) -> str:
        return f"Delivery waits for {self.wait:.1f} s: {self.reason}"


@dataclass(frozen=True, slots=True)
class DeliveryStillFailing(DeliveryFailed):
    """The same reason again."""

    level: ClassVar[int] = logging.DEBUG


@dataclass(frozen=True, slots=True)
class DeliveryResumed(Event):
    """The monitor takes logins again."""

    def __str__(self) -> str:
        return "Delivery works again"


@dataclass(frozen=True, slots=True)
class MonitorFound(Event):
    """The monitor exists; results go there from now on."""

    monitor_id: str
    name: str

    def __str__(self) -> str:
        return f"Results go to monitor {self.monitor_id}, {self.name!r}"


@dataclass(frozen=True, slots=True)
class MonitorCreated(Event):
    """The monitor did not exist, and does now."""

    monitor_id: str
    name: str

    def __str__(self) -> str:
        return f"Created monitor {self.monitor_id}, {self.name!r}"


@dataclass(frozen=True, slots=True)
class LoginHeld(Event):
    """The monitor takes others, but not this login; they go past it."""

    login_id: str
    reason: str
    level: ClassVar[int] = logging.WARNING

    def __str__(self) -> str:
        return (
            f"The monitor takes other logins, but not {self.login_id}: {self.reason}."
            " It is tried for a while, and then put aside"
        )


@dataclass(frozen=True, slots=True)
class DeadLettered(Event):
    """The monitor refuses this one login; it is kept aside and can be sent again by hand."""

    login_id: str
    reason: str
    level: ClassVar[int] = logging.ERROR

    def __str__(self) -> str:
        return f"Put login {self.login_id} aside: {self.reason}"
