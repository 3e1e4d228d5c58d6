"""Who may read a log, and what to do for those who may not."""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
from contextlib import suppress
from pathlib import Path

__all__ = ["MOUNTED", "hides_copies", "join_hint", "mount_points", "permission_hint"]

MOUNTED = "it is a mount point of its own, so the file that a rotation makes is not seen"
"""What is wrong with a log that is mounted as a file, as containers do it."""


def permission_hint(path: str) -> str:
    """Return what the user of this process can do to read *path*, in one sentence without a stop.

    On Debian the logs belong to the group adm; where only root may read them, there is sudo.
    """
    with suppress(OSError, KeyError):
        status = os.stat(path)  # noqa: PTH116 - a path may be any bytes here
        group = grp.getgrgid(status.st_gid).gr_name
        if status.st_mode & stat.S_IRGRP and status.st_gid != 0:
            return join_hint(group)
    return "start it with sudo"


def join_hint(group: str) -> str:
    """Return how the user of this process gets what members of a group may do."""
    return f"sudo adduser {_user()} {group}, then log in again; or start it with sudo"


def mount_points(table: str = "/proc/self/mountinfo") -> frozenset[str]:
    """Return the paths at which something is mounted; none if the *table* cannot be read."""
    with suppress(OSError):
        rows = Path(table).read_bytes().splitlines()  # format: proc(5), blanks as \\040
        names = (row.split()[4] for row in rows)
        plain = (re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), n) for n in names)
        return frozenset(map(os.fsdecode, plain))
    return frozenset()


def hides_copies(log: str) -> bool:
    """Tell whether the directory of a *log* that may be read does not show what else is in it."""
    try:
        os.scandir(os.path.split(log)[0] or ".").close()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _user() -> str:
    with suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name
    return "YOU"
