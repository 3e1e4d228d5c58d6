"""The static rules: what makes a line ambiguous is refused with its place, all at once."""

import pytest

from logwatch_monitis.grammar.checks import (
    check,
    check_cost,
    check_default,
    check_gives,
    check_name,
    check_prefix,
)
from logwatch_monitis.grammar.parser import parse_line
from logwatch_monitis.grammar.tree import required_texts

HIDES = "it would hide the other: put what differs first, or write two lines"
MEET = "nothing separates these two fields"
ABSENT = "nothing separates these two fields where the optional part is absent"
BETWEEN = "put text outside optional parts between them, or write two lines"
ENDS = "it is read from the right: put the text last that tells that it is there"
REST = "an optional part that holds the rest must end the line"
FIRST = "put the text first that tells that it is there"
MOVE = "move what follows into it, or write two lines"
SEARCH = "the line has no text to search a log for"
THREE = "three characters outside optional parts, two of them not blank"


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("port {p:int}{? } ssh2", [(13, 4, "optional ' ' cannot be told from ' ssh2'", HIDES)]),
        ("x {a}{? y}{b} zzz", [(3, 11, ABSENT, BETWEEN)]),
        (
            "lip={l:ip}{?, }{?, mpid={m:int}}",
            [(11, 5, "optional ', ' cannot be told from ', mpid='", HIDES)],
        ),
        (
            "abc {r:rest} from {h:host}{? port {p:int}}",
            [(27, 16, "after a rest an optional part ends with text", ENDS)],
        ),
        (
            '[{:rest}] FAIL "{:ip}"{?, "{:text}"}',
            [(23, 14, "optional '\"' cannot be told from '\"'", HIDES)],
        ),
        ("{user}{host} xyz", [(1, 12, MEET, "put the text that stands between them")]),
        ("abc {a}{b:rest}", [(5, 11, MEET, "put the text that stands between them")]),
        (
            "abc {?x{a}}{?y{b}{c}}{d}",
            [
                (15, 6, MEET, "put the text that stands between them"),
                (18, 7, MEET, "put the text that stands between them"),
            ],
        ),
        (
            "abc {?x}{?x}xyz",
            [
                (5, 4, "optional 'x' cannot be told from 'xyz'", HIDES),
                (9, 4, "optional 'x' cannot be told from 'xyz'", HIDES),
            ],
        ),
        (
            "abc {?{a} x} y",
            [(5, 8, "an optional part begins with text", FIRST)],
        ),
        (
            "abc {a} x {a:int}",
            [(11, 7, "a second hole is called 'a'", "a name can be used once in a line")],
        ),
        (
            "abc {a:rest} x {b:rest}",
            [(16, 8, "a line has one rest", "make one of them text or inside")],
        ),
        (
            "abc{? x {a:rest}} y",
            [(4, 14, REST, MOVE)],
        ),
        ("a {b} c{? long enough}", [(1, 22, SEARCH, THREE)]),
        ("a  {b}  c", [(1, 9, SEARCH, THREE)]),
    ],
)
def test_each_rule_is_checked_with_its_place(source, faults):
    """A line that breaks a rule gets the message, its columns and advice."""
    assert faults == check(parse_line(source))


@pytest.mark.parametrize(
    "source",
    [
        "on {tty}{? ; CHROOT={c:text}} ; PWD={d:rest}",
        "port {p:int} {? }ssh2",
        "lip={l:ip}{?, mpid={m:int}}{?, {more:rest}}",
        "abc {?x}{?x}y",
        "abc {r:rest} from {h:host}{? ssh2}",
        "abc{r:rest}{? {a} x}{? {b} y}",
        "{?a}{b} xy",
        "abc{? x {a:rest} y {b}}",
    ],
)
def test_what_can_be_told_apart_is_allowed(source):
    """Equal optional parts, optional parts that END follows, and the like are no faults."""
    assert check(parse_line(source)) == []


def test_a_line_that_names_nobody_is_a_fault():
    """User and host come from a hole or from a default, else the line can never answer."""
    line = parse_line("hello {user}")

    faults = check_gives(line, {})
    expected = [(1, 12, "nothing gives host")]
    assert expected == [fault[:3] for fault in faults]
    assert check_gives(line, {"host": "{machine}"}) == []


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("host", "{machine}", None),
        ("user", "ftp", None),
        ("method", "a {b", None),
        ("host", "-x", "'-x' is no host"),
        ("user", " ", "user is blank"),
        ("service", "", "service is blank"),
        ("a", "on {machine}", "'on {machine}' is not filled in"),
        ("a", "{host}", "'{host}' is not filled in"),
    ],
)
def test_a_default_is_a_constant_or_exactly_machine_or_program(name, value, message):
    """Nothing else is filled in, and user, host and service must be usable as they are."""
    fault = check_default(name, value)

    assert message == (fault and fault.message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tty", None),
        ("rule", "the name 'rule' is taken"),
        ("a b", "'a b' is no name"),
        ("", "'' is no name"),
    ],
)
def test_names_outside_lines_obey_the_same_rules(name, message):
    """What `set:` and `take:` name could be a hole's name."""
    fault = check_name(name)

    assert message == (fault and fault.message)


def test_a_prefix_must_be_fit_to_search_for():
    """Like a line, a JSON rule needs three characters, two of them not blank."""
    assert check_prefix("@cee:") is None
    assert check_prefix("a  ").message == "the prefix is too short to search for"


def test_a_rule_that_could_be_slow_is_refused():
    """63 plain lines may stand in a rule; a long row of optional parts costs as much as they do."""
    line = parse_line("abc {user} x")
    row = parse_line("abc {user}" + "".join(f"{{?{chr(192 + n)}a}}" for n in range(128)))

    assert check_cost([line] * 64) is None
    message = "a message could be searched 130 times over"
    hint = "128 are allowed: fewer lines, or fewer optional parts in a row"
    assert (1, 1, message, hint) == check_cost([line] * 65)
    assert check_cost([row]) is not None


def test_required_texts_are_those_outside_optional_parts():
    """Every message that the line matches holds them all."""
    line = parse_line("a {b} c{{{? d}{?e {f:rest}}")

    assert required_texts(line) == ("a ", " c{")
