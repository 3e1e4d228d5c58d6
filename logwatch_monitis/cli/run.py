"""``run``: the daemon."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from logwatch_monitis.agent.event_log import LEVELS
from logwatch_monitis.cli.login_output import FORMATS, Terminal, writer
from logwatch_monitis.cli.options import (
    PATH,
    Command,
    config_option,
    format_option,
    listen_address,
    login_format,
    say,
    stdout,
    tell,
)
from logwatch_monitis.config.file import load
from logwatch_monitis.config.model import Config
from logwatch_monitis.errors import UsageError
from logwatch_monitis.syslog import local_zone


@click.command(
    cls=Command, example="logwatch-monitis run --log /var/log/auth.log --from-start", daemon=True
)
@config_option
@format_option(*FORMATS, default="human on a terminal, else jsonl")
@click.option(
    "--log",
    "logs",
    metavar="PATH",
    type=PATH,
    multiple=True,
    help="Watch this file or glob in place of the configured ones; repeatable.",
)
@click.option("--from-start", is_flag=True, help="Read files that are new to it from their start.")
@click.option("--dry-run", is_flag=True, help="Print the logins, send nothing, keep no state.")
@click.option(
    "--listen", metavar="HOST:PORT", help="Address of the page.  [default: as configured]"
)
@click.option(
    "--log-format",
    type=click.Choice(("human", "json")),
    help="Form of what it writes to standard error.  [default: as configured, human]",
)
@click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    help="Leave out what is less grave.  [default: as configured, info]",
)
@click.option("--insecure", is_flag=True, help="Let tokens cross the network in clear text.")
def command(
    config_path: str | None,
    *,
    form: str | None,
    logs: Sequence[str],
    from_start: bool,
    dry_run: bool,
    listen: str | None,
    log_format: str | None,
    log_level: str | None,
    insecure: bool,
) -> int:
    """Watch the logs and send every login to the monitor.

    Without any configuration it watches the machine's own logs and brings a monitor with a page
    along; it prints the page's address. --format is for --dry-run. SIGHUP makes it read its
    configuration and its pattern files again.
    """
    logging = {"format": log_format, "level": log_level}
    chosen = {name: word for name, word in logging.items() if word}

    def read() -> Config:
        return _adjusted(load(config_path), listen, chosen, insecure=insecure)

    configuration = read()
    if form and not dry_run:
        raise UsageError("--format needs --dry-run", "run itself prints no logins")
    paths = [os.path.abspath(path) for path in logs]  # noqa: PTH100 - a glob is no path
    choice: dict[str, Any] = {"reread": read, "logs": paths, "from_start": from_start}
    if not dry_run:
        from logwatch_monitis.agent import daemon

        return daemon.run(configuration, say=tell, **choice)
    from logwatch_monitis.agent import preview

    out = writer(
        login_format(form), stdout(), Terminal.of(sys.stdout), local_zone(configuration.timezone)
    )
    return preview.print_logins(configuration, writer=out, say=say, **choice)


def _adjusted(
    configuration: Config, listen: str | None, logging: Mapping[str, Any], *, insecure: bool
) -> Config:
    """Return the configuration with what was typed in place of what was configured."""
    configuration = replace(configuration, log=replace(configuration.log, **logging))
    if insecure:
        monitor = replace(configuration.monitor, insecure=True)
        configuration = replace(configuration, monitor=monitor)
    if listen:
        configuration = replace(configuration, listen=listen_address(listen), listen_chosen=True)
    return configuration
