"""``backfill``: history to the monitor."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from logwatch_monitis import config
from logwatch_monitis.cli.options import PROGRAM, Command, config_option, format_option, say
from logwatch_monitis.cli.scan import Reading, exit_code, reading_options
from logwatch_monitis.cli.tables import write_records
from logwatch_monitis.grammar import load_rules
from logwatch_monitis.history import History, Log, gather, group
from logwatch_monitis.login import Login
from logwatch_monitis.output import FORMATS, visible
from logwatch_monitis.sources.archive import STDIN

Wanted = Callable[[Login], bool]
Progress = Callable[[str, int], None]


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
    fills the spool, and live logins go first. --format is for --dry-run.
    """
    reading = Reading(**options)
    configuration = config.load(config_path)
    zone = reading.zone(configuration)
    history = History(
        load_rules(configuration.patterns, services=set(reading.services) or None),
        machine=reading.machine or configuration.machine,
        zone=zone,
        year=reading.year,
        partial=False,
    )
    wanted = reading.filter(zone)
    logs = group(gather(names, history.failures), zone, history.failures)
    if dry_run:
        rows = [{"service": name, "logins": n} for name, n in _count(history, logs, wanted)]
        write_records(form or "human", rows, ("service", "logins"))
    else:
        _send(configuration, history, logs, wanted, quiet=quiet)
    for failure in history.failures:
        say(f"{PROGRAM}: {visible(failure.message)}")
    return exit_code(history.failures, logs)


def _count(history: History, logs: Sequence[Log], wanted: Wanted | None) -> list[tuple[str, int]]:
    found: Counter[str] = Counter()
    for log in logs:
        for piece in history.read(log):
            logins = piece.logins if wanted is None else filter(wanted, piece.logins)
            found.update(login.srv for login in logins)
    return found.most_common()


def _send(
    configuration: config.Config,
    history: History,
    logs: Sequence[Log],
    wanted: Wanted | None,
    *,
    quiet: bool,
) -> None:
    from logwatch_monitis.backfill import Backfill
    from logwatch_monitis.observe import LogEvents
    from logwatch_monitis.seams import SystemClock

    with ExitStack() as stack:
        progress = _bars(logs, stack) if sys.stderr.isatty() and not quiet else _no_progress
        work = Backfill(
            configuration,
            history,
            clock=SystemClock(),
            events=LogEvents(level=logging.WARNING),
            progress=progress,
        )
        work.run(logs, wanted)
    tally = work.tally
    each = ", ".join(f"{visible(name)} {count}" for name, count in tally.found.most_common())
    if not quiet:
        say(
            f"{tally.found.total()} logins found in {_files(logs)} files"
            + (f" ({each})" if each else "")
            + f"; {tally.new} were new and are sent now"
            + (f", {tally.ignored} left out as configured" if tally.ignored else "")
        )


def _files(logs: Sequence[Log]) -> int:
    return sum(len(log.files) for log in logs)


def _no_progress(_what: str, _amount: int) -> None:
    """Pipes and quiet people see none."""


def _bars(logs: Sequence[Log], stack: ExitStack) -> Progress:
    """Show two bars: what was read, by the files' sizes as far as known, and what was sent."""
    from tqdm import tqdm

    paths = [file.path for log in logs for file in log.files if file.path != STDIN]
    size = sum(Path(path).stat().st_size for path in paths)
    read = stack.enter_context(tqdm(total=size, unit="B", unit_scale=True, desc="read"))
    sent = stack.enter_context(tqdm(total=0, unit=" logins", desc="sent"))

    def progress(what: str, amount: int) -> None:
        if what == "read":
            read.total = max(read.total or 0, read.n + amount)
            read.update(amount)
        elif what == "found":
            sent.total = (sent.total or 0) + amount
            sent.refresh()
        else:
            sent.update(amount)

    return progress
