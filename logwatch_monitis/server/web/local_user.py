"""Which user of this machine is at the other end of a connection over loopback."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

__all__ = ["local_user"]

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LOOPBACK_6 = "00000000000000000000000001000000"
_LOOPBACK_4 = "7F"
"""How the kernel's tables end 127.0.0.0/8, alone or within ``::ffff:0:0/96``: last byte first."""

_ESTABLISHED = "01"


def local_user(client_port: int, server_port: int) -> str:
    """Return the number of the user who owns the client's end, empty if no table tells.

    See proc(5), ``/proc/net/tcp``. The kernel's word: the client cannot choose it.
    """
    ends = f":{client_port:04X}", f":{server_port:04X}"
    for table in _TABLES:
        with suppress(OSError), Path(table).open(encoding="ascii") as lines:
            for line in lines:
                local, remote, state, *rest = line.split()[1:8]
                address = local.partition(":")[0]
                if (
                    (local[-5:], remote[-5:]) == ends
                    and state == _ESTABLISHED
                    and (address == _LOOPBACK_6 or address.endswith(_LOOPBACK_4))
                ):
                    return rest[-1]
    return ""
