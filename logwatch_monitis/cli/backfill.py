"""``backfill``: history to the monitor."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import click

from logwatch_monitis import config
from logwatch_monitis.cli.options import PROGRAM, Command, config_option, format_option, say
from logwatch_monitis.cli.scan import Reading, exit_code, reading_options
from logwatch_monitis.cli.tables import write_records
from logwatch_monitis.errors import UsageError
from logwatch_monitis.history import History, Log, gather, group
from logwatch_monitis.login import Login
from logwatch_monitis.output import FORMATS, visible

Wanted = Callable[[Login], bool]

_COLUMNS = ("service", "logins", "ignored")


@click.command(cls=Command, example="logwatch-monitis backfill --dry-run /var/log/auth.log*")
@config_option
@format_option(*FORMATS)
@reading_options
@click.option("--dry-run", is_flag=True, help="Count what the files hold, send nothing.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
@click.argument("names", metavar="FILE...", nargs=-1, required=True)
def command(
    config_path: str | None,
    *,
    form: str | None,
    dry_run: bool,
    quiet: bool,
    names: Sequence[str],
    **options: Any,
) -> int:
    """Send the logins that files hold to the monitor, each once.

    Files are named as for scan, and read oldest first. It may be run again at any time: what was
    sent before, by it or by the running agent, is not sent again. Beside a running agent it only
    fills the spool, and live logins go first. --format is for the counts of --dry-run.
    """
    if form and not dry_run:
        raise UsageError("--format is for --dry-run: nothing else is printed")
    reading = Reading(**options)
    configuration = config.load(config_path)
    history = reading.history(configuration)
    history.partial = False
    wanted = reading.filter(history)
    logs = group(gather(names, history.failures), history.zone, history.failures)
    refused = 0
    try:
        if dry_run:
            write_records(form or "human", _count(configuration, history, logs, wanted), _COLUMNS)
        elif logs:
            refused = _send(configuration, history, logs, wanted, quiet=quiet)
    finally:
        for failure in history.failures:
            say(f"{PROGRAM}: {visible(failure.message)}")
    return exit_code(history.failures, logs) or (1 if refused else 0)


def _count(
    configuration: config.Config, history: History, logs: Sequence[Log], wanted: Wanted | None
) -> list[dict[str, Any]]:
    from logwatch_monitis.backfill import Tally, ignore_of

    tally, ignore = Tally(), ignore_of(configuration)
    for log in logs:
        for piece in history.read(log):
            tally.keep(piece.logins if wanted is None else [*filter(wanted, piece.logins)], ignore)
    return [
        {"service": name, "logins": count, "ignored": tally.ignored[name]}
        for name, count in tally.found.most_common()
    ]


def _send(
    configuration: config.Config,
    history: History,
    logs: Sequence[Log],
    wanted: Wanted | None,
    *,
    quiet: bool,
) -> int:
    """Send the logins, and return how many the monitor would not have."""
    from logwatch_monitis.backfill import Backfill
    from logwatch_monitis.observe import LogEvents
    from logwatch_monitis.seams import SystemClock

    with ExitStack() as stack:
        progress = None
        if sys.stderr.isatty() and not quiet:
            from logwatch_monitis.cli.bars import Bars

            progress = stack.enter_context(Bars(file for log in logs for file in log.files))
        work = Backfill(
            configuration,
            history,
            clock=SystemClock(),
            events=LogEvents(level=logging.WARNING),
            progress=progress,
        )
        work.run(logs, wanted)
    tally = work.tally
    if not quiet:
        say(_summary(tally.found.most_common(), sum(len(log.files) for log in logs)))
        say(_outcome(tally.new, tally.ignored.total(), tally.refused))
    return tally.refused


def _summary(found: Sequence[tuple[str, int]], files: int) -> str:
    each = ", ".join(f"{visible(name)} {count}" for name, count in found)
    total = sum(count for _, count in found)
    return f"{total} logins found in {files} file{'s' if files != 1 else ''}" + (
        f" ({each})" if each else ""
    )


def _outcome(new: int, ignored: int, refused: int) -> str:
    parts = [f"{new} of them new and sent" if new else "none of them new"]
    if ignored:
        parts.append(f"{ignored} left out as configured")
    if refused:
        parts.append(f"{refused} refused by the monitor, see '{PROGRAM} spool list'")
    return ", ".join(parts)
