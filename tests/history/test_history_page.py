"""The commands of the page on history work as they stand there."""

import gzip
import re
import shlex

import pytest
from chaos import plain_config
from commands import EXAMPLE_LOG, ROOT, run
from fake_monitor import FakeMonitor

COMMANDS = re.findall(
    r"^   \$ (logwatch-monitis .*)$", (ROOT / "docs/history.rst").read_text(), re.MULTILINE
)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_works(command, tmp_path):
    """On a machine with a log and a compressed copy it finds logins and ends with 0."""
    (tmp_path / "auth.log").write_bytes(EXAMPLE_LOG.read_bytes())
    (tmp_path / "auth.log.2.gz").write_bytes(gzip.compress(EXAMPLE_LOG.read_bytes()))
    _, *words = shlex.split(command.replace("/var/log", str(tmp_path)))
    with FakeMonitor() as server:
        config = tmp_path / "config.yaml"
        config.write_text(f"state_directory: {tmp_path}/state\n{plain_config(server, tmp_path)}")
        result = run(*words, "--config", config)

    counts = "--dry-run" in words
    assert 0 == result.code, result.err
    assert counts == (server.results == [])
    assert counts == bool(result.out)
