"""``run``: the daemon."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

import click

from logwatch_monitis import config
from logwatch_monitis.cli.options import (
    Command,
    config_option,
    format_option,
    listen_address,
    login_format,
    say,
    stdout,
)
from logwatch_monitis.config import Config
from logwatch_monitis.errors import UsageError
from logwatch_monitis.grammar import load_rules
from logwatch_monitis.output import FORMATS, Terminal, writer
from logwatch_monitis.syslog import local_zone


@click.command(cls=Command, example="logwatch-monitis run --log /var/log/auth.log --from-start")
@config_option
@format_option(*FORMATS, default="human on a terminal, else jsonl")
@click.option(
    "--log",
    "logs",
    metavar="PATH",
    multiple=True,
    help="Watch this file or glob in place of the configured ones; repeatable.",
)
@click.option("--from-start", is_flag=True, help="Read files that are new to it from their start.")
@click.option("--dry-run", is_flag=True, help="Print the logins, send nothing, keep no state.")
@click.option(
    "--listen", metavar="HOST:PORT", help="Address of the page.  [default: as configured]"
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
    insecure: bool,
) -> int:
    """Watch the logs and send every login to the monitor.

    Without any configuration it watches the machine's own logs and brings a monitor with a page
    along; it prints the page's address. --format is for --dry-run.
    """
    from logwatch_monitis import daemon

    configuration = _adjusted(config.load(config_path), listen, insecure=insecure)
    if form and not dry_run:
        raise UsageError("--format needs --dry-run", "run itself prints no logins")
    paths = [os.path.abspath(path) for path in logs]  # noqa: PTH100 - a glob is no path
    if not dry_run:
        return daemon.run(configuration, logs=paths, from_start=from_start, say=click.echo)
    out = writer(
        login_format(form), stdout(), Terminal.of(sys.stdout), local_zone(configuration.timezone)
    )
    rules = load_rules(configuration.patterns)
    return daemon.print_logins(
        configuration, rules, logs=paths, from_start=from_start, writer=out, say=say
    )


def _adjusted(configuration: Config, listen: str | None, *, insecure: bool) -> Config:
    if insecure:
        monitor = replace(configuration.monitor, insecure=True)
        configuration = replace(configuration, monitor=monitor)
    if listen:
        configuration = replace(configuration, listen=listen_address(listen), listen_chosen=True)
    return configuration
