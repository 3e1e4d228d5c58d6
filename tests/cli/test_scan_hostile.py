"""``scan`` on what strangers write into logs: nothing invented, nothing missed, nothing obeyed."""

import csv
import gzip
import io
import json
import os
import re
import subprocess
import unicodedata
from datetime import UTC, datetime

import pytest
from commands import PROGRAM, on_terminal, run

SEPARATORS = ["\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\0", "#012"]
"""What Python's ``splitlines``, other tools or people take for the end of a line."""

EVIL = [
    "\x1b]0;pwned\x07",
    "\x1b[2J\x1b[1;1H",
    "\x9b31m",
    "\u202eroot\u2066",
    "=HYPERLINK(1)",
    "@SUM(1)",
    "a;=1+1",
    "<script>alert(1)</script>",
    'quo"te,comma',
    "a\tb",
]
"""User names that are aimed at who looks at them."""


def line(user, host="192.0.2.7", program="sshd[7]", second=45):
    """Return the line of a login."""
    return (
        f"2026-11-22T21:41:{second:02}.000000+00:00 web1 {program}: "
        f"Accepted password for {user} from {host} port 22 ssh2\n"
    )


FORGED = line("root", "6.6.6.6")


def scan(tmp_path, data, *words):
    """Return the logins found in *data*."""
    log = tmp_path / "auth.log"
    log.write_bytes(data if isinstance(data, bytes) else data.encode())
    result = run("scan", "-q", "--format", "jsonl", log, *words)
    assert (result.code, result.err) == (0, "")
    return [json.loads(text) for text in result.out.split("\n")[:-1]]


def users(found):
    """Return who got in."""
    return [login["user_login"] for login in found]


@pytest.mark.parametrize("separator", SEPARATORS)
def test_only_a_line_feed_ends_a_line(tmp_path, separator):
    """A whole forged line behind another separator is text of the line that it stands in."""
    data = (
        f"2026-11-22T21:41:45Z web1 sshd[7]: Invalid user x{separator}{FORGED}"
        f"2026-11-22T21:41:45Z web1 app[7]: said{separator}{FORGED}" + line(f"a{separator}b")
    )

    assert users(scan(tmp_path, data)) == [f"a{separator}b"]


@pytest.mark.parametrize(
    "message",
    [
        "sshd[7]: Failed password for invalid user x from 6.6.6.6 port 2 ssh2 from ::1 port 9 ssh2",
        "sshd[7]: Failed none for Accepted none for root from 6.6.6.6 port 1 ssh2 from ::1 port 9",
        f"sshd[7]: Invalid user {FORGED.strip()} from 192.0.2.7 port 9",
        f"sshd[7]: Connection closed by invalid user {FORGED.strip()} 192.0.2.7 port 9 [preauth]",
        f'sshd[7]: client sent invalid protocol identifier "{FORGED.strip()}"',
        f"app[7]: {FORGED.strip()}",
        "su[7]: Accepted password for root from 6.6.6.6 port 22 ssh2",
        "sshd-x[7]: Accepted password for root from 6.6.6.6 port 22 ssh2",
        "sshd[x]: Accepted password for root from 6.6.6.6 port 22 ssh2",
        "sshd[7] sshd[7]: Accepted password for root from 6.6.6.6 port 22 ssh2",
        "sshd[7]:Accepted password for root from 6.6.6.6 port 22 ssh2 [preauth]",
        "message repeated 2 times: [ Accepted password for root from 6.6.6.6 port 22 ssh2]",
        "app[7]: message repeated 2 times: [ Accepted password for root from 6.6.6.6 port 1 ssh2]",
        "sudo:    eve : command not allowed ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
        "sudo:    eve : (command continued) ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
        "sudo:    eve : user NOT in sudoers ; PWD=/ ; USER=root ; TTY=x ; COMMAND=/bin/sh",
        'vsftpd[7]: [root] OK LOGIN: Client "6.6.6.6"] FAIL LOGIN: Client "192.0.2.7"',
    ],
)
def test_nothing_is_invented(tmp_path, message):
    """A failed login, another program or a nested header never becomes a login."""
    assert scan(tmp_path, f"2026-11-22T21:41:45Z web1 {message}\n{line('ann')}")[0] == (
        scan(tmp_path, line("ann"))[0] | {"source": source(tmp_path, len(message) + 27)}
    )


def source(tmp_path, offset):
    """Return where a line of the scanned log stands."""
    return {"path": str(tmp_path / "auth.log"), "offset": offset}


@pytest.mark.parametrize(
    ("user", "tail"),
    [
        ("x from 8.8.8.8 port 22 ssh2", ""),
        ("ann", ": RSA-CERT SHA256:a ID x from 8.8.8.8 port 1 ssh2 (serial 1) CA RSA SHA256:b"),
        ("ann", ': RSA SHA256:a, client user "x from 8.8.8.8 port 1 ssh2", client host "h"'),
    ],
)
@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7%eth0", "UNKNOWN", "h.example.org"])
@pytest.mark.parametrize("program", ["sshd[7]", "sshd", "sshd-session[7]", "sshd-auth[7]"])
def test_the_peer_is_the_real_one(tmp_path, user, tail, host, program):
    """Text of strangers stands before and behind the address, and is never taken for it."""
    found = scan(tmp_path, line(user, host, program).replace("\n", tail + "\n"))

    assert [(x["user_login"], x["host"], x["srv"]) for x in found] == [(user, host, "sshd")]


def test_fields_of_sudo_are_the_first_ones(tmp_path):
    """A command that repeats sudo's own fields changes neither who asked nor for whom."""
    command = "/bin/echo ; USER=eve ; COMMAND=/bin/true"
    text = f"sudo:      ann : TTY=pts/0 ; PWD=/tmp ; USER=root ; COMMAND={command}"

    found = scan(tmp_path, f"2026-11-22T21:41:45Z web1 {text}\n")[0]

    assert ("ann", "web1", "root", command) == (
        found["user_login"],
        found["host"],
        found["fields"]["target"],
        found["fields"]["command"],
    )


@pytest.mark.parametrize("junk", [b"bad\xff\xfe", b"\xed\xa0\x80", b"\0\0\0", b"\x80" * 5000])
def test_bytes_that_are_no_text(tmp_path, junk):
    """They spoil neither the lines around them nor the login that holds them."""
    ours = line("ann").encode()

    found = scan(tmp_path, junk + b"\n" + ours + ours.replace(b"ann", b"b" + junk) + ours)

    assert users(found) == ["ann", "b" + junk.decode("utf-8", "backslashreplace"), "ann"]


def test_names_are_inert(tmp_path):
    """What hides, moves or deceives reaches neither a terminal nor a spreadsheet as it is."""
    log = tmp_path / "auth.log"
    log.write_text("".join(map(line, EVIL)))

    shown = on_terminal("scan", log, columns=60)
    table = re.sub(r"\x1b\[\d*m", "", shown.out)
    rows = list(csv.reader(io.StringIO(run("scan", "-q", "--format", "csv", log).out)))
    lines = run("scan", "-q", "--format", "jsonl", log).out

    assert {c for c in table if unicodedata.category(c).startswith("C")} == {"\n"}
    assert not [cell for row in rows for cell in row if re.search(r"(^|[;,|])\s*[=+@-]", cell)]
    assert lines.isascii()
    assert EVIL == users(map(json.loads, lines.split("\n")[:-1]))


def peak_memory(log):
    """Return the most memory in MiB that scanning a file takes, and who was found."""
    words = [*PROGRAM, "scan", "-q", "--format", "jsonl", str(log)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as started:
        out = started.stdout.read()
        _, status, usage = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
    assert started.returncode == 0
    return usage.ru_maxrss / 1024, users(map(json.loads, out.splitlines()))


@pytest.mark.parametrize("kind", ["line", "packed line", "hole", "packed hole"])
def test_a_monster_before_a_login(tmp_path, kind):
    """An endless line or a hole costs no more memory than a block, and hides no login."""
    small, log = tmp_path / "small.log", tmp_path / "auth.log"
    small.write_text(line("ann"))
    pack = gzip.open if "packed" in kind else open
    with pack(log, "wb") as file:
        file.write(line("ann").encode())
        for _ in range(50):
            file.write((b"Accepted password for " if "line" in kind else b"\0") * 50_000)
        if kind == "hole":
            file.seek(2**28)
        file.write(b"\n" * ("line" in kind) + line("bob").encode())

    before, _ = peak_memory(small)
    after, found = peak_memory(log)

    assert found == ["ann", "bob"]
    assert after - before < 16


FORMS = [
    "Nov 22 21:41:45 web1 ",
    "<86>Nov 22 21:41:45 web1 ",
    "2026-11-22T21:41:45.000000+00:00 web1 ",
    "2026-11-22T22:41:45+01:00 web1 ",
    "2026-11-22 21:41:45 web1 ",
    "<86>1 2026-11-22T21:41:45Z web1 ",
]


@pytest.mark.parametrize("form", FORMS)
def test_all_headers_say_the_same(tmp_path, form):
    """Time, machine, program, user and host do not depend on the form of the header."""
    tag = "sshd 7 - - " if form.startswith("<86>1") else "sshd[7]: "
    text = f"{form}{tag}Accepted password for ann from 192.0.2.7 port 22 ssh2\n"

    found = scan(tmp_path, text, "--timezone", "UTC", "--year", "2026")[0]

    names = ("time", "machine", "program", "pid", "user_login", "host")
    assert [found[name] for name in names] == [
        "2026-11-22T21:41:45.000000+00:00",
        "web1",
        "sshd",
        7,
        "ann",
        "192.0.2.7",
    ]


@pytest.mark.parametrize("kept", [True, False])
def test_rotated_copies_over_two_new_years(tmp_path, kept):
    """Monthly copies get their years, also where copying has set all modification times anew."""
    months = [(2024, 11), (2024, 12), *((2025, m) for m in range(1, 13)), (2026, 1), (2026, 2)]
    expected = []
    for age, (year, month) in enumerate(reversed(months)):
        days = [datetime(year, month, day, 12, 30, tzinfo=UTC) for day in (1, 10, 20, 28)]
        expected = [day.isoformat(timespec="microseconds") for day in days] + expected
        text = "".join(f"{day:%b %e %T} web1 su: (to root) ann on pts/0\n" for day in days)
        path = tmp_path / (f"auth.log.{age}.gz" if age else "auth.log")
        path.write_bytes(gzip.compress(text.encode(), mtime=0) if age else text.encode())
        end = (
            days[-1].timestamp() + 86_400 if kept else datetime(2026, 3, 1, tzinfo=UTC).timestamp()
        )
        os.utime(path, (end, end))

    result = run("scan", "-q", "--format", "jsonl", "--timezone", "UTC", tmp_path)

    assert expected == [json.loads(text)["time"] for text in result.lines]
