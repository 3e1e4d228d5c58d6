"""Who may read a log, and what to do for those who may not."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from contextlib import suppress

__all__ = ["join_hint", "permission_hint"]


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


def _user() -> str:
    with suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name
    return "YOU"
