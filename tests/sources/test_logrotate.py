"""Debian's logrotate with each of its ways to rotate, amid a log that is written to.

One agent watches a log for each way. It is killed on the way, and misses two rotations.
"""

import gzip
import lzma
import os
import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from chaos import FULL, Log, Stored, embedded, expected, meanwhile
from running import Running, eventually

WAYS = {
    "create": "create 0640\nrotate 3",
    "compressed": "create\ncompress",
    "compressed later": "create\ncompress\ndelaycompress",
    "compressed with xz": "create\ncompress\ncompresscmd /usr/bin/xz\ncompressext .xz",
    "named by date": "create\ndateext\ndateformat -%Y%m%d-%s",
    "named by date and compressed": "create\ndateext\ndateformat -%Y%m%d-%s\ncompress",
    "into a directory": "create\nolddir old\ncreateolddir 0750",
    "not created": "nocreate",
    "copied": "copy",
    "number before the extension": "create\nextension .log\ncompress\ndelaycompress",
    "old ones removed": "create\nrotate 4\nmaxage 1",
}
TRUNCATED = {
    "copied and truncated": "copytruncate",
    "copied, truncated, compressed": "copytruncate\ncompress",
}
ROUNDS = 6 if FULL else 3


class Service(Log):
    """A log as a syslog daemon writes it: held open, and opened anew when it is told to.

    Attributes:
        directory: of this log alone.
    """

    def __init__(self, directory: Path, first: int, options: str) -> None:
        """Make a log and the configuration of its rotation."""
        self.directory = directory
        directory.mkdir()
        super().__init__(directory / "auth.log", first)
        self._told = directory / "told"
        tell = f"touch {self._told}; while [ -e {self._told} ]; do sleep 0.01; done"
        text = f"{self.path} {{\nrotate 9\nmissingok\n{options}\nsharedscripts\n"
        text += f"postrotate\n{'true' if 'copy' in options else tell}\nendscript\n}}\n"
        self.config = directory / "rotation"
        self.config.write_text(text)
        self._file = self.path.open("a")

    def work(self) -> None:
        """Write two logins."""
        if self._told.exists():
            self._file.close()
            self._file = self.path.open("a")
            self._told.unlink()
        self._file.write(self.text(2))
        self._file.flush()

    def close(self) -> None:
        """Write no more."""
        self._file.close()

    def turn(self) -> None:
        """Let logrotate rotate it; named by date it can do so once a second."""
        words = ["logrotate", "--force", "--state", self.directory / "state", self.config]

        def rotate():
            return not subprocess.run(words, capture_output=True, check=False, timeout=60).stderr

        assert eventually(rotate)

    def on_disk(self) -> list[int]:
        """Return the numbers of the logins in the log and all its copies."""
        found: set[int] = set()
        for path in self.directory.glob("auth*"):
            opened = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
            with opened(path, "rb") as file:
                found.update(int(n) for n in re.findall(rb"for u(\d+) from", file.read()))
        return sorted(found)


class Outcome(NamedTuple):
    """What became of a log."""

    service: Service
    stored: list[Stored]
    said: list[str]


@pytest.fixture(scope="module", name="outcomes")
def _outcomes(tmp_path_factory):
    """Rotate a log in each way while an agent watches them all, and while it does not."""
    if shutil.which("logrotate") is None and not os.environ.get("CI"):
        pytest.skip("logrotate is not installed")
    top = tmp_path_factory.mktemp("logrotate")
    services = {
        name: Service(top / f"log{number}", number * 1_000_000, options)
        for number, (name, options) in enumerate((WAYS | TRUNCATED).items())
    }
    with ExitStack() as stack:
        for service in services.values():
            stack.callback(service.close)
        run = stack.push(Running(top, [service.path for service in services.values()]))
        said = _rotate_all(run, [*services.values()])
        wanted = {number for service in services.values() for number in service.on_disk()}
        eventually(lambda: wanted <= {row.number for row in embedded(run)}, 60)
        rows = embedded(run)
        said += run.text().splitlines()
    return {
        name: Outcome(
            service,
            [row for row in rows if row.number // 1_000_000 == number],
            [line for line in said if str(service.path) in line],
        )
        for number, (name, service) in enumerate(services.items())
    }


def _rotate_all(run, services):
    """Rotate while the agent runs, after it was killed, and again; return what it has said."""
    run.start()
    with meanwhile(*(service.work for service in services), pause=0.05):
        for _ in range(ROUNDS):
            for service in services:
                service.turn()
        said = run.text().splitlines()
        run.kill()
        for service in [*services, *services]:
            service.turn()
        run.start()
        for service in services:
            service.turn()
    return said


@pytest.mark.parametrize("way", WAYS)
def test_rotation_loses_and_repeats_nothing(outcomes, way):
    """Whichever way a log is rotated, each of its logins is stored once, and in order."""
    service, stored, said = outcomes[way]
    assert [row.number for row in expected(service)] == [row.number for row in stored]
    assert expected(service) == stored
    assert [] == [line for line in said if "warning" in line]


@pytest.mark.parametrize("way", TRUNCATED)
def test_truncation_loses_only_what_is_nowhere(outcomes, way):
    """What is written between copying and truncating is in no file; all else arrives, once.

    That such a loss is possible is said, for each rotation.
    """
    service, stored, said = outcomes[way]
    numbers = [row.number for row in stored]
    assert sorted(numbers) == numbers
    assert len(set(numbers)) == len(numbers)
    assert set(service.on_disk()) <= set(numbers)
    assert set(stored) <= set(expected(service))
    assert sum("truncated" in line for line in said) >= ROUNDS
