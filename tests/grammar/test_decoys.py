"""Decoys: everyday lines that are no logins are passed over, and no login with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.grammar import load_rules
from logwatch_monitis.scanner.literal_search import make_search
from logwatch_monitis.syslog import split

CRON = "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """Return all rules of the package."""
    return load_rules(system=[], cache_directory=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def load(tmp_path):
    """Return a function that loads the package's rules and a file of the given text."""

    def load(text):
        (tmp_path / "mine.yaml").write_text(text)
        return load_rules([tmp_path], system=[], cache_directory=tmp_path / "cache")

    return load


def test_sessions_of_everyday_echoes_are_decoys(rules):
    """What a busy server's cron, sshd and sudo write all day is not looked at."""
    search = make_search(rules.literals, rules.decoys)
    for service in ("cron", "sshd", "sudo"):
        (hit,) = search(f"Jan  5 03:00:01 web1 x[1]: {CRON}\n".replace("cron", service).encode())
        assert hit[0] >= len(rules.literals)


@pytest.mark.parametrize(
    "line",
    [
        "pam_unix({:cron|x}:session): session opened for user {user}(uid={:rest}",
        "pam_unix({service}:session): session opened for user {user}(uid={:rest}",
        "{:text}session opened for user {user}(uid={:rest}",
    ],
)
def test_wanted_sessions_are_no_decoys(line, load):
    """Where somebody's rule takes the sessions of cron, they are searched for."""
    rules = load(
        "service: job\nprogram: [job]\nset: {host: '{machine}'}\nrules:\n"
        f"  - name: job\n    line: |\n      {line}\n"
        f"    accept:\n      - {{line: '{CRON}', user: root}}\n"
    )
    assert rules.match("job", CRON, "web1").rule == "mine/job"
    hits = make_search(rules.literals, rules.decoys)(f"job[1]: {CRON}".encode())
    assert any(number < len(rules.literals) for number, _, _ in hits)


PIECES = st.sampled_from(
    [
        *["pam_unix(", "cron", "sshd", "cockpit", ":session): ", "session opened for user "],
        *[" ", "alice", " by (uid=0)", "(pam_unix) ", ": ", "gdm", "[1]", "Accepted ", "\\x70"],
        *["pam_unix(cron:session): session opened for user ", "message repeated 2 times: [ ", "]"],
        *["[ID 1 auth.info] ", " logged in", "root login on 'tty1'"],
    ]
)
TAGS = ["gdm: ", "CRON[1]: ", "gdm ", "", "gdm(pam_unix)[1]: ", "1 gdm 1 - - ", "pam_unix(cron:"]


@given(st.sampled_from(["Jan  5 03:00:01 web1 ", "2026-01-05T03:00:01Z web1 ", "Jan  5 03:00:01 "]),
       st.sampled_from(TAGS), st.lists(PIECES, max_size=8).map("".join))  # fmt: skip
def test_no_login_is_passed_over(rules, header, tag, message):
    """A line that a rule takes is found beside decoys as without them."""
    line = header + tag + message
    head = split(line)
    taken = head and rules.match(head.program, head.message, head.machine or "x", head.form)
    hits = make_search(rules.literals, rules.decoys)(line.encode())
    assert not taken or any(number < len(rules.literals) for number, _, _ in hits)
