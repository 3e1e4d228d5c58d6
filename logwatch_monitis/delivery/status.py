"""How the delivery is doing, for `status` and the health page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["DeliveryStatus"]


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """A moment's view of the delivery.

    Attributes:
        state: ``ok``; ``waiting`` for the monitor, which mends itself; ``refused``, where somebody
            has to do something, which the error names.
        error: one line without secrets; empty while all is well.
        last_delivery: seconds since the epoch; None for not yet, in this run.
        next_try: seconds since the epoch; None while all is well.
        monitor_id: where results go; empty while unknown.
    """

    state: Literal["ok", "waiting", "refused"] = "ok"
    error: str = ""
    last_delivery: float | None = None
    next_try: float | None = None
    monitor_id: str = ""
