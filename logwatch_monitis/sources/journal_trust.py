"""Whose entry is it? The journal notes of every sender what he cannot choose himself.

An entry that says it is sshd's may have been written by anybody (``logger -t sshd``). Trusted are
the fields that begin with ``_`` alone: the kernel tells journald process and user of the sender
at the moment of sending, and journald looks up executable and unit of that process.

* ``_UID=0``: the sender was root, or a daemon before it gave that up. Nobody else can send that.
* ``_EXE`` must be the program's own executable where it is known here, so that root's ``logger``
  or a container's log driver does not speak for sshd. Where it could not be looked up the name of
  the process (``_COMM``) or its unit must fit. Of a process that ended before journald could look
  at all nothing is known, so it proves nothing: that is how most of root's ``logger`` look.
* sudo, su and doas run under the number of the person who calls them, so for them it is the
  executable alone that counts, in a directory that only root can write to. (journald looks it up
  a moment after the message came; who sends one and turns into sudo within that moment can deceive
  it. That is the limit of what the journal proves of these three.)
* ftp and mail daemons that send under another user are taken from their own unit.
* Programs that are not in the table, such as those of patterns of one's own: root, or a process of
  the system unit that is called like the program.

Session scopes (``session-3.scope``) prove nothing: every process of a logged-in user is in one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["ORIGIN_FIELDS", "Origin", "doubt"]

_SYSTEM_PLACES = ("/usr/", "/bin/", "/sbin/", "/nix/store/", "/run/wrappers/", "/gnu/store/")
_TRANSPORTS = ("syslog", "journal", "stdout")
_COMM_LENGTH = 15  # TASK_COMM_LEN of the kernel, without the final NUL
_UNIT = re.compile(r"([\w.:\\-]+?)(?:@[^/]*)?\.service").fullmatch


ORIGIN_FIELDS = ("_TRANSPORT", "_UID", "_EXE", "_COMM", "_SYSTEMD_UNIT")
"""The fields of an `Origin`, in its order."""


class Origin(NamedTuple):
    """What the journal itself noted of a sender; empty where it could not.

    Attributes:
        transport: how the entry came.
        user: number of the sending user.
        executable: path of the sending process's program.
        process: its name.
        unit: the system unit it belongs to.
    """

    transport: str
    user: str
    executable: str
    process: str
    unit: str


class _Known(NamedTuple):
    """Who may speak for a program.

    Attributes:
        executables: their file names.
        units: names of its services without ``.service`` or instance.
        setuid: it runs under its caller's user number.
        drops: its processes may have given root up; its unit proves them.
    """

    executables: tuple[str, ...]
    units: tuple[str, ...] = ()
    setuid: bool = False
    drops: bool = False


_SSHD = _Known(("sshd", "sshd-session", "sshd-auth"), ("ssh", "sshd"))
_SUDO = _Known(("sudo", "sudo-rs"), setuid=True)
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
    "doas": _Known(("doas", "opendoas"), setuid=True),
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


def doubt(program: str, origin: Origin) -> str:
    """Return why an entry cannot be taken for one of *program*; the empty text if it can."""
    if origin.transport not in _TRANSPORTS:
        return f"it came by {origin.transport or 'an unknown way'}"
    service = found[1] if (found := _UNIT(origin.unit)) else ""
    root = origin.user == "0"
    known = _TABLE.get(program)
    if known is None:
        return "" if root or service == program else _sent_by(origin)
    if not _fits(known, origin, service):
        return _sent_by(origin)
    setuid = known.setuid and origin.executable.startswith(_SYSTEM_PLACES)
    if root or setuid or (known.drops and service in known.units):
        return ""
    return _sent_by(origin)


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
