"""Every example of every --help works as it stands, but for the directories it names."""

import shlex
import shutil
import signal

import click
import pytest
from commands import EXAMPLE_LOG, ROOT, all_commands, process, run, spawn
from real_monitor import running_monitor

from logwatch_monitis.agent.control import Control
from logwatch_monitis.config import file as config_file
from logwatch_monitis.config import model as config
from logwatch_monitis.config.file import load
from logwatch_monitis.interfaces import SystemClock
from logwatch_monitis.spool import Spool

EXAMPLES = [
    pytest.param(command.example, id=" ".join(words))
    for words, command in all_commands()
    if not isinstance(command, click.Group)
]


@pytest.fixture(name="home")
def _home(tmp_path):
    """A small machine: logs, configuration, pattern directory."""
    for name in ("log", "etc/patterns.d", "lib"):
        (tmp_path / name).mkdir(parents=True, mode=0o755)
    shutil.copy(EXAMPLE_LOG, tmp_path / "log" / "auth.log")
    return tmp_path


@pytest.fixture(name="configuration")
def _configuration(home):
    """Its configuration; the monitor is the embedded one, at any port."""
    path = home / "etc" / "config.yaml"
    path.write_text(
        f"state_directory: {home}/state\n"
        f"sources: {{files: [{home}/log/auth.log]}}\n"
        f"patterns: {{directories: [{home}/etc/patterns.d]}}\n"
        "listen: 127.0.0.1:0\n"
    )
    return path


def words_of(example, home, configuration):
    """Return the words of an example on the small machine, without variables and program."""
    places = {"/var/log": "log", "/etc/logwatch-monitis": "etc", "/var/lib": "lib"}
    for place, directory in places.items():
        example = example.replace(place, str(home / directory))
    words = shlex.split(example)
    at = words.index("logwatch-monitis")
    return dict(word.split("=") for word in words[:at]), [*words[at + 1 :], "-c", configuration]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_works(example, home, configuration, monkeypatch):
    """The example ends with exit code 0 and without complaint."""
    variables, words = words_of(example, home, configuration)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if words[0] in ("run", "serve"):
        assert served(words) == 0
        return
    with Spool.open(home / "state", clock=SystemClock(), events=lambda event: None):
        pass
    with running_monitor(home / "state" / "monitor") as (_, caller):
        caller.make_monitor("loginMonitor")
        page = {"monitor": {"url": "embedded", "page": caller.address.url}}
        sending = {"state": "ok", "last_delivery": None, "last_error": ""}
        about = {"pid": 1, "since": 0, "version": "0", "sources": [], "delivery": sending}
        about |= {"state": "ok", "reason": "reading and delivering", "events": {}}
        status = {**about, **page, "spool": {"depth": 0, "dead": 0}}
        control = Control(status=lambda: status, ready=lambda: (True, ""), metrics=bytes)
        control.listen_unix(home / "state")
        result = process(*words) if variables else run(*words)
        control.close()

    assert result.code == 0, result.err


def served(words):
    """Start something that runs until it is stopped; return how it ended."""
    with spawn(*words) as started:
        for line in started.stdout:
            if b"http://" in line:
                break
        started.send_signal(signal.SIGTERM)
        return started.wait(30)


def test_the_example_configuration_is_complete():
    """The commented example has every key there is, and its values are the defaults."""
    path = ROOT / "examples" / "config.yaml"
    text = path.read_text("utf-8")

    read = load(str(path))
    names = "_ROOT", "_MONITOR", "_SOURCES", "_IGNORE", "_SPOOL", "_RETENTION", "_LOG"
    keys = [key for name in names for key in getattr(config_file, name)]

    assert [key for key in keys if f"{key}:" not in text] == []
    assert read == config.Config(path=str(path), listen_chosen=True)
