"""A copy of an account's data, made while a monitor works on it."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from logwatch_monitis.config.private_files import make_private
from logwatch_monitis.errors import StateError
from logwatch_monitis.server.store.schema import connect_reader
from logwatch_monitis.server.store.store import DATABASE

__all__ = ["back_up"]


def back_up(directory: Path, target: Path) -> int:
    """Copy the data of the account in *directory* to the new file *target*; return its bytes.

    The copy is one state of the data, compact, complete or absent, and for its owner only. It holds
    no keys.

    Raises:
        StateError: there is no data, *target* is there already, or cannot be written.
    """
    source = directory / DATABASE
    if not source.exists():
        raise StateError(f"{source}: no such file", "a monitor keeps its data there")
    if target.exists():
        raise StateError(f"{target} is there already", "a backup overwrites nothing")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as folder:
            copy = Path(folder, DATABASE)
            with closing(connect_reader(source)) as connection:
                connection.execute(
                    "PRAGMA query_only=0"
                )  # the copy counts as writing; source is ro
                connection.execute("VACUUM INTO ?", (str(copy),))
            make_private(copy)
            _flush(copy)
            os.link(copy, target)
        _flush(target.parent)
        return target.stat().st_size
    except OSError as error:
        raise StateError(f"{target}: {error.strerror}") from None
    except sqlite3.Error as error:
        raise StateError(f"{source} cannot be copied to {target}: {error}") from None


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    with suppress(OSError):  # some file systems refuse it for directories
        os.fsync(descriptor)
    os.close(descriptor)
