"""The multi-literal search in front of everything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.search import make_search, plain_search

LITERALS = [b"Accepted ", b"OK LOGIN", b"TTY=", b"Y=", b"aa"]


@pytest.mark.parametrize("make", [make_search, plain_search])
def test_reports_where_literals_begin(make):
    """Places are reported in ascending order, over line ends and other bytes."""
    assert make(LITERALS[:3])(b"x\nOK LOGIN\0Accepted \xff TTY=") == [2, 11, 22]


@pytest.mark.parametrize("make", [make_search, plain_search])
def test_no_literals_find_nothing(make):
    """A set without rules searches for nothing."""
    assert make([])(b"Accepted ") == []


@given(st.lists(st.sampled_from([*LITERALS, b"\n", b"a", b"Y", b"A"]), max_size=30))
def test_both_searches_find_the_same_lines(parts):
    """Whatever is installed, the same lines are looked at."""
    block = b"".join(parts)

    def lines(places):
        return {block.count(b"\n", 0, place) for place in places}

    assert lines(make_search(LITERALS)(block)) == lines(plain_search(LITERALS)(block))
