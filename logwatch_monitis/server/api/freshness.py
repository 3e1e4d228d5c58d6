"""Whether a signed request was made just now, by the clock of any client that there has been.

Our own client tells the time in UTC. Clients of the old service tell it in the zone of their
machine, encoded once too often, or with the month in place of the minutes; all that is known of
those is that somewhere on the earth it is that time now.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from logwatch_monitis.config.model import Window
from logwatch_monitis.protocol.actions import plain_stamp

__all__ = ["is_fresh", "lifetime"]

TOLERANCE = timedelta(minutes=15)
LONG = timedelta(hours=27)
"""As long as one local time is the present one somewhere, from +14:00 to -12:00, and an hour."""

_HOURS = [timedelta(hours=hours) for hours in range(-12, 15)]
_ODD = [(-9, 30), (-3, 30), (-2, 30), (3, 30), (4, 30), (5, 30), (5, 45), (6, 30), (8, 45)]
_ODD += [(9, 30), (10, 30), (12, 45), (13, 45)]
OFFSETS = (
    *_HOURS,
    *(
        timedelta(hours=hours, minutes=minutes if hours > 0 else -minutes)
        for hours, minutes in _ODD
    ),
)
"""What local times differ from UTC by; all that the time zone database knows at present."""


def lifetime(window: Window) -> timedelta:
    """Return for how long at most a request that is taken now would be taken again."""
    return 2 * LONG if window == "27h" else LONG


def is_fresh(text: str, now: float, window: Window, *, ours: bool) -> bool:
    """Say whether a request's timestamp lies in the *window*.

    Args:
        text: as the request has it after one form decoding.
        now: seconds since the epoch, by the monitor's clock.
        window: what was configured.
        ours: the action is one of our own, whose time is in UTC.
    """
    if window == "off":
        return True
    moment = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
    try:
        if ours:
            return abs(datetime.fromisoformat(_exact(text)) - moment) <= _width(window)
        plain = plain_stamp(text)
        return _is_now(datetime.fromisoformat(plain), moment, window)
    except ValueError:
        return False


def _width(window: Window) -> timedelta:
    return LONG if window == "27h" else TOLERANCE


def _exact(text: str) -> str:
    if plain_stamp(text) != text:
        raise ValueError("encoded twice")
    return text


def _is_now(told: datetime, moment: datetime, window: Window) -> bool:
    """Say whether *told* is a local time now, to a quarter of an hour or as `_is_this_hour`."""
    if window == "27h" and abs(told - moment) <= LONG:
        return True
    if any(abs(told - moment - offset) <= TOLERANCE for offset in OFFSETS):
        return True
    return told.minute == told.month and _is_this_hour(told, moment)


def _is_this_hour(told: datetime, moment: datetime) -> bool:
    """Say whether it is that hour now in some zone: the month stands where the minutes belong."""
    hour = told.replace(minute=0, second=0)
    return any(hour <= moment + offset < hour + timedelta(hours=1) for offset in OFFSETS)
