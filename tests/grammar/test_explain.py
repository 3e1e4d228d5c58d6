"""Why a message is a login or is none."""

import pytest

from logwatch_monitis.grammar import load_rules
from logwatch_monitis.grammar.explain import explain


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """Return the package's own rules."""
    return load_rules(system=[], cache_directory=tmp_path_factory.mktemp("cache"))


def test_fields_stand_under_the_message(rules):
    """A login shows its rule, the line of the file and every field where it stands."""
    message = "Accepted password for al ice from ::ffff:192.0.2.7 port 50022 ssh2: RSA x"
    found = explain(message, "sshd", rules)
    assert (found.rule, found.reason) == ("sshd/accepted", "a login of al ice from 192.0.2.7")
    assert found.pattern.startswith("Accepted {method} for {?invalid user }{user:text} from")
    assert found.path.endswith("sshd.yaml")
    assert found.excerpt() == (
        "   | Accepted password for al ice from ::ffff:192.0.2.7 port 50022 ssh2: RSA x\n"
        "   |          ^^^^^^^^ method\n"
        "   |                       ^^^^^^ user\n"
        "   |                                   ^^^^^^^^^^^^^^^^ host\n"
        "   |                                                         ^^^^^ port\n"
        "   |                                                               ^^^^ protocol\n"
        "   |                                                                     ^^^^^ key"
    )


def test_spans_hold_the_values(rules):
    """Every span cuts its value out of the message, right of a rest as well."""
    message = "Accepted password for a from b from 10.0.0.6 port 9 ssh2"
    spans = explain(message, "sshd", rules).spans
    assert {"user": "a from b", "host": "10.0.0.6", "port": "9"}.items() <= {
        span.name: message[span.start : span.end] for span in spans
    }.items()
    assert all(span.value == message[span.start : span.end] for span in spans)


MISSES = [
    (
        "sshd",
        "Accepted password for root from 10.0.0.5 port 5x022 ssh2",
        "no rule matches; sshd/accepted got furthest",
        "{:>47}^^^^^ {{port:int}} is digits only",
    ),
    (
        "sudo",
        "alice : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root",
        "no rule matches; sudo/command got furthest",
        "{:>9}^^^^^ expected 'USER=' here",
    ),
    (
        "sudo",
        '@cee:{"sudo":{"reject":{}}}',
        "no rule matches; sudo/command-json got furthest",
        "{:>6}^^^^^^^^^^^^^^^^^^^^^^ no object 'sudo.accept' here",
    ),
]


@pytest.mark.parametrize(("program", "message", "reason", "caret"), MISSES)
def test_miss(program, message, reason, caret, rules):
    """For a message that no rule takes, the nearest line says how far it got and why."""
    found = explain(message, program, rules)
    assert (found.match, found.reason) == (None, reason)
    assert found.excerpt() == f"   | {message}\n   |{caret.format('')}"


@pytest.mark.parametrize(
    ("program", "service", "reason"),
    [
        ("CRON", "cron", "the rule pam/session knows this line, and it is no login"),
        ("sshd", "sshd", "a PAM session that repeats a login, which its own program's line tells"),
    ],
)
def test_known_and_no_login(program, service, reason, rules):
    """A line that an except line or another service's line speaks for says so."""
    message = f"pam_unix({service}:session): session opened for user root by (uid=0)"
    found = explain(message, program, rules)
    assert (found.match, found.reason, found.rule) == (None, reason, "pam/session")


def test_unknown_program(rules):
    """A program that no rule is for is named, with those that there are rules for."""
    reason = explain("hello", "doord", rules).reason
    assert reason.startswith(
        "no rule reads lines of the program 'doord' (there are rules for doas,"
    )


def test_overlong_message(rules):
    """A message that is never tried says why."""
    found = explain("x" * 65_537, "sshd", rules)
    assert found.reason == "the message has 65537 characters, more than 65536"


def test_a_json_login(rules):
    """A login read from JSON has its fields, though none stands in the message as it is."""
    message = '@cee:{"sudo":{"accept":{"submituser":"alice","command":"/bin/ls"}}}'
    found = explain(message, "sudo", rules, machine="web1")
    assert found.reason == "a command of alice from web1"
    assert (found.match.fields, found.spans) == ({"command": "/bin/ls"}, ())


def test_terminal_is_safe(rules):
    """What could move the cursor is not printed, and the carets stay in place."""
    shown = explain("Accepted \x1b]0;x\x07 for a from b", "sshd", rules).excerpt()
    assert "\x1b" not in shown
    assert shown.splitlines()[0] == "   | Accepted \ufffd]0;x\ufffd for a from b"
