"""Lanes answer like the rules they stand for, whatever the line."""

import random
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import grammar_lines
import grammar_oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis import patterns
from logwatch_monitis.grammar import MAX_MESSAGE, load_rules
from logwatch_monitis.grammar.fast_path import make_lane
from logwatch_monitis.grammar.pattern_file import read_file
from logwatch_monitis.grammar.tree import Hole, Line, Optional, ParsedRule
from logwatch_monitis.login import json_line
from logwatch_monitis.scanner.fast_path import LOGINS, FastRule
from logwatch_monitis.scanner.header_cache import HeaderCache, as_number
from logwatch_monitis.scanner.login_id import Ordinals
from logwatch_monitis.scanner.scanner import Scanner
from logwatch_monitis.syslog import Timeline, split
from logwatch_monitis.syslog.years import Years

seeds = st.integers(0, 2**32).map(random.Random)


def timeline():
    """Return the clock of a log whose years are known, in a zone with a repeated hour."""
    return Timeline.history(ZoneInfo("Europe/Berlin"), Years((0,), (1_795_000_000.0,)))


def with_user(line):
    """Return *line* with its first hole for the user, as a lane needs it."""
    first = next((part for part in line.parts if isinstance(part, Hole)), None)
    other = iter("xyzuvw")

    def renamed(part, *, optional=False):
        if isinstance(part, Optional):
            return Optional(tuple(renamed(piece, optional=True) for piece in part.parts))
        if part is first:
            return replace(part, name="user")
        taken = ("user", "service", "host") if optional else ("user", "service")
        if isinstance(part, Hole) and part.name in taken:
            return replace(part, name=next(other))
        return part

    return Line(tuple(map(renamed, line.parts)))


@given(grammar_lines.rules, seeds)
def test_lane_of_any_line(rule, rng):
    """Whatever a lane takes, the rule takes with the same line and the same values."""
    defaults = {"host": "{machine}", "a": "{program}", "b": '"'}
    rule = ParsedRule(tuple(map(with_user, rule.lines)), rule.excepts, defaults)
    for number, line in enumerate(rule.lines):
        before = [*rule.excepts, *rule.lines[:number]]
        lane = make_lane(("f/r", "f", "login"), ["p"], line, defaults, before)
        if lane is None:
            continue
        take, head = FastRule(lane).take(LOGINS), HeaderCache(as_number)
        head.begin(timeline(), Ordinals(), "", 0)
        for _ in range(40):
            text = f"Jan  5 03:00:01 web1 p: {grammar_lines.message(rule, rng)}"
            assert head.turn(text, 0)
            login = take(text, text.encode(), 0, head)
            if login is not None:
                said = grammar_oracle.match(rule, split(text).message, "web1", "p")
                assert said == (number, login.user_login, login.host, None, login.fields)


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """Return all rules of the package."""
    return load_rules(system=[], cache_directory=tmp_path_factory.mktemp("cache"))


def test_everyday_rules_have_lanes(rules):
    """The rules that most logins of a busy server are taken by can do without the long way."""
    assert {lane.rule for lane in rules.lanes} >= {"sshd/accepted", "sudo/command", "vsftpd/login"}


SOURCES = [read_file(p.read_bytes(), p.name) for p in Path(patterns.__file__).parent.glob("*.yaml")]
RULES = {
    source.document.path.removesuffix(".yaml"): [rule for rule in source.rules if not rule.json]
    for source in SOURCES
}
SAMPLES = [
    (rule.programs[0] if rule.programs else "cockpit", sample.text.value)
    for rules in RULES.values()
    for rule in rules
    for sample in (*rule.accept, *rule.reject)
]
NOISE = [
    *[
        "\0",
        "\r",
        "\t",
        " ",
        '"',
        "\\",
        "\x7f",
        "\u00e9",
        "\udce9",
        "]",
        "[",
        ":",
        ";",
        " ; EXIT=0",
    ],
    *["from ", "ssh2", "::ffff:", "%eth0", "1.2.3.4", "x.9", "a" * 300, ", anon password "],
]
HEADERS = [
    *["Jan  5 03:00:01 web1 {}[26899]: "] * 6,
    *["2026-10-25T01:30:00.{micro}+00:00 web1 {}[7]: ", "Jan  5 03:00:0{digit} web1 {}: "] * 2,
    *["Oct 25 02:30:00 web1 {}[1]: ", "Feb 30 03:00:01 web1 {}[1]: ", "Jan  5 03:00:01 {}[1]: "],
    *["Jan  5 03:00:01 web1 {}[007]: ", "Jan  5 03:00:01 web1 {}[12345678901]: ", "<13>1 "],
    *["Jan  5 03:00:01 web1 {}[1]:  \t", "\0\0Jan  5 03:00:01 web1 {}[1]: ", "{}: "],
    *["Jan  5 03:00:01 2026 {}[1]: ", "Jan  5 2026 03:00:01 web1 {}[1]: "],
    *["Jan  5 03:00:01 auth.info {}: ", "Jan 32 25:00:01 a {}: ", "Jan  5 03:00:01 web1: {}: "],
    *["Jan  5 03:00:01 web1 {}[1]: message repeated 2 times: [ ", "Jan  5 03:00:01 fe80::1 {}: "],
    *["Jan  5 03:00:01 web1 {}[1]: [ID 1 auth.info] ", "2026-01-05T03:00:01Z web1 {} 1 - - "],
    *["2026-01-05 03:00:01 web1 {}[1]: ", "2026-01-05T03:00:01,5 web1 {}[1]: "],
    *["2026-13-05T03:00:01+0100 web1 {}[1]: ", "Sep 31 03:00:01 - {}[1]: "],
    "Jan  5 03:00:01 web1 {}(pam_unix)[1]: ",
]


def hostile_line(lane, rng):
    """Return a line that a rule of the lane's file could have been made for, with some noise."""
    program, message = rng.choice(SAMPLES)
    if rng.random() < 0.8:
        rule = rng.choice(RULES[lane.rule.partition("/")[0]])
        program = rng.choice(rule.programs)
        line = rng.choice([*rule.lines, *rule.excepts]).line
        message = "".join(word for part in line.parts for word in grammar_lines.filling(part, rng))
    header = rng.choice(HEADERS).format(program, micro=rng.randrange(10**6), digit=rng.randrange(3))
    line = header + message + rng.choice(["", "", "", " ", "\r", "]"])
    for _ in range(rng.choice([0, 0, 0, 1, 2])):
        place = rng.randrange(len(line))
        line = line[:place] + rng.choice(NOISE) + line[place + rng.randrange(3) :]
    return line.replace("\n", " ")


def scanner(rules):
    """Return a scanner of a log whose years are known, in a zone with a repeated hour."""
    return Scanner(rules, timeline(), machine="local", path='/var/log/"a"')


WAYS = {}


def opened(rules, lane):
    """Return a scanner in which every literal leads to one lane."""
    way = WAYS.setdefault(lane.rule, FastRule(lane))
    result = scanner(rules)
    result._lanes._by_literal = [way] * len(rules.literals)
    return result


@given(seeds)
def test_scanning_with_lanes(rules, rng):
    """Whichever lane a line is tried on, the login is the same to the last byte."""
    lane = rng.choice(rules.lanes)
    lines = [hostile_line(lane, rng) for _ in range(60)]
    lines += rng.choices(lines, k=20)
    block = "\n".join(lines).encode("utf-8", "surrogateescape") + b"\n" * rng.randrange(2)
    plain, fast, rows = scanner(rules), opened(rules, lane), opened(rules, lane)
    for one in (plain, fast, rows):
        one._lanes.note = lambda *_: None
    expected = plain.feed(block, 7)
    assert fast.feed(block, 7) == expected
    assert rows.rows(block, 7) == [f"{json_line(login)}\n" for login in expected]
    assert fast.counts == rows.counts == plain.counts
    assert fast.ordinals.save() == rows.ordinals.save() == plain.ordinals.save()


def test_lanes_open_where_lines_are_many(rules):
    """After hundreds of logins of a rule its lines take the lane, the others still the long way."""
    line = b"Jan  5 03:00:%02d web1 sshd[1]: Accepted password for a%d from 192.0.2.1 port 1 ssh2\n"
    long_way = []
    one = scanner(rules)
    read = one._line
    one._line = lambda line, offset: long_way.append(line) or read(line, offset)
    for number in range(300):
        (login,) = one.feed(line % (number % 60, number))
        assert login.user_login == f"a{number}"
    one.feed((line % (1, 1)).replace(b"a1", b'"'))
    assert (len(long_way), one.counts.services) == (201, {"sshd": 301})


def test_overlong_messages_take_no_lane(rules):
    """A message of more than 65,536 characters is counted and not tried, lane or not."""
    line = b"Jan  5 03:00:01 web1 sshd[1]: Accepted password for %s from 192.0.2.1 port 1 ssh2\n"
    one = opened(rules, next(lane for lane in rules.lanes if lane.rule == "sshd/accepted"))
    block = line % b"a" + line % (b"a" * MAX_MESSAGE)
    assert [login.user_login for login in one.feed(block)] == ["a"]
    assert one.counts.overlong == 1
