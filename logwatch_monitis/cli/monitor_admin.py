"""``monitor forget``, ``backup`` and ``password``: upkeep of the embedded monitor's data."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from logwatch_monitis.cli.client import Access, connect, connection_options
from logwatch_monitis.cli.login_output import FORMATS
from logwatch_monitis.cli.options import PATH, Command, config_option, format_option, say
from logwatch_monitis.cli.tables import write, write_record
from logwatch_monitis.config.credentials import read_secret_file
from logwatch_monitis.config.file import load
from logwatch_monitis.config.model import EMBEDDED, Config
from logwatch_monitis.errors import LockHeldError, StateError, UnreachableError, UsageError
from logwatch_monitis.text import visible

__all__ = ["backup", "forget", "password"]

F = TypeVar("F", bound=Callable[..., Any])

_data_option = click.option(
    "--data",
    metavar="DIR",
    type=PATH,
    help="The monitor's data directory.  [default: that of the embedded one]",
)
_account_option = click.option(
    "--account", default="", metavar="NAME", help="An account beside the first."
)


def _directory(configuration: Config, data: str | None, account: str) -> Path:
    from logwatch_monitis.server.api.accounts import account_directory

    root = Path(data) if data else configuration.monitor_directory
    found = account_directory(root, account)
    if not found.is_dir():
        raise StateError(f"{found}: no such directory", "a monitor keeps its data there")
    return found


@click.command(cls=Command, example="logwatch-monitis monitor forget alice --yes")
@connection_options
@format_option(*FORMATS)
@_data_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("user", metavar="USER")
def forget(user: str, form: str | None, data: str | None, *, yes: bool, **access: Any) -> None:
    """Erase every result of a person from our own monitor, on the disk too.

    A running monitor does it for its account. Where none runs, or with --data, it is done in the
    data directory, for all accounts. Logs keep their lines, and backfill would send them again.
    """
    if not yes and sys.stdin.isatty():
        click.confirm(f"Erase all results of '{visible(user)}' for good?", abort=True, err=True)
    configuration = load(access["config_path"])
    count = (
        _forget_offline(Path(data), user)
        if data
        else _forget_online(Access(**access), configuration, user)
    )
    if form in (None, "human"):
        write(f"{count:,} {'result' if count == 1 else 'results'} of '{visible(user)}' erased\n")
    else:
        write_record(form or "", {"user": user, "erased": count})


def _forget_online(access: Access, configuration: Config, user: str) -> int:
    try:
        with connect(access, configuration) as client:
            return client.forget_user(user)
    except UnreachableError:
        embedded = (access.url or configuration.monitor.url) == EMBEDDED
        if not embedded or not configuration.monitor_directory.is_dir():
            raise
        return _forget_offline(configuration.monitor_directory, user)


def _forget_offline(directory: Path, user: str) -> int:
    from logwatch_monitis.server.api.accounts import account_directory, account_names

    if not directory.is_dir():
        raise StateError(f"{directory}: no such directory", "a monitor keeps its data there")
    names = ["", *account_names(directory)]
    return sum(_forget_in(account_directory(directory, name), user) for name in names)


def _forget_in(directory: Path, user: str) -> int:
    from logwatch_monitis.server.store.store import Store

    try:
        store = Store.open(directory)
    except LockHeldError as error:
        hint = "stop it, or reach it with --url and its keys in place of --data"
        raise LockHeldError(error.message, hint) from None
    try:
        return asyncio.run(store.forget(user))
    finally:
        store.close()


@click.command(cls=Command, example="logwatch-monitis monitor backup /var/lib/logins.sqlite")
@config_option
@format_option(*FORMATS)
@_data_option
@_account_option
@click.argument("target", metavar="FILE", type=PATH)
def backup(
    target: str, config_path: str | None, form: str | None, data: str | None, account: str
) -> None:
    """Copy the data of our own monitor to a new file, also while it runs.

    The keys are not in it; they stand in keys.json of the data directory. To restore a copy, put it
    in place of monitor.sqlite while no monitor runs, without the files -wal and -shm.
    """
    from logwatch_monitis.server.store.backup import back_up

    size = back_up(_directory(load(config_path), data, account), Path(target))
    if form in (None, "human"):
        say(f"{target}: {size:,} bytes")
    else:
        write_record(form or "", {"file": target, "bytes": size})


@click.command(cls=Command, example="logwatch-monitis monitor password alice --generate")
@config_option
@_data_option
@_account_option
@click.option("--password-file", metavar="FILE", type=PATH, help="Holds the password; - is stdin.")
@click.option("--generate", is_flag=True, help="Make a password and print it.")
@click.argument("user", metavar="USER")
def password(
    user: str,
    config_path: str | None,
    data: str | None,
    account: str,
    *,
    password_file: str | None,
    generate: bool,
) -> None:
    """Let old clients fetch the keys of our own monitor with a name and a password.

    Without this the actions apikey, userkey and secretkey are refused. With it, whoever knows the
    public key gets the secret one by secretkey, as from the original service.
    """
    from logwatch_monitis.server.api.passwords import save_login

    if password_file and generate:
        raise UsageError("--password-file and --generate exclude each other")
    directory = _directory(load(config_path), data, account)
    if generate:
        text = secrets.token_urlsafe(18)
    elif password_file:
        text = read_secret_file(password_file).reveal()
    else:
        text = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    path = save_login(directory, user, text)
    if generate:
        write(f"{text}\n")
    say(f"{path} lets '{visible(user)}' fetch the keys")
