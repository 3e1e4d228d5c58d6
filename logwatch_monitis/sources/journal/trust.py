"""Whose entry is it? The journal notes of every sender what he cannot choose himself.

An entry that says it is sshd's may have been written by anybody (``logger -t sshd``). Of the fields
that begin with ``_`` two come from the kernel at the moment of sending: the sender's real user and
group, ``_UID`` and ``_GID``, as they are outside of any user namespace. Executable, name and unit
of the process (``_EXE``, ``_COMM``, ``_SYSTEMD_UNIT``) journald looks up itself, a moment later:

* ``_UID=0``: the sender was root, or a daemon before it gave that up. Nobody else can send that.
  His ``_EXE`` must be the program's own executable where it is known here, so that root's
  ``logger`` or a container's log driver does not speak for sshd. Where it could not be looked up
  the name of the process or its unit must fit. Of a process that ended before journald could look
  at all nothing is known, so it proves nothing: that is how most of root's ``logger`` look.
* ``_EXE`` of anybody else proves nothing: it is a path in the sender's own mount namespace, and
  everybody can have one (``unshare --user --map-root-user --mount``) in which another program lies
  at ``/usr/bin/su``. Nor does ``_COMM``, which a process chooses, or ``_CAP_EFFECTIVE``, which is
  full in a namespace of one's own.
* sudo, su and doas log under the number of whoever calls them. What looks like theirs is given out,
  as a text file's line would be, but it is not proved. What proves sudo's is told in `Session`.
* ftp and mail daemons that send under another user are taken from their own unit, into which the
  system alone puts a process.
* Programs that are not in the table, such as those of patterns of one's own: root, or a process of
  the system unit that is called like the program.

A unit proves nothing of a person's process: cron's holds everybody's jobs, and the services of a
user's own manager are all in ``user@1000.service``. Session scopes (``session-3.scope``) prove
nothing: every process of a logged-in user is in one.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

__all__ = ["ORIGIN_FIELDS", "Judgement", "Origin", "Session", "Verdict", "judge", "session_of"]

_SYSTEM_PLACES = ("/usr/", "/bin/", "/sbin/", "/nix/store/", "/run/wrappers/", "/gnu/store/")
_TRANSPORTS = ("syslog", "journal", "stdout")
_COMM_LENGTH = 15  # TASK_COMM_LEN of the kernel, without the final NUL
_UNIT = re.compile(r"([\w.:\\-]+?)(?:@[^/]*)?\.service").fullmatch
_USER_MANAGER = "user"
_SYSTEM_USERS = (range(1000), range(61184, 65535))
"""Numbers that no person has: of packages, and those that systemd gives out (systemd(7) calls them
dynamic users), with nobody's behind them."""
_SESSION = re.compile(
    r"pam_unix\((?P<service>[^:()]+):session\): session opened for user "
    r"(?P<target>.+?)(?:\(uid=\d+\))?(?: by .*)?",
    re.DOTALL,
).fullmatch


ORIGIN_FIELDS = ("_TRANSPORT", "_UID", "_EXE", "_COMM", "_SYSTEMD_UNIT", "_GID", "_PID")
"""The fields of an `Origin`, in its order."""


class Origin(NamedTuple):
    """What the journal itself noted of a sender; empty where it could not.

    Attributes:
        transport: how the entry came.
        user: number of the sending user.
        executable: path of the sending process's program.
        process: its name.
        unit: the system unit it belongs to.
        group: number of the sending group.
        pid: number of the sending process.
    """

    transport: str
    user: str
    executable: str
    process: str
    unit: str
    group: str = ""
    pid: str = ""


class _Known(NamedTuple):
    """Who may speak for a program.

    Attributes:
        executables: their file names.
        units: names of its services without ``.service`` or instance.
        setuid: it runs under its caller's user number.
        drops: its processes may have given root up; its unit proves them.
        sessions: PAM services whose session it opens under its target's group (`Session`).
        becomes: the process that logs becomes the command at once, so journald sees that one.
    """

    executables: tuple[str, ...]
    units: tuple[str, ...] = ()
    setuid: bool = False
    drops: bool = False
    sessions: tuple[str, ...] = ()
    becomes: bool = False


_SSHD = _Known(("sshd", "sshd-session", "sshd-auth"), ("ssh", "sshd"))
_SUDO = _Known(("sudo", "sudo-rs"), setuid=True, sessions=("sudo", "sudo-i"))
_SU = _Known(("su", "su-rs"), setuid=True)
_PROFTPD = _Known(("proftpd",), ("proftpd",), drops=True)
_DOVECOT = _Known(
    ("dovecot", "log", "auth", "imap-login", "pop3-login", "managesieve-login", "submission-login"),
    ("dovecot",),
    drops=True,
)
_TABLE = {
    "sshd": _SSHD,
    "sshd-session": _SSHD,
    "sshd-auth": _SSHD,
    "dropbear": _Known(("dropbear", "dropbearmulti"), ("dropbear",)),
    "sudo": _SUDO,
    "sudo-rs": _SUDO,
    "su": _SU,
    "su-l": _SU,
    "doas": _Known(("doas", "opendoas"), setuid=True, becomes=True),
    "login": _Known(("login",), ("getty", "serial-getty", "container-getty", "console-getty")),
    "vsftpd": _Known(("vsftpd",), ("vsftpd",), drops=True),
    "proftpd": _PROFTPD,
    "pure-ftpd": _Known(("pure-ftpd",), ("pure-ftpd",), drops=True),
    "ftpd": _Known(("ftpd", "in.ftpd"), ("ftpd",)),
    "dovecot": _DOVECOT,
    "imap-login": _DOVECOT,
    "pop3-login": _DOVECOT,
    "managesieve-login": _DOVECOT,
    "submission-login": _DOVECOT,
}


class Verdict(Enum):
    """What the journal says of who wrote an entry."""

    PROVED = "proved"
    UNPROVED = "not proved, nor is anything against it"
    REFUSED = "somebody else wrote it"


class Judgement(NamedTuple):
    """A verdict; *reason* is why an entry is refused.

    *waits*: the session line of the same process (`Session`) would prove it all the same.
    """

    verdict: Verdict
    reason: str = ""
    waits: bool = False


class Session(NamedTuple):
    """The line by which PAM tells that a program has opened a session for its caller.

    sudo takes on its target's groups before it opens the session. So its own line carries the
    caller's number and group, and a moment later this one carries, from the same process, the
    caller's number and the target's group. To change one's real group takes root's rights, unless
    one is in that group: so the group of root proves it, for everybody who is not in that group.
    (su changes nothing before its session line, which therefore proves nothing.)

    Attributes:
        target: the user it is for.
        proves: it has root's group, and comes from where the program's lines come from.
    """

    target: str
    proves: bool


def session_of(program: str, message: str, origin: Origin) -> Session | None:
    """Return what an entry of *program* says of a session; None if that is nothing.

    Only programs whose session line can prove something are asked.
    """
    known = _TABLE.get(program)
    found = _SESSION(message) if known and known.sessions else None
    if known is None or found is None or found["service"] not in known.sessions:
        return None
    fits = origin.transport in _TRANSPORTS and _fits(known, origin, "")
    return Session(found["target"], fits and origin.group == "0")


def judge(program: str, origin: Origin) -> Judgement:
    """Return whether an entry can be taken for one of *program*."""
    if origin.transport not in _TRANSPORTS:
        return Judgement(Verdict.REFUSED, f"it came by {origin.transport or 'an unknown way'}")
    known, service = _TABLE.get(program), _service(origin.unit)
    root = origin.user == "0"
    if known is None:
        own = service == program
        fits, at_home = own or root, own
    else:
        fits, at_home = _fits(known, origin, service), known.drops and service in known.units
    if fits and (root or (at_home and _is_system(origin.user))):
        return Judgement(Verdict.PROVED)
    plausible = (known.setuid and _may_be(known, origin, fits=fits)) if known else False
    waits = bool(known and known.sessions) and not root and origin.group not in ("", "0")
    if plausible or (fits and at_home):
        return Judgement(Verdict.UNPROVED, waits=waits)
    return Judgement(Verdict.REFUSED, _sent_by(origin), waits=waits)


def _may_be(known: _Known, origin: Origin, *, fits: bool) -> bool:
    """Tell whether nothing is against a sender who may be a program that changes its user."""
    if origin.user == "0":
        return fits or known.becomes
    return fits and (not origin.executable or origin.executable.startswith(_SYSTEM_PLACES))


def _service(unit: str) -> str:
    """Return the name of a system service; the empty text for a user's manager and other units."""
    found = _UNIT(unit)
    return found[1] if found and found[1] != _USER_MANAGER else ""


def _is_system(user: str) -> bool:
    """Tell whether a number is no person's."""
    return user.isdecimal() and any(int(user) in numbers for numbers in _SYSTEM_USERS)


def _fits(known: _Known, origin: Origin, service: str) -> bool:
    """Tell whether the sending process, as far as it is known, can be the program's."""
    if origin.executable:
        return origin.executable.rpartition("/")[2] in known.executables
    names = {name[:_COMM_LENGTH] for name in known.executables}
    return origin.process in names or service in known.units


def _sent_by(origin: Origin) -> str:
    """Return the sender as far as he is known."""
    who = f"user {origin.user}" if origin.user else "an unknown user"
    name = origin.executable or origin.process
    return f"{name} of {who} sent it" if name else f"{who} sent it"
