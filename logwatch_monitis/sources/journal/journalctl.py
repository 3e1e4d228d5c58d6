"""journalctl as a child process: what it is asked, and its answer as it comes."""

from __future__ import annotations

import os
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

from logwatch_monitis.errors import LogwatchError, NotPermittedError, SetupError
from logwatch_monitis.sources import programs
from logwatch_monitis.sources.journal.entry import FIELDS
from logwatch_monitis.sources.permissions import join_hint

__all__ = [
    "Child",
    "command",
    "denied",
    "failure",
    "is_kept",
    "output",
    "permission_error",
    "pieces",
    "start",
]

HELD_BYTES = 4 * 1024 * 1024
"""So much is read ahead; then journalctl waits until something was taken."""
_PIECE = 65_536
_BLOCK = 1024 * 1024
_PATIENCE_S = 2.0
_WORDS = 500
_MACHINE_ID = Path("/etc/machine-id")
_DIRECTORIES = (Path("/var/log/journal"), Path("/run/log/journal"))


def command(*options: str, form: str = "json") -> list[str]:
    """Return the words that print entries with the fields that count.

    ``--all`` because journalctl leaves out values of more than 4096 bytes otherwise.

    Raises:
        SetupError: there is no journalctl.
    """
    program = programs.find("journalctl")
    if program is None:
        raise SetupError(
            "journalctl is not installed, so the journal cannot be read",
            "install the package systemd, or set 'journal: no'",
        )
    fields = f"--output-fields={','.join(FIELDS)}"
    return [program, "--no-pager", "--quiet", "--all", f"--output={form}", fields, *options]


def own_entries() -> tuple[str, ...]:
    """Return what restricts journalctl to entries of this machine, if it has an id."""
    with suppress(OSError):
        return (f"_MACHINE_ID={_MACHINE_ID.read_text().strip()}",)
    return ()


def start(words: Sequence[str], complaints: BinaryIO) -> subprocess.Popen[bytes]:
    """Start journalctl with nothing of our environment; what it complains of goes to a file."""
    return programs.start(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=complaints,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
        start_new_session=True,
    )


def last_words(complaints: BinaryIO, code: int) -> str:
    """Return the last line of what a journalctl that has ended complained of, else how it ended."""
    complaints.seek(max(0, complaints.seek(0, os.SEEK_END) - _WORDS))
    lines = complaints.read().decode("utf-8", "backslashreplace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return said or (f"killed by signal {-code}" if code < 0 else f"exit code {code}")


def denied() -> bool:
    """Tell whether the machine has a journal that this process may not read.

    Somebody without permission is shown a journal of his own entries, without a word.
    """
    found = [_may_read(machine) for directory in _DIRECTORIES for machine in _inside(directory)]
    return False in found and True not in found


def is_kept() -> bool:
    """Tell whether the machine has a journal at all, readable or not."""
    return any(
        _may_read(machine) is not None
        for directory in _DIRECTORIES
        for machine in _inside(directory)
    )


def _may_read(machine: Path) -> bool | None:
    """Tell whether the system's journal of a machine can be read; None if it has none."""
    try:
        names = [name for name in os.listdir(machine) if name.startswith("system")]  # noqa: PTH208
    except PermissionError:
        return False
    except OSError:
        return None
    return any(os.access(machine / name, os.R_OK) for name in names) if names else None


def _inside(directory: Path) -> list[Path]:
    with suppress(OSError):
        return list(directory.iterdir())
    return []


def permission_error() -> NotPermittedError:
    """Return the error for somebody who may not read the journal."""
    return NotPermittedError(
        "the journal may not be read: permission denied",
        join_hint("systemd-journal"),
    )


def output(words: Sequence[str], patience: float) -> bytes:
    """Return what a journalctl that ends by itself prints.

    Raises:
        LogwatchError: it fails, or takes longer than so many seconds.
        NotPermittedError: it may not read the journal.
    """
    with _complaints() as complaints, start(words, complaints) as process:
        try:
            printed, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            raise LogwatchError(f"journalctl did not answer within {patience:.0f} s") from None
        if process.returncode:
            raise failure(last_words(complaints, process.returncode))
        return printed


@contextmanager
def pieces(words: Sequence[str]) -> Iterator[Callable[[], bytes]]:
    """Run a journalctl that ends by itself, and give what reads its output, piece by piece.

    Raises:
        LogwatchError: it failed; raised by what reads, at the end of the output.
        NotPermittedError: likewise, it may not read the journal.
    """
    with _complaints() as complaints, start(words, complaints) as process:
        assert process.stdout is not None
        output = cast(BufferedReader, process.stdout)

        def read() -> bytes:
            piece = output.read1(_BLOCK)
            if not piece and (code := process.wait()):
                raise failure(last_words(complaints, code))
            return piece

        try:
            yield read
        finally:
            process.kill()


def failure(reason: str) -> LogwatchError:
    """Return the error for what journalctl said last."""
    if "insufficient permissions" in reason:
        return permission_error()
    return LogwatchError(f"journalctl failed: {reason}")


def _complaints() -> BinaryIO:
    return os.fdopen(os.memfd_create("journalctl"), "w+b")


class Child:
    """A running journalctl whose output is read ahead by a thread.

    Args:
        words: its command line.
        wake: called from the thread whenever there is something to take.
    """

    def __init__(self, words: Sequence[str], wake: Callable[[], None]) -> None:
        self._complaints = _complaints()
        self._process = start(words, self._complaints)
        self._wake = wake
        self._changed = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._closing = False
        self._over = False
        self.held = 0
        self._thread = threading.Thread(target=self._read_ahead, name="journal", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def take(self) -> bytes | None:
        """Return the next piece of the output; None if none is there now."""
        with self._changed:
            if not self._pieces:
                return None
            piece = self._pieces.popleft()
            self.held -= len(piece)
            self._changed.notify_all()
            return piece

    def wait(self, timeout: float) -> bool:
        """Wait until there is something to take, or it is over; say whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._pieces) or self._over, timeout)

    def ended(self) -> str:
        """Return how it ended, once it has and everything was taken; else the empty text."""
        with self._changed:
            if self._pieces or not self._over:
                return ""
        return last_words(self._complaints, self._process.wait())

    def close(self) -> None:
        """End it, whatever it is doing."""
        with self._changed:
            self._closing = True
            self._pieces.clear()
            self._changed.notify_all()
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join()
        self._complaints.close()

    def _read_ahead(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            while piece := os.read(output.fileno(), _PIECE):
                with self._changed:
                    self._changed.wait_for(lambda: self.held < HELD_BYTES or self._closing)
                    if self._closing:
                        break
                    self._pieces.append(piece)
                    self.held += len(piece)
                    self._changed.notify_all()
                self._wake()
        self._process.wait()
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._wake()
