"""Running commands: inside this process for speed, as real processes where that matters."""

import contextlib
import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import click

from logwatch_monitis.cli import main

ROOT = Path(__file__).parent.parent
EXAMPLE_LOG = ROOT / "examples" / "auth.log"
PROGRAM = [sys.executable, "-m", "logwatch_monitis"]
# Root reads everything; without these capabilities the mode of a file counts for it too.
DENIED = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


class Result(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def lines(self):
        """The lines of standard output."""
        return self.out.splitlines()


class _Stream(io.TextIOWrapper):
    def __init__(self):
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def text(self):
        return self.buffer.getvalue().decode()


def run(*arguments, stdin=b""):
    """Run a command in this process."""
    out, err, given = _Stream(), _Stream(), io.TextIOWrapper(io.BytesIO(stdin))
    old, sys.stdin = sys.stdin, given
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main.execute([str(word) for word in arguments])
    finally:
        sys.stdin = old
    return Result(code, out.text(), err.text())


def spawn(*arguments, before=(), **options):
    """Start a command as a process of its own, with pipes."""
    words = [*before, *PROGRAM, *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, **pipes | options)


def process(*arguments, stdin=b"", before=(), **options):
    """Run a command as a process of its own."""
    with spawn(*arguments, before=before, **options) as started:
        out, err = started.communicate(stdin, timeout=60)
    return Result(started.returncode, (out or b"").decode(), (err or b"").decode())


def denied(*arguments, **options):
    """Run a command as somebody for whom the mode of files counts."""
    return process(*arguments, before=DENIED if os.geteuid() == 0 else (), **options)


def on_terminal(*arguments, columns=80, environ=None):
    """Run a command whose standard output is a terminal."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, True)
    import fcntl
    import struct
    import termios

    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = {**os.environ, "TERM": "xterm", **(environ or {})}
    variables.pop("NO_COLOR", None) if "NO_COLOR" not in (environ or {}) else None
    with spawn(*arguments, stdout=theirs, env=variables) as started:
        os.close(theirs)
        output = b""
        with contextlib.suppress(OSError):  # Linux says EIO when the last writer has gone
            while block := os.read(ours, 65_536):
                output += block
        _, err = started.communicate(timeout=60)
    os.close(ours)
    return Result(started.returncode, output.decode().replace("\r\n", "\n"), err.decode())


def all_commands():
    """Yield the words and the object of every command."""

    def below(group, words):
        context = click.Context(group)
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            yield (*words, name), found
            if isinstance(found, click.Group):
                yield from below(found, (*words, name))

    yield (), main.cli
    yield from below(main.cli, ())
