"""Which machine a state belongs to."""

from __future__ import annotations

import socket
from hashlib import blake2b
from pathlib import Path

__all__ = ["machine_identity"]


def machine_identity(machine_id: Path = Path("/etc/machine-id")) -> str:
    """Return a text that another machine, a clone under a new name included, does not share.

    It is a hash, because machine-id(5) asks not to show the id itself.
    """
    try:
        number = machine_id.read_bytes().strip()
    except OSError:
        number = b""
    name = socket.gethostname().encode()
    return blake2b(name, key=number[:64], digest_size=16, person=b"logwatch-state").hexdigest()
