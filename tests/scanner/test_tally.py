"""Lines are counted like ``bytes.count`` counts, wherever the block begins in memory."""

import random

from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.scanner.line_count import count_lines


@given(st.integers(0, 2**32).map(random.Random))
def test_count(rng):
    """The lines of a block of any bytes and length are those that splitting gives."""
    data = bytes(rng.choices(b"\n\0\x8a\xffJ", k=rng.randrange(700)))
    block = data[rng.randrange(len(data) + 1) :]
    assert count_lines(block) == len(block.split(b"\n")) - (block[-1:] in (b"", b"\n"))
