"""The command line: finds the command, runs it, and turns what goes wrong into one line and a code.

Commands are modules that are imported when they are used, so that ``--help`` starts at once.
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from logwatch_monitis.cli.options import (
    COMPLETE_VARIABLE,
    CONTEXT,
    PROGRAM,
    SuggestingGroup,
    say,
    tell,
)
from logwatch_monitis.config.signals import end_at_signals
from logwatch_monitis.errors import DocumentError, LogwatchError, UsageError, place_of
from logwatch_monitis.text import visible

__all__ = ["COMMANDS", "cli", "execute", "main"]

COMMANDS = {
    "run": "Watch the logs and send every login to the monitor.",
    "scan": "Print the logins that files hold; send nothing.",
    "backfill": "Send the logins that files hold to the monitor, each once.",
    "explain": "Say why a line is a login, or why it is not.",
    "patterns": "List, check, show, make and edit pattern files.",
    "monitor": "Work on the custom monitor by hand.",
    "serve": "Run the embedded custom monitor for many agents until it is stopped.",
    "spool": "Look after logins that the monitor refused.",
    "status": "Show what the running agent does.",
    "top": "Show the running agent live in the terminal.",
    "check": "See whether everything is ready to run.",
    "setup": "Make the agent a service of this machine, or undo it.",
    "completion": "Print what makes a shell complete commands and options.",
}
"""Every command with the line that the overview shows; each is a module of this package."""

_WITH_KEYS = {"run", "backfill", "monitor", "serve", "spool", "check", "setup"}
_SOFTWARE = 70
"""EX_SOFTWARE of sysexits.h: a mistake of ours, not of the user."""
_DEBUG = "LOGWATCH_MONITIS_DEBUG"


class _Commands(SuggestingGroup):
    """The commands, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"logwatch_monitis.cli.{cmd_name}")
        command: click.Command = module.command
        command.name = cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001
    if wanted:
        from logwatch_monitis import __version__

        tell(f"{PROGRAM} {__version__}")
        ctx.exit()


@click.group(
    cls=_Commands,
    context_settings=CONTEXT,
    example="logwatch-monitis scan /var/log/auth.log",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Send every login of this machine to a custom monitor."""


def main() -> NoReturn:
    """Run the command that the process was started with, and exit."""
    if sys.stdin is None:  # closed; what is opened next would take its place
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123 - until the end
    end_at_signals()
    if _WITH_KEYS.intersection(sys.argv[1:]):
        from logwatch_monitis.config.credentials import keep_memory_private

        keep_memory_private()
    sys.exit(execute(sys.argv[1:]))


def execute(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; what went wrong is on standard error."""
    try:
        code = _invoke(list(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()  # the reader has seen enough, as with ``| head``
        return 0
    except click.Abort:
        return 128 + signal.SIGINT
    except Exception as error:  # noqa: BLE001 - this is where every error ends
        if os.environ.get(_DEBUG) == "1":
            import traceback

            traceback.print_exc()
        text, code = _explain(error)
        say(*text.split("\n"))
    return code


def _invoke(arguments: list[str]) -> int:
    """Run the command as click does, but leave what is raised as it is: click turns some of it."""
    if sys.stdout is None:
        raise UsageError("there is no standard output to write to")
    if asked := os.environ.get(COMPLETE_VARIABLE):
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, PROGRAM, COMPLETE_VARIABLE, asked)
    try:
        with cli.make_context(PROGRAM, arguments) as context:
            code = cli.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    return code if isinstance(code, int) else 0


def _explain(error: Exception) -> tuple[str, int]:
    """Return the text for standard error and the exit code."""
    if isinstance(error, DocumentError):
        return error.render(), error.exit_code
    if isinstance(error, LogwatchError):
        return _line(error.render()), error.exit_code
    if isinstance(error, click.ClickException):
        return _line(_usage(error)), error.exit_code
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        hint = " (free some space and run it again)" if error.errno == errno.ENOSPC else ""
        return _line(f"{where}{error.strerror or error}{hint}"), 1
    return _line(f"internal error: {place_of(error)} ({_DEBUG}=1 shows more)"), _SOFTWARE


def _line(message: str) -> str:
    return f"{PROGRAM}: {visible(message)}"


def _usage(error: click.ClickException) -> str:
    """Return click's message in our style: one line, small first letter, no full stop."""
    message = " ".join(error.format_message().split()).rstrip(".")
    if isinstance(error, click.NoSuchOption):
        near = " or ".join(sorted(error.possibilities or ()))
        message = f"no such option {error.option_name}" + (
            f" (did you mean {near}?)" if near else ""
        )
    message = message[:1].lower() + message[1:]
    context = getattr(error, "ctx", None)
    return f"{message}; see '{context.command_path} --help'" if context else message


def _drop_output() -> None:
    """Point standard output nowhere, so that Python does not complain when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
