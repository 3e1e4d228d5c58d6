"""Limits on what decompression may cost while logs are followed: an archive can cost anything."""

from __future__ import annotations

import time

from logwatch_monitis.errors import LogwatchError

__all__ = ["Allowance", "TooCostlyError"]


class TooCostlyError(LogwatchError):
    """Raised where reading a compressed file has used up its allowance; reading may go on there.

    Attributes:
        path: the file.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} costs too much to decompress")
        self.path = path


class Allowance:
    """How much may be decompressed.

    Processor time is counted, not time on the wall, so that a busy machine changes nothing.

    Args:
        seconds: of this thread's processor time, from now on.
        size: bytes, decompressed.
    """

    def __init__(self, seconds: float, size: int) -> None:
        self._end = time.thread_time() + seconds
        self._left = size

    def covers(self, count: int) -> bool:
        """Take note of *count* bytes, and tell whether the next step may be made."""
        self._left -= count
        return self._left >= 0 and time.thread_time() < self._end
