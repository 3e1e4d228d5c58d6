"""Header forms and the clock: who wrote a line, when, and on which machine.

Missing year, zone, summer time, leap day and leap second are decided here and nowhere else. This
room knows nothing of logins.
"""

from logwatch_monitis.syslog.file_times import gzip_time, reference_time
from logwatch_monitis.syslog.headers import Split, split
from logwatch_monitis.syslog.timeline import END, LiveTimeline, Minute, Moment, Timeline
from logwatch_monitis.syslog.years import StreamYears, Years, file_years
from logwatch_monitis.syslog.zones import MachineZone, local_zone

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
