"""``spool``: what waits, and what the monitor refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from logwatch_monitis.cli.login_output import FORMATS
from logwatch_monitis.cli.options import SuggestingGroup, config_option, format_option, say
from logwatch_monitis.cli.tables import write_records
from logwatch_monitis.config.file import load
from logwatch_monitis.errors import LogwatchError, UsageError
from logwatch_monitis.interfaces import Event, SystemClock
from logwatch_monitis.login import iso_time
from logwatch_monitis.spool import DeadLetter, Spool

_ID = re.compile(r"[0-9a-fA-F]{32}")
_COLUMNS = ("id", "time", "user_login", "host", "srv", "machine", "refused", "reason")


@click.group(cls=SuggestingGroup, example="logwatch-monitis spool list")
def command() -> None:
    """Look after logins that the monitor refused."""


@command.command("list", example="logwatch-monitis spool list --format jsonl")
@config_option
@format_option(*FORMATS)
def list_(config_path: str | None, form: str | None) -> int:
    """Print the dead letters, the oldest first, and why each was refused."""
    with Spool.look(_directory(config_path), clock=SystemClock(), events=_quiet) as spool:
        records = [_record(letter) for letter in spool.dead()]
    write_records(form or "human", records, _COLUMNS)
    return 0


@command.command(example="logwatch-monitis spool retry --all")
@config_option
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.argument("ids", metavar="[ID...]", nargs=-1)
def retry(config_path: str | None, *, everything: bool, ids: Sequence[str]) -> int:
    """Put dead letters back, to be sent again."""
    chosen = _chosen(ids, everything=everything)
    with _open(config_path) as spool:
        return _told(spool.retry_dead(chosen), chosen, "put back")


@command.command(example="logwatch-monitis spool drop --all")
@config_option
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.argument("ids", metavar="[ID...]", nargs=-1)
def drop(config_path: str | None, *, everything: bool, ids: Sequence[str]) -> int:
    """Forget dead letters for good."""
    chosen = _chosen(ids, everything=everything)
    with _open(config_path) as spool:
        return _told(spool.drop_dead(chosen), chosen, "dropped")


def _directory(config_path: str | None) -> Path:
    return load(config_path).state_directory


def _open(config_path: str | None) -> Spool:
    directory = _directory(config_path)
    if not (directory / Spool.FILE).exists():
        raise LogwatchError(f"there is no spool in {directory}", "'run' or 'backfill' makes one")
    return Spool.open(directory, clock=SystemClock(), events=_quiet)


def _quiet(_event: Event, /) -> None:
    """Take no note: the running agent does."""


def _chosen(ids: Sequence[str], *, everything: bool) -> list[str] | None:
    """Return the ids meant, None for all."""
    if bool(ids) == everything:
        raise UsageError("name the dead letters by their ids, or all of them by --all")
    for key in ids:
        if not _ID.fullmatch(key):
            raise UsageError(f"'{key}' is no id", "'spool list' shows them")
    return None if everything else list(ids)


def _told(count: int, chosen: list[str] | None, done: str) -> int:
    """Say what was done; return 1 if some id is no dead letter's."""
    say(f"{count} {done}")
    return 0 if chosen is None or count == len(set(chosen)) else 1


def _record(letter: DeadLetter) -> dict[str, Any]:
    entry = letter.entry
    return {
        "id": entry.id,
        "time": iso_time(entry.time_us),
        "user_login": entry.user,
        "host": entry.host,
        "srv": entry.srv,
        "machine": entry.machine,
        "refused": iso_time(letter.since_us),
        "reason": letter.reason,
    }
