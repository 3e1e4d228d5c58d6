"""Random lines of the pattern language, and messages that nearly fit them."""

from hypothesis import strategies as st

from logwatch_monitis.grammar.checks import check
from logwatch_monitis.grammar.parser import parse_line
from logwatch_monitis.grammar.tree import Hole, Line, Literal, Optional, ParsedRule, unparse

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
    parts = [Literal("abc" + draw(TEXTS))] if telling else []
    for turn in range(draw(st.integers(1, 4))):
        mirrored = rest is not None and turn > rest
        if draw(st.integers(0, 5)):
            kind = "rest" if turn == rest else draw(KINDS)
            parts.append(hole(names.pop(), kind))
        absent = draw(st.integers(0, 2))
        parts += [draw(optionals(names, mirrored=mirrored)) for _ in range(absent)]
        parts.append(Literal(draw(st.sampled_from(["", "=="])) + draw(TEXTS)))
    if not telling:
        parts.append(Literal("abc"))
    ending = draw(st.integers(0, 3))
    if ending == 1 and rest is None:
        parts.append(hole(names.pop(), draw(KINDS)))
    if ending == 2 and rest is None:
        parts.append(Optional((Literal(draw(TEXTS)), hole("r", "rest"), Literal(draw(TEXTS)))))
    return Line(tuple(merged(parts)))


@st.composite
def optionals(draw, names, *, mirrored):
    """Return an optional part: text, perhaps a hole, perhaps text."""
    pieces = [Literal(draw(TEXTS))]
    if names and draw(st.booleans()):
        pieces.append(hole(names.pop(), draw(KINDS)))
        if mirrored or draw(st.booleans()):
            pieces.append(Literal(draw(TEXTS)))
    return Optional(tuple(pieces))


def hole(name, kind):
    """Return a hole; its choice is between words that texts hold too."""
    return Hole(name, kind, ("a", "b", ";", "ab") if kind == "choice" else ())


def merged(parts):
    """Join texts that stand side by side, as the notation reads them."""
    result = []
    for part in parts:
        if result and isinstance(part, Literal) and isinstance(result[-1], Literal):
            result[-1] = Literal(result[-1].text + part.text)
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


@st.composite
def alternatives(draw):
    """Return one to three lines; a later one often begins like the first."""
    chosen = draw(st.lists(valid_lines, min_size=1, max_size=3))
    for n in range(1, len(chosen)):
        kept = chosen[0].parts[: draw(st.integers(0, len(chosen[0].parts)))]
        mixed = Line(tuple(merged(kept + chosen[n].parts[len(kept) :])))
        if mixed.parts and speaks(mixed):
            chosen[n] = mixed
    return tuple(chosen)


rules = st.builds(
    ParsedRule,
    alternatives(),
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
        noise = rng.choice([rng.choice(texts)[:1], rng.choice(texts), rng.choice(VALUES)])
        words[place : place + rng.randrange(2)] = [noise]
    return "".join(words).strip(" \t\r")


def filling(part, rng):
    """Yield texts that *part* can stand for."""
    if isinstance(part, Literal):
        yield part.text
    elif isinstance(part, Hole):
        fitting = {"choice": ["a", ";"], "int": ["12"], "ip": ["::1"], "host": ["x.y"]}
        yield rng.choice(VALUES if rng.random() < 0.3 else fitting.get(part.kind, ["x", "y"]))
    elif rng.random() < 0.6:
        for piece in part.parts:
            yield from filling(piece, rng)


def all_texts(parts):
    """Yield every text of a line."""
    for part in parts:
        if isinstance(part, Optional):
            yield from all_texts(part.parts)
        elif isinstance(part, Literal):
            yield part.text
