"""What the commands share: options, formats, and groups that suggest what was meant."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar

import click

from logwatch_monitis.config import signals
from logwatch_monitis.errors import SetupError, UsageError, suggest
from logwatch_monitis.text import visible

__all__ = [
    "COMPLETE_VARIABLE",
    "CONTEXT",
    "PATH",
    "PROGRAM",
    "Command",
    "SuggestingGroup",
    "config_option",
    "format_option",
    "listen_address",
    "login_format",
    "say",
    "stdout",
    "tell",
]

PROGRAM = "logwatch-monitis"
COMPLETE_VARIABLE = "_LOGWATCH_MONITIS_COMPLETE"
"""Set by the shell's completion functions; says what they want to know."""
CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
PATH = click.Path(readable=False)
"""Completed by the shell, and not looked at before the command does."""

F = TypeVar("F", bound=Callable[..., Any])

config_option = click.option(
    "-c",
    "--config",
    "config_path",
    metavar="FILE",
    type=PATH,
    help="Configuration file.  [default: /etc/logwatch-monitis/config.yaml]",
)


def format_option(*formats: str, default: str = "human") -> Callable[[F], F]:
    """Return the option ``--format`` for these formats; it is None unless given."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(formats),
        help=f"Form of the output.  [default: {default}]",
    )


def login_format(chosen: str | None) -> str:
    """Return the format for logins: people read a table, programs read JSON lines."""
    return chosen or ("human" if sys.stdout.isatty() else "jsonl")


def listen_address(text: str) -> str:
    """Return what was given as ``--listen``.

    Raises:
        UsageError: it is no address.
    """
    from logwatch_monitis.config.listen import parse_listen

    try:
        parse_listen(text)
    except SetupError as error:
        raise UsageError(f"--{error.message}", error.hint) from None
    return text


def stdout() -> BinaryIO:
    """Return standard output as bytes."""
    return sys.stdout.buffer


def say(*lines: str) -> None:
    """Write lines to standard error; whatever stands in them, none moves, colours or hides."""
    for line in lines:
        click.echo("\t".join(map(visible, line.split("\t"))), err=True)


def tell(line: str) -> None:
    """Write one such line to standard output."""
    click.echo(visible(line))


class Command(click.Command):
    """A command whose help ends with an example, one command line in each of its lines.

    One that is a daemon runs until SIGTERM or SIGINT, and ends with 0 then.
    """

    def __init__(self, *args: Any, example: str, daemon: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example
        self.daemon = daemon

    def invoke(self, ctx: click.Context) -> Any:
        """See click; signals that came while the program was loaded come now."""
        if not isinstance(self, click.Group):
            signals.hear(daemon=self.daemon)
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the example as it stands."""
        with formatter.section("Example"):
            formatter.write("".join(f"  {line}\n" for line in self.example.splitlines()))


class SuggestingGroup(Command, click.Group):
    """Commands under one word; an unknown one is answered with the nearest that exists."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["no_args_is_help"] = False
        super().__init__(*args, **kwargs)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example below the commands."""
        Command.format_epilog(self, ctx, formatter)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click; only the answer to an unknown word differs."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise UsageError(
                f"no such command '{args[0]}'", suggest(args[0], self.list_commands(ctx))
            )
        return super().resolve_command(ctx, args)
