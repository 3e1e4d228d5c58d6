"""Header forms and the clock: who wrote a line, when, and on which machine.

Missing year, zone, summer time, leap day and leap second are decided here and nowhere else. This
room knows nothing of logins.
"""

from .clock import END, LiveTimeline, Minute, Moment, Timeline
from .headers import Split, split
from .references import gzip_time, reference_time
from .years import StreamYears, Years, file_years
from .zones import MachineZone, local_zone

__all__ = [
    "END",
    "LiveTimeline",
    "MachineZone",
    "Minute",
    "Moment",
    "Split",
    "StreamYears",
    "Timeline",
    "Years",
    "file_years",
    "gzip_time",
    "local_zone",
    "reference_time",
    "split",
]
