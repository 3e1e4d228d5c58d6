"""Logins that the journal does not prove: all are counted, and told of once a minute."""

from spools import SetClock

from logwatch_monitis.scanner.provenance import TELL_EVERY_S, LoginRefused, Refusals
from logwatch_monitis.sources.journal.entry import RefusedLogin
from logwatch_monitis.sources.journal.trust import Origin


def test_a_flood_is_told_of_once_a_minute():
    """The first one at once, those after it together, nothing when there is nothing new."""
    clock, events = SetClock(), []
    refusals = Refusals(clock, events.append)
    forged = [RefusedLogin(name, Origin("syslog", "1000", "", "", ""), name) for name in "abc"]

    refusals.note([])
    refusals.note(forged[:1])
    refusals.note(forged)
    assert events == [LoginRefused("a", "a", 1)]
    clock.time += TELL_EVERY_S
    refusals.tell()
    refusals.tell()
    assert events == [LoginRefused("a", "a", 1), LoginRefused("c", "c", 3)]
    assert refusals.count == 4
    assert str(events[1]).endswith("refused: c (and 2 more like it)")
