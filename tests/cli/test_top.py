"""``top``: what it shows, and how it behaves in terminals, pipes and when it is left."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time

import pytest
from commands import on_terminal, run, spawn
from running import eventually

from logwatch_monitis.agent.control import Control
from logwatch_monitis.cli.login_output import PLAIN, Terminal
from logwatch_monitis.cli.top_screen import Look, glance
from logwatch_monitis.text import width

NOW = time.time()


def status(lines=10, logins=4):
    """Return what an agent says of itself."""
    source = {"log": "/var/log/auth.log", "state": "reading", "lag": 1500, "lines": lines}
    moments = {"bytes": lines * 100, "last_line": NOW - 3.5, "last_login": NOW - 7205}
    return {
        "state": "ok",
        "reason": "reading and delivering",
        "events": {"sshd/accepted": logins},
        "sources": [source | moments],
        "spool": {"depth": 7, "dead": 2},
        "delivery": {"state": "ok", "last_delivery": NOW - 65, "last_error": ""},
    }


LOGIN = {
    "time": NOW,
    "user_login": "ali\x1b[2Jce",
    "host": "2001:db8:1234:5678:9abc:def0:1234:5678",
    "srv": "sshd",
    "method": "publickey",
    "machine": "web1",
}
LOOK = Look(NOW, status(), [LOGIN] * 5)


def test_a_look_shows_everything():
    """Health, what waits, each log with its lag and silences, the last logins."""
    text = "\n".join(glance(LOOK, None, PLAIN))

    for word in ("healthy: reading and delivering", "7 waiting  2 refused", "last one 1 min ago"):
        assert word in text
    assert "/var/log/auth.log  reading  1.5k  -        3 s ago    2 h ago" in text
    assert text.count(r"ali\x1b[2Jce") == 5
    assert "\x1b" not in text


def test_rates_come_from_two_looks():
    """Counters of an agent that was started again in between are no negative rates."""
    later = Look(NOW + 2, status(lines=34, logins=8), [])

    assert "2 logins/s  12 lines/s  1.2kB/s" in "\n".join(glance(later, LOOK, PLAIN))
    assert "0 logins/s  0 lines/s" in "\n".join(glance(LOOK._replace(at=NOW + 4), later, PLAIN))


@pytest.mark.parametrize(("columns", "rows"), [(20, 5), (40, 12), (80, 24), (200, 3)])
def test_it_fits(columns, rows):
    """No line is wider than the terminal, and there are not more of them than it has rows."""
    lines = glance(LOOK, None, Terminal(True, False, columns), rows)

    assert len(lines) <= rows
    assert max(map(width, lines)) <= columns


def test_an_agent_that_does_not_answer():
    """The reason takes the place of everything else."""
    assert len(glance(Look(NOW, {}, (), "no agent runs"), LOOK, PLAIN)) == 1


@pytest.fixture(name="config_file")
def _config_file(tmp_path):
    """The configuration of an agent that answers."""
    (tmp_path / "state").mkdir(mode=0o700)
    path = tmp_path / "config.yaml"
    path.write_text(f"state_directory: {tmp_path}/state\n")
    control = Control(
        status=status, ready=lambda: (True, ""), metrics=bytes, recent=lambda: [LOGIN]
    )
    control.listen_unix(tmp_path / "state")
    yield path
    control.close()


def test_a_pipe_gets_one_look(config_file):
    """Without a terminal, with a dumb one or with --once there are no control sequences."""
    piped = run("top", "-c", config_file)
    dumb = on_terminal("top", "-c", config_file, environ={"TERM": "dumb"})
    once = on_terminal("top", "-c", config_file, "--once", environ={"NO_COLOR": "1"})

    for result in (piped, dumb, once):
        assert (result.code, result.err) == (0, "")
        assert "LAST LOGIN" in result.out
        assert "\x1b" not in result.out


def test_no_agent(tmp_path):
    """Exit code 1 and one line, as with status."""
    path = tmp_path / "config.yaml"
    path.write_text(f"state_directory: {tmp_path}/none\n")
    result = run("top", "-c", path)

    assert (result.code, result.out) == (1, "")
    assert f"no agent runs with the state in {tmp_path}/none" in result.err


class Seat:
    """A terminal with somebody at it, and a running top."""

    def __init__(self, config_file, columns=80):
        self.ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.resize(columns)
        environ = {**os.environ, "TERM": "xterm"}
        words = ["top", "-c", config_file, "--interval", "0.2"]
        pipes = {"stdin": theirs, "stdout": theirs, "stderr": subprocess.DEVNULL}
        self.process = spawn(*words, **pipes, env=environ)
        self.output = b""
        os.set_blocking(self.ours, False)

    def resize(self, columns):
        """Give the window another size."""
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def shows(self, text):
        """Wait until *text* was drawn."""
        return eventually(lambda: text in self.read())

    def read(self):
        """Return everything drawn so far."""
        with contextlib.suppress(BlockingIOError):
            while block := os.read(self.ours, 65536):
                self.output += block
        return self.output

    def leave(self):
        """Return exit code and the mode of the terminal after the end."""
        code = self.process.wait(30)
        self.read()
        return code, termios.tcgetattr(self._theirs)

    def close(self):
        """End it if it still runs, and close the terminal."""
        self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self._theirs)


@pytest.fixture(name="seat")
def _seat(config_file):
    """A terminal with a top that runs."""
    seat = Seat(config_file)
    yield seat
    seat.close()


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda seat: os.write(seat.ours, b"q"), 0),
        (lambda seat: seat.process.send_signal(signal.SIGINT), 130),
        (lambda seat: seat.process.send_signal(signal.SIGTERM), 143),
    ],
)
def test_the_terminal_is_given_back(seat, end, code):
    """However it is left, the mode is the former one, the cursor shows, the screen comes back."""
    assert seat.shows(b"LAST LOGIN")
    end(seat)

    assert seat.leave() == (code, seat.before)
    assert seat.output.startswith(b"\x1b[?1049h\x1b[?25l")
    assert seat.output.endswith(b"\x1b[?25h\x1b[?1049l")


def test_keys_and_resize(seat):
    """It draws again and again, p holds it still and lets it go on, a new size is followed."""
    assert seat.shows(b"lines/s")
    assert eventually(lambda: seat.read().count(b"\x1b[H") > 3)
    os.write(seat.ours, b"p")
    assert seat.shows(b"[paused]")
    held = seat.read().count(b"\x1b[H")
    seat.resize(30)
    seat.process.send_signal(signal.SIGWINCH)
    assert eventually(lambda: seat.read().count(b"\x1b[H") == held + 1)
    last = re.sub(r"\x1b\[\d*m", "", seat.output.decode().rpartition("\x1b[H")[2])
    assert max(len(line) for line in re.split(r"\x1b\[K\s*", last)[:-1]) == 30
    os.write(seat.ours, b"pq")

    assert seat.leave()[0] == 0
