"""Progress on a terminal: what was read, and what was sent."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tqdm import tqdm

from logwatch_monitis.history.reader import HistoryFile
from logwatch_monitis.sources.blocks import STDIN

__all__ = ["Above", "ProgressBars"]

_RATIO = 10
"""How much logs usually shrink: where in a compressed file one is, only its end tells."""
_NARROW = 80
"""Columns; with fewer there is no bar, but still all figures."""


class Above(io.StringIO):
    """Standard error for lines that appear above the bars."""

    def write(self, text: str) -> int:
        """Write text that ends with a line end."""
        tqdm.write(text, file=sys.stderr, end="")
        return len(text)


class ProgressBars:
    """Two bars: bytes of the files as they lie on the disk, and logins sent."""

    def __init__(self, files: Iterable[HistoryFile]) -> None:
        """Prepare for these files; the bars appear when it is entered."""
        self._sizes: dict[str, int] = {}
        self._packed: set[str] = set()
        for file in files:
            self._sizes[file.path] = _size(file.path)
            if file.packed:
                self._packed.add(file.path)
        self._path = ""
        self._done = self._before = self._found = 0
        self._narrow = False
        self._bars = ExitStack()

    def __enter__(self) -> Self:
        with suppress(OSError):
            self._narrow = os.get_terminal_size(sys.stderr.fileno()).columns < _NARROW
        self._read = self._bar("read", sum(self._sizes.values()) or None, "B")
        self._sent = self._bar("sent", 0, " logins")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.close()

    def read(self, path: str, end: int) -> None:
        """See `logwatch_monitis.history.backfill.Progress.read`."""
        if path != self._path:
            self._end_file()
            self._path = path
        size = self._sizes.get(path, 0)
        self._done = min(size, end // _RATIO if path in self._packed else end) if size else end
        self._show()

    def found(self, logins: int) -> None:
        """See `logwatch_monitis.history.backfill.Progress.found`."""
        self._found += logins
        what = "found" if self._narrow else "logins found"
        self._read.set_postfix_str(f"{self._found} {what}", refresh=False)

    def finished(self) -> None:
        """See `logwatch_monitis.history.backfill.Progress.finished`."""
        self._end_file()
        self._read.close()

    def sent(self, logins: int, total: int) -> None:
        """See `logwatch_monitis.history.backfill.Progress.sent`."""
        self._sent.total = total
        self._sent.update(logins - self._sent.n)

    def _bar(self, name: str, total: int | None, unit: str) -> _ProgressBar:
        form = "{desc} {percentage:3.0f}% {rate_fmt} {remaining}{postfix}" if self._narrow else None
        bar = _ProgressBar(
            desc=name,
            total=total,
            unit=unit,
            unit_scale=unit == "B",
            file=sys.stderr,
            dynamic_ncols=True,
            bar_format=form,
        )
        return self._bars.enter_context(bar)

    def _end_file(self) -> None:
        self._before += self._sizes.get(self._path, 0) or self._done
        self._done = 0
        self._show()

    def _show(self) -> None:
        self._read.update(self._before + self._done - self._read.n)


class _ProgressBar(tqdm):  # type: ignore[type-arg]
    monitor_interval = 0  # its thread would do no good: what is slow here is told of all the time


def _size(path: str) -> int:
    if path != STDIN:
        with suppress(OSError):
            return Path(path).stat().st_size
    return 0
