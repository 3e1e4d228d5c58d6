"""Header forms: who wrote a line, when and where, and what the message is.

The program is read from the trusted left part of the line and from nowhere else: every form is
anchored at the first character, and what follows a tag is the message, whatever it looks like.

Forms, with the place that defines each:

* RFC 3164 4.1, with what its writers do to it: no host (busybox ``syslogd -S``), ``<PRI>`` kept,
  ``<4.6>`` or ``<auth.info>`` behind the time (FreeBSD ``syslogd -v``, ``-vv``), ``auth.info``
  behind the host (busybox, AIX), ``[ID 800047 auth.info]`` before the message (Solaris), a year
  behind the day or in front (Cisco, syslog-ng ``ts_format(full)``), fractions (``journalctl -o
  short-precise``), ``[sshd]`` (metalog), ``ftp:info:`` in front (syslog-stdout), ``auth.info:``
  behind an ISO time in UTC (socklog with ``svlogd -ttt``), months in other languages.
* ISO 8601 / RFC 3339 times in the same frame (rsyslog's file format, ``journalctl -o short-iso``).
* RFC 5424 6, with or without ``<PRI>VERSION`` (sysklogd writes its files without).
* ctime's date: vsftpd's own log file (vsftpd logging.c) and OpenWrt's ``logread``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from logwatch_monitis.syslog.timestamps import STAMP

__all__ = ["Split", "split", "stamp_at_start"]


class Split(NamedTuple):
    r"""A log line taken apart.

    Attributes:
        stamp: the time as written, for `Timeline.resolve`.
        machine: whose line it is, ``""`` if the header does not say.
        program: the tag, without process id; ``""`` if RFC 5424's APP-NAME is nil.
        pid: the process id, if there is one and it is a number.
        message: what the program said, without blanks, tabs and ``\r`` at both ends.
        repeated: how many times it was said; more than 1 for ``message repeated N times: [ … ]``.
        form: ``vsftpd`` for the header of vsftpd's own log file, else ``syslog``.
    """

    stamp: str
    machine: str
    program: str
    pid: int | None
    message: str
    repeated: int
    form: str


_EDGE = " \t\r"
_ODD_HOSTS = "<-([:"
_ODD_MESSAGES = "m["
_PID_WIDTH = 10
_SYSLOG_WIDTH = len("Mmm dd HH:MM:SS")
_new = tuple.__new__


def split(text: str) -> Split | None:
    r"""Take a line apart, or return None where no known header begins it.

    The two forms that nearly all files have, ``Mmm dd HH:MM:SS host tag[pid]: `` and the same
    with an ISO time, are cut here at fixed places; everything else goes to `_split_any`. Either
    way the cost is linear in the length of the line. The stamp has the shape of a time;
    `Timeline.resolve` says whether it is one.

    Args:
        text: one line without its ``\n``, decoded with ``backslashreplace``.
    """
    try:
        names, _, message = text.partition(": ")
        pid, digits = None, "0"
        if names[-1] == "]":
            names, digits = names[:-1].split("[")
            pid = int(digits)
        stamp, machine, program = names.rsplit(" ", 2)
        if len(stamp) == _SYSLOG_WIDTH:
            known = stamp[9] == ":" and stamp[6] == " " and stamp[3] == " "
        else:
            known = stamp[10] == "T" and stamp[13] == ":" and stamp[4] == "-" and " " not in stamp
        if not known or "[" in names or not text.isascii():
            return _split_any(text)
        if len(digits) > _PID_WIDTH or not digits.isdigit():
            return _split_any(text)
        if machine[0] in _ODD_HOSTS or machine[-1] == ":" or program[-1] == ")":
            return _split_any(text)
        message = message.strip(_EDGE)
        if message[0] in _ODD_MESSAGES:
            return _finish(stamp, machine, program, pid, message)
    except (ValueError, IndexError):
        return _split_any(text)
    return _new(Split, (stamp, machine, program, pid, message, 1, "syslog"))


def stamp_at_start(text: str) -> str | None:
    """Return the time that begins a line, or None; needs the line's first 128 characters only."""
    found = _START(text)
    if found is None:
        return None
    return _stamp_of(found)


# Every quantifier below is possessive, bounded, or repeats a group that can match in one way only,
# so the cost stays linear. Groups are never repeated possessively: CPython before 3.11.5 matches
# that wrongly (its issue gh-106052), and Debian 12 has 3.11.2.
_FACILITY = (
    r"(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|ntp|security|console"
    r"|audit|alert|local[0-7])"
)
_SEVERITY = r"(?:emerg|panic|alert|crit|err|error|warn|warning|notice|info|debug|none)"
_PRIORITY = rf"{_FACILITY}(?:\|{_FACILITY})?[.:]{_SEVERITY}"

_START = re.compile(
    rf"""[\0\ufeff]*+
    (?:<[0-9]{{1,3}}>(?P<version>1\ )?)?
    (?:(?:@[0-9a-f]{{24}}\ |(?P<utc>[0-9-]{{10}}[T_][0-9:]{{8}}(?:\.[0-9]{{1,9}})?)\ )?
       {_PRIORITY}:\ {{1,2}})?
    (?P<stamp>{STAMP}|(?(version)-|(?!)))
    (?:(?<!-)\ (?P=stamp))?
    (?:\ \[pid\ (?P<vsftpd>[0-9]{{1,10}})\])?
    \ {{1,3}}
    """,
    re.VERBOSE,
).match

_NAME = r"[^\s\[\]:<>]{1,128}+"
_TAG = re.compile(
    rf"""(?:
      (?P<program>[^\s\[\]<>]{{1,128}}+)\[(?P<pid>[0-9]{{1,10}})\](?::|(?=\ )|\Z)
    | (?P<bare>{_NAME}(?::{_NAME}){{0,4}}):(?!\S)
    | \[(?P<boxed>{_NAME})\]:?(?!\S)
    | --\ (?P<getty>[\w.@-]{{1,64}}+)(?:\[(?P<gpid>[0-9]{{1,10}})\])?:[ ]
    )""",
    re.VERBOSE,
).match
_PRIORITY_FIRST = re.compile(
    rf"<(?:[0-9]{{1,2}}\.[0-9]|{_PRIORITY})> {{1,2}}|(?<= [0-9]{{4}} ){_PRIORITY} "
).match
_IPV6 = r"[0-9A-Fa-f:.]{2,45}+|\[[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,45}+\]"
_HOST = re.compile(
    rf"({_IPV6}|[^\s\[\]<>()]{{1,255}}+(?<!:))(?: {{1,2}}|\Z)(?:{_PRIORITY} )?"
).match
_WEAK = re.compile(r"(\S{1,255}+)").match
_RFC5424 = re.compile(
    r"""(?P<machine>\S{1,255}+)\ (?P<program>\S{1,128}+)\ (?P<pid>\S{1,128}+)\ \S{1,128}+
    \ (?:-|(?:\[[^\s\]="]{1,64}+(?:\ [^\s\]="]{1,64}+="[^"\\]*+(?:\\.[^"\\]*+)*")*\])+)(?:\ |\Z)""",
    re.VERBOSE | re.DOTALL,
).match
_REPEATED = re.compile(r"message repeated ([0-9]{1,9}) times: \[").match
_SOLARIS = re.compile(rf"\[ID [0-9]{{1,10}} {_PRIORITY}\] ?").match
_NUMBER = re.compile(r"[0-9]{1,10}").fullmatch
_PAM_TAG = re.compile(r"([^\s()]+)\(pam_\w{1,32}\)").fullmatch


def _stamp_of(found: re.Match[str]) -> str:
    """Return the stamp; svlogd's own is in UTC (svlogd(8), ``-ttt``), so it says so."""
    outer = found["utc"]
    return f"{outer.replace('_', 'T')}Z" if outer else found["stamp"]


def _split_any(text: str) -> Split | None:
    found = _START(text)
    if found is None:
        return None
    stamp, at = _stamp_of(found), found.end()
    if found["vsftpd"]:
        message, repeated = _message(text[at:])
        return Split(stamp, "", "vsftpd", int(found["vsftpd"]), message, repeated, "vsftpd")
    if found["version"]:
        return _rfc5424(text, at, stamp) or _tagged(text, at, stamp)
    return _tagged(text, at, stamp)


def _tagged(text: str, at: int, stamp: str) -> Split | None:
    """Read ``[host] tag message``; a token that can be a tag alone shows that there is no host."""
    if (priority := _PRIORITY_FIRST(text, at)) is not None:
        at = priority.end()
    machine = ""
    tag = _TAG(text, at)
    if tag is None and (host := _HOST(text, at)) is not None:
        machine, at = host[1], host.end()
        tag = _TAG(text, at)
        if tag is None and stamp[4:5] == "-" and (whole := _rfc5424(text, host.start(), stamp)):
            return whole
    if tag is not None:
        return _strong(text, stamp, machine, tag)
    weak = _WEAK(text, at)
    if weak is None:
        return None
    return _finish(stamp, machine, weak[1].rstrip(":"), None, text[weak.end() :])


def _strong(text: str, stamp: str, machine: str, tag: re.Match[str]) -> Split:
    """Return the line of a tag that delimits itself.

    ``-- root[7]:`` is login: util-linux 2.x wrote its changed process title, ``login -- root``.
    The name is what was typed, so a second ``]: `` makes the end of the tag doubtful.
    """
    name, rest = tag["program"] or tag["bare"] or tag["boxed"], text[tag.end() :]
    if name is None:
        name = "" if "]: " in rest else "login"
    pid = tag["pid"] or tag["gpid"]
    return _finish(stamp, machine, name, int(pid) if pid else None, rest)


def _rfc5424(text: str, at: int, stamp: str) -> Split | None:
    """Read ``HOSTNAME APP-NAME PROCID MSGID SD [MSG]`` (RFC 5424 6, nil is ``-``)."""
    found = _RFC5424(text, at)
    if found is None:
        return None
    pid = found["pid"]
    number = int(pid) if _NUMBER(pid) else None
    program = "" if found["program"] == "-" else found["program"]
    return _finish(stamp, found["machine"], program, number, text[found.end() :])


def _finish(stamp: str, machine: str, program: str, pid: int | None, rest: str) -> Split:
    """Tidy what the forms have in common: nil host, ``sshd(pam_unix)`` tags, the message."""
    if program[-1:] == ")" and (pam := _PAM_TAG(program)) is not None:
        program = pam[1]
    message, repeated = _message(rest)
    return Split(
        stamp, "" if machine == "-" else machine, program, pid, message, repeated, "syslog"
    )


def _message(text: str) -> tuple[str, int]:
    """Return the message and how often it was said.

    A byte order mark may begin it (RFC 5424 6.4). rsyslog's imuxsock and omfile replace repeats
    by ``message repeated N times: [ MSG]``; ``last message repeated N times`` has no content.
    """
    text = text.strip(_EDGE).removeprefix("\ufeff")
    if text[:1] == "[" and (solaris := _SOLARIS(text)) is not None:
        text = text[solaris.end() :]
    if text[-1:] == "]" and (repeated := _REPEATED(text)) is not None:
        return text[repeated.end() : -1].strip(_EDGE), int(repeated[1])
    return text.strip(_EDGE), 1
