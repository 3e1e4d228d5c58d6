"""Signals that come at any moment of a program's start: what is loaded then makes no difference."""

import os
import signal
import subprocess
import sys

import pytest
from commands import EXAMPLE_LOG
from running import eventually

KICK = """\
import os, runpy, sys

class Kick:
    def find_spec(self, name, path=None, target=None):
        if name == MOMENT and self in sys.meta_path:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(NUMBER))
        return None

MOMENT, NUMBER = sys.argv[1:3]
sys.meta_path.insert(0, Kick())
sys.argv[:] = ["logwatch-monitis", *sys.argv[3:]]
sys.path.insert(0, "")
runpy.run_module("logwatch_monitis", run_name="__main__", alter_sys=True)
"""
"""Runs the program, and sends it a signal when it begins to import a certain module."""
MOMENTS = [
    "logwatch_monitis.cli.main",
    "click",
    "logwatch_monitis.cli.run",
    "logwatch_monitis.config.model",
    "logwatch_monitis.config.file",
    "yaml",
    "logwatch_monitis.agent.daemon",
    "sqlite3",
]
"""Modules in the order in which ``run`` comes to them, our first one first."""


def ended(started):
    """Return the exit code of a process that ends by itself within a minute."""
    try:
        return started.wait(60)
    finally:
        started.kill()


def kicked(directory, moment, number, *words):
    """Start a command that gets a signal at a certain moment; return it and where it writes."""
    config = directory / "config.yaml"
    config.write_text(f"state_directory: {directory}/state\nlisten: 127.0.0.1:0\n")
    said = directory / "said"
    with said.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "-c", KICK, moment, str(int(number)), *words, "-c", str(config)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return started, said


RUN = ("run", "--log", str(EXAMPLE_LOG))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_hangup_while_the_agent_is_loaded_is_a_reload(moment, tmp_path):
    """It begins as always, and then reads its files again."""
    with kicked(tmp_path, moment, signal.SIGHUP, *RUN)[0] as started:
        said = tmp_path / "said"
        loaded = eventually(lambda: "The configuration was read again" in said.read_text())
        started.send_signal(signal.SIGTERM)
        code = ended(started)

    assert loaded, said.read_text()
    assert code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", MOMENTS)
def test_an_agent_that_is_to_end_while_it_is_loaded_ends_cleanly(moment, number, tmp_path):
    """The exit code is 0, and nothing is said of it."""
    with kicked(tmp_path, moment, number, *RUN)[0] as started:
        code = ended(started)

    said = (tmp_path / "said").read_text()
    assert (code, "Traceback" in said) == (0, False), said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize(
    "moment", ["click", "logwatch_monitis.cli.scan", "logwatch_monitis.config.model"]
)
def test_a_command_that_is_to_end_while_it_is_loaded_says_so(moment, number, code, tmp_path):
    """128 and the number of the signal, without a word."""
    with kicked(tmp_path, moment, number, "scan", str(EXAMPLE_LOG))[0] as started:
        found = ended(started)

    assert (found, (tmp_path / "said").read_text()) == (code, "")


def test_a_hangup_of_a_monitor_without_a_certificate_changes_nothing(tmp_path):
    """There is nothing to read again; it goes on, and ends cleanly."""
    words = ("serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0")
    with kicked(tmp_path, "click", signal.SIGHUP, *words)[0] as started:
        said = tmp_path / "said"
        assert eventually(lambda: "Page: " in said.read_text()), said.read_text()
        started.send_signal(signal.SIGHUP)
        os.kill(started.pid, signal.SIGTERM)

        assert ended(started) == 0


FLOOD = """\
import os, signal, threading
from logwatch_monitis.config.signals import Signals
from logwatch_monitis.interfaces import ThreadWaker

def flood():
    for _ in range(100_000):
        os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGTERM)

waker = ThreadWaker()
signals = Signals(waker)
with signals.listening():
    threading.Thread(target=flood, daemon=True).start()
    while not signals.stop:
        waker.wait(0)
"""
"""A loop that waits as the agent's does, while signals come all the time."""


def test_a_signal_may_come_while_the_loop_goes_to_sleep_or_wakes():
    """A handler takes no lock that the code it interrupts may hold."""
    assert subprocess.run([sys.executable, "-c", FLOOD], timeout=60, check=False).returncode == 0
