"""The agent's log lines: for people, for journald and for programs."""

import io
import json
import logging
from datetime import datetime

import pytest

from logwatch_monitis.agent.event_log import LogEvents, fan_out
from logwatch_monitis.sources.files.events import FileFound, FileGap

GAP = FileGap("/var/log/\x1b[2Ja\nb", "a.1", None)


def written(event=GAP, **options):
    """Return what is written of an event."""
    stream = io.StringIO()
    LogEvents(stream, **options)(event)
    return stream.getvalue()


def test_people_get_the_time_and_a_word():
    """One line, inert in a terminal, whatever stands in a name."""
    clock, word, text = written().split(" ", 2)

    assert datetime.strptime(clock, "%H:%M:%S")  # noqa: DTZ007 - a time of day has no zone
    assert (word, text.count("\n")) == ("warning:", 1)
    assert text.startswith(r"/var/log/\x1b[2Ja\nb: a.1 was not read to its end")


@pytest.mark.parametrize(("form", "begin"), [("human", "<4>/var/log/"), ("json", '<4>{"@time')])
def test_journald_gets_the_priority(form, begin):
    """The time is journald's own affair; forged priorities inside are not at the line's start."""
    assert written(form=form, prefixed=True).startswith(begin)


def test_programs_get_json():
    """One object a line, with names of the Elastic Common Schema and all that the event knows."""
    line = written(form="json")
    value = json.loads(line)

    assert (line.count("\n"), line.isascii()) == (1, True)
    assert datetime.fromisoformat(value.pop("@timestamp")).tzinfo
    assert isinstance(value.pop("process.pid"), int)
    assert value == {
        "log.level": "warning",
        "event.dataset": "logwatch-monitis.agent",
        "event.action": "file-gap",
        "message": str(GAP),
        "logwatch": {"log": GAP.log, "path": "a.1", "lost": None},
    }


def test_levels():
    """What is less grave than the level is left out; level and form change while it runs."""
    stream = io.StringIO()
    events = LogEvents(stream, level=logging.ERROR)
    events(GAP)
    events.adjust(logging.INFO, "json")
    events(FileFound("/var/log/auth.log", 0))

    assert [json.loads(line)["log.level"] for line in stream.getvalue().splitlines()] == ["info"]


def test_a_closed_stream_is_no_error():
    """Nobody reads any more; the agent goes on."""
    stream = io.StringIO()
    stream.close()
    taken = []

    fan_out(LogEvents(stream), taken.append)(GAP)

    assert taken == [GAP]
