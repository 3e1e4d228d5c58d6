"""What a line means: the definition's own cases, through the oracle and the matcher."""

import grammar_oracle as oracle
import pytest
from grammar_oracle import first_line, match, match_line

from logwatch_monitis.grammar.checks import check
from logwatch_monitis.grammar.matcher import Matcher
from logwatch_monitis.grammar.parser import parse_line
from logwatch_monitis.grammar.plan import plan_line, plan_rule
from logwatch_monitis.grammar.trace import trace
from logwatch_monitis.grammar.tree import ParsedRule

SUDO = "on {tty}{? ; CHROOT={c:text}} ; PWD={d:rest}"
LOGIN = "BY {user:text}{? FROM {host:host}}"
VSFTPD = '[{user:inside}] OK: "{h:ip}"'


def rule(lines, excepts=(), **defaults):
    """Return a rule of lines in the notation, checked."""
    trees = [tuple(map(parse_line, block)) for block in (lines, excepts)]
    assert not [fault for block in trees for line in block for fault in check(line)]
    return ParsedRule(*trees, defaults)


def answer(rule, message):
    """Return what oracle and matcher both say: user, host, service, fields."""
    said = match(rule, message, "web1", "prog")
    found = Matcher(plan_rule(rule)).match(message, "web1", "prog")
    assert (said and said[1:]) == found
    return found


@pytest.mark.parametrize(
    ("line", "message", "values"),
    [
        (SUDO, "on pts/0 ; PWD=/", {"tty": "pts/0", "d": "/"}),
        (SUDO, "on pts/0 ; CHROOT=/x ; y ; PWD=/", {"tty": "pts/0", "c": "/x ; y", "d": "/"}),
        (LOGIN, "BY al ice", {"user": "al ice"}),
        (LOGIN, "BY alice FROM a FROM h", None),
        ("port {p:int}{? ssh2}", "port 22 ssh1", None),
        ("port {p:int} {? }ssh2", "port 22  ssh2", {"p": "22"}),
        ("port {p:int} {? }ssh2", "port 22 ssh2", {"p": "22"}),
        ("port {p:int} {? }ssh2", "port 22   ssh2", None),
        ("lip={l:ip}{?, mpid={m:int}}{?, {more:rest}}", "lip=::1, mpid=x", None),
        (
            "lip={l:ip}{?, mpid={m:int}}{?, {more:rest}}",
            "lip=::1, mpid=9, TLS, x",
            {"l": "::1", "m": "9", "more": "TLS, x"},
        ),
        (
            "for {?invalid user }{user:text} from {h:host}",
            "for invalid user bob from h",
            {"user": "bob", "h": "h"},
        ),
        (
            "for {u:text} by {by:text}(uid={n:int})",
            "for root by (uid=0)",
            {"u": "root", "by": "", "n": "0"},
        ),
        ("for {user:text} by x", "for  by x", None),
        ("for {user:text} by x", "for \t by x", None),
        ("for {user:text} by x", "for \x85 by x", {"user": "\x85"}),
        (
            VSFTPD.replace("inside", "text"),
            '[a] NO: "/x] OK: "1.1.1.1"',
            {"user": 'a] NO: "/x', "h": "1.1.1.1"},
        ),
        (VSFTPD, '[a] NO: "/x] OK: "1.1.1.1"', None),
        (VSFTPD, '[a b] OK: "1.1.1.1"', {"user": "a b", "h": "1.1.1.1"}),
        (
            "from {host:rest}:{port:int}",
            "from 2001:db8::7:22",
            {"host": "2001:db8::7", "port": "22"},
        ),
        ("from {host:rest}:{port:int}", "from a b:22", None),
        (
            "abc {r:rest} from {h:host}{? ssh2}",
            "abc x from a from h ssh2",
            {"r": "x from a", "h": "h"},
        ),
        ("abc {r:rest} from {h:host}{? ssh2}", "abc x from a from h", {"r": "x from a", "h": "h"}),
        ("abc{r:rest}bcd", "abcbcd", {"r": ""}),
        ("abc{r:rest}bcd", "abcd", None),
        ("abc{r:rest}{?bcd}", "abcd", {"r": "d"}),
        ("abc{r:rest}{? ({n:int})} x", "abc y (1) (22) x", {"r": " y (1)", "n": "22"}),
        ("abc{r:rest}<{i:inside}>", "abc <a<b>", {"r": " <a", "i": "b"}),
        ("abc {:rest}==[{i:inside}]", "abc ==[a=]", {"i": "a="}),
        ("abc {:rest}[=={i:inside}]", "abc [==a=b]", None),
        ("abc{? x {r:rest} y}", "abc x y y", {"r": "y"}),
        ("abc{? x {r:rest} y}", "abc", {}),
        ("abc{? x {r:rest} y}", "abc x y", None),
        ("abc {a}{? <{b:inside}>}{? ({c:inside})}", "abc x (y)", {"a": "x", "c": "y"}),
        ("abc {a}{? <{b:inside}>}{? ({c:inside})}", "abc x (y) <z>", None),
        ("abc {a}{?;x}{?;x}{?;x}.", "abc a;x;x.", {"a": "a"}),
        ("abc{{{a}}} {?}}}.", "abc{x} }.", {"a": "x"}),
        ("abc {a:a|ab} x", "abc ab x", {"a": "ab"}),
        ("abc {a:a|ab} x", "abc abc x", None),
        ("abc {a} x", "abc a\u00a0b\u2028c x", {"a": "a\u00a0b\u2028c"}),
        ("abc {a} x", "abc a\vb x", None),
        ("abc {a} x", "abc  x", None),
        ("abc {a:int} x", "abc ² x", None),
        ("abc {host:int} x", "abc 12 x", None),
        ("abc {host:UNKNOWN|h} x", "abc UNKNOWN x", {"host": "UNKNOWN"}),
    ],
)
def test_what_a_line_takes_from_a_message(line, message, values):
    """Oracle and matcher take what the definition says, or nothing at all."""
    tree = parse_line(line)
    assert check(tree) == []

    assert values == match_line(tree, message)
    found = Matcher(plan_rule(ParsedRule((tree,), (), {"user": "u", "host": "h"}))).match(
        message, "m", "p"
    )
    assert (values is not None) == (found is not None)
    if values is not None:
        user, host, _, fields = found
        assert {"user": "u", "host": "h", **values} == {"user": user, "host": host, **fields}


def test_an_except_line_refuses_what_a_line_would_take():
    """Lines under except are tried first; the rule then has no answer."""
    login = rule(["[{user:text}] OK {host:ip}"], ["[{:rest}] FAIL {:ip}"])

    assert answer(login, "[a] OK 1.1.1.1") == ("a", "1.1.1.1", None, {})
    assert answer(login, "[a] OK 1.1.1.1] FAIL 1.1.1.1") is None
    assert first_line(login.excepts, "[a] FAIL 1.1.1.1") == 0


def test_the_first_line_that_matches_answers():
    """A later line sees what an earlier one refused, and the answer says which line it was."""
    login = rule(["abc {user} {a:int}", "abc {user} {b}"], host="{machine}")

    assert answer(login, "abc x 1") == ("x", "web1", None, {"a": "1"})
    assert answer(login, "abc x y") == ("x", "web1", None, {"b": "y"})
    assert match(login, "abc x y", "m", "p").line == 1


def test_lines_that_share_their_rest_each_read_it_from_both_ends():
    """What stands right of the rest decides, also where two lines begin with the same rest."""
    login = rule(["abc {user:rest} on {a:int}", "abc {user:rest} on {b}x"], host="h")
    inner = rule(["abc{? {user:rest} on {a:int}}", "abc{? {user:rest} on {b}x}"], host="h")

    for either in (login, inner):
        assert answer(either, "abc a on b on 1") == ("a on b", "h", None, {"a": "1"})
        assert answer(either, "abc a on b on cx") == ("a on b", "h", None, {"b": "c"})


def test_a_default_holds_where_no_hole_was_taken():
    """A hole that was taken wins over `set:`, one in an absent part does not count."""
    login = rule(
        ["abc {user}{? from {host:host}}{? on {tty}}{? via {service}}"],
        host="{machine}",
        tty="none",
        service="{program}",
        kind_of="x",
    )

    assert answer(login, "abc a") == ("a", "web1", "prog", {"tty": "none", "kind_of": "x"})
    full = ("a", "1.2.3.4", "ftp", {"tty": "t", "kind_of": "x"})
    assert answer(login, "abc a from ::ffff:1.2.3.4 on t via ftp") == full


def test_a_mapped_address_stays_in_fields():
    """Only the host of the login loses ``::ffff:``; a constant host does too."""
    login = rule(["abc {user} {a:ip}"], host="::ffff:192.0.2.1")

    expected = ("x", "192.0.2.1", None, {"a": "::ffff:1.1.1.1"})
    assert expected == answer(login, "abc x ::ffff:1.1.1.1")


def test_a_line_without_user_or_host_gives_way_to_the_next():
    """A line whose optional part with the user is absent has no answer; the next is tried."""
    login = rule(["abc{? for {user}}", "abc{? {a}}"], host="h")

    assert answer(login, "abc for x") == ("x", "h", None, {})
    assert answer(login, "abc") is None
    assert answer(rule(["abc{? for {user}}", "abc{? {a}}"], user="u", host="h"), "abc x")


@pytest.mark.parametrize(
    ("line", "message", "miss"),
    [
        (
            "Accepted {m} for {u:text} from {h:host} port {port:int} ssh2",
            "Accepted password for root from 10.0.0.5 port 5x022 ssh2",
            (46, 5, "{port:int} is digits only"),
        ),
        (
            "{user:text} : {?TTY={t}}PWD={p:text} x",
            "alice : user NOT in sudoers ; TTY=pts/0",
            (8, 4, "expected 'PWD=' here"),
        ),
        ("abc {a}", "abx", (0, 3, "expected 'abc ' here")),
        ("abc {a}", "ab", (0, 2, "expected 'abc ' here")),
        ("abc", "abc x", (3, 2, "expected the end of the message here")),
        (
            "abc {a}{?, {b}} x",
            "abc def",
            (4, 3, "{a} ends before ', ' or ' x', which does not come"),
        ),
        ("abc {a} x", "abc", (0, 3, "expected 'abc ' here")),
        ("abc {a} {b} x", "abc  c x", (4, 1, "{a} is one word, without blanks")),
        ("abc {a:int}", "abc " + "1" * 21, (4, 21, "{a:int} has at most 20 digits")),
        ("abc {a:ip}", "abc 1.2.3", (4, 5, "{a:ip} is an IPv4 or IPv6 address")),
        ("abc {host:rest}", "abc -", (4, 1, "{host:rest} is an address or a host name")),
        ("abc {user:rest}", "abc", (0, 3, "expected 'abc ' here")),
        ("abc[{user:inside}]", "abc[]", (4, 1, "{user:inside} must not be blank")),
        ("abc {a:on|off}", "abc x", (4, 1, "{a:on|off} is one of on, off")),
        ("abc {:rest} on {tty}", "abc x", (4, 1, "{tty} begins after ' on ', which is not here")),
        ("abc {:rest} ssh2", "abc x ssh1", (5, 5, "expected ' ssh2' up to here")),
        ("abc {a}", "abc x", None),
    ],
)
def test_a_miss_says_how_far_the_line_got_and_why(line, message, miss):
    """The place counts from 0 in the message, the length is at least 1."""
    tree = parse_line(line)
    assert miss == oracle.trace(tree, message)
    assert miss == trace(plan_line(tree), message)
