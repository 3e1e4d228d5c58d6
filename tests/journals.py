"""Journals for tests: entries in export format, and real journal files made of them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

BEGIN_US = 1_795_425_622_000_000
BOOT = "3f797278705048aea60ec88ade200d95"
MACHINE_ID = Path("/etc/machine-id")
REMOTE = "/lib/systemd/systemd-journal-remote"

needs_journal_tools = pytest.mark.skipif(
    not (shutil.which("journalctl") and Path(REMOTE).exists()) and "CI" not in os.environ,
    reason="needs journalctl and systemd-journal-remote",
)


def sshd(number, user=None, **fields):
    """Return the entry of an accepted login of a user of his own."""
    message = f"Accepted password for {user or f'u{number}'} from 192.0.2.7 port 22 ssh2"
    return entry(number, message, **fields)


def sudo(number, message=None, **fields):
    """Return sudo's line of a command that alice runs as root, as sudo sends it."""
    message = message or f"   alice : PWD=/{number} ; USER=root ; COMMAND=/usr/bin/true"
    sender = {"_UID": "1000", "_GID": "1000", "_EXE": "/usr/bin/sudo", "_COMM": "sudo"}
    unit = {"_SYSTEMD_UNIT": "session-1.scope", "SYSLOG_IDENTIFIER": "sudo", "SYSLOG_PID": None}
    return entry(number, message, **{**sender, **unit, **fields})


def opened(number, target="root", **fields):
    """Return the session line that follows it, sent with the group of root."""
    message = f"pam_unix(sudo:session): session opened for user {target}(uid=0) by (uid=1000)"
    return sudo(number, message, **{"_GID": "0", **fields})


def forged(number, **fields):
    """Return the entry that ``logger -t sshd`` of a plain user makes."""
    origin = {"_UID": "1000", "_EXE": "/usr/bin/logger", "_COMM": "logger"}
    return sshd(number, "mallory", **{**origin, "_SYSTEMD_UNIT": "session-1.scope", **fields})


def entry(number, message, **fields):
    """Return an entry in export format, as sshd's unless *fields* say otherwise; None: without."""
    sent = BEGIN_US + number * 1_000_000
    known = {
        "__CURSOR": f"s={7:032x};i={number:x};b={BOOT};m={number:x};t={sent:x};x={number:x}",
        "__REALTIME_TIMESTAMP": sent + 100,
        "__MONOTONIC_TIMESTAMP": number * 1_000_000,
        "_BOOT_ID": BOOT,
        "_MACHINE_ID": MACHINE_ID.read_text().strip() if MACHINE_ID.exists() else None,
        "_SOURCE_REALTIME_TIMESTAMP": sent,
        "_TRANSPORT": "syslog",
        "_HOSTNAME": "web1",
        "_PID": 1000 + number,
        "_UID": "0",
        "_GID": "0",
        "_COMM": "sshd",
        "_EXE": "/usr/sbin/sshd",
        "_SYSTEMD_UNIT": "ssh.service",
        "SYSLOG_IDENTIFIER": "sshd",
        "SYSLOG_PID": 1000 + number,
        "MESSAGE": message,
        **fields,
    }
    return b"".join(_field(n, v) for n, v in known.items() if v is not None) + b"\n"


def _field(name, value):
    data = value if isinstance(value, bytes) else str(value).encode()
    if b"\n" in data or isinstance(value, bytes):
        return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
    return name.encode() + b"=" + data + b"\n"


class JournalDirectory:
    """A directory of real journal files, written by systemd-journal-remote."""

    def __init__(self, directory):
        """Use an empty directory."""
        self.path = Path(directory)
        self.path.mkdir(parents=True)
        self.live = self.path / "system.journal"
        self._rotated = 0

    @property
    def options(self):
        """Tell journalctl to read it."""
        return [f"--directory={self.path}"]

    def append(self, *entries):
        """Write entries."""
        words = [REMOTE, "-o", str(self.live), "-"]
        subprocess.run(words, input=b"".join(entries), check=True, capture_output=True)

    def rotate(self):
        """Archive the live file; the next entry begins a new one. Return the archived one."""
        self._rotated += 1
        archived = self.live.with_name(f"system@{self._rotated}.journal")
        self.live.rename(archived)
        return archived

    def shim(self, directory):
        """Make a ``journalctl`` that reads this journal; return a PATH in which it is found."""
        directory.mkdir()
        program = directory / "journalctl"
        real = shutil.which("journalctl")
        program.write_text(f'#!/bin/sh\nexec {real} {self.options[0]} "$@"\n')
        program.chmod(0o755)
        return f"{directory}:{os.environ['PATH']}"
