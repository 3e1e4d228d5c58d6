"""Drafting a pattern file from one log line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.errors import UsageError
from logwatch_monitis.grammar.build import build
from logwatch_monitis.grammar.draft import draft
from logwatch_monitis.grammar.ruleset import RuleSet
from logwatch_monitis.grammar.search_path import FoundFile, PatternFiles


def rules(text):
    """Return the rules of one pattern file."""
    return RuleSet(
        build(PatternFiles({"f": [FoundFile("door.yaml", "door.yaml", text.encode())]}, []))
    )


def line(message, user, program="doord"):
    """Return the pattern line that is drafted."""
    text = draft("door", message, program=program, user=user)
    return text.split("line: |\n")[1].split("\n")[0].strip()


def test_the_whole_file():
    """A draft is a complete file, ready to be improved, and takes the line it comes from."""
    message = "Door 7 opened by ann from ::ffff:192.0.2.7 port 5022"
    text = draft("door", message, program="doord", user="ann")
    assert text == (
        "# Drafted from one log line. Give names to the holes that are worth keeping, and add\n"
        "# samples, above all to 'reject': what looks alike and is no login.\n"
        "service: 'door'\n"
        "title: door, accepted logins\n"
        "program: ['doord']\n"
        "rules:\n"
        "  - name: login\n"
        "    line: |\n"
        "      Door {:int} opened by {user} from {host:ip} port {port:int}\n"
        "    accept:\n"
        "      - line: 'Door 7 opened by ann from ::ffff:192.0.2.7 port 5022'\n"
        "        user: 'ann'\n"
        "        host: '192.0.2.7'\n"
    )
    match = rules(text).match("doord", message, "web1")
    assert (match.user, match.host, match.fields) == ("ann", "192.0.2.7", {"port": "5022"})


@pytest.mark.parametrize(
    ("message", "user", "expected"),
    [
        (
            "User 'bob x' in from h.example.org:443",
            "bob x",
            "User '{user:inside}' in from {host:host}:{:int}",
        ),
        (
            "login user=carol ip=2001:db8::7 id=77",
            "carol",
            "login user={user} ip={host:ip} id={:int}",
        ),
        (
            'hi <dave>, key "ab cd" at 12:03',
            "dave",
            'hi <{user:inside}>, key "{:inside}" at {:int}:{:int}',
        ),
        ("al ice entered from fe80::1%eth0", "al ice", "{user:text} entered from {host:ip}"),
        ("[eve] entered (session 8f3a9c1122ddee)", "eve", "[{user:inside}] entered (session {})"),
        ("ann in {hall} via ssh2", "ann", "{user} in {{hall}} via ssh2"),
        (
            "bobby: bob enters 1.2.3.4 then 5.6.7.8",
            "bob",
            "bobby: {user} enters {host:ip} then {:ip}",
        ),
    ],
)
def test_what_becomes_a_hole(message, user, expected):
    """Addresses, ports, numbers, quoted parts and long tokens become holes, braces are doubled."""
    assert expected == line(message, user)


def test_a_local_login():
    """Without an address the login is one of this machine."""
    match = rules(draft("door", "bob entered the hall", program="", user="bob")).match(
        "door", "ann entered the hall", "web1"
    )
    assert (match.user, match.host) == ("ann", "web1")


@pytest.mark.parametrize(
    ("name", "message", "user", "expected"),
    [
        (
            "door",
            "ann enters",
            None,
            "which part of the line is the user? (say it with --user NAME)",
        ),
        (
            "door",
            "anna enters",
            "ann",
            "'ann' does not stand in the line (write it as the line has it)",
        ),
        (
            "My door",
            "ann enters",
            "ann",
            "'My door' cannot be a service (lower-case letters, digits, - and _)",
        ),
        ("door", "ann " * 1001, "ann", "the line has 4003 characters (4000 are allowed)"),
        (
            "door",
            "x ann",
            "ann",
            (
                "no pattern can be drafted from this line; the line has no text to search a log "
                "for: three characters outside optional parts, two of them not blank "
                "(write it by hand: docs/patterns.rst)"
            ),
        ),
    ],
)
def test_refusals(name, message, user, expected):
    """What keeps a draft from being made is said in one sentence."""
    with pytest.raises(UsageError) as caught:
        draft(name, message, program="doord", user=user)
    assert expected == caught.value.render()


@given(
    st.text(min_size=1),
    st.text(min_size=1),
    st.sampled_from(["ann", "al ice", "a'b", "{x}", "1.2.3.4"]),
)
def test_a_draft_is_valid_or_refused(before, after, user):
    """Whatever the line, there is a file that takes it with this user, or a plain refusal."""
    message = f"{before} {user} {after}"
    try:
        text = draft("door", message, program="doord", user=user)
    except UsageError:
        return
    match = rules(text).match("doord", message.strip(" \t\r"), "web1")
    assert match.user == user
