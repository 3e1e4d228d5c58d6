"""The notation is read with exact columns, and every mistake is named where it stands."""

import pytest
from grammar_lines import lines, speaks
from hypothesis import given

from logwatch_monitis.grammar.parser import parse_line
from logwatch_monitis.grammar.tree import Hole, Literal, NotationError, Optional, unparse

TWICE = "for a brace of the log line write it twice"
TWO = "at least two words, a | between each"
BLANK = "the words of a choice hold no blanks: write one line for each text"
TAKEN = "every login has its own pid; choose another name, such as 'pid_logged'"
KINDS = "one of word, text, inside, rest, int, ip, host"
KNOWN = "known here: host, inside, int, ip, rest, text, word"
NAME = "a lower-case letter, then lower-case letters, digits and _"
INSIDE = "close the outer one before it, or write two lines"


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("port {port:intt} x", [(12, 4, "unknown kind 'intt'", "did you mean 'int'?")]),
        ("x {state:OK}", [(10, 2, "unknown kind 'OK'", KNOWN)]),
        (
            "x {state:OK|}",
            [(12, 1, "a word of the choice is empty", TWO)],
        ),
        (
            "x {:|OK}",
            [(4, 1, "a word of the choice is empty", TWO)],
        ),
        (
            "x {:a|b c}",
            [
                (
                    7,
                    3,
                    "'b c' is no word",
                    BLANK,
                )
            ],
        ),
        ("x {a:}", [(5, 1, "the kind is missing", KINDS)]),
        ("x {User}", [(4, 4, "'User' is no name", "did you mean 'user'?")]),
        ("x {a-b}", [(4, 3, "'a-b' is no name", "did you mean 'a_b'?")]),
        ("x {imap|pop3}", [(4, 9, "'imap|pop3' is no name", "a choice is written {:imap|pop3}")]),
        ("x {1}", [(4, 1, "'1' is no name", NAME)]),
        (
            "x {pid:int}",
            [
                (
                    4,
                    3,
                    "the name 'pid' is taken",
                    TAKEN,
                )
            ],
        ),
        ("x {user", [(3, 1, "this hole is not closed", f"close it with }}; {TWICE}")]),
        ("x {? y", [(3, 2, "this optional part is not closed", f"close it with }}; {TWICE}")]),
        ("x user}", [(7, 1, "this } closes nothing", TWICE)]),
        ("x {?}", [(3, 3, "the optional part is empty", "write its text after the ?")]),
        ("x {? a{? b}}", [(7, 6, "an optional part cannot stand inside another", INSIDE)]),
        ("x {? a{? b} c} y", [(7, 5, "an optional part cannot stand inside another", INSIDE)]),
        ("x {? a {b}{? c}", [(11, 5, "an optional part cannot stand inside another", INSIDE)]),
        (" \t ", [(1, 1, "the line is empty", "write what the program logs")]),
        ("x" * 1001, [(1, 1, "the line has 1001 characters", "1000 are allowed")]),
        (
            "\t {A} }{b:itn} {c",
            [
                (4, 1, "'A' is no name", "did you mean 'a'?"),
                (7, 1, "this } closes nothing", TWICE),
                (11, 3, "unknown kind 'itn'", "did you mean 'int'?"),
                (16, 1, "this hole is not closed", f"close it with }}; {TWICE}"),
            ],
        ),
        (
            "x {? {B}{c:x|}}",
            [
                (7, 1, "'B' is no name", "did you mean 'b'?"),
                (13, 1, "a word of the choice is empty", TWO),
            ],
        ),
    ],
)
def test_each_mistake_is_named_at_its_column(source, faults):
    """All mistakes of a line are reported, each with place, length, message and advice."""
    with pytest.raises(NotationError) as caught:
        parse_line(source)

    assert faults == list(caught.value.faults)


def test_parts_know_where_they_stand():
    """Columns count from 1 in the text as given; a doubled brace has two of them."""
    line = parse_line("  a{{ {user:text}{? b{c}} ")

    expected = [(3, 4), (7, 11), (18, 8), (20, 2), (22, 3)]
    parts = line.parts + line.parts[2].parts
    assert expected == [(part.column, part.length) for part in parts]


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("{?a}}}", (Optional((Literal("a}"),)),)),
        ("{?a{b}}", (Optional((Literal("a"), Hole("b"))),)),
        ("{?a{b}}}}", (Optional((Literal("a"), Hole("b"), Literal("}"))),)),
        ("{{{a}}}", (Literal("{"), Hole("a"), Literal("}"))),
        ("{:;|:}", (Hole("", "choice", (";", ":")),)),
        ("{a:b:c|d}", (Hole("a", "choice", ("b:c", "d")),)),
        ("{}{:int}", (Hole(), Hole("", "int"))),
        ("\ta\tb \r", (Literal("a\tb"),)),
    ],
)
def test_braces_and_blanks(source, parts):
    """What each spelling means, to the letter of the definition."""
    assert parts == parse_line(source).parts


@given(lines().filter(speaks))
def test_a_line_is_read_back_from_what_is_written(line):
    """Writing a tree as notation and reading that gives the tree."""
    assert line == parse_line(unparse(line))
