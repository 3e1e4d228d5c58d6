"""Moments as people type them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from logwatch_monitis.cli.dates import parse_moment
from logwatch_monitis.errors import UsageError

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 23, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22", "2026-11-21T23:00:00+00:00"),
        ("2026-11-22 21:41", "2026-11-22T20:41:00+00:00"),
        ("2026-11-22T21:41:45.101076Z", "2026-11-22T21:41:45.101076+00:00"),
        ("2026-07-22T21:41:45", "2026-07-22T19:41:45+00:00"),
        ("2026-11-22 21:41:45-05:00", "2026-11-23T02:41:45+00:00"),
        ("now", "2026-11-23T00:30:00+00:00"),
        ("today", "2026-11-22T23:00:00+00:00"),
        ("Yesterday", "2026-11-21T23:00:00+00:00"),
        ("90s", "2026-11-23T00:28:30+00:00"),
        ("30 min ago", "2026-11-23T00:00:00+00:00"),
        ("2 h ago", "2026-11-22T22:30:00+00:00"),
        ("1 hour ago", "2026-11-22T23:30:00+00:00"),
        ("3 days ago", "2026-11-20T00:30:00+00:00"),
        ("2w", "2026-11-09T00:30:00+00:00"),
        ("@0", "1970-01-01T00:00:00+00:00"),
        ("@1795383705.5", "2026-11-22T21:41:45.500000+00:00"),
        ("1795383705", "2026-11-22T21:41:45+00:00"),
        ("1795383705101", "2026-11-22T21:41:45.101000+00:00"),
    ],
)
def test_each_form(text, expected):
    """Dates, times, distances and seconds are understood; what names no zone is local."""
    moment = datetime.fromisoformat(expected)

    assert round(moment.timestamp() * 1e6) == parse_moment(text, BERLIN, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "2026-13-01",
        "tomorrowish",
        "2 x ago",
        "-1 h",
        "99999999999999999",
        "9999999999999999",
        "999999w",
        "@x",
    ],
)
def test_what_is_no_moment(text):
    """Anything else is wrong usage, and the forms are named."""
    with pytest.raises(UsageError, match="is no moment") as caught:
        parse_moment(text, UTC, NOW)
    assert "2026-11-22" in caught.value.hint
