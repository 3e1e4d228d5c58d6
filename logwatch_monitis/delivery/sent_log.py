"""Log of what was sent and is not yet marked in the spool; it outlives a kill.

Marking each login in the spool would cost a transaction, and that two or three waits for the
disk, for every request. So logins are marked together, a fifth of a second's worth, and until
then each is noted here: 24 bytes appended to a file, not forced to the disk. That is enough to
survive the death of the process, `kill -9` included. A power failure may lose notes; then those
logins are sent again, with the same checktime and id.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Sequence
from pathlib import Path

from logwatch_monitis.config.private_files import open_file
from logwatch_monitis.errors import StateError
from logwatch_monitis.spool import OutboxEntry

__all__ = ["Notes"]

_NOTE = struct.Struct(">q16s")


class Notes:
    """The file of notes; without a path there are none, and everything must be marked at once.

    Attributes:
        usable: everything since the last `clear` was noted.
    """

    def __init__(self, path: Path | None) -> None:
        """Open the file, making it readable for its owner alone; what cannot be opened is none."""
        self._descriptor = -1
        if path:
            with contextlib.suppress(OSError, StateError):
                self._descriptor = open_file(path, os.O_APPEND)
        self.usable = self._descriptor >= 0

    def take(self, entry: OutboxEntry) -> None:
        """Note that *entry* was sent; may be called from several threads."""
        note = _NOTE.pack(entry.seq, bytes.fromhex(entry.id))
        try:
            noted = os.write(self._descriptor, note) == len(note)
        except OSError:
            noted = False
        self.usable = self.usable and noted

    def found(self, waiting: Sequence[OutboxEntry]) -> list[OutboxEntry]:
        """Return those of the waiting entries that an earlier process noted."""
        data = b""
        with contextlib.suppress(OSError):
            data = os.pread(self._descriptor, 1 << 20, 0)
        whole = len(data) // _NOTE.size * _NOTE.size
        noted = set(_NOTE.iter_unpack(data[:whole]))
        return [entry for entry in waiting if (entry.seq, bytes.fromhex(entry.id)) in noted]

    def clear(self) -> None:
        """Forget all notes: the spool knows, and nothing is under way."""
        with contextlib.suppress(OSError):
            if os.fstat(self._descriptor).st_size:
                os.ftruncate(self._descriptor, 0)
            self.usable = True

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
