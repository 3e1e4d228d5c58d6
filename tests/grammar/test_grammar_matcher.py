"""The matcher gives the oracle's answers, for every line and every message."""

import random
from typing import ClassVar

import grammar_oracle as oracle
from grammar_lines import all_texts, message, rules
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.grammar.checks import searches
from logwatch_monitis.grammar.matcher import EVERYDAY, Matcher
from logwatch_monitis.grammar.parser import parse_line
from logwatch_monitis.grammar.plan import plan_line, plan_rule
from logwatch_monitis.grammar.trace import spans, trace
from logwatch_monitis.grammar.tree import MAX_MESSAGE, ParsedRule


def matcher(rule):
    """Return the matcher of *rule*."""
    return Matcher(plan_rule(rule))


@given(rules, st.integers(0, 2**32))
def test_the_matcher_answers_like_the_oracle(rule, seed):
    """Both agree on 50 messages made of the rule's own texts, and on the line that answers."""
    rng = random.Random(seed)
    ours = matcher(rule)
    for _ in range(50):
        text = message(rule, rng)

        answer = oracle.match(rule, text, "m", "p")

        expected = answer and (answer.line, tuple(answer)[1:])
        assert expected == ours.answer(text, "m", "p"), text


@given(rules, st.integers(0, 2**32))
def test_the_matcher_stops_where_the_oracle_stops(rule, seed):
    """Both say of every line where its fields stand, or how far it got and why it stopped."""
    rng = random.Random(seed)
    lines = [(line, plan_line(line)) for line in rule.lines + rule.excepts]
    for _ in range(20):
        text = message(rule, rng)
        for line, plan in lines:
            assert oracle.trace(line, text) == trace(plan, text), text
            assert oracle.spans(line, text) == spans(plan, text), text


class Counting(str):
    """A message that counts how many characters a search looks at, reversed or not."""

    __slots__ = ()
    looked_at: ClassVar[int] = 0

    def find(self, text, start=0, end=None):
        """Find, and add the distance to what was found, or to the end of the search."""
        found = super().find(text, start, end)
        last = min(len(self), len(self) if end is None else end)
        Counting.looked_at += (last if found < 0 else found) - min(start, last)
        return found

    def __contains__(self, text):
        """Say whether *text* is here, which takes a search too."""
        return self.find(text) >= 0

    def __getitem__(self, key):
        """Return a part that counts too."""
        return Counting(super().__getitem__(key))


@given(rules, st.integers(0, 2**32))
def test_no_long_message_is_searched_more_often_than_the_static_cost_says(rule, seed):
    """A long message is searched no more often than the rule was counted for, whatever it holds."""
    rng = random.Random(seed)
    ours = matcher(rule)
    allowed = sum(map(searches, rule.lines + rule.excepts))
    texts = [text for one in rule.lines + rule.excepts for text in all_texts(one.parts)]
    for _ in range(10):
        noise = rng.choices([*texts, "a", ":"], k=rng.randrange(1, 5))
        text = message(rule, rng) + "".join(rng.choices(noise, k=EVERYDAY)) + message(rule, rng)
        Counting.looked_at = 0

        ours.match(Counting(text), "m", "p")

        assert Counting.looked_at <= allowed * len(text)


def test_a_message_over_the_limit_is_not_tried():
    """65,536 characters may match, one more may not; the oracle agrees."""
    rule = ParsedRule((parse_line("abc {r:rest}"),), (), {"user": "u", "host": "h"})
    longest = "abc " + "x" * (MAX_MESSAGE - 4)
    match = matcher(rule).match

    assert ("u", "h", None, {"r": longest[4:]}) == match(longest, "m", "p")
    assert match(longest + "x", "m", "p") is None
    assert oracle.match(rule, longest + "x", "m", "p") is None


def test_fields_that_may_be_absent_come_last():
    """Defaults come first, then what the line always gives, in the order of reading."""
    line = parse_line("abc {user}{? {late}}, {b}, {r:rest} on {c}")
    rule = ParsedRule((line,), (), {"host": "h", "c": "d", "a": "x"})

    *_, fields = matcher(rule).match("abc u 1, 2, 3 on 4", "m", "p")

    expected = [("c", "4"), ("a", "x"), ("b", "2"), ("r", "3"), ("late", "1")]
    assert expected == list(fields.items())
