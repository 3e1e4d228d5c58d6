"""The read state of one log as text: written with the logins, read after a restart."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from logwatch_monitis.sources.identity import Place

__all__ = ["FileState", "LogState", "dump", "load"]

VERSION = 1


class FileState(NamedTuple):
    """One file of a log, and how far it was read.

    Attributes:
        path: where it was last seen; a hint.
        dev: its device; with *ino* a hint that saves reading, never proof.
        ino: its inode.
        size: its size when last looked at, to tell how much was left unread.
        place: fingerprint and position.
        done: it was read to its end and is not read any more; it still marks a place in the
            order of rotation.
        again: its next lines may have been given already (`Chunk.again`).
    """

    path: str
    dev: int
    ino: int
    size: int
    place: Place
    done: bool = False
    again: bool = False


class LogState(NamedTuple):
    """The files of one log that are known, oldest first.

    Attributes:
        files: as described; the last one is the live file if *live*.
        live: the log's own path led to a file.
    """

    files: tuple[FileState, ...] = ()
    live: bool = False


def dump(state: LogState) -> str:
    """Return *state* as JSON text."""
    files = [[*file[:4], list(file.place), file.done + 2 * file.again] for file in state.files]
    document = {"v": VERSION, "files": files, "live": state.live}
    return json.dumps(document, separators=(",", ":"))


def load(text: str) -> LogState:
    """Return the state that *text* holds.

    Raises:
        ValueError: it was not written by `dump`, or by a version that is not known here.
    """
    try:
        document = json.loads(text)
        if document["v"] != VERSION:
            raise ValueError(f"unknown version {document['v']}")
        files = tuple(_file(entry) for entry in document["files"])
        return LogState(files, bool(document["live"]))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError("not a read position") from error


def _file(entry: list[Any]) -> FileState:
    path, dev, ino, size, place, marks = entry
    file = FileState(path, dev, ino, size, Place(*place), bool(marks & 1), bool(marks & 2))
    numbers = (dev, ino, size, file.place.print_size, file.place.offset, file.place.skipping)
    texts = (path, file.place.print_hash, file.place.tail_hash)
    if not all(type(n) is int and n >= 0 for n in numbers):
        raise ValueError("not a read position: numbers expected")
    if not all(type(text) is str for text in texts):
        raise ValueError("not a read position: texts expected")
    return file
