"""The read state of one log as text: written with the logins, read after a restart."""

from __future__ import annotations

import json
import secrets
from typing import Any, NamedTuple

from logwatch_monitis.sources.files.fingerprint import FilePosition

__all__ = ["FileState", "SavedLog", "dump", "load", "new_numbering"]

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
        rewritten: it was rewritten, and nothing has been read of what it now holds.
        numbering: see `Chunk.numbering`.
    """

    path: str
    dev: int
    ino: int
    size: int
    place: FilePosition
    done: bool = False
    rewritten: bool = False
    numbering: int = 0


class SavedLog(NamedTuple):
    """The files of one log that are known, oldest first.

    Attributes:
        files: as described; the last one is the live file if *live*.
        live: the log's own path led to a file.
        numbering: of the file that follows the newest one known.
    """

    files: tuple[FileState, ...] = ()
    live: bool = False
    numbering: int = 0


def dump(state: SavedLog) -> str:
    """Return *state* as JSON text."""
    files = [[*file[:4], list(file.place), file.done + 2 * file.rewritten] for file in state.files]
    numberings = [state.numbering, *(file.numbering for file in state.files)]
    document = {"v": VERSION, "files": files, "live": state.live, "numberings": numberings}
    return json.dumps(document, separators=(",", ":"))


def load(text: str) -> SavedLog:
    """Return the state that *text* holds.

    Raises:
        ValueError: it was not written by `dump`, or by a version that is not known here.
    """
    try:
        document = json.loads(text)
        if document["v"] != VERSION:
            raise ValueError(f"unknown version {document['v']}")
        entries = document["files"]
        numbering, *own = document.get("numberings") or _numberings(entries)
        files = tuple(_file(*pair) for pair in zip(entries, own, strict=True))
        return SavedLog(files, bool(document["live"]), numbering)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError("not a read position") from error


def _numberings(entries: list[Any]) -> list[int]:
    """Return the numberings that version 0.1, which had one for a log, would have begun."""
    own = [new_numbering() if entry[5] & 2 else 0 for entry in entries]
    return [own[-1] if own else 0, *own]


def _file(entry: list[Any], numbering: int) -> FileState:
    path, dev, ino, size, place, marks = entry
    place = FilePosition(*place)
    file = FileState(path, dev, ino, size, place, bool(marks & 1), bool(marks & 2), numbering)
    numbers = (*file[1:4], place.print_size, place.offset, place.skipping, numbering)
    texts = (path, file.place.print_hash, file.place.tail_hash)
    if not all(type(n) is int and n >= 0 for n in numbers):
        raise ValueError("not a read position: numbers expected")
    if not all(type(text) is str for text in texts):
        raise ValueError("not a read position: texts expected")
    return file


def new_numbering() -> int:
    """Return what names a numbering that nobody has named before, in a state that was lost either.

    JSON readers keep 53 bits; 0 is that of states of version 0.1.
    """
    return secrets.randbits(53) | 1
