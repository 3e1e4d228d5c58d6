"""A crowd counts like a dictionary."""

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.scanner.compact_counts import CompactCounts
from logwatch_monitis.scanner.login_id import JobStart, Ordinals


def name(number):
    """Return the id of a made-up login."""
    return hashlib.blake2b(b"%d" % number, digest_size=16).hexdigest()


@given(st.integers(0, 2**32).map(random.Random))
def test_counting(rng):
    """Whatever is counted, saved and loaded, each id has the count that was set last."""
    crowd, expected = CompactCounts({}), {}
    tails = [name(number)[20:] for number in range(3)]
    heads = ["0000" + rng.choice(["00", "0a", "ff"]) * 8 for _ in range(6)]
    for _ in range(200):
        one = rng.choice(heads) if rng.random() < 0.5 else name(rng.randrange(50))[:20]
        assert (one in crowd) == (one in expected)
        expected[one] = rng.choice([1, 2, 65_535, 65_536, 10**9])
        crowd[one + rng.choice(tails)] = expected[one]
        if rng.random() < 0.02:
            crowd = CompactCounts.load(crowd.save())
    assert dict(crowd) == expected
    assert len(crowd) == len(expected)
    with pytest.raises(KeyError):
        crowd[name(99)]


def test_ordinals_of_a_crowded_second(monkeypatch):
    """However many logins a second has, their ordinals are the same, after a restart too."""
    numbers = [random.Random(7).randrange(300) for _ in range(900)]
    plain = Ordinals()
    expected = [plain.next(name(n), 5) for n in numbers]
    monkeypatch.setattr(Ordinals, "CROWD", 50)
    packed = Ordinals()
    found = []
    for place, number in enumerate(numbers):
        found.append(packed.next(name(number), 5))
        if place % 100 == 99:
            packed = Ordinals(packed.save())
    assert found == expected
    for shared in (False, True):
        before, job = Ordinals(), Ordinals("", JobStart())
        for number in range(100):
            before.next(name(number), 5)
            job.next(name(number + (90 if shared else 100)), 5)
        assert before.follow(job.opening) is not shared
    assert before.next(name(5), 5) == 1
