"""Thousands of logs, thousands of rotated copies, and archives made to cost much: what they take.

Run ``python benchmarks/many_files.py [logs|directories|copies|bombs …]``; it prints the figures.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from logwatch_monitis.agent.control import ask

COUNT = 5000
DESCRIPTORS = 1024
IDLE_S = 20.0
MIB = 1 << 20


class Agent:
    """``run`` as a process of its own, with the embedded monitor."""

    def __init__(self, directory: Path, pattern: str) -> None:
        self.directory = directory
        self.config = directory / "config.yaml"
        self.config.write_text(
            f"sources: {{files: ['{pattern}'], journal: no}}\n"
            f"state_directory: {directory}/state\nlisten: 127.0.0.1:0\n"
        )
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "logwatch_monitis", "run", "-c", str(self.config)],
            preexec_fn=_few_descriptors,  # noqa: PLW1509 - no threads here
            stdout=subprocess.DEVNULL,
            stderr=(directory / "stderr").open("w"),
        )

    def status(self) -> dict[str, Any]:
        """Return what ``status`` says; nothing until it answers."""
        try:
            found: dict[str, Any] = json.loads(ask(self.directory / "state", "/status")[1])
        except OSError:
            return {}
        return found

    def logins(self) -> int:
        """Return how many logins were found."""
        return sum(self.status().get("events", {}).values())

    def watches(self, count: int) -> float:
        """Wait until so many logs are watched, and return how long that took from the start."""
        wait(lambda: len(self.status().get("sources", ())) == count)
        return self.age()

    def age(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.begun

    def finds(self, count: int) -> float:
        """Wait until so many logins are found, and return how long that took."""
        return wait(lambda: self.logins() >= count)

    def processor(self) -> float:
        """Return the seconds of processor time that the agent has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Return its resident memory in MiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024

    def descriptors(self) -> int:
        """Return how many it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def stop(self) -> float:
        """End it with SIGTERM, and return how long that took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)
        return time.monotonic() - begun


def _few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


def line(number: int) -> str:
    """Return a login."""
    stamp = datetime.now(UTC).isoformat(timespec="microseconds")
    return (
        f"{stamp} web sshd[{number}]: Accepted password for u{number} from 192.0.2.7 port 5 ssh2\n"
    )


def append(log: Path, text: str) -> None:
    """Write to the end of a log."""
    with log.open("a") as file:
        file.write(text)


def wait(condition: Callable[[], bool], most: float = 120.0) -> float:
    """Return how long *condition* took to hold."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > most:
            raise SystemExit("that never happened")
        time.sleep(0.05)
    return time.monotonic() - begun


def tell(what: str, value: float, unit: str) -> None:
    """Print a figure."""
    print(f"  {what:<58} {value:10.2f} {unit}", flush=True)


def logs(directory: Path, *, apart: bool = False) -> None:
    """Watch thousands of logs with few descriptors."""
    base = None
    for count in (1, COUNT):
        root = directory / f"{count}"
        paths = [
            root / f"{number}" / "auth.log" if apart else root / f"{number}.log"
            for number in range(count)
        ]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(map(line, range(20))))
        agent = Agent(root, f"{root}/*/auth.log" if apart else f"{root}/*.log")
        tell(f"{count} logs: until all are watched", agent.watches(count), "s")
        for path in paths:
            append(path, line(7))
        tell("a login in each: until all are found", agent.finds(count), "s")
        time.sleep(15)
        before = agent.processor()
        time.sleep(IDLE_S)
        tell("idle", (agent.processor() - before) / IDLE_S * 100, "% of a core")
        base = base or agent.memory()
        tell("memory", agent.memory(), "MiB")
        tell("memory for each log", (agent.memory() - base) * 1024 / count, "KiB")
        tell("descriptors", agent.descriptors(), "")
        append(paths[0], line(8))
        tell("one more login: until it is found", agent.finds(count + 1), "s")
        tell("SIGTERM", agent.stop(), "s")


def directories(directory: Path) -> None:
    """The same, each log in a directory of its own."""
    logs(directory, apart=True)


def copies(directory: Path) -> None:
    """Follow logs beside thousands of rotated copies, named by date and by number."""
    for dated in (True, False):
        root = directory / ("dated" if dated else "numbered")
        root.mkdir()
        log = root / "auth.log"
        for number in range(1, COUNT + 1):
            when = time.time() - number * 86_400
            day = datetime.fromtimestamp(when, UTC).strftime("-%Y%m%d")
            copy = Path(f"{log}{day if dated else f'.{number}'}.gz")
            text = "".join(map(line, range(number, number + 100)))
            copy.write_bytes(gzip.compress(text.encode(), 1))
            os.utime(copy, (when, when))
        log.write_text(line(1))
        agent = Agent(root, str(log))
        agent.watches(1)
        append(log, line(2))
        agent.finds(1)
        tell(f"{COUNT} copies: from the start to the first login", agent.age(), "s")
        time.sleep(3)
        before = agent.processor()
        if dated:
            log.rename(f"{log}-{datetime.now(UTC):%Y%m%d}")
        else:
            for number in range(COUNT, 0, -1):
                Path(f"{log}.{number}.gz").rename(f"{log}.{number + 1}.gz")
            log.rename(f"{log}.1")
        log.write_text(line(3))
        agent.finds(2)
        time.sleep(3)
        what = "names are dates" if dated else "all are renamed"
        tell(f"a rotation, {what}: processor time", agent.processor() - before, "s")
        tell("SIGTERM", agent.stop(), "s")


def bombs(directory: Path) -> None:
    """Follow a log beside archives of 64 GiB of nothing."""
    import zstandard

    zeros = bytes(16 * MIB)
    packers = {
        "gz": gzip.compress,
        "bz2": bz2.compress,
        "xz": lzma.compress,
        "zst": zstandard.ZstdCompressor().compress,
    }
    for number, (name, pack) in enumerate(packers.items(), 1):
        member = pack(zeros)
        with (directory / f"auth.log.{number}.{name}").open("wb") as file:
            for _ in range(4096):
                file.write(member)
    with (directory / "auth.log.5.gz").open("wb") as file:
        file.write(b"\x1f\x8b\x08\x08" + bytes(6) + b"x" * (160 * MIB))
    log = directory / "auth.log"
    log.write_text(line(1))
    agent = Agent(directory, str(log))
    agent.watches(1)
    append(log, line(2))
    tell("bombs: until a login is found", agent.finds(1), "s")
    for number in range(5, 0, -1):
        for copy in directory.glob(f"auth.log.{number}.*"):
            copy.rename(directory / copy.name.replace(f".{number}.", f".{number + 1}."))
    log.rename(directory / "auth.log.1")
    log.write_text(line(3))
    tell("after a rotation", agent.finds(2), "s")
    tell("SIGTERM", agent.stop(), "s")


def main() -> None:
    """Print the figures of the parts asked for."""
    parts = {part.__name__: part for part in (logs, directories, copies, bombs)}
    for name in sys.argv[1:] or parts:
        print(name)
        with tempfile.TemporaryDirectory() as directory:
            parts[name](Path(directory))


if __name__ == "__main__":
    main()
