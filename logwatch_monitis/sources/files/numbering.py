"""Which files of a log number their byte-identical lines together.

Two such lines of one second are two logins where a rotation lies between them, and one login where
the file was rewritten. Only bytes tell which it was: a rotation leaves what was read in a copy,
a rewrite leaves it nowhere, or only in a file that no copy's name leads to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from logwatch_monitis.sources.files.checkpoint import new_numbering

if TYPE_CHECKING:
    from logwatch_monitis.sources.files.follower import Follower

__all__ = ["Succession"]


class Succession:
    """The numberings of the files that are new when a log's files are put in order.

    Args:
        numbering: of a file that goes on with what was read before.
        files: the files known, oldest first.
        placed: which copy each of them is, by its place in *files*.
        copies: how many copies there are; the live file stands behind them.
    """

    def __init__(
        self, numbering: int, files: Sequence[Follower], placed: Mapping[int, int], copies: int
    ) -> None:
        read = [n for n, file in enumerate(files) if file.place.offset and not file.orphan]
        self._numbering, self._fresh = numbering, new_numbering()
        self._newest = files[read[-1]] if read else None
        self._placed = [files[n] for n in placed]
        self._found = not read or read[-1] in placed
        self._first = placed[read[-1]] + 1 if read and self._found else 0
        self._copies = copies

    def at(self, rank: int) -> int:
        """Return the numbering of a new file that stands there in the order of rotation.

        Behind the newest file read it goes on with what was read. Elsewhere it may hold the same
        lines; so may every new file if that newest one is in no copy.
        """
        return self._numbering if self._found and rank >= self._first else self._fresh

    @property
    def live(self) -> int:
        """The numbering of a new live file."""
        return self.at(self._copies)

    def of_cut(self, was: Follower, *, is_last: bool) -> int:
        """Return the numbering of what an open file holds since it was cut or rewritten.

        Args:
            was: what it held before.
            is_last: no known file comes after it.
        """
        if is_last:
            return self.live
        return was.numbering if was in self._placed else new_numbering()

    def after(self, files: Sequence[Follower]) -> int:
        """Return the numbering of the file that will follow *files*, while there is no live one.

        What is missing now may yet come back, unless it is not among *files* any more.
        """
        gone = not self._found and self._newest not in files
        fresh = any(file.numbering == self._fresh for file in files)
        return self._fresh if gone or fresh else self._numbering
