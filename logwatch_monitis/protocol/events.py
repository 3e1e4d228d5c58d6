"""What a client of a monitor has to say."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from logwatch_monitis.interfaces import Event

__all__ = ["ClockDiffers", "SignedInClear"]

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class ClockDiffers(Event):
    """Requests are signed by the monitor's clock, because this machine's is another.

    Attributes:
        behind: seconds that this machine's clock is behind the monitor's; negative: ahead.
    """

    level: ClassVar[int] = logging.WARNING
    behind: int

    def __str__(self) -> str:
        seconds = abs(self.behind)
        span = f"{seconds / _DAY:.1f} days" if seconds > 2 * _DAY else f"{seconds} s"
        way = "behind" if self.behind > 0 else "ahead of"
        return (
            f"The clock of this machine is {span} {way} the monitor's; requests are signed by the"
            " monitor's, the times of logins stay as they were logged"
        )


@dataclass(frozen=True, slots=True)
class SignedInClear(Event):
    """Signed requests cross a network in clear text.

    Attributes:
        url: of the monitor.
    """

    level: ClassVar[int] = logging.WARNING
    url: str

    def __str__(self) -> str:
        return (
            f"Requests to {urlsplit(self.url).hostname} are signed but not encrypted: whoever is"
            " in between can read every login, hold requests back, and answer in the monitor's"
            " place; use https://"
        )
