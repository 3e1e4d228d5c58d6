"""``backfill``: history to the monitor."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

import click

from logwatch_monitis.cli.login_output import FORMATS
from logwatch_monitis.cli.options import PATH, PROGRAM, Command, config_option, format_option, say
from logwatch_monitis.cli.scan import ScanOptions, exit_code, reading_options
from logwatch_monitis.cli.summary import reading_summary
from logwatch_monitis.cli.tables import write_records
from logwatch_monitis.config import model as config
from logwatch_monitis.config.file import load
from logwatch_monitis.errors import UsageError
from logwatch_monitis.history.reader import History, LogCopies, Piece, gather, group
from logwatch_monitis.history.workers import few_cycles
from logwatch_monitis.login import Login
from logwatch_monitis.text import visible

if TYPE_CHECKING:
    from logwatch_monitis.history.backfill import BackfillResult, Progress

Wanted = Callable[[Login], bool]

_COLUMNS = ("service", "logins", "ignored")
_MANY = 1000
"""So many logins sent make a rate."""


@click.command(cls=Command, example="logwatch-monitis backfill --dry-run /var/log/auth.log*")
@config_option
@format_option(*FORMATS)
@reading_options
@click.option("--jobs", type=click.IntRange(1), default=1, help="How many processes may read.")
@click.option("--dry-run", is_flag=True, help="Count what the files hold, send nothing.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
@click.argument("names", metavar="FILE...", type=PATH, nargs=-1, required=True)
def command(
    config_path: str | None,
    *,
    form: str | None,
    jobs: int,
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
    reading = ScanOptions(**options)
    configuration = load(config_path)
    history = reading.history(configuration)
    history.partial = False
    wanted = reading.filter(history)
    logs = group(gather(names, history.failures), history.zone, history.failures)
    run = _Run(configuration, history, jobs, quiet=quiet)
    if dry_run:
        run.count(logs, wanted, form or "human")
    elif logs:
        run.send(logs, wanted)
    else:
        run.tell()
    return exit_code(history.failures, logs) or (1 if run.refused else 0)


class _Run:
    """One run, and what standard error is told of it: what failed, was found, and became of it."""

    def __init__(
        self, configuration: config.Config, history: History, jobs: int, *, quiet: bool
    ) -> None:
        self._configuration = configuration
        self._history = history
        self._jobs = jobs
        self._quiet = quiet
        self._began = time.monotonic()
        self._complete = False
        self.refused = 0

    def count(self, logs: Sequence[LogCopies], wanted: Wanted | None, form: str) -> None:
        """Count the logins, and print how many there are."""
        from logwatch_monitis.history.backfill import BackfillResult, read

        tally, ignore = BackfillResult(), self._configuration.ignore

        def take(piece: Piece) -> None:
            tally.keep(tally.add(piece, wanted), ignore)

        try:
            read(self._history, logs, self._jobs, take)
            records = [
                {"service": name, "logins": count, "ignored": tally.ignored[name]}
                for name, count in tally.found.most_common()
            ]
            write_records(form, records, _COLUMNS)
            self._complete = True
        finally:
            self.tell(tally)

    def send(self, logs: Sequence[LogCopies], wanted: Wanted | None) -> None:
        """Send the logins."""
        from logwatch_monitis.agent.event_log import LogEvents
        from logwatch_monitis.history.backfill import AGAIN, Backfill, Silent, stays
        from logwatch_monitis.interfaces import SystemClock

        events = LogEvents(level=logging.WARNING)
        show: AbstractContextManager[Progress] = nullcontext(Silent())
        if sys.stderr.isatty() and not self._quiet:
            from logwatch_monitis.cli.progress import Above, ProgressBars

            events = LogEvents(Above(), logging.WARNING)
            show = ProgressBars(file for log in logs for file in log.files)
        work = Backfill(self._configuration, self._history, clock=SystemClock(), events=events)
        try:
            with ExitStack() as stack:
                stack.callback(self.tell, work.tally, outcome=True)
                stack.enter_context(few_cycles())
                work.run(logs, stack.enter_context(show), wanted, self._jobs)
                self._complete = True
        except SystemExit:  # by a signal
            left = work.tally.waiting
            say(f"{PROGRAM}: interrupted; {AGAIN} to go on" + (f" ({stays(left)})" if left else ""))
            raise
        self.refused = work.tally.refused

    def tell(self, tally: BackfillResult | None = None, *, outcome: bool = False) -> None:
        """Say what could not be read, and what there was."""
        for failure in self._history.failures:
            say(f"{PROGRAM}: {visible(failure.message)}")
        if self._quiet or tally is None or not (tally.files or self._complete):
            return
        seconds = time.monotonic() - self._began
        say(reading_summary(tally.found, tally.files, self._history.counts, seconds))
        if outcome:
            say(_outcome(tally, seconds))


def _outcome(tally: BackfillResult, seconds: float) -> str:
    """Return what became of the logins."""
    sent = f"{tally.sent} sent"
    if tally.sent > _MANY and seconds > 0:
        sent += f" ({tally.sent / seconds:.0f} a second)"
    counts = {
        "sent before": tally.sent_before,
        "left out as configured": tally.ignored.total(),
        "not sent yet": tally.unsent,
        f"refused by the monitor, see '{PROGRAM} spool list'": tally.refused,
    }
    return ", ".join([sent, *(f"{count} {what}" for what, count in counts.items() if count)])
