"""The journal's past: what ``journal:`` means to `scan` and `backfill`.

``journal:`` is the journal of this machine, ``journal:/path`` one in a directory or a file, such as
that of a disk taken from another machine. journalctl reads them, and leaves out itself what lies
outside the time that is asked for.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from logwatch_monitis.errors import LogwatchError
from logwatch_monitis.sources.blocks import Block
from logwatch_monitis.sources.journal.formats import batches
from logwatch_monitis.sources.journal.journalctl import command, denied, permission_error, pieces

__all__ = ["check", "read_journal"]

_SLACK_S = 60
"""journalctl goes by when an entry was received; a login's time is when it was sent."""


def check(name: str) -> None:
    """See whether a journal can be read at all.

    Args:
        name: ``journal:`` or ``journal:/path``.

    Raises:
        LogwatchError: there is none at this path.
        NotPermittedError: it may not be read.
        SetupError: there is no journalctl.
    """
    command(*_options(name))
    if not _place(name) and denied():
        raise permission_error()


def read_journal(
    name: str, since: int | None = None, until: int | None = None
) -> Generator[Block, None, None]:
    """Yield the entries of a journal as blocks of lines.

    Args:
        name: as for `check`.
        since: about from when on, microseconds since the epoch.
        until: about up to when.

    Raises:
        LogwatchError: journalctl fails, after what it has given.
    """
    window = []
    if since is not None:
        window.append(f"--since=@{max(0, since // 1_000_000 - _SLACK_S)}")
    if until is not None:
        window.append(f"--until=@{max(0, until // 1_000_000 + _SLACK_S)}")
    with pieces(command(*window, *_options(name), form="export")) as read:
        for batch in batches(read, "export", name, numbered=True):
            yield Block(batch.begin, batch.data, batch.complete, entries=batch)


def _place(name: str) -> str:
    return name.partition(":")[2]


def _options(name: str) -> list[str]:
    place = _place(name)
    if not place:
        return []
    try:
        Path(place).stat()
    except OSError as error:
        raise LogwatchError(f"{name}: cannot be read: {(error.strerror or '').lower()}") from None
    return [f"--{'directory' if Path(place).is_dir() else 'file'}={place}"]
