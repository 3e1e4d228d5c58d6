"""``completion``: commands, options and file names completed by the shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from logwatch_monitis.cli.options import COMPLETE_VARIABLE, PROGRAM, Command, config_option

SHELLS = ("bash", "zsh", "fish")


@click.command(
    cls=Command,
    example="logwatch-monitis completion bash",
)
@click.argument("shell", type=click.Choice(SHELLS))
@config_option
def command(shell: str, config_path: str | None) -> None:  # noqa: ARG001 - as every command
    """Print what makes a shell complete commands and options.

    bash: into /etc/bash_completion.d/logwatch-monitis, or for yourself alone
    ~/.local/share/bash-completion/completions/logwatch-monitis; bash 4.4 or later. zsh: as
    _logwatch-monitis into a directory of $fpath. fish: into
    ~/.config/fish/completions/logwatch-monitis.fish.
    """
    from logwatch_monitis.cli.main import cli

    chosen = get_completion_class(shell)
    assert chosen is not None
    click.echo(chosen(cli, {}, PROGRAM, COMPLETE_VARIABLE).source().strip())
