r"""What a line is: bytes up to ``\n`` and nothing else, without the NULs a hole left before it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BLOCK", "MAX_LINE", "Cut", "cut", "strip_hole"]

BLOCK = 262_144
"""Bytes read at once; measured best."""

MAX_LINE = 1_048_575
"""Bytes of the longest line taken, without its line end; a longer one is left out and counted."""


class Cut(NamedTuple):
    r"""What a block yields.

    Attributes:
        start: where *data* begins.
        data: whole lines, the last ``\n`` included; empty if an over-long line was passed over.
        end: where reading goes on.
        skipping: bytes of an unfinished over-long line up to *end*; 0 outside of one.
        skipped: the size of an over-long line that ended here; 0 if none did.
    """

    start: int
    data: bytes
    end: int
    skipping: int = 0
    skipped: int = 0


def strip_hole(block: bytes) -> bytes:
    """Return *block* without the NULs before it; comparing is 50 times as fast as stripping."""
    if block.startswith(b"\0") and block == bytes(len(block)):
        return b""
    return block.lstrip(b"\0")


def cut(block: bytes, offset: int, skipping: int = 0) -> Cut | None:
    """Return the whole lines at the beginning of *block*; None if more bytes are needed first.

    NULs before a line are left out (a writer that kept its offset over a truncation leaves
    them), so lines behind NULs inside the block come with the next cut.
    """
    if skipping:
        return _skip(block, offset, skipping)
    start = offset
    if b"\0" in block:
        body = strip_hole(block)
        start += len(block) - len(body)
        hole = body.find(b"\n\0")
        block = body if hole < 0 else body[: hole + 1]
    end = block.rfind(b"\n") + 1
    if end:
        return Cut(start, block[:end], start + end)
    if len(block) > MAX_LINE:
        return Cut(start, b"", start + len(block), skipping=len(block))
    return None


def _skip(block: bytes, offset: int, skipping: int) -> Cut | None:
    end = block.find(b"\n") + 1
    if end:
        return Cut(offset, b"", offset + end, skipped=skipping + end - 1)
    if block:
        return Cut(offset, b"", offset + len(block), skipping=skipping + len(block))
    return None
