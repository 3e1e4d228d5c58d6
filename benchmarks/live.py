"""The running agent, measured: latency, rate, idle cost and memory.

    python benchmarks/live.py [--logins 200] [--idle 30]

Starts ``run`` on a log of its own, with the embedded monitor, and against a plain compatible
server. Prints one row for each figure, next to what the machine can do: a line written and
fsynced, or the same number of rows put into SQLite.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

SETTLE_S = 3


def line(number: int) -> bytes:
    """Return an accept line that no other call returns."""
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    return (
        f"{now} web1 sshd[{number}]: Accepted password for user{number}"
        f" from 192.0.2.7 port {number % 60_000 + 1024} ssh2\n"
    ).encode()


class Agent:
    """A ``run`` of ours in a directory of its own."""

    def __init__(self, directory: Path, config: str = "") -> None:
        """Start it and wait for its words."""
        self.directory = directory
        self.log = directory / "auth.log"
        self.log.touch()
        path = directory / "config.yaml"
        path.write_text(f"state_directory: {directory}/state\nlisten: 127.0.0.1:0\n{config}")
        self.output = directory / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "logwatch_monitis", "run", "-c", path, "--log", self.log],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        until(lambda: re.search(r"The page is|The logins go", self.output.read_text()))
        time.sleep(SETTLE_S)

    def stored(self) -> int:
        """Return how many results the embedded monitor has on its disk."""
        path = self.directory / "state" / "monitor" / "monitor.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            (count,) = database.execute("SELECT count(*) FROM results").fetchone()
        return int(count)

    def write(self, data: bytes) -> None:
        """Append to the log."""
        with self.log.open("ab") as log:
            log.write(data)

    def stop(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def until(check: Callable[[], object], seconds: float = 60) -> float:
    """Wait until *check* says so; return when that was (`time.perf_counter`)."""
    end = time.perf_counter() + seconds
    while not check():
        if time.perf_counter() > end:
            raise TimeoutError(check)
        time.sleep(0.0005)
    return time.perf_counter()


@contextlib.contextmanager
def agent(config: str = "") -> Iterator[Agent]:
    """Run an agent for as long as the block takes."""
    with tempfile.TemporaryDirectory(prefix="lwm-bench-") as directory:
        running = Agent(Path(directory), config)
        try:
            yield running
        finally:
            running.stop()


def latency(running: Agent, logins: int) -> None:
    """From the write of a line to its row in the monitor's store, one at a time."""
    times, baseline = [], []
    probe = running.directory / "probe"
    for number in range(logins):
        before = running.stored()
        begin = time.perf_counter()
        running.write(line(number))
        times.append(until(lambda b=before: running.stored() > b) - begin)
        begin = time.perf_counter()
        with probe.open("ab") as file:
            file.write(b"x")
            os.fsync(file.fileno())
        baseline.append(time.perf_counter() - begin)
        time.sleep(0.02)
    median = statistics.median(times) * 1000
    print(f"line to stored result: median {median:.1f} ms, worst {max(times) * 1000:.1f} ms")
    print(f"  one write and fsync: median {statistics.median(baseline) * 1000:.2f} ms")


def burst(running: Agent, logins: int) -> None:
    """A burst of lines written at once, until the last is stored."""
    data = b"".join(line(10_000 + number) for number in range(logins))
    before = running.stored()
    begin = time.perf_counter()
    running.write(data)
    seconds = until(lambda: running.stored() >= before + logins) - begin
    print(f"burst of {logins} to the embedded monitor: {logins / seconds:,.0f} results a second")


def burst_plain(logins: int) -> None:
    """The same against a plain server, one addResult each."""
    from fake_monitor import API_KEY, SECRET_KEY, FakeMonitor

    with FakeMonitor() as server:
        secret = Path(tempfile.mkdtemp()) / "secret"
        secret.write_text(SECRET_KEY)
        secret.chmod(0o600)
        config = (
            f"monitor:\n  url: {server.url}\n  api_key: {API_KEY}\n  secret_key_file: {secret}\n"
        )
        with agent(config) as running:
            data = b"".join(line(number) for number in range(logins))
            begin = time.perf_counter()
            running.write(data)
            seconds = until(lambda: len(server.results) >= logins) - begin
            print(f"burst of {logins} to a plain server: {logins / seconds:,.0f} results a second")
            print(f"resident memory against a remote monitor: {memory(running.process.pid)} MiB")
            idle("agent, remote monitor", running.process.pid, 20)


def memory(pid: int) -> int:
    """Return resident memory in MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) // 1024


def idle(name: str, pid: int, seconds: float) -> None:
    """Processor share and wake-ups of a process that has nothing to do."""

    def sample() -> tuple[float, int]:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        wakes = 0
        for task in Path(f"/proc/{pid}/task").iterdir():
            text = (task / "status").read_text()
            wakes += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.MULTILINE)[1])
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"), wakes

    cpu, wakes = sample()
    time.sleep(seconds)
    cpu_after, wakes_after = sample()
    share = (cpu_after - cpu) / seconds * 100
    print(f"idle {name}: {share:.3f} % of a core, {(wakes_after - wakes) / seconds:.2f} wake-ups/s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logins", type=int, default=200, help="for the latency")
    parser.add_argument("--burst", type=int, default=3000)
    parser.add_argument("--idle", type=float, default=30, help="seconds")
    options = parser.parse_args()
    with agent() as running:
        latency(running, options.logins)
        burst(running, options.burst)
        time.sleep(SETTLE_S)
        idle("agent, embedded monitor", running.process.pid, options.idle)
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
        for child in children.read_text().split():
            idle("embedded monitor", int(child), options.idle)
            print(
                f"resident memory: agent {memory(running.process.pid)} MiB, "
                f"monitor {memory(int(child))} MiB"
            )
    burst_plain(options.burst)


if __name__ == "__main__":
    main()
