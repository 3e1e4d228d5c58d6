"""``check``: everything that can be known before the agent runs."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import click

from logwatch_monitis.cli.login_output import FORMATS, Terminal
from logwatch_monitis.cli.options import Command, config_option, format_option
from logwatch_monitis.cli.tables import write, write_records
from logwatch_monitis.config import model as config
from logwatch_monitis.config import sshd_config
from logwatch_monitis.config.file import load
from logwatch_monitis.config.model import EMBEDDED, Config, Sources
from logwatch_monitis.config.sshd_config import SILENT, read_log_settings
from logwatch_monitis.errors import (
    DocumentError,
    LogwatchError,
    MissingExtraError,
    NotPermittedError,
    SetupError,
    StateError,
)
from logwatch_monitis.sources.files.globs import expand
from logwatch_monitis.sources.permissions import (
    MOUNTED,
    hides_copies,
    mount_points,
    permission_hint,
)
from logwatch_monitis.text import visible

_COLUMNS = ("about", "state", "message", "hint")
_DENIED = " may not be read"
_FACILITIES = {"AUTH", "AUTHPRIV"}
_TAIL = 1 << 20
_PATIENCE_S = 30.0
_COLOURS = {"ok": "32", "note": "36", "error": "31"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        about: what it was.
        state: ``ok``, ``note`` for what may be as it is, ``error``.
        message: what was found.
        hint: what to do about it.
        code: the exit code it asks for.
    """

    about: str
    state: str
    message: str
    hint: str = ""
    code: int = 0


def _error(about: str, error: LogwatchError) -> Finding:
    return Finding(about, "error", error.message, error.hint, error.exit_code)


@click.command(cls=Command, example="logwatch-monitis check --online")
@config_option
@format_option(*FORMATS)
@click.option("--online", is_flag=True, help="Ask the monitor too, with the keys.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def command(config_path: str | None, form: str | None, *, online: bool, quiet: bool) -> int:
    """See whether everything is ready to run.

    Looks at the configuration, the patterns and their samples, the logs, the state directory and
    the monitor's keys, and says what to do about what is wrong.
    """
    findings = [
        finding
        for finding in _look(config_path, online=online)
        if finding.state == "error" or not quiet
    ]
    if form in (None, "human"):
        write("".join(map(_human, findings)))
    else:
        records = [{name: getattr(finding, name) for name in _COLUMNS} for finding in findings]
        write_records(form or "", records, _COLUMNS)
    return max((finding.code for finding in findings), default=0)


def _human(finding: Finding) -> str:
    state = Terminal.of(sys.stdout).paint(f"{finding.state:<5}", _COLOURS[finding.state])
    lines = [visible(line.replace("\t", " ")) for line in finding.message.split("\n")]
    hint = f" ({visible(finding.hint)})" if finding.hint else ""
    return f"{state}  {finding.about}: " + "\n       ".join(lines) + f"{hint}\n"


def _look(path: str | None, *, online: bool) -> Iterator[Finding]:
    try:
        configuration = load(path)
    except LogwatchError as error:
        yield _error("configuration", error)
        return
    where = configuration.path or f"defaults ({config.DEFAULT_PATH} does not exist)"
    yield Finding("configuration", "ok", where)
    yield from _patterns(configuration)
    yield from _logs(configuration)
    yield from _sshd()
    yield from _state(configuration)
    yield from _monitor(configuration)
    yield from _address(configuration)
    if online:
        yield from _online(configuration)


def _patterns(configuration: Config) -> Iterator[Finding]:
    from logwatch_monitis.grammar import load_rules

    try:
        rules = load_rules(configuration.patterns)
    except DocumentError as error:
        yield _error("patterns", error)
        return
    for problem in rules.warnings:
        yield Finding("patterns", "note", problem.render())
    count = sum(len(file.rules) for file in rules.files)
    yield Finding("patterns", "ok", f"{count} rules in {len(rules.files)} files, all samples hold")


def _logs(configuration: Config) -> list[Finding]:
    """Return what is to be said of each log; if there are some and all are denied, that is 77."""
    wide: list[Finding] = []
    paths = [path for pattern in configuration.sources.files for path in _paths(pattern, wide)]
    programs = _programs(configuration)
    logs = [_log(path, programs) for path in paths]
    logs += [finding for path in paths for finding in _rotation(path)]
    findings = [*wide, *logs, *_journal(configuration.sources)]
    there = {finding.message for finding in findings if finding.state != "note"}
    denied = [finding for finding in findings if finding.message.endswith(_DENIED)]
    if denied and len(denied) == len(there):
        return [
            replace(finding, code=NotPermittedError.exit_code) if finding in denied else finding
            for finding in findings
        ]
    return findings


def _rotation(path: str) -> Iterator[Finding]:
    """Yield what will keep a rotation of the log from being followed."""
    if os.path.isfile(path) and os.path.realpath(path) in mount_points():  # noqa: PTH113
        yield Finding("log", "note", f"{path}: {MOUNTED}", "mount its directory in place of it")
    if os.access(path, os.R_OK) and hides_copies(path):
        directory = os.path.split(path)[0] or "."
        message = (
            f"{directory} does not show what is in it, so what was written to {path} just before "
            "a rotation, or while no agent ran, may be missed"
        )
        yield Finding("log", "note", message, f"chmod g+r {directory}, with the log's group")


def _paths(pattern: str, wide: list[Finding]) -> list[str]:
    try:
        return (expand(pattern) if glob.has_magic(pattern) else []) or [pattern]
    except SetupError as error:
        wide.append(_error("log", error))
        return []


def _programs(configuration: Config) -> Collection[str]:
    """Return the programs that patterns know; none where the patterns are wrong."""
    from logwatch_monitis.grammar import load_rules

    try:
        return load_rules(configuration.patterns).programs
    except DocumentError:
        return ()


def _log(path: str, programs: Collection[str]) -> Finding:
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            tail = file.read(_TAIL)
    except FileNotFoundError:
        return Finding("log", "note", f"{path} does not exist", "it is waited for")
    except PermissionError:
        return Finding("log", "error", f"{path}{_DENIED}", permission_hint(path), 1)
    except OSError as error:
        return Finding("log", "error", f"{path}: {error.strerror}", code=1)
    if tail and programs and not _has_any(tail, programs):
        message = f"{path} can be read, but no line near its end is of a program that patterns know"
        return Finding("log", "note", message, "is it the right file? 'explain -' takes its lines")
    return Finding("log", "ok", f"{path} can be read")


def _has_any(tail: bytes, programs: Collection[str]) -> bool:
    """Return whether some line is of one of *programs*."""
    from logwatch_monitis.syslog import split

    lines = tail.decode("utf-8", "backslashreplace").split("\n")
    return any(found.program in programs for found in map(split, reversed(lines)) if found)


def _sshd() -> Iterator[Finding]:
    """Yield what keeps sshd's logins out of the logs that are watched."""
    settings = read_log_settings(sshd_config.PATH)
    level, facility = settings.get("loglevel"), settings.get("syslogfacility")
    if level and level.value in SILENT:
        message = f"{level.where}: LogLevel {level.value} leaves logins out of the log"
        yield Finding("sshd", "error", message, "write LogLevel INFO, and reload sshd", 1)
    if facility and facility.value not in _FACILITIES:
        message = f"{facility.where}: SyslogFacility {facility.value} is no login facility"
        yield Finding("sshd", "note", message, "are its lines in one of the files watched?")


def _journal(sources: Sources) -> Iterator[Finding]:
    """Yield what is to be said of the journal: that it is read, or why it is not."""
    from logwatch_monitis.agent.choose_sources import is_wanted
    from logwatch_monitis.sources.journal.journalctl import command as journalctl
    from logwatch_monitis.sources.journal.journalctl import (
        denied,
        is_kept,
        output,
        permission_error,
    )

    if not is_wanted(sources):
        if sources.journal == "auto" and is_kept():
            message = "not read, because some of the log files exist"
            hint = "'journal: yes' reads it too, and proves who wrote a login"
            yield Finding("journal", "note", message, hint)
        return
    try:
        if denied():
            raise permission_error()
        if output(journalctl("--lines=1"), _PATIENCE_S):
            yield Finding("journal", "ok", "it can be read")
        else:
            yield Finding("journal", "note", "it holds nothing", "is systemd-journald running?")
    except NotPermittedError as error:
        yield Finding("journal", "error", f"the journal{_DENIED}", error.hint, 1)
    except LogwatchError as error:
        yield _error("journal", error)


def _state(configuration: Config) -> Iterator[Finding]:
    from logwatch_monitis.config.private_files import make_state_directory

    try:
        directory = configuration.state_directory
        if os.path.exists(directory):  # noqa: PTH110 - a path below what is denied is no error
            make_state_directory(directory)
    except StateError as error:
        yield _error("state", error)
        return
    if not os.access(_nearest(directory), os.W_OK | os.X_OK):
        hint = "make it, or name another one as state_directory"
        yield _error("state", StateError(f"the state directory {directory} cannot be made", hint))
    elif _full(_nearest(directory)):
        full = f"the disk of the state directory {directory} is full"
        yield _error("state", StateError(full, "free some space"))
    else:
        yield Finding("state", "ok", f"{directory} can be written")


def _full(directory: Path) -> bool:
    """Return whether its disk has no block left; one that counts no blocks is never full."""
    disk = os.statvfs(directory)
    return disk.f_blocks > 0 and disk.f_bavail == 0


def _nearest(directory: Path) -> Path:
    """Return the directory itself, or the nearest one above it that exists."""
    chain = (directory.absolute(), *directory.absolute().parents)
    return next(place for place in chain if os.path.exists(place))  # noqa: PTH110 - as above


def _monitor(configuration: Config) -> Iterator[Finding]:
    monitor = configuration.monitor
    if monitor.url == EMBEDDED:
        missing = [name for name in ("starlette", "uvicorn", "jinja2") if not find_spec(name)]
        if missing:
            error = MissingExtraError(f"the embedded monitor ({missing[0]})", "monitor")
            yield _error("monitor", error)
        else:
            yield Finding("monitor", "ok", "the embedded one")
        return
    try:
        monitor.api_key.need()
        monitor.secret_key.need()
    except LogwatchError as error:
        yield _error("monitor", error)
    else:
        yield Finding("monitor", "ok", f"{monitor.url}, both keys found")


def _address(configuration: Config) -> Iterator[Finding]:
    """Yield whether the agent can have its address; that of an agent that runs is its own."""
    from logwatch_monitis.config.listen import bind, parse_listen
    from logwatch_monitis.interfaces import SystemClock
    from logwatch_monitis.spool import Locks

    listen = configuration.listen
    with suppress(LogwatchError):
        directory = configuration.state_directory
        if Locks(directory, SystemClock()).holder("run"):
            yield Finding("listen", "ok", "the agent runs and has its address")
            return
        if os.path.exists(directory) and not os.access(directory, os.X_OK):  # noqa: PTH110 - as above
            hint = "as root: sudo logwatch-monitis check"
            yield Finding("listen", "note", f"not known whether an agent runs on {listen}", hint)
            return
    try:
        bind(*parse_listen(listen)).close()
    except SetupError as error:
        if configuration.listen_chosen:
            yield _error("listen", error)
        else:
            hint = "'run' takes the next free port and prints it"
            yield Finding("listen", "note", error.message, hint)
    else:
        yield Finding("listen", "ok", f"{listen} is free")


def _online(configuration: Config) -> Iterator[Finding]:
    from logwatch_monitis.cli.client import Access, connect
    from logwatch_monitis.protocol.url import is_loopback

    tag = configuration.monitor.tag
    try:
        with connect(Access(), configuration) as client:
            found = client.monitors(tag)
            yield Finding("monitor", "ok", f"{client.url} takes the api key")
            if client.url.startswith("https:") or is_loopback(client.url):
                client.auth_token()
                yield Finding("monitor", "ok", "the secret key fits the api key")
            else:
                message = "the secret key is not tried, it would cross the network in clear text"
                yield Finding("monitor", "note", message, "https:// would protect it")
    except LogwatchError as error:
        yield _error("monitor", error)
        return
    if not found:
        yield Finding("monitor", "note", f"none has the tag {tag} yet", "the agent makes it")
