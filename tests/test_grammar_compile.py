"""The generated code gives the reference's answers, for every line and every message."""

import random
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.grammar.compile import compile_rule, generate, load, runtime
from logwatch_monitis.grammar.interpret import match, match_line
from logwatch_monitis.grammar.notation import parse_line
from logwatch_monitis.grammar.static import check, searches
from logwatch_monitis.grammar.tree import MAX_MESSAGE, Hole, Line, Optional, Rule, Text
from logwatch_monitis.grammar.unparse import unparse

TEXTS = st.text("ab :;,{}", min_size=1, max_size=3)
KINDS = st.sampled_from(["word", "word", "text", "text", "inside", "int", "ip", "host", "choice"])
NAMES = ["user", "host", "service", "a", "b", "c", *[""] * 8]
VALUES = [
    "a",
    "b b",
    "",
    "12",
    "007",
    "10.0.0.1",
    "::1",
    "::ffff:1.2.3.4",
    "x.y",
    "\x85",
    "\t",
    "²",
]


@st.composite
def lines(draw):
    """Return a line that keeps to the static rules, made of few characters that collide often."""
    names = draw(st.permutations(NAMES))
    rest = draw(st.sampled_from([None, None, 1, 2, 3]))
    telling = draw(st.booleans())
    parts = [Text("abc" + draw(TEXTS))] if telling else []
    for turn in range(draw(st.integers(1, 4))):
        mirrored = rest is not None and turn > rest
        if draw(st.integers(0, 5)):
            kind = "rest" if turn == rest else draw(KINDS)
            parts.append(hole(names.pop(), kind))
        for _ in range(draw(st.integers(0, 2))):
            parts.append(draw(optionals(names, mirrored=mirrored)))
        parts.append(Text(draw(st.sampled_from(["", "=="])) + draw(TEXTS)))
    if not telling:
        parts.append(Text("abc"))
    ending = draw(st.integers(0, 3))
    if ending == 1 and rest is None:
        parts.append(hole(names.pop(), draw(KINDS)))
    if ending == 2 and rest is None:
        parts.append(Optional((Text(draw(TEXTS)), hole("r", "rest"), Text(draw(TEXTS)))))
    return Line(tuple(merged(parts)))


@st.composite
def optionals(draw, names, *, mirrored):
    """Return an optional part: text, perhaps a hole, perhaps text."""
    pieces = [Text(draw(TEXTS))]
    if names and draw(st.booleans()):
        pieces.append(hole(names.pop(), draw(KINDS)))
        if mirrored or draw(st.booleans()):
            pieces.append(Text(draw(TEXTS)))
    return Optional(tuple(pieces))


def hole(name, kind):
    """Return a hole; its choice is between words that texts hold too."""
    return Hole(name, kind, ("a", "b", ";", "ab") if kind == "choice" else ())


def merged(parts):
    """Join texts that stand side by side, as the notation reads them."""
    result = []
    for part in parts:
        if result and isinstance(part, Text) and isinstance(result[-1], Text):
            result[-1] = Text(result[-1].text + part.text)
        else:
            result.append(part)
    return result


def speaks(line):
    """Say whether the notation can express *line* and the static rules allow it."""
    source = unparse(line)
    try:
        return source == source.strip() and parse_line(source) == line and not check(line)
    except ValueError:
        return False


valid_lines = lines().filter(speaks)
defaults = st.sampled_from(
    [
        {},
        {"user": "root", "host": "{machine}", "a": "{program}"},
        {"user": "{program}", "host": "::ffff:1.2.3.4", "a": "x"},
        {"host": "h", "service": "{program}", "b": "{machine}"},
        {"user": "u", "host": "h"},
    ]
)
rules = st.builds(
    Rule,
    st.lists(valid_lines, min_size=1, max_size=3).map(tuple),
    st.lists(valid_lines, max_size=1).map(tuple),
    defaults,
)


def message(rule, rng):
    """Return a message that a line of *rule* could have been made for, with some noise in it."""
    line = rng.choice(rule.lines + rule.excepts)
    texts = [text for one in rule.lines + rule.excepts for text in all_texts(one.parts)]
    words = [word for part in line.parts for word in filling(part, rng)]
    for _ in range(rng.choice([0, 0, 1, 2])):
        place = rng.randrange(len(words) + 1)
        words[place : place + rng.randrange(2)] = [rng.choice(texts + VALUES)]
    return "".join(words).strip(" \t\r")


def filling(part, rng):
    """Yield texts that *part* can stand for."""
    if isinstance(part, Text):
        yield part.text
    elif isinstance(part, Hole):
        fitting = {"choice": ["a", ";"], "int": ["12"], "ip": ["::1"], "host": ["x.y"]}
        yield rng.choice(VALUES if rng.random() < 0.2 else fitting.get(part.kind, ["x", "y"]))
    elif rng.random() < 0.6:
        for piece in part.parts:
            yield from filling(piece, rng)


def all_texts(parts):
    """Yield every text of a line."""
    for part in parts:
        if isinstance(part, Optional):
            yield from all_texts(part.parts)
        elif isinstance(part, Text):
            yield part.text


@given(rules, st.integers(0, 2**32))
def test_compiled_code_answers_like_the_reference(rule, seed):
    """Generated code and interpreter agree on 50 messages made of the rule's own texts."""
    rng = random.Random(seed)
    function = compile_rule(rule).match
    for _ in range(50):
        text = message(rule, rng)

        answer = match(rule, text, "m", "p")

        expected = answer and tuple(answer)[1:]
        assert expected == function(text, "m", "p"), text


class Counting(str):
    """A message that counts how many characters ``find`` looks at, reversed or not."""

    looked_at: ClassVar[int] = 0

    def find(self, text, start=0, end=None):
        """Find, and add the distance to what was found, or to the end of the search."""
        found = super().find(text, start, end)
        last = min(len(self), len(self) if end is None else end)
        Counting.looked_at += (last if found < 0 else found) - min(start, last)
        return found

    def __getitem__(self, key):
        """Return a part that counts too."""
        return Counting(super().__getitem__(key))


@given(rules, st.integers(0, 2**32))
def test_no_message_is_searched_more_often_than_the_static_cost_says(rule, seed):
    """Whatever a message holds, ``find`` sees it at most as often as the rule was counted for."""
    rng = random.Random(seed)
    function = compile_rule(rule).match
    allowed = sum(map(searches, rule.lines + rule.excepts))
    texts = [text for one in rule.lines + rule.excepts for text in all_texts(one.parts)]
    for _ in range(20):
        noise = rng.choices([*texts, "a", ":"], k=rng.randrange(1, 5))
        text = message(rule, rng) + "".join(rng.choices(noise, k=200)) + message(rule, rng)
        Counting.looked_at = 0

        function(Counting(text), "m", "p")

        assert Counting.looked_at <= allowed * len(text)
