"""Brings what waits in the spool to the monitor: in order, at least once, and patiently."""

from __future__ import annotations

from .deliverer import Deliverer
from .events import (
    DeadLettered,
    Delivered,
    DeliveryFailed,
    DeliveryResumed,
    DeliveryStillFailing,
    LoginHeld,
    MonitorCreated,
    MonitorFound,
)
from .status import DeliveryStatus, HeldLogin
from .target import Target

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
