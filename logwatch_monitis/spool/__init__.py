"""What has been taken from the logs and not yet delivered, and how far each log was taken."""

from logwatch_monitis.spool.locks import Lock, Locks
from logwatch_monitis.spool.records import (
    DeadLetter,
    Gap,
    Limits,
    OutboxEntry,
    Position,
    SpoolDamagedError,
    SpoolFullError,
    Summary,
)
from logwatch_monitis.spool.spool import Spool

__all__ = [
    "DeadLetter",
    "Gap",
    "Limits",
    "Lock",
    "Locks",
    "OutboxEntry",
    "Position",
    "Spool",
    "SpoolDamagedError",
    "SpoolFullError",
    "Summary",
]
