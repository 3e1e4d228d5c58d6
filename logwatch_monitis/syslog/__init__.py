"""Header forms and the clock: who wrote a line, when, and on which machine.

Missing year, zone, summer time, leap day and leap second are decided here and nowhere else. This
room knows nothing of logins.
"""

from .clock import END, LiveTimeline, Moment, Timeline
from .headers import Split, split
from .zones import MachineZone, local_zone

__all__ = [
    "END",
    "LiveTimeline",
    "MachineZone",
    "Moment",
    "Split",
    "Timeline",
    "local_zone",
    "split",
]
