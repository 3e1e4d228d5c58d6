"""The clock: from a stamp to microseconds UTC, live and where the year is written."""

import pickle
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.errors import SetupError
from logwatch_monitis.login import iso_time
from logwatch_monitis.syslog import MachineZone, Moment, Timeline, Years, local_zone

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [timezone(timedelta(hours=hours)) for hours in range(-12, 15)]


class FixedClock:
    """Stands where it is put."""

    def __init__(self, moment):
        self.moment = moment

    def now(self):
        """Return the seconds of the moment."""
        return self.moment.timestamp()

    def monotonic(self):
        """Return no time at all."""
        return 0.0


def live(zone, *now, after=0.0):
    """Return a timeline whose clock stands at *now* (UTC)."""
    return Timeline.live(zone, FixedClock(datetime(*now, tzinfo=UTC)), after=after)


def history(zone=UTC, *, by=(2026, 11, 22)):
    """Return the timeline of a file that was complete by a day."""
    return Timeline.history(zone, Years((0,), (datetime(*by, tzinfo=UTC).timestamp(),)))


def utc(stamp, zone=UTC):
    """Return the moment of a stamp in UTC, as text."""
    return iso_time(history(zone).resolve(stamp).time_us)


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2025-03-05T04:05:06.123456+01:00", "2025-03-05T03:05:06.123456"),
        ("2025-03-05t04:05:06z", "2025-03-05T04:05:06.000000"),
        ("2025-03-05 04:05:06,5-0730", "2025-03-05T11:35:06.500000"),
        ("2025-03-05  04:05:06.123456789 +01", "2025-03-05T03:05:06.123456"),
        ("2025-03-05T04:05:06", "2025-03-05T04:05:06.000000"),
        ("Mar  5 2025 04:05:06", "2025-03-05T04:05:06.000000"),
        ("2025 Mar  5 04:05:06", "2025-03-05T04:05:06.000000"),
        ("Thu Feb 29 04:05:06 2024", "2024-02-29T04:05:06.000000"),
        ("Mar  5 04:05:06", "2026-03-05T04:05:06.000000"),
        ("Mar 5 04:05:06.25", "2026-03-05T04:05:06.250000"),
        ("MÄR  5 04:05:06", "2026-03-05T04:05:06.000000"),
        ("févr. 16 04:05:06", "2026-02-16T04:05:06.000000"),
        ("1969-12-31T19:00:07-05:00", "1970-01-01T00:00:07.000000"),
    ],
)
def test_every_spelling_of_a_time(stamp, expected):
    """Each spelling that tools write gives its moment to the microsecond."""
    assert f"{expected}+00:00" == utc(stamp)


@pytest.mark.parametrize(
    "stamp",
    [
        "",
        "x",
        "Mar  5",
        "Foo  5 04:05:06",
        "Mar  0 04:05:06",
        "Feb 30 04:05:06",
        "Mar  5 24:05:06",
        "Mar  5 04:60:06",
        "Mar  5 04:05:61",
        "2025-02-29T04:05:06Z",
        "2025-13-01T04:05:06Z",
        "2025-03-05T04:05:06+24:00",
        "2025-03-05T04:05:06+01:60",
        "2025-03-05T04:05:06.",
        "2025-03-05T04:05:06.x00000Z",
        "9999-12-31T23:59:59-12:00",
        "0000-01-01T00:00:00Z",
    ],
)
def test_what_is_no_time_is_none(stamp):
    """Days that no calendar has and times that no clock shows are refused, also after good ones."""
    timeline = history()
    for good in ("Mar  5 04:05:06", "2025-03-05T04:05:06.123456Z", "2025-03-05T04:05:06Z"):
        timeline.resolve(good)
        assert timeline.resolve(stamp) is None


@pytest.mark.parametrize(
    ("stamp", "expected", "ambiguous"),
    [
        ("2026-10-25T01:59:59", "2026-10-24T23:59:59", False),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00", True),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00", False),
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00", False),
        ("Oct 25 02:00:00", "2026-10-25T00:00:00", True),
        ("2026-03-29T01:59:59", "2026-03-29T00:59:59", False),
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00", False),
        ("Mar 29 03:30:00", "2026-03-29T01:30:00", False),
    ],
)
def test_summer_time(stamp, expected, ambiguous):
    """Autumn's repeated hour is its first pass and says so; a skipped time moves on by the gap."""
    moment = history(BERLIN).resolve(stamp)
    assert (f"{expected}.000000+00:00", ambiguous) == (iso_time(moment.time_us), moment.ambiguous)


@pytest.mark.parametrize("frame", ["Oct 25 {}", "2026-10-25T{}", "Sun Oct 25 {} 2026"])
def test_day_on_which_clocks_change(frame):
    """Lines of one such day, one after the other, are each on the right side of the change."""
    timeline = history(BERLIN)
    times = ("00:30:00", "02:30:00", "04:30:00", "00:30:00")
    hours = [timeline.resolve(frame.format(time)).time_us / 3.6e9 % 24 for time in times]
    assert hours == [22.5, 0.5, 3.5, 22.5]


def test_clocks_that_change_by_half_an_hour():
    """Lord Howe Island repeats and skips half an hour."""
    zone = ZoneInfo("Australia/Lord_Howe")
    assert utc("2026-04-05T01:45:00", zone) == "2026-04-04T14:45:00.000000+00:00"
    assert utc("2026-10-04T02:15:00", zone) == "2026-10-03T15:45:00.000000+00:00"


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00"),
        ("2016-12-31T23:59:60.999Z", "2017-01-01T00:00:00"),
        ("2017-01-01T00:59:60.5+01:00", "2017-01-01T00:00:00"),
        ("Sat Dec 31 23:59:60 2016", "2017-01-01T00:00:00"),
        ("Mar  5 04:05:60", "2026-03-05T04:06:00"),
    ],
)
def test_second_sixty_is_the_next_minute(stamp, expected):
    """A leap second is the first instant of the next minute, whatever its fraction."""
    timeline = history()
    timeline.resolve(stamp.replace(":60", ":59"))
    assert f"{expected}.000000+00:00" == iso_time(timeline.resolve(stamp).time_us)


STAMPS = st.datetimes(
    datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2026-11-20")
).flatmap(
    lambda d: st.sampled_from(
        [
            f"{d:%b %e %H:%M:%S}",
            d.isoformat(timespec="microseconds"),
            d.isoformat(timespec="seconds"),
            d.isoformat(timespec="milliseconds") + "+01:00",
            d.isoformat(timespec="milliseconds"),
            d.isoformat(timespec="microseconds") + "Z",
            f"{d:%a %b %e %H:%M:%S %Y}",
            f"{d:%b %e %H:%M:%S.%f}",
        ]
    )
)


@given(st.lists(STAMPS, max_size=20), st.sampled_from([UTC, BERLIN]))
def test_what_is_remembered_changes_nothing(stamps, zone):
    """A timeline that has seen other stamps answers like a fresh one."""
    timeline = history(zone)
    for stamp in [stamp for stamp in stamps for _ in range(2)]:
        assert history(zone).resolve(stamp) == timeline.resolve(stamp)


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_new_year_live_in_every_zone(zone):
    """At New Year's midnight the last line of the old and the first of the new year are right."""
    midnight = datetime(2026, 1, 1, tzinfo=zone)
    clock = FixedClock(midnight - timedelta(seconds=1))
    timeline = Timeline.live(zone, clock)
    assert timeline.resolve("Dec 31 23:59:59").year == 2025
    assert timeline.resolve("Jan  1 00:00:01").year == 2026
    clock.moment = midnight + timedelta(seconds=1)
    assert timeline.resolve("Dec 31 23:59:59").year == 2025
    assert timeline.resolve("Jan  1 00:00:01").year == 2026
    assert 1_767_225_601_000_000 - zone.utcoffset(None).total_seconds() * 1_000_000 == (
        timeline.resolve("Jan  1 00:00:01").time_us
    )


def test_live_line_is_at_most_a_day_ahead():
    """A line a day ahead of the clock is this year's, one further ahead last year's."""
    timeline = live(UTC, 2026, 11, 22, 12)
    assert [
        timeline.resolve(stamp).year
        for stamp in ("Nov 23 12:00:00", "Nov 23 12:00:01", "Nov 23 11:59:59")
    ] == [2026, 2025, 2026]


@pytest.mark.parametrize(
    ("now", "year"),
    [((2028, 2, 29), 2028), ((2028, 2, 28, 12), 2028), ((2027, 3, 1), 2024), ((2026, 2, 28), 2024)],
)
def test_leap_day_lies_in_a_leap_year(now, year):
    """29 February belongs to the last leap year that it can belong to."""
    assert year == live(UTC, *now).resolve("Feb 29 06:00:00").year


def test_same_stamp_a_year_later_is_another_line():
    """A yearly job's line, the only one in a year, gets its new year."""
    timeline = live(UTC, 2025, 1, 1, 0, 1)
    assert timeline.resolve("Jan  1 00:00:01").year == 2025
    timeline._clock.moment = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    assert timeline.resolve("Jan  1 00:00:01").year == 2026


def test_clock_that_was_never_set():
    """As long as the clock stands at its beginning, a moment known to be past replaces it."""
    after = datetime(2090, 5, 1, tzinfo=UTC).timestamp()
    assert live(UTC, 1970, 1, 1, after=after).resolve("Apr 30 00:00:00").year == 2090
    assert live(UTC, 1970, 1, 1, after=after).resolve("Jun 30 00:00:00").year == 2089
    assert live(UTC, 1970, 1, 1).resolve("Jan  1 00:00:07").year > 2020


def test_clock_that_jumps_back():
    """After a clock that was years ahead is put right, years are right again."""
    timeline = live(UTC, 2036, 5, 1)
    timeline.resolve("Apr 30 00:00:00")
    timeline._clock.moment = datetime(2026, 5, 1, tzinfo=UTC)
    assert timeline.resolve("Apr 30 00:00:00").year == 2026


def test_time_that_a_line_does_not_have():
    """RFC 5424's nil time is the moment by which the line was written."""
    now = datetime(2026, 5, 1, tzinfo=UTC)
    assert Moment(int(now.timestamp()) * 1_000_000, None, False) == live(UTC, 2026, 5, 1).resolve(
        "-"
    )


def test_backlog_is_history():
    """Lines that were there before we came take their years from the file, later ones from now."""
    timeline = live(UTC, 2026, 5, 1)
    timeline.catch_up(Years((0, 100), (1_600_000_000.0, 1_700_000_000.0)), 200)
    stamps = [timeline.resolve("Apr 30 00:00:00", offset).year for offset in (0, 100, 199, 200)]
    assert stamps == [2020, 2023, 2023, 2026]


def test_machine_zone_is_followed(tmp_path):
    """A change by timedatectl counts for the lines that follow, in a process that goes on."""
    link = tmp_path / "localtime"
    link.symlink_to("/usr/share/zoneinfo/Europe/Berlin")
    zone = MachineZone(link)
    timeline = live(zone, 2026, 7, 1, 12)
    past = Timeline.history(zone, Years((0,), (1_800_000_000.0,)))
    before = timeline.resolve("2026-07-01T12:00:00").time_us
    link.unlink()
    link.symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    timeline._clock.moment += timedelta(seconds=2)
    after = timeline.resolve("2026-07-01T12:00:00").time_us
    assert after - before == -7 * 3600 * 1_000_000
    assert before == past.resolve("2026-07-01T12:00:00").time_us
    assert datetime(2026, 7, 1, tzinfo=pickle.loads(pickle.dumps(zone))).tzname() == "JST"


def test_machine_zone_without_a_usable_file(tmp_path):
    """Like libc, a missing or broken zone file means UTC."""
    broken = tmp_path / "localtime"
    assert UTC is MachineZone(broken).current()
    broken.write_bytes(b"TZif?")
    assert UTC is MachineZone(broken).current()


def test_machine_zone_is_a_zone():
    """It converts both ways like the zone it stands for."""
    zone = MachineZone(Path("/usr/share/zoneinfo/Europe/Berlin"))
    local = datetime.fromtimestamp(1_792_888_200, zone)
    assert (local.hour, local.minute, local.fold) == (2, 30, 0)
    assert timedelta(hours=1) == local.dst()


@pytest.mark.parametrize(
    ("variable", "offset"),
    [
        ("Europe/Berlin", 2),
        (":Europe/Berlin", 2),
        ("/usr/share/zoneinfo/Europe/Berlin", 2),
        ("CET-1CEST,M3.5.0,M10.5.0/3", 2),
        ("<+03>-3", 3),
        ("EST5", -5),
        ("", 0),
    ],
)
def test_zone_of_the_environment(monkeypatch, variable, offset):
    """TZ is read as libc reads it: a name, a path or a rule; empty is UTC."""
    monkeypatch.setenv("TZ", variable)
    assert timedelta(hours=offset) == datetime(2026, 7, 1, tzinfo=local_zone()).utcoffset()


def test_machine_zone_is_the_default(monkeypatch):
    """Without a name and without TZ the machine's own zone is meant."""
    monkeypatch.delenv("TZ", raising=False)
    assert isinstance(local_zone(), MachineZone)
    assert str(local_zone("Asia/Tokyo")) == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Europe/Berln", "unknown time zone 'Europe/Berln' (did you mean 'Europe/Berlin'?)"),
        ("europe/berlin", "unknown time zone 'europe/berlin' (did you mean 'Europe/Berlin'?)"),
        ("Mars", "unknown time zone 'Mars' (names look like Europe/Berlin or UTC)"),
        (
            "../../etc/passwd",
            "unknown time zone '../../etc/passwd' (names look like Europe/Berlin or UTC)",
        ),
    ],
)
def test_unknown_zone_is_refused(name, text):
    """A zone that does not exist is refused with the nearest that does."""
    with pytest.raises(SetupError) as caught:
        local_zone(name)
    assert text == caught.value.render()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        (
            "Nowhere",
            "TZ names an unknown time zone: 'Nowhere' (names look like Europe/Berlin or UTC)",
        ),
        ("/nowhere", "TZ names no time zone file: /nowhere (unset TZ or correct it)"),
    ],
)
def test_unusable_variable_is_refused(monkeypatch, variable, text):
    """A wrong TZ is named as such; times are not silently taken for UTC."""
    monkeypatch.setenv("TZ", variable)
    with pytest.raises(SetupError) as caught:
        local_zone()
    assert text == caught.value.render()
