"""Choice of sources: whether files, the journal or both are read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from logwatch_monitis.config.model import Sources
from logwatch_monitis.errors import SetupError
from logwatch_monitis.sources import programs
from logwatch_monitis.sources.files.globs import expand
from logwatch_monitis.sources.journal.journalctl import (
    command,
)

__all__ = ["check_choice", "is_wanted"]


def is_wanted(sources: Sources, logs: Sequence[str] = (), *, known: bool = False) -> bool:
    """Tell whether the journal is to be read.

    ``auto`` reads it where no file of the list exists, and goes on with it if it was read before:
    a file that appears later need not hold all that the journal does.

    Args:
        sources: what is configured.
        logs: files named by hand, which stand in for what ``auto`` would find.
        known: the journal was read before with this state.
    """
    if sources.journal != "auto":
        return sources.journal == "yes"
    if logs or programs.find("journalctl") is None:
        return False
    return known or not any(map(_exists, sources.files))


def check_choice(choice: str) -> None:
    """See whether the journal can be read where it has to be.

    Raises:
        SetupError: there is no journalctl.
    """
    if choice == "yes":
        command()


def _exists(pattern: str) -> bool:
    with suppress(SetupError):  # a glob that means too much is not watched
        return os.path.lexists(pattern) or bool(expand(pattern))
    return False
