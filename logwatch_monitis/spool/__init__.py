"""What has been taken from the logs and not yet delivered, and how far each log was taken."""

from logwatch_monitis.spool.locks import Lock, Locks
from logwatch_monitis.spool.records import (
    DeadLetter,
    Entry,
    Gap,
    Limits,
    Position,
    SpoolDamagedError,
    SpoolFullError,
    Summary,
)
from logwatch_monitis.spool.spool import Spool

__all__ = [
    "DeadLetter",
    "Entry",
    "Gap",
    "Limits",
    "Lock",
    "Locks",
    "Position",
    "Spool",
    "SpoolDamagedError",
    "SpoolFullError",
    "Summary",
]
