"""How the delivery is doing, for `status` and the health page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

__all__ = ["DeliveryStatus", "HeldLogin"]


class HeldLogin(NamedTuple):
    """A login that the monitor does not take.

    Attributes:
        id: of the login.
        reason: what the server said last, one line.
        refusals: how often, since it is watched.
        judged: the monitor has taken others meanwhile, so it becomes a dead letter if this goes
            on; else it waits until another one shows who is to blame.
    """

    id: str
    reason: str
    refusals: int
    judged: bool


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
        held: logins that the monitor does not take while it takes others, and one that waits
            alone, so that nobody knows who is to blame.
    """

    state: Literal["ok", "waiting", "refused"] = "ok"
    error: str = ""
    last_delivery: float | None = None
    next_try: float | None = None
    monitor_id: str = ""
    held: tuple[HeldLogin, ...] = ()
