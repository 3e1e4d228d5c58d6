"""The multi-literal search in front of everything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.scanner.literal_search import make_search, plain_search

LITERALS = [b"Accepted ", b"OK LOGIN", b"TTY=", b"Y=", b"aa"]


@pytest.mark.parametrize("make", [make_search, plain_search])
def test_reports_where_literals_stand(make):
    """Hits are reported in ascending order, over line ends and other bytes."""
    hits = make(LITERALS[:3])(b"x\nOK LOGIN\0Accepted \xff TTY=")
    assert hits == [(1, 2, 10), (0, 11, 20), (2, 22, 26)]


@pytest.mark.parametrize("make", [make_search, plain_search])
def test_no_literals_find_nothing(make):
    """A set without rules searches for nothing."""
    assert make([])(b"Accepted ") == []


def test_decoys_swallow_literals():
    """A literal that begins in a decoy is not reported; the decoy has a number of its own."""
    search = make_search([b"session opened for user "], [b" pam_unix(cron:session): session op"])
    block = b"x pam_unix(cron:session): session opened for user a\nsession opened for user b"
    assert search(block) == [(1, 1, 36), (0, 52, 76)]


@given(st.lists(st.sampled_from([*LITERALS, b"\n", b"a", b"Y", b"A"]), max_size=30))
def test_both_searches_find_the_same_lines(parts):
    """Whatever is installed, the same lines are looked at."""
    block = b"".join(parts)

    def lines(hits):
        return {block.count(b"\n", 0, begin) for _, begin, _ in hits}

    assert lines(make_search(LITERALS)(block)) == lines(plain_search(LITERALS)(block))
