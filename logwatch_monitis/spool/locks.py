"""Who works on a state: one ``run``, one ``backfill``, and one of them delivers."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

from logwatch_monitis.config import private_files
from logwatch_monitis.errors import LockHeldError
from logwatch_monitis.interfaces import Clock
from logwatch_monitis.login import iso_time

__all__ = ["Holder", "Lock", "LockName", "Locks"]

LockName = Literal["run", "backfill", "deliver"]

_PROBE_SECONDS = 0.05


class Holder(NamedTuple):
    """The process that holds a lock.

    Attributes:
        pid: its process id; 0 if it has not said so yet.
        since_us: when it took the lock, microseconds since the epoch.
    """

    pid: int
    since_us: int


class Lock:
    """A lock that this process holds until `release`, or until it ends in whatever way.

    The kernel keeps it (flock), so none is ever left over. Programs started meanwhile do not
    inherit it; a plain fork would.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor: int | None = descriptor
        self._path = path

    def stands(self) -> bool:
        """Tell whether others still meet this lock: not if its file was removed or replaced."""
        if self._descriptor is None:
            return False
        own = os.fstat(self._descriptor)
        try:
            found = self._path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)

    def release(self) -> None:
        """Let others have it; releasing twice is fine."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class Locks:
    """The locks of one state directory, which is made if it is missing."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    def take(self, name: LockName) -> Lock:
        """Take a lock.

        Raises:
            LockHeldError: another process holds it; the message says which, and since when.
            StateError: the directory cannot be used.
        """
        lock = self.poll(name)
        if lock is None:
            # Somebody may only have looked (`holder`), which is over at once.
            time.sleep(_PROBE_SECONDS)
            lock = self.poll(name)
        if lock is None:
            raise LockHeldError(
                f"another '{name}' works on {self._directory}{self._who(name)}",
                "stop it first, or name another state_directory",
            )
        return lock

    def poll(self, name: LockName) -> Lock | None:
        """Take a lock if nobody holds it; None otherwise."""
        private_files.make_state_directory(self._directory)
        descriptor = private_files.open_file(self._file(name))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            holder = Holder(os.getpid(), int(self._clock.now() * 1_000_000))
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{json.dumps(holder._asdict())}\n".encode(), 0)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return Lock(descriptor, self._file(name))

    def holder(self, name: LockName) -> Holder | None:
        """Return who holds a lock; None if nobody does."""
        try:
            descriptor = os.open(self._file(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _written(descriptor)
        else:
            return None
        finally:
            os.close(descriptor)

    def _file(self, name: LockName) -> Path:
        return self._directory / f"{name}.lock"

    def _who(self, name: LockName) -> str:
        holder = self.holder(name)
        if holder is None or not holder.pid:
            return ""
        return f" (process {holder.pid}, since {iso_time(holder.since_us)[:19]} UTC)"


def _written(descriptor: int) -> Holder:
    try:
        return Holder(**json.loads(os.pread(descriptor, 4096, 0)))
    except (ValueError, TypeError):
        return Holder(0, 0)
