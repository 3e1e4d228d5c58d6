"""``patterns``: the pattern files in force, tried, shown, drafted and edited."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from logwatch_monitis.cli.login_output import FORMATS
from logwatch_monitis.cli.options import PATH, SuggestingGroup, config_option, format_option, say
from logwatch_monitis.cli.stdin_lines import NO_HEADER, head_of, lines_of
from logwatch_monitis.cli.tables import write, write_record, write_records
from logwatch_monitis.config.file import load
from logwatch_monitis.config.model import Config
from logwatch_monitis.config.private_files import (
    PUBLIC_FILE_MODE,
    make_directory_for_all,
    write_file,
)
from logwatch_monitis.config.small_files import read_small
from logwatch_monitis.errors import (
    DocumentError,
    LogwatchError,
    SetupError,
    UsageError,
    suggest,
)
from logwatch_monitis.grammar import PatternFile, RuleSet, load_rules
from logwatch_monitis.sources import programs
from logwatch_monitis.text import counted

_COLUMNS = ("name", "service", "kind", "state", "rules", "path", "replaces")


@click.group(cls=SuggestingGroup, example="logwatch-monitis patterns list")
def command() -> None:
    """List, check, show, make and edit pattern files.

    A file in a later directory replaces the one of the same name in an earlier: those shipped,
    /usr/lib, /run and /etc/logwatch-monitis/patterns.d, then the configured ones.
    """


@command.command("list", example="logwatch-monitis patterns list --format json")
@config_option
@format_option(*FORMATS)
def list_files(config_path: str | None, form: str | None) -> None:
    """List the pattern files, where each comes from and what it replaces."""
    rules = load_rules(load(config_path).patterns)
    records = [_record(file) for file in rules.files]
    if form == "csv" or form in (None, "human"):
        records = [
            {**record, "rules": len(record["rules"]), "replaces": " ".join(record["replaces"])}
            for record in records
        ]
    write_records(form or "human", records, _COLUMNS)


def _record(file: PatternFile) -> dict[str, Any]:
    return {
        "name": file.name.removesuffix(".yaml"),
        "service": file.service,
        "title": file.title,
        "kind": file.kind,
        "state": file.state,
        "path": file.path,
        "replaces": list(file.replaces),
        "rules": [rule.name for rule in file.rules],
    }


@command.command(example="logwatch-monitis patterns check /etc/logwatch-monitis/patterns.d")
@config_option
@format_option(*FORMATS)
@click.option("-q", "--quiet", is_flag=True, help="Say only what is wrong.")
@click.argument("paths", metavar="[PATH]...", type=PATH, nargs=-1)
def check(config_path: str | None, form: str | None, paths: Sequence[str], *, quiet: bool) -> int:
    """Read pattern files and try every sample in them.

    PATH is a file or a directory; without one, all files in force are checked. Exit code 1 if a
    sample fails, 78 if a file is wrong.
    """
    from logwatch_monitis.grammar.loader import check_files

    try:
        if paths:
            rules = check_files([_existing(path) for path in paths])
        else:
            rules = load_rules(load(config_path).patterns)
    except DocumentError as error:
        if not _samples_only(error):
            raise
        say(*error.render().split("\n"))
        return 1
    for problem in rules.warnings:
        say(*problem.render().split("\n"))
    if not quiet:
        _write_tally(rules, form)
    return 0


def _existing(path: str) -> Path:
    if not Path(path).exists():
        raise LogwatchError(f"{path}: no such file or directory")
    return Path(path)


def _samples_only(error: DocumentError) -> bool:
    """Return whether all files of *error* are sound, so that only samples can be wrong."""
    from logwatch_monitis.grammar.pattern_file import read_file

    if not all(problem.line for problem in error.problems):
        return False  # what is wrong is the file itself: its owner, its mode, its kind
    for path in {problem.path for problem in error.problems}:
        try:
            if read_file(read_small(path), path).document.problems:
                return False
        except (SetupError, OSError):
            return False
    return True


def _write_tally(rules: RuleSet, form: str | None) -> None:
    found = [rule for file in rules.files for rule in file.rules]
    samples = sum(rule.accepts + rule.rejects for rule in found)
    tally = {"samples": samples, "rules": len(found), "files": len(rules.files)}
    if form in (None, "human"):
        held = "holds" if samples == 1 else "hold"
        place = f"{counted(len(found), 'rule')} in {counted(len(rules.files), 'file')}"
        write(f"{counted(samples, 'sample')} of {place} {held}\n")
    else:
        write_record(form or "", tally)


@command.command(example="logwatch-monitis patterns show sshd")
@config_option
@format_option(*FORMATS)
@click.argument("name")
def show(config_path: str | None, form: str | None, name: str) -> None:
    """Print the pattern file of that name that is in force."""
    configuration = load(config_path)
    if form not in (None, "human"):
        files = {file.name: _record(file) for file in load_rules(configuration.patterns).files}
        write_record(form or "", _pick(files, name))
        return
    found = _found(configuration, name)
    say(f"{found.path}:")
    write(found.data.decode("utf-8", "backslashreplace"))


def _pick(files: dict[str, Any], name: str) -> Any:
    full = f"{name.removesuffix('.yaml')}.yaml"
    if full not in files:
        known = [known.removesuffix(".yaml") for known in files]
        raise LogwatchError(f"there is no pattern file '{name}'", suggest(name, known))
    return files[full]


def _found(configuration: Config, name: str) -> Any:
    """Return the file in force as it lies on the disk, whether or not it is right."""
    from logwatch_monitis.grammar.search_path import find

    return _pick(find(configuration.patterns).versions, name)[-1]


@command.command(
    example="logwatch-monitis patterns new mydoor --user bob --from"
    " 'Nov 22 21:41:45 web1 mydoord[7]: door 7 opened for bob at 192.0.2.7'"
)
@config_option
@click.option("--from", "line", metavar="LINE", required=True, help="A log line, or - for stdin.")
@click.option("--user", metavar="NAME", help="Who got in, as the line has it.")
@click.option("--program", metavar="NAME", help="LINE is a message of this program, no header.")
@click.option("--save", is_flag=True, help="Write it into your directory in place of printing it.")
@click.argument("name")
def new(
    config_path: str | None,
    *,
    line: str,
    user: str | None,
    program: str | None,
    save: bool,
    name: str,
) -> None:
    """Draft the pattern file NAME from a log line of a login."""
    from logwatch_monitis.grammar.draft import draft

    text = next(lines_of(line))
    head = head_of(text, program)
    if head is None:
        raise UsageError(*NO_HEADER)
    if not user and sys.stdin.isatty() and line != "-":
        user = click.prompt(f"{head.message}\nWho got in? The user, as the line has it", err=True)
    drafted = draft(name, head.message, program=head.program, user=user)
    if not save:
        write(drafted)
        return
    target = _own_directory(load(config_path)) / f"{name}.yaml"
    if target.exists():
        raise LogwatchError(f"{target} exists already", f"logwatch-monitis patterns edit {name}")
    _install(drafted.encode(), target)
    say(f"Written to {target}")


def _own_directory(configuration: Config) -> Path:
    """Return the directory whose files win."""
    if not configuration.patterns:
        raise UsageError("no directory of your own is configured", "set patterns: directories")
    return configuration.patterns[-1]


def _install(data: bytes, target: Path) -> None:
    """Put *data* in the place of *target*, all of it or nothing."""
    try:
        make_directory_for_all(target.parent)
        write_file(target, data, PUBLIC_FILE_MODE)
    except OSError as error:
        raise LogwatchError(f"cannot write {target}: {error.strerror}", "use sudo") from None


@command.command(example="EDITOR=true logwatch-monitis patterns edit sshd")
@config_option
@click.argument("name")
def edit(config_path: str | None, name: str) -> None:
    """Edit a copy of a pattern file and put it in force once it is right.

    The copy goes into the last of the configured directories, where it replaces the shipped file.
    """
    configuration = load(config_path)
    found = _found(configuration, name)
    target = _own_directory(configuration) / found.name
    with tempfile.TemporaryDirectory(prefix="logwatch-monitis-") as directory:
        draft = Path(directory, found.name)
        write_file(draft, found.data)
        _edit(draft)
        data = read_small(draft)
    if data == found.data:
        say("Nothing was changed.")
        return
    _install(data, target)
    say(f"Written to {target}; a running agent takes it within seconds")


def _edit(draft: Path) -> None:
    """Let the user edit until the file is right, or until they give up.

    Raises:
        DocumentError: it is wrong, and nobody is there to correct it.
        LogwatchError: the editor failed.
    """
    from logwatch_monitis.grammar.loader import check_files

    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    while True:
        try:
            with programs.start([*shlex.split(editor), str(draft)], cwd=None) as editing:
                code = editing.wait()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise LogwatchError(f"cannot start '{editor}': {reason}", "set EDITOR") from None
        if code:
            raise LogwatchError(f"'{editor}' ended with {code}; nothing was changed")
        try:
            check_files([draft])
        except DocumentError as error:
            if not sys.stdin.isatty():
                raise
            say(*error.render().split("\n"))
            click.confirm("Edit again?", default=True, abort=True, err=True)
        else:
            return
