"""``top``: a live view of the running agent."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from logwatch_monitis.cli.login_output import Terminal
from logwatch_monitis.cli.options import Command, config_option
from logwatch_monitis.cli.running_agent import ask_agent, recent_logins
from logwatch_monitis.cli.tables import write
from logwatch_monitis.cli.top_screen import Look, glance
from logwatch_monitis.config.file import load
from logwatch_monitis.errors import LogwatchError

_ENTER = "\x1b[?1049h\x1b[?25l"
"""Another screen without a cursor, so that what stood there before comes back in the end."""
_LEAVE = "\x1b[?25h\x1b[?1049l"


@click.command(cls=Command, example="logwatch-monitis top --once")
@config_option
@click.option(
    "--interval",
    type=click.FloatRange(0.2, 3600),
    default=2.0,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option("--once", is_flag=True, help="Print one look and end, as when it is piped.")
def command(config_path: str | None, *, interval: float, once: bool) -> int:
    """Show the running agent live in the terminal.

    Last logins, rates, logs with their lag, delivery.

    Keys: q ends it, p holds it still and lets it go on. Only the agent's own user and root may
    look, as the logins are shown.
    """
    directory = load(config_path).state_directory
    look = _ask(directory)
    terminal = Terminal.of(sys.stdout)
    if once or not terminal.interactive or os.environ.get("TERM", "dumb") == "dumb":
        write("".join(f"{line}\n" for line in glance(look, None, terminal)))
        return 0
    with _screen() as keys:
        _follow(directory, interval, look, keys)
    return 0


def _ask(directory: Path) -> Look:
    """Ask the agent.

    Raises:
        LogwatchError: none answers, or not as an agent does.
    """
    said = ask_agent(directory, "top")
    return Look(time.time(), said.status, recent_logins(directory, "top"))


def _look(directory: Path) -> Look:
    """Ask the agent; one that does not answer is something to show as well."""
    try:
        return _ask(directory)
    except LogwatchError as error:
        return Look(time.time(), {}, (), error.message)


def _follow(directory: Path, interval: float, look: Look, keys: _Keyboard) -> None:
    """Draw again and again until somebody has seen enough."""
    before, paused, due = None, False, time.monotonic() + interval
    while True:
        size = os.get_terminal_size(sys.stdout.fileno())
        terminal = Terminal.of(sys.stdout)._replace(columns=size.columns)
        _draw(glance(look, before, terminal, size.lines - 1, paused=paused))
        pressed = keys.wait(None if paused else max(due - time.monotonic(), 0))
        if "q" in pressed or "Q" in pressed:
            return
        paused ^= pressed.lower().count("p") % 2 == 1
        if not paused and time.monotonic() >= due:
            due = time.monotonic() + interval
            before, look = look, _look(directory)


def _draw(lines: list[str]) -> None:
    """Put the lines over what is there: no clearing first, so nothing flickers."""
    write("\x1b[H" + "".join(f"{line}\x1b[K\r\n" for line in lines) + "\x1b[J")


class _Keyboard:
    """What the keyboard says, and that the window has another size now."""

    def __init__(self) -> None:
        self._keyboard = [sys.stdin.fileno()] if sys.stdin.isatty() else []
        self._resized, self._resize = os.pipe()
        os.set_blocking(self._resize, False)

    def resized(self, _number: int, _frame: FrameType | None) -> None:
        """Take SIGWINCH."""
        os.write(self._resize, b".")

    def wait(self, seconds: float | None) -> str:
        """Return what was typed within *seconds*; a new size ends the wait, too."""
        ready, _, _ = select.select([*self._keyboard, self._resized], [], [], seconds)
        typed = ""
        for descriptor in ready:
            data = os.read(descriptor, 1024)
            if descriptor != self._resized:
                typed += data.decode("latin-1") or "q"  # the keyboard is gone
        return typed

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._resized)
        os.close(self._resize)


@contextmanager
def _screen() -> Iterator[_Keyboard]:
    """Take over the terminal, and give it back as it was, however this ends."""
    keys = _Keyboard()
    keyboard = sys.stdin.fileno() if sys.stdin.isatty() else None
    mode = termios.tcgetattr(keyboard) if keyboard is not None else None
    former = signal.signal(signal.SIGWINCH, keys.resized)
    try:
        if keyboard is not None:
            tty.setcbreak(keyboard)
        write(_ENTER)
        yield keys
    finally:
        signal.signal(signal.SIGWINCH, former)
        if keyboard is not None and mode is not None:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, mode)
        write(_LEAVE)
        keys.close()
