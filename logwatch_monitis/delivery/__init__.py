"""Brings what waits in the spool to the monitor: in order, at least once, and patiently."""

from __future__ import annotations

from logwatch_monitis.delivery.deliverer import Deliverer
from logwatch_monitis.delivery.destination import Target
from logwatch_monitis.delivery.events import (
    DeadLettered,
    Delivered,
    DeliveryFailed,
    DeliveryResumed,
    DeliveryStillFailing,
    LoginHeld,
    MonitorCreated,
    MonitorFound,
)
from logwatch_monitis.delivery.status import DeliveryStatus, HeldLogin

__all__ = [
    "DeadLettered",
    "Delivered",
    "Deliverer",
    "DeliveryFailed",
    "DeliveryResumed",
    "DeliveryStatus",
    "DeliveryStillFailing",
    "HeldLogin",
    "LoginHeld",
    "MonitorCreated",
    "MonitorFound",
    "Target",
]
