"""The missing year in history: from a sample of the file, whatever part of it is read."""

import gzip
import os
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.syslog import (
    StreamYears,
    Timeline,
    Years,
    file_years,
    gzip_time,
    reference_time,
)
from logwatch_monitis.syslog.sampling import sample_file


def at(*date):
    """Return a moment in UTC."""
    return datetime(*date, tzinfo=UTC)


def seconds(*date):
    """Return a moment in UTC as seconds since the epoch."""
    return at(*date).timestamp()


class Log:
    """A log file whose every line has its true time beside it."""

    def __init__(self, moments, *, iso=()):
        self.moments = list(moments)
        stamps = [
            m.isoformat() if i in iso else f"{m:%b %e %H:%M:%S}" for i, m in enumerate(self.moments)
        ]
        lines = [f"{stamp} web1 sshd[1]: Accepted x\n".encode() for stamp in stamps]
        self.stamps, self.data = stamps, b"".join(lines)
        self.offsets = [0]
        for line in lines[:-1]:
            self.offsets.append(self.offsets[-1] + len(line))

    def years(self, directory, **known):
        """Return the years of the log as a file in *directory*."""
        path = directory / "auth.log"
        path.write_bytes(self.data)
        return file_years(path, UTC, **known)

    def read(self, years, *, block=None):
        """Return the year of each line, all at once or block by block."""
        timeline = Timeline.history(UTC, years)
        found, end = [], 0
        for stamp, offset in zip(self.stamps, self.offsets, strict=True):
            if block and offset >= end:
                end = self.data.rfind(b"\n", offset, offset + block) + 1
                timeline.learn(self.data[offset:end], offset)
            moment = timeline.resolve(stamp, offset)
            found.append(datetime.fromtimestamp(moment.time_us / 1_000_000, UTC).year)
        return found

    def truth(self):
        """Return the year in which each line was written."""
        return [moment.year for moment in self.moments]


def steady(first, last, step):
    """Return moments from *first* to *last*, *step* apart."""
    count = (last - first) // step
    return [first + step * n for n in range(count + 1)]


LONG = Log(steady(at(2021, 3, 1), at(2024, 11, 2), timedelta(hours=3)))
DAILY = Log(steady(at(2021, 3, 1), at(2024, 3, 2), timedelta(days=7)))


@pytest.mark.parametrize("log", [LONG, DAILY], ids=["long", "short"])
def test_several_new_years_in_one_file(tmp_path, log):
    """Every line of a file over three New Years has its year, anchored at the last line."""
    reference = log.moments[-1].timestamp() + 1
    assert log.truth() == log.read(log.years(tmp_path, reference=reference))
    assert log.truth() == log.read(log.years(tmp_path, start_year=2021))


def test_any_part_of_a_file_gives_the_same_years(tmp_path):
    """A job that begins in the middle, or reads backwards, needs nothing but the offset."""
    years = LONG.years(tmp_path, reference=seconds(2024, 11, 3))
    lines = list(zip(LONG.stamps, LONG.offsets, LONG.truth(), strict=True))
    timeline = Timeline.history(UTC, years)
    assert all(timeline.resolve(s, o).year == year for s, o, year in reversed(lines))
    fresh = [Timeline.history(UTC, years).resolve(s, o).year for s, o, _ in lines[::97]]
    assert [year for _, _, year in lines[::97]] == fresh


@given(
    st.lists(st.integers(0, 100), min_size=1, max_size=60),
    st.lists(st.integers(-4, 0), min_size=60, max_size=60),
    st.sampled_from([300, 2000, 1 << 20]),
)
def test_silence_and_disorder(gaps, late, block):
    """Silences up to months and lines some days late keep their years, in files and streams."""
    moments = [at(2015, 5, 1, 12)]
    for gap in gaps:
        moments.append(moments[-1] + timedelta(days=gap))
    end = moments[-1].timestamp()
    moments = [m + timedelta(days=d) for m, d in zip(moments, late, strict=False)]
    log = Log(moments)
    stream = StreamYears(UTC, reference=end, start_year=moments[0].year)
    assert log.truth() == log.read(stream, block=block)


@pytest.mark.parametrize("days", [120, 180, 270])
def test_long_silence(tmp_path, days):
    """A machine that says nothing for months, up to nine, keeps its years."""
    log = Log(steady(at(2015, 5, 1, 12), at(2025, 5, 1), timedelta(days=days)))
    assert log.truth() == log.read(log.years(tmp_path, start_year=2015))


def test_new_year_of_several_machines(tmp_path):
    """Lines of two years, mixed around New Year, keep theirs."""
    midnight = at(2026, 1, 1)
    minutes = [-9, -3, 1, -2, 2, -1, 3, -8, 4]
    log = Log(midnight + timedelta(minutes=minute) for minute in minutes)
    assert log.truth() == log.read(log.years(tmp_path, reference=seconds(2026, 1, 1, 1)))


@pytest.mark.parametrize("zone", [timezone(timedelta(hours=h)) for h in range(-12, 15)], ids=str)
def test_file_that_ends_at_new_year(tmp_path, zone):
    """The file's last line is right in every zone when it was written at New Year's midnight."""
    path = tmp_path / "auth.log"
    path.write_text("Dec 31 23:59:59 h sshd[1]: x\nJan  1 00:00:01 h sshd[1]: x\n")
    after = datetime(2026, 1, 1, 0, 0, 1, tzinfo=zone).timestamp()
    timeline = Timeline.history(zone, file_years(path, zone, reference=after))
    assert timeline.resolve("Dec 31 23:59:59", 0).year == 2025
    assert timeline.resolve("Jan  1 00:00:01", 29).year == 2026


@pytest.mark.parametrize("month", range(2, 13))
def test_wrong_clock_at_boot_moves_nothing(tmp_path, month):
    """Lines of January 1970 in the middle of others roll no year, and get that of their writing."""
    before = steady(at(2025, 1, 5), at(2025, month, 20), timedelta(hours=1))
    boot = steady(at(2025, 1, 1, 0, 0, 7), at(2025, 1, 1, 0, 3), timedelta(seconds=2))
    later = steady(at(2025, month, 20, 2), at(2026, 3, 1), timedelta(hours=1))
    log = Log(before + boot + later)
    assert log.truth() == log.read(log.years(tmp_path, reference=seconds(2026, 3, 2)))


def test_wrong_clock_after_a_pause(tmp_path):
    """A machine without a clock of its own that was off for weeks passes no New Year by that."""
    before = steady(at(2025, 9, 5), at(2025, 10, 15), timedelta(hours=1))
    later = steady(at(2025, 11, 20), at(2026, 3, 1), timedelta(hours=1))
    log = Log([*before, at(2025, 1, 1, 0, 0, 7), *later])
    assert log.truth() == log.read(log.years(tmp_path, reference=seconds(2026, 3, 2)))


def test_wrong_clock_after_the_first_line(tmp_path):
    """A single line before the boot is enough to know."""
    later = steady(at(2025, 8, 20, 2), at(2026, 3, 1), timedelta(hours=12))
    log = Log([at(2025, 8, 20), at(2025, 1, 1, 0, 0, 7), *later])
    assert log.truth() == log.read(log.years(tmp_path, reference=seconds(2026, 3, 2)))


@pytest.mark.parametrize("minutes", [30, 90, 400])
def test_lines_up_to_days_late(tmp_path, minutes):
    """Relays that deliver days later confuse no year, whatever the samples show of it."""
    moments = steady(at(2023, 8, 1), at(2025, 5, 1), timedelta(minutes=minutes))
    log = Log(m - timedelta(days=n * 7919 % 6) for n, m in enumerate(moments))
    assert log.truth() == log.read(log.years(tmp_path, reference=seconds(2025, 5, 1)))


def test_wrong_clock_at_the_end(tmp_path):
    """A file that ends with lines of January 1970 keeps its years too."""
    before = steady(at(2024, 10, 5), at(2025, 10, 20), timedelta(hours=1))
    log = Log([*before, at(2025, 1, 1, 0, 0, 7)])
    assert log.truth() == log.read(log.years(tmp_path, reference=seconds(2025, 10, 20, 1)))


def test_live_and_history_agree(tmp_path):
    """What was resolved as it was written has the same years when the file is read again."""
    boot = at(2025, 1, 1, 0, 0, 7)
    moments = steady(at(2025, 9, 1), at(2026, 2, 1), timedelta(hours=7))
    written = sorted([*moments, *(m for m in moments[::50])])
    log = Log(boot if a == b else a for a, b in pairwise([*written, None]))

    class Clock:
        def now(self):
            return self.moment.timestamp()

    clock = Clock()
    live = Timeline.live(UTC, clock)
    seen = []
    for clock.moment, stamp in zip(written, log.stamps, strict=True):
        seen.append(live.resolve(stamp).year)
    assert seen == log.read(log.years(tmp_path, reference=seconds(2026, 2, 2)))


def test_leap_day_corrects_a_lost_modification_time(tmp_path):
    """A copied file with a 29 February goes back to the last leap year."""
    log = Log(steady(at(2024, 1, 5), at(2024, 5, 1), timedelta(hours=9)))
    assert log.truth() == log.read(log.years(tmp_path, reference=seconds(2027, 3, 1)))


def test_written_years_settle_their_neighbours(tmp_path):
    """Where a header has its year, lines before and after it take theirs from it."""
    moments = steady(at(2017, 3, 1), at(2020, 3, 1), timedelta(days=20))
    log = Log(moments, iso=(30, 31))
    assert log.truth() == log.read(log.years(tmp_path, reference=seconds(2026, 1, 1)))
    assert log.truth() == log.read(StreamYears(UTC, reference=seconds(2026, 1, 1)), block=1 << 20)


def test_stream_of_less_than_a_year():
    """A compressed file over one New Year is right from its first line on."""
    log = Log(steady(at(2025, 11, 5), at(2026, 2, 1), timedelta(hours=5)))
    years = StreamYears(UTC, reference=seconds(2026, 2, 1))
    assert log.truth() == log.read(years, block=4096)
    assert (False, 2025, seconds(2025, 11, 5)) == (years.overrun, years.start_year, years.first)


@pytest.mark.parametrize(
    ("first", "last", "reference"),
    [
        (at(2021, 11, 5), at(2023, 2, 1), seconds(2023, 2, 1)),
        (at(2024, 1, 5), at(2024, 5, 1), seconds(2026, 12, 1)),
    ],
)
def test_stream_that_contradicts_its_start_is_read_again(first, last, reference):
    """More than a year, or a 29 February in no leap year, shows, and the second start is right."""
    log = Log(steady(first, last, timedelta(hours=5)))
    years = StreamYears(UTC, reference=reference)
    log.read(years, block=4096)
    assert (True, first.year) == (years.overrun, years.start_year)
    again = StreamYears(UTC, reference=reference, start_year=years.start_year)
    assert log.truth() == log.read(again, block=4096)
    assert again.overrun is False


def test_stream_whose_later_lines_have_their_year():
    """When a stream changes to headers with a year, a wrong beginning shows."""
    moments = steady(at(2023, 11, 5), at(2024, 2, 20), timedelta(hours=5))
    log = Log(moments, iso=range(400, len(moments)))
    years = StreamYears(UTC, reference=seconds(2026, 2, 25))
    log.read(years, block=4096)
    assert (years.overrun, years.start_year) == (True, 2023)
    again = StreamYears(UTC, reference=seconds(2026, 2, 25), start_year=2023)
    assert log.truth() == log.read(again, block=4096)


def test_file_without_times(tmp_path):
    """A file in which no line has a time, or nothing at all, takes the reference for all."""
    for log in (Log([]), Log([at(2025, 1, 1)] * 3)):
        log.data = log.data.replace(b"Jan", b"???")
        years = log.years(tmp_path, reference=5.0)
        assert Years((0,), (5.0,)) == years


def test_lines_without_times_between_others(tmp_path):
    """Very long lines, holes of NULs and lines without a header hide no year."""
    log = Log(steady(at(2023, 6, 1), at(2025, 6, 1), timedelta(days=1)))
    rough = b"\0" * 5000 + log.data.replace(b"\n", b"\nno header\n" + b"x" * 700 + b"\n")
    path = tmp_path / "auth.log"
    path.write_bytes(rough)
    timeline = Timeline.history(UTC, file_years(path, UTC, reference=seconds(2025, 6, 1)))
    found = [timeline.resolve(stamp, rough.find(stamp.encode())).year for stamp in log.stamps[:200]]
    assert log.truth()[:200] == found


def test_sampling_reads_little(tmp_path):
    """Times far apart on line after line cost no more than a bounded number of looks."""
    path = tmp_path / "auth.log"
    months = [b"Jan", b"Apr", b"Jul", b"Oct"]
    line = b" 15 00:00:00 a sshd[1]: x\n"
    path.write_bytes(b"".join(months[n * n // 97 % 4] + line for n in range(100_000)))
    with path.open("rb") as file:
        assert len(sample_file(file.fileno(), path.stat().st_size)) < 5000


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("auth.log-20251101", (2025, 12, 3)),
        ("/2019-01-01/auth.log-20251101.gz", (2025, 12, 3)),
        ("auth.log.2025-11-01.xz", (2025, 12, 3)),
        ("auth-2025-11.log", (2026, 1, 1)),
        ("auth.log-20251101-1761955200", (2025, 12, 3)),
        ("auth.log-2025110106", (2025, 12, 3)),
        ("auth.log.1", (2026, 5, 1)),
        ("auth.log-20251399", (2026, 5, 1)),
        ("auth.log-123456789", (2026, 5, 1)),
    ],
)
def test_reference_from_a_name(name, expected):
    """A date in the name bounds the file's last line, with a month's grace."""
    assert seconds(*expected) == reference_time(name, UTC, modified=seconds(2026, 5, 1))


def test_earliest_reference_counts():
    """Copying makes a modification time later, so the earliest of all that is known is taken."""
    known = {"modified": seconds(2026, 5, 1), "packed": seconds(2025, 5, 1)}
    assert seconds(2025, 5, 1) == reference_time("auth.log", UTC, **known)
    newer = seconds(2024, 5, 1)
    assert newer == reference_time("auth.log", UTC, **known, newer=newer)
    assert seconds(2026, 5, 1) == reference_time("a", UTC, modified=seconds(2026, 5, 1), packed=0.0)


def test_gzip_says_when_it_packed():
    """The header of gzip keeps the time of the packed file; zero means none."""
    assert gzip_time(gzip.compress(b"x", mtime=1_700_000_000)) == 1_700_000_000.0
    assert gzip_time(gzip.compress(b"x", mtime=0)) is None
    assert gzip_time(b"\x1f\x8b") is None


def test_reference_from_the_file_itself(tmp_path):
    """Without a reference, name and modification time give it; --year overrides both."""
    path = tmp_path / "auth.log-20240107"
    path.write_text("Dec 31 23:59:59 h sshd[1]: x\nJan  1 00:00:01 h sshd[1]: x\n")
    zone = ZoneInfo("Europe/Berlin")
    years = file_years(path, zone)
    assert seconds(2023, 12, 31, 22, 59, 59) == years.first
    assert seconds(2023, 12, 31, 23, 0, 1) == years.last
    os.utime(path, (0, seconds(2020, 5, 1)))
    assert seconds(2019, 12, 31, 22, 59, 59) == file_years(path, zone).first
    assert seconds(2030, 12, 31, 22, 59, 59) == file_years(path, zone, start_year=2030).first
