"""``scan``: the logins that files hold."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, BinaryIO, cast

import click

from logwatch_monitis.cli.dates import FORMS, parse_moment
from logwatch_monitis.cli.login_output import FORMATS, JsonLines, Terminal, writer
from logwatch_monitis.cli.options import (
    PATH,
    PROGRAM,
    Command,
    config_option,
    format_option,
    login_format,
    say,
    stdout,
)
from logwatch_monitis.cli.summary import reading_summary
from logwatch_monitis.config.file import load
from logwatch_monitis.config.model import Config
from logwatch_monitis.errors import NotPermittedError, SetupError, UsageError
from logwatch_monitis.grammar import load_rules
from logwatch_monitis.history.reader import Failure, History, LogCopies, Piece, gather, group
from logwatch_monitis.history.workers import few_cycles
from logwatch_monitis.login import Login, LoginWriter
from logwatch_monitis.syslog import local_zone
from logwatch_monitis.text import visible


def _one_word(_context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    if text is not None and (not text.isprintable() or len(text.split()) != 1):
        raise UsageError(f"{option.opts[0]} '{text}' is not one word")
    return text


_OPTIONS = (
    click.option("--since", metavar="WHEN", help=f"Only logins from then on: {FORMS}."),
    click.option("--until", metavar="WHEN", help="Only logins before then."),
    click.option(
        "--service", "services", metavar="NAME", multiple=True, help="Only of this service."
    ),
    click.option("--user", "users", metavar="NAME", multiple=True, help="Only of this user."),
    click.option("--host", "hosts", metavar="HOST", multiple=True, help="Only from this host."),
    click.option(
        "--from-machine", "machines", metavar="NAME", multiple=True, help="Only from its log."
    ),
    click.option("--year", type=click.IntRange(1970, 9999), help="Year of each log's first line."),
    click.option("--timezone", metavar="ZONE", help="Of times that name none, as Europe/Berlin."),
    click.option(
        "--machine",
        metavar="NAME",
        callback=_one_word,
        help="The name for lines that name no machine.",
    ),
)


def reading_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how old files are read and which of their logins are meant."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What the options of `reading_options` said."""

    since: str | None = None
    until: str | None = None
    services: Sequence[str] = ()
    users: Sequence[str] = ()
    hosts: Sequence[str] = ()
    machines: Sequence[str] = ()
    year: int | None = None
    timezone: str | None = None
    machine: str | None = None

    def zone(self, configuration: Config) -> tzinfo:
        """Return the zone of times that name none.

        Raises:
            UsageError: there is no such zone.
        """
        try:
            return local_zone(configuration.timezone if self.timezone is None else self.timezone)
        except SetupError as error:
            raise UsageError(error.message, error.hint) from None

    def history(self, configuration: Config) -> History:
        """Return what reads the files, with the rules of the services that are meant.

        Raises:
            UsageError: there is no such zone.
        """
        return History(
            load_rules(configuration.patterns, services=set(self.services) or None),
            machine=self.machine or configuration.machine,
            zone=self.zone(configuration),
            year=self.year,
        )

    def filter(self, history: History) -> Callable[[Login], bool] | None:
        """Return what says whether a login of *history* is meant; None if all of them are.

        The time that is meant is told to *history*, too.

        Raises:
            UsageError: a moment that is none.
        """
        zone, rules = history.zone, history.rules
        now = datetime.now(zone)
        since = parse_moment(self.since, zone, now) if self.since is not None else None
        until = parse_moment(self.until, zone, now) if self.until is not None else None
        history.since, history.until = since, until
        found = rules.services is not None and rules.services <= set(self.services)
        chosen = () if found else self.services
        sets = [frozenset(x) for x in (chosen, self.users, self.hosts, self.machines)]
        if since is None and until is None and not any(sets):
            return None
        services, users, hosts, machines = sets

        def wanted(login: Login) -> bool:
            return (
                (since is None or login.time >= since)
                and (until is None or login.time < until)
                and (not services or login.srv in services)
                and (not users or login.user_login in users)
                and (not hosts or login.host in hosts)
                and (not machines or login.machine in machines)
            )

        return wanted


@click.command(
    cls=Command, example="logwatch-monitis scan /var/log/auth.log --since 2026-11-01 --user alice"
)
@config_option
@format_option(*FORMATS, default="human on a terminal, else jsonl")
@reading_options
@click.option("--jobs", type=click.IntRange(1), default=1, help="How many processes may be used.")
@click.option("-q", "--quiet", is_flag=True, help="No summary at the end.")
@click.argument("names", metavar="FILE...", type=PATH, nargs=-1, required=True)
def command(
    config_path: str | None,
    *,
    form: str | None,
    jobs: int,
    quiet: bool,
    names: Sequence[str],
    **options: Any,
) -> int:
    """Print the logins that files hold; send nothing.

    FILE is a log, plain or compressed (.gz .bz2 .xz .zst), a glob, a directory, or - for standard
    input; journal: is the systemd journal, journal:/path one that lies there, and what journalctl
    exports (-o export, -o json) is recognised. A log and its rotated copies are read as one, oldest
    first. The options that select may be repeated; a file that cannot be read is named, and the
    exit code is 1.
    """
    reading = ScanOptions(**options)
    configuration = load(config_path)
    history = reading.history(configuration)
    wanted = reading.filter(history)
    outlet = _Outlet(stdout())
    out = writer(login_format(form), cast(BinaryIO, outlet), Terminal.of(sys.stdout), history.zone)
    history.rows = wanted is None and isinstance(out, JsonLines)
    scan = _Scan(history, out, wanted, outlet)
    logs = group(gather(names, history.failures), history.zone, history.failures)
    with few_cycles():
        scan.read(logs, jobs)
    out.close()
    if not quiet:
        say(scan.summary())
    return exit_code(history.failures, logs)


class _Outlet:
    """Standard output; what is written may be diverted from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.write: Callable[[bytes], Any] = stream.write

    def flush(self) -> None:
        self.stream.flush()


@dataclass(slots=True)
class _Scan:
    """One run: what it reads with, where it writes, what it has seen."""

    history: History
    out: LoginWriter
    wanted: Callable[[Login], bool] | None
    outlet: _Outlet
    services: Counter[str] = field(default_factory=Counter)
    files: dict[str, int] = field(default_factory=dict)
    complained: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def anywhere(self) -> bool:
        """See `logwatch_monitis.history.workers.Taker`."""
        return self.out.independent

    def read(self, logs: Sequence[LogCopies], jobs: int) -> None:
        """Write the logins of *logs*, and what could not be read of them."""
        self.complain()
        if jobs > 1:
            from logwatch_monitis.history.workers import read_logs

            read_logs(self.history, logs, jobs, self)
        else:
            for log in logs:
                for piece in self.history.read(log):
                    self.take(piece)
        self.complain()

    def take(self, piece: Piece) -> None:
        """Write the logins of a piece that are wanted."""
        self.files[piece.path] = piece.end
        if piece.rows and isinstance(self.out, JsonLines):
            self.out.write_rows(piece.rows)
            return
        logins = piece.logins if self.wanted is None else list(filter(self.wanted, piece.logins))
        self.services.update([login.srv for login in logins])
        self.out.write(logins)

    def divert(self, write: Callable[[bytes], Any]) -> None:
        """See `logwatch_monitis.history.workers.Taker`."""
        self.outlet.write = write

    def write(self, data: bytes | memoryview) -> None:
        """See `logwatch_monitis.history.workers.Taker`."""
        self.outlet.stream.write(data)
        self.outlet.stream.flush()

    def report(self) -> tuple[Counter[str], dict[str, int]]:
        """See `logwatch_monitis.history.workers.Taker`."""
        seen = self.services, self.files
        self.services, self.files = Counter(), {}
        return seen

    def add(self, report: tuple[Counter[str], dict[str, int]]) -> None:
        """See `logwatch_monitis.history.workers.Taker`."""
        services, files = report
        self.services += services
        self.files |= files
        self.complain()

    def complain(self) -> None:
        """Say what has failed since the last time."""
        for failure in self.history.failures[self.complained :]:
            say(f"{PROGRAM}: {visible(failure.message)}")
        self.complained = len(self.history.failures)

    def summary(self) -> str:
        """Return lines, logins by service, files, time and rate."""
        services = self.history.counts.services if self.history.rows else self.services
        seconds = time.monotonic() - self.started
        return reading_summary(services, self.files, self.history.counts, seconds)


def exit_code(failures: Sequence[Failure], logs: Sequence[LogCopies]) -> int:
    """Return 77 if no file at all was permitted, 1 if some could not be read, else 0."""
    if failures and not logs and all(failure.denied for failure in failures):
        return NotPermittedError.exit_code
    return 1 if failures else 0
