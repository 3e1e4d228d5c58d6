"""Everything at once for as long as one likes: exact counts, flat resources.

    python benchmarks/soak.py [--minutes 30] [--rate 500] [--faults 0.1] [--kill-every 60]

Starts a monitor (``serve``), a line to it on which a share of the requests fails and which never
lets certain logins pass, and an agent (``run``) on a log that gets so many logins a second, is
rotated every half minute and rewritten now and then, beside thousands of older copies. The agent is
killed now and then, the monitor once on the way. Prints a line every ten seconds, and the counts at
the end. Exit code 1 if a login is lost, altered or stored twice, if one that cannot pass is no dead
letter, or if memory, file descriptors, threads or the size of the agent's database keep growing.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import itertools
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from chaos import Log, expected, plain_config, results_of
from fault_proxy import REFUSALS, FaultProxy, Firewall
from running import Running, eventually

from logwatch_monitis.config.keys import Keys

SAMPLE_S = 10
DRAIN_S = 300
KEEP = 6


REWRITES = (
    "sed -i /CRON/d {}",
    "sed '0,/CRON/{{/CRON/d}}' {} > x; mv x {}",
    "sed '0,/CRON/{{/CRON/d}}' {} > x; cp x {}; rm x",
    "(echo 'Jan  1 00:00:00 web1 cron[1]: put before all'; cat {}) > x; mv x {}",
)
"""What people do to a log, as commands of the shell; no login is deleted."""


class Line(Firewall):
    """A line to the monitor that fails now and then, and never lets certain users pass."""

    def __init__(self, share: float, fates: dict[str, str]) -> None:
        """Prepare; see `Firewall` and `FaultProxy`."""
        super().__init__("", fates)
        self.share = share

    def fate(self, body: bytes) -> str:
        """See `FaultProxy.fate`."""
        if name := super().fate(body):
            return name
        self.met[""] -= 1  # both count what passes
        return FaultProxy.fate(self, body)


def poisoned(options: argparse.Namespace) -> dict[str, str]:
    """Return the users who never pass, spread over the run, and what is answered for each."""
    apart = int(options.minutes * 60 * options.rate) // (options.poisoned + 1)
    names = itertools.cycle(REFUSALS)
    return {f"u{apart * (n + 1)}": next(names) for n in range(options.poisoned)}


def make_copies(log: Path, count: int) -> None:
    """Put older rotated copies beside a log, each with a login that nobody asks for."""
    for n in range(count):
        day = date(2025, 1, 1) - timedelta(days=n)
        message = "Accepted password for old from 192.0.2.7 port 9 ssh2"
        line = f"{day}T12:00:00+00:00 web1 sshd[7]: {message}\n"
        path = log.with_name(f"{log.name}-{day:%Y%m%d}.gz")
        path.write_bytes(gzip.compress(line.encode()))


class Monitor:
    """A ``serve`` of ours, and its store."""

    def __init__(self, directory: Path) -> None:
        """Start it, and wait until it listens."""
        self.directory = directory
        self.url = self._start("127.0.0.1:0")

    def _start(self, listen: str) -> str:
        words = ["-m", "logwatch_monitis", "serve", "--listen", listen, "--data", self.directory]
        output = self.directory.with_suffix(".output")
        with output.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, *words], stdout=stream, stderr=subprocess.STDOUT
            )
        found = eventually(lambda: re.search(r"listens on (http://\S+)", output.read_text()))
        assert found, output.read_text()
        return str(found[1])

    def kill(self) -> None:
        """End it without a warning, and start it again on the same address."""
        self.process.kill()
        self.process.wait()
        self._start(self.url.removeprefix("http://"))

    @property
    def database(self) -> Path:
        """Where its results are."""
        return self.directory / "monitor.sqlite"

    def stored(self) -> int:
        """Return how many results it has."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM results").fetchone()[0])


class Sample(NamedTuple):
    """What a process uses: memory in KiB, descriptors, threads."""

    memory: int
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Sample:
        """Look at a process."""
        status = Path(f"/proc/{pid}/status").read_text()
        numbers = [
            int(re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[1])  # type: ignore[index]
            for name in ("VmRSS", "Threads")
        ]
        return cls(numbers[0], len([*Path(f"/proc/{pid}/fd").iterdir()]), numbers[1])


class Soak:
    """The actors, and what was measured of them.

    Attributes:
        samples: what was measured, by its name: values in order.
    """

    def __init__(self, directory: Path, options: argparse.Namespace, proxy: FaultProxy) -> None:
        self.options = options
        self.log = Log(directory / "auth.log")
        make_copies(self.log.path, options.copies)
        self.monitor = Monitor(directory / "monitor")
        proxy.target = self.monitor.url
        keys = Keys.load_or_make(self.monitor.directory)
        config = plain_config(proxy.url, directory, key=keys.api_key, secret=keys.secret_key)
        self.agent = Running(directory, [self.log.path], config)
        self.proxy = proxy
        self.samples: dict[str, list[int]] = defaultdict(list)
        self.kills = 0
        self.rotations = 0
        self.rewrites = 0
        self.born = time.monotonic()

    def live(self) -> None:
        """Write, rotate, kill and sample until the time is over."""
        begun = time.monotonic()
        turns = [
            (SAMPLE_S, self.sample),
            (self.options.rotate_every, self.rotate),
            (self.options.rewrite_every, self.rewrite),
            (self.options.kill_every, self.kill_agent),
            (self.options.minutes * 30 + 5, self.kill_monitor),
        ]
        due = {work: begun + every for every, work in turns}
        self.agent.start("--from-start")
        for _ in self._pace(begun):
            now = time.monotonic()
            for every, work in turns:
                if now >= due[work]:
                    work()
                    due[work] += every

    def _pace(self, begun: float) -> Iterator[None]:
        """Write logins at the wanted rate, yielding after each portion."""
        end = begun + self.options.minutes * 60
        while (now := time.monotonic()) < end:
            wanted = int((now - begun) * self.options.rate) - len(self.log.written)
            if wanted > 0:
                self.log.append(min(wanted, self.options.rate))
            yield
            time.sleep(0.02)

    def rotate(self) -> None:
        """Rename and create, and compress what is older."""
        self.log.rotate(keep=KEEP)
        self.rotations += 1

    def rewrite(self) -> None:
        """Do to the log what people do to logs."""
        script = REWRITES[self.rewrites % len(REWRITES)].format(self.log.path, self.log.path)
        subprocess.run(["sh", "-ec", script], cwd=self.log.path.parent, check=True)
        self.rewrites += 1

    def dead(self) -> set[int]:
        """Return the numbers of the logins that the agent has put aside."""
        path = self.agent.state / "spool.sqlite3"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return {int(user[1:]) for (user,) in db.execute("SELECT user FROM dead")}

    def kill_agent(self) -> None:
        """Kill the agent and start it again at once."""
        self.sample()
        self.agent.kill()
        self.kills += 1
        self.agent.launch()
        self.born = time.monotonic()

    def kill_monitor(self) -> None:
        """Kill the monitor and start it again."""
        self.monitor.kill()

    def sample(self) -> None:
        """Measure, and print a line."""
        age = time.monotonic() - self.born
        assert self.agent.process
        if self.agent.process.poll() is not None:
            raise SystemExit(f"the agent ended:\n{self.agent.text()}")
        agent = Sample.of(self.agent.process.pid)
        monitor = Sample.of(self.monitor.process.pid)
        database = sum(path.stat().st_size for path in self.agent.state.glob("spool.sqlite3*"))
        if age > SAMPLE_S / 2:  # a younger one is still growing up
            for name, found in (("agent", agent), ("monitor", monitor)):
                for what, value in found._asdict().items():
                    self.samples[f"{name} {what}"].append(value)
            self.samples["database per seen login"].append(database // len(self.log.written))
        stored = self.monitor.stored()
        print(
            f"{time.strftime('%H:%M:%S')} written {len(self.log.written)} stored {stored}"
            f" behind {len(self.log.written) - stored} | agent {agent.memory // 1024} MiB"
            f" {agent.descriptors} fds {agent.threads} threads, database {database // 1024} KiB"
            f" | monitor {monitor.memory // 1024} MiB {monitor.descriptors} fds"
            f" {monitor.threads} threads | {self.kills} kills {self.rotations} rotations"
            f" {self.rewrites} rewrites"
            f" {sum(self.proxy.met.values()) - self.proxy.met['']} faults",
            flush=True,
        )

    def verdict(self) -> int:
        """Wait for the rest, compare all, print what was found; return how much is wrong."""
        never = {int(user[1:]) for user in poisoned(self.options)}
        passing = len(self.log.written) - len(never)
        eventually(lambda: self.monitor.stored() >= passing and self.dead() == never, DRAIN_S)
        self.sample()
        wanted = [row for row in expected(self.log) if row.number not in never]
        found, dead = results_of(self.monitor.database), self.dead()
        lost = len({row.number for row in wanted} - {row.number for row in found})
        twice = len(found) - len({row.number for row in found})
        altered = len(set(found) - set(wanted))
        disorder = sum(a.number > b.number for a, b in itertools.pairwise(found))
        print(
            f"passing {len(wanted)}, stored {len(found)}: {lost} lost, {altered} altered,"
            f" {twice} twice, {disorder} out of order (what a failing line held up)"
        )
        print(f"dead letters: {len(dead)}, of which {len(dead & never)} never pass ({len(never)})")
        print("faults met:", ", ".join(f"{n} {k or 'none'}" for k, n in self.proxy.met.items()))
        growing = [name for name in self.samples if self._grows(name)]
        print("growing:", ", ".join(growing) or "nothing")
        return lost + altered + twice + len(dead ^ never) + len(growing)

    def _grows(self, name: str) -> bool:
        """Compare the second quarter with the last one, and print both."""
        values = self.samples[name]
        quarter = max(len(values) // 4, 1)
        before = statistics.median(values[quarter : 2 * quarter] or values)
        after = statistics.median(values[-quarter:])
        print(f"{name}: {before:.0f} → {after:.0f}, at most {max(values)}")
        return after > before * 1.1 + (4096 if "memory" in name else 2)


def main() -> int:
    """Soak, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=int, default=500, help="logins a second")
    parser.add_argument("--faults", type=float, default=0.1, help="share of failing requests")
    parser.add_argument("--rotate-every", type=float, default=30, help="seconds")
    parser.add_argument("--rewrite-every", type=float, default=47, help="seconds")
    parser.add_argument("--kill-every", type=float, default=60, help="seconds")
    parser.add_argument("--poisoned", type=int, default=10, help="logins that never pass")
    parser.add_argument("--copies", type=int, default=3000, help="older rotated copies")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="lwm-soak-") as directory,
        Line(options.faults, poisoned(options)) as proxy,
    ):
        soak = Soak(Path(directory), options, proxy)
        try:
            soak.live()
            wrong = soak.verdict()
            code = soak.agent.stop()
        finally:
            for process in (soak.agent.process, soak.monitor.process):
                if process and process.poll() is None:
                    process.send_signal(signal.SIGKILL)
    print(f"exit code of the agent: {code}")
    return 1 if wrong or code else 0


if __name__ == "__main__":
    sys.exit(main())
