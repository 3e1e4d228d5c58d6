"""A `run` of ours as a process of its own, for tests that watch it from outside."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from logwatch_monitis.agent.control import ask


def eventually(check: Callable[[], object], seconds: float = 60) -> Any:
    """Return the first true answer of *check*, or its last one when the time is over."""
    end = time.monotonic() + seconds
    while not (answer := check()) and time.monotonic() < end:
        time.sleep(0.02)
    return answer


class Running:
    """The agent, by default with the embedded monitor; start and end it as often as needed."""

    def __init__(
        self,
        directory: Path,
        logs: Sequence[Path],
        config: str = "",
        *,
        before: Sequence[str] = (),
        python: Sequence[str] = (),
    ) -> None:
        """Write its configuration; `start` starts it, through the command *before*.

        Args:
            directory: for its configuration, output and state.
            logs: what it watches.
            config: lines of its configuration.
            before: a command that starts the one that follows.
            python: options of Python.
        """
        self.directory = directory
        self.state = directory / "state"
        self.output = directory / "output"
        self.config = directory / "config.yaml"
        self.config.write_text(f"state_directory: {self.state}\nlisten: 127.0.0.1:0\n{config}")
        self.words = ["run", "--config", str(self.config)]
        self.words += [word for log in logs for word in ("--log", str(log))]
        self.before = [*before, sys.executable, *python, "-m", "logwatch_monitis"]
        self.process: subprocess.Popen[bytes] | None = None
        self.page = ""

    def launch(self, *words: str) -> "Running":
        """Start it, and do not wait."""
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*self.before, *self.words, *words],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self

    def start(self, *words: str) -> "Running":
        """Start it, and wait until it has said what it watches and where the logins go."""
        process = self.launch(*words).process
        ready = re.compile(r"^The (?:page is at|logins go to) (\S+)$", re.MULTILINE)
        eventually(lambda: ready.search(self.text()) or process.poll() is not None, 90)
        said = ready.search(self.text())
        if not said:
            self.kill()
        assert said, self.text()
        self.page = said[1]
        return self

    def text(self) -> str:
        """Return everything it has printed since it was started."""
        return self.output.read_text()

    def status(self) -> dict[str, Any]:
        """Return its status, as `status --format json` shows it."""
        _, body = ask(self.state, "/status")
        return json.loads(body)

    def logins(self, query: str = "") -> list[dict[str, Any]]:
        """Return what its page shows, newest first."""
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(self.page):
            pass
        address = self.page.partition("?")[0] + "logins.json" + query
        with opener.open(address) as reply:
            return json.load(reply)["logins"]

    def kill(self) -> None:
        """End it without a warning."""
        assert self.process
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """End it as systemd would, and return its exit code."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def __enter__(self) -> Self:
        return self.start() if self.process is None else self

    def __exit__(self, *_: object) -> None:
        if self.process and self.process.poll() is None:
            self.stop()
