"""Header forms: what is read from the left of a line, and what never is."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.syslog import Split, split
from logwatch_monitis.syslog.headers import _split_any
from logwatch_monitis.syslog.timestamps import read_stamp

MESSAGE = "Accepted password for alice from 192.0.2.7 port 50001 ssh2"
BSD = "Mar  5 04:05:06"
ISO = "2025-03-05T04:05:06.123456+01:00"

# header, stamp, machine, program, pid
FORMS = [
    (f"{BSD} web1 sshd[7]: ", BSD, "web1", "sshd", 7),
    (f"{BSD} web1 sshd: ", BSD, "web1", "sshd", None),
    ("Mar 05 04:05:06 web1 sshd[7]: ", "Mar 05 04:05:06", "web1", "sshd", 7),
    ("Mar 5 04:05:06 web1 sshd[7]: ", "Mar 5 04:05:06", "web1", "sshd", 7),
    (f"\0\0{BSD} web1 sshd[7]: ", BSD, "web1", "sshd", 7),
    (f"{BSD} web-1.example.org sshd-session[7]: ", BSD, "web-1.example.org", "sshd-session", 7),
    (f"{BSD} 192.0.2.1 sshd[7]: ", BSD, "192.0.2.1", "sshd", 7),
    (f"{BSD} 2001:db8::7 sshd[7]: ", BSD, "2001:db8::7", "sshd", 7),
    (f"{BSD} fe80:: sshd[7]: ", BSD, "fe80::", "sshd", 7),
    (f"{BSD} ::1 sshd[7]: ", BSD, "::1", "sshd", 7),
    (f"{BSD} sshd[7]: ", BSD, "", "sshd", 7),
    (f"{BSD} sshd: ", BSD, "", "sshd", None),
    (f"{BSD}  sshd[7]: ", BSD, "", "sshd", 7),
    (f"<86>{BSD} web1 sshd[7]: ", BSD, "web1", "sshd", 7),
    (f"<86>1 {BSD} web1 sshd[7]: ", BSD, "web1", "sshd", 7),
    (f"{BSD} <4.6> web1 sshd[7]: ", BSD, "web1", "sshd", 7),
    (f"{BSD} <auth.info> web1 sshd[7]: ", BSD, "web1", "sshd", 7),
    (f"{BSD} <4.6> sshd[7]: ", BSD, "", "sshd", 7),
    (f"{BSD} web1 auth.info sshd[7]: ", BSD, "web1", "sshd", 7),
    (f"{BSD} web1 auth|security:info sshd[7]: ", BSD, "web1", "sshd", 7),
    (f"{BSD} web1 sshd[7]: [ID 800047 auth.info] ", BSD, "web1", "sshd", 7),
    ("Mar  5 2025 04:05:06 web1 sshd[7]: ", "Mar  5 2025 04:05:06", "web1", "sshd", 7),
    ("2025 Mar  5 04:05:06 web1 sshd[7]: ", "2025 Mar  5 04:05:06", "web1", "sshd", 7),
    ("Mar  5 04:05:06.123456 web1 sshd[7]: ", "Mar  5 04:05:06.123456", "web1", "sshd", 7),
    (f"auth:info: {BSD} sshd[7]: ", BSD, "", "sshd", 7),
    (f"2025-03-05T03:05:06.12345 auth.info: {BSD} sshd[7]: ", None, "", "sshd", 7),
    (f"2025-03-05_03:05:06.12345 auth.info: {BSD} sshd[7]: ", None, "", "sshd", 7),
    (f"{BSD} {BSD} web1 sshd[7]: ", BSD, "web1", "sshd", 7),
    (f"{BSD} web1 sshd[7] ", BSD, "web1", "sshd", 7),
    (f"{BSD} web1 sshd ", BSD, "web1", "sshd", None),
    (f"{BSD} web1 [sshd] ", BSD, "web1", "sshd", None),
    (f"{BSD} [sshd]: ", BSD, "", "sshd", None),
    (f"{BSD} web1  -- root[7]: ", BSD, "web1", "login", 7),
    (f"{BSD} web1 sshd(pam_unix)[7]: ", BSD, "web1", "sshd", 7),
    ("Dez 25 04:05:06 web1 sshd[7]: ", "Dez 25 04:05:06", "web1", "sshd", 7),
    ("févr. 16 04:05:06 web1 sshd[7]: ", "févr. 16 04:05:06", "web1", "sshd", 7),
    (f"{ISO} web1 sshd[7]: ", ISO, "web1", "sshd", 7),
    (f"{ISO} sshd[7]: ", ISO, "", "sshd", 7),
    (f"{ISO}  web1 sshd[7]: ", ISO, "web1", "sshd", 7),
    ("2025-03-05 04:05:06,123 web1 sshd[7]: ", "2025-03-05 04:05:06,123", "web1", "sshd", 7),
    ("2025-03-05 04:05:06 +0100 web1 sshd: ", "2025-03-05 04:05:06 +0100", "web1", "sshd", None),
    ("2025-03-05T04:05:06+01 web1 sshd[7]: ", "2025-03-05T04:05:06+01", "web1", "sshd", 7),
    (f"<86>1 {ISO} web1 sshd 7 - - ", ISO, "web1", "sshd", 7),
    (f'<86>1 {ISO} web1 sshd 7 ID [a b="c\\]\\""][d] ', ISO, "web1", "sshd", 7),
    (f"<86>1 {ISO} - sshd - - - \ufeff", ISO, "", "sshd", None),
    ("<86>1 - web1 - x - - ", "-", "web1", "", None),
    (f"{ISO} web1 sshd 7 - - ", ISO, "web1", "sshd", 7),
    (f"{ISO} web1 sshd[7] ", ISO, "web1", "sshd", 7),
    ("Wed Mar  5 04:05:06 2025 auth.info sshd[7]: ", "Wed Mar  5 04:05:06 2025", "", "sshd", 7),
]


@pytest.mark.parametrize(("header", "stamp", "machine", "program", "pid"), FORMS)
def test_header_form_is_read(header, stamp, machine, program, pid):
    """Each form that a known program writes gives machine, program, pid and the bare message."""
    expected = Split(
        stamp or "2025-03-05T03:05:06.12345Z", machine, program, pid, MESSAGE, 1, "syslog"
    )
    assert expected == split(f"{header}{MESSAGE} \t\r")
    assert stamp == "-" or read_stamp(expected.stamp) is not None


@pytest.mark.parametrize("day", ["Mar  5", "Mar 5"])
def test_vsftpd_own_header_is_a_form_of_its_own(day):
    """The file of vsftpd itself has ctime's date and the process id in words."""
    line = f'Wed {day} 04:05:06 2025 [pid 3] [alice] OK LOGIN: Client "192.0.2.7"'
    stamp = f"Wed {day} 04:05:06 2025"
    message = '[alice] OK LOGIN: Client "192.0.2.7"'
    assert Split(stamp, "", "vsftpd", 3, message, 1, "vsftpd") == split(line)


def test_repeated_message_is_unwrapped():
    """A repeat of rsyslog holds the message and how often it came; the older form does not."""
    line = f"{BSD} web1 sshd[7]: message repeated 12 times: [ {MESSAGE}]"
    assert Split(BSD, "web1", "sshd", 7, MESSAGE, 12, "syslog") == split(line)
    assert split(f"{BSD} web1 last message repeated 12 times").repeated == 1
    assert split(f"{BSD} web1 sshd[7]: message repeated x times: [ {MESSAGE}]").repeated == 1


@pytest.mark.parametrize(
    ("start", "program"),
    [
        (f"{BSD} web1 sshd[x]: ", "sshd[x]"),
        (f"{BSD} sshd[x]: sshd[1]: ", "sshd[x]"),
        (f"{BSD} web1 sshd-x[1]: ", "sshd-x"),
        (f"{BSD} web1 sshd[+1]: ", "sshd[+1]"),
        (f"{BSD} web1 sshd[1_0]: ", "sshd[1_0]"),
        (f"{BSD} web1 sshd[٣]: ", "sshd[٣]"),
        (f"{BSD} web1 sshd[{'1' * 11}]: ", f"sshd[{'1' * 11}]"),
        (f"{BSD} web1 sshd(evil)[1]: ", "sshd(evil)"),
        (f"{BSD} web1 x:sshd[1]: ", "x:sshd"),
        (f"{BSD} evil: sshd[1]: ", "evil"),
        (f"{BSD} evil[1]: web1 sshd[1]: ", "evil"),
        (f"{BSD} evil[1] sshd[1]: ", "evil"),
        (f"{BSD} evil[1] sshd: ", "evil"),
        (f"{BSD} evil:: sshd[1]: ", "evil"),
        (f"{BSD} [evil] sshd[1]: ", "evil"),
        (f"{BSD} (evil)[1]: sshd[1]: ", "(evil)"),
        (f"{BSD} <4.6> evil: sshd[1]: ", "evil"),
        (f"{BSD} web1 evil: {BSD} web1 sshd[1]: ", "evil"),
        (f"{BSD} web1 evil sshd[1]: ", "evil"),
        (f"{BSD} web1 -- a[1]: x[2]: ", ""),
        (f"{ISO} web1 evil: sshd 1 - - ", "evil"),
        (f"<86>1 {ISO} web1 evil 1 - [x sshd[1]: ", "evil"),
        (f"<86>1 {ISO} web1 evil - - - {BSD} web1 sshd[1]: ", "evil"),
        (f"<86>1 {ISO} web1 - - - - sshd[1]: ", ""),
    ],
)
def test_program_is_the_tag_and_nothing_else(start, program):
    """What follows the tag, or only looks like one, never names the program."""
    assert program == split(f"{start}{MESSAGE}").program


@pytest.mark.parametrize(
    "line",
    [
        "",
        " ",
        "\0",
        MESSAGE,
        f"sshd[1]: {MESSAGE}",
        f" {BSD} web1 sshd[1]: {MESSAGE}",
        f"x {BSD} web1 sshd[1]: {MESSAGE}",
        f"#012{BSD} web1 sshd[1]: {MESSAGE}",
        "Mar  5 04:05 web1 sshd[1]: x",
        BSD,
        f"{BSD} ",
        f"{BSD} web1",
        f"- web1 sshd[1]: {MESSAGE}",
        f"[{BSD}] web1 sshd[1]: {MESSAGE}",
    ],
)
def test_no_header_is_none(line):
    """A line that no known header begins at its first character is not taken apart."""
    assert split(line) is None


@given(st.text())
def test_any_text_is_survived(text):
    """No text raises, alone or behind a good beginning."""
    for start in (
        "",
        f"{BSD} ",
        f"{ISO} web1 ",
        f"<86>1 {ISO} web1 sshd 1 - ",
        f"{BSD} web1 sshd[",
    ):
        split(start + text)


NAMES = st.from_regex(r"[a-z][a-z0-9._-]{0,20}", fullmatch=True)


@given(
    stamp=st.sampled_from([BSD, ISO, "2025-03-05T04:05:06Z", "Oct 11 22:14:15"]),
    machine=NAMES,
    program=NAMES,
    pid=st.none() | st.integers(0, 9_999_999_999),
    message=st.text(st.characters(codec="utf-8", exclude_characters="\n")),
)
def test_both_ways_to_split_agree(stamp, machine, program, pid, message):
    """The quick cut of the common forms gives what the expressions give, and loses nothing."""
    tag = program if pid is None else f"{program}[{pid}]"
    line = f"{stamp} {machine} {tag}: {message}"
    found = split(line)
    assert (stamp, machine, program, pid) == found[:4]
    assert _split_any(line) == found


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "]",
        "a[1]",
        ": ",
        " ",
        "<",
        "\\",
        '"',
        "[a ",
        'a="',
        "]: ",
        "-- a",
        "a:",
        "::",
        "\ufeff",
    ],
)
@pytest.mark.parametrize(
    "start",
    ["", f"{BSD} ", f"{BSD} web1 ", f'<86>1 {ISO} h a 1 - [a b="', f"<86>1 {ISO} h a 1 - [a", ISO],
)
def test_cost_is_linear(start, piece):
    """A hostile line of a megabyte costs milliseconds: nothing is looked at twice."""
    line = start + piece * (1_000_000 // len(piece))
    begin = time.process_time()
    split(line)
    assert time.process_time() - begin < 0.5
