"""Measures the monitor's page with a million logins of many machines, every kind of filter.

    python benchmarks/page_rate.py [--rows 1000000] [--users 200]

Each view is asked for twice: the first time nothing of it is known. A user who has a third of all
logins, and services, kinds and machines of which all have many, make the counting hard.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import random
import sqlite3
import tempfile
import time
from pathlib import Path

from logwatch_monitis.config.keys import Keys
from logwatch_monitis.delivery.embedded import MonitorProcess
from logwatch_monitis.protocol.wire import LOGIN_PARAMETERS, Result
from logwatch_monitis.server.store.store import DATABASE, Definition, Store

YEAR_MS = 365 * 86_400_000
BATCH = 10_000
MACHINES = [f"web{number}" for number in range(12)]
HOSTS = [f"192.0.2.{n}" for n in range(250)] + [f"2001:db8::{n:x}" for n in range(2_000)]
SERVICES = (("sshd", "login"), ("sudo", "command"), ("su", "session"), ("vsftpd", "login"))
WEIGHTS = (800, 170, 29, 1)
VIEWS = (
    "/",
    "/?since=7d",
    "/?since=30d",
    "/?since=365d",
    "/?service=sshd",
    "/?service=vsftpd",
    "/?machine=web1",
    "/?kind=command",
    "/?verified=yes",
    "/?machine=web1&kind=login&verified=yes",
    "/?kind=command&since=365d",
    "/?user=user7",
    "/?user=backup",
    "/?user=backup&since=365d",
    "/?user=backup&kind=session&verified=no",
    "/?host=192.0.2.7",
    "/?user=backup&host=192.0.2.7",
    "/?user=nobody",
    "/?machine=nowhere",
    "/monitors",
    "/monitors/1",
)


def main() -> None:
    """Fill a monitor, then print a line for each view."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        started = time.perf_counter()
        asyncio.run(fill(directory, options.rows, options.users))
        print(f"{options.rows:,} logins stored in {time.perf_counter() - started:.0f} s")
        process = MonitorProcess(directory, "127.0.0.1:0", lambda _: None)
        address = process.start()
        try:
            wait_for_tidiness(directory)
            measure(Page(address, Keys.load_or_make(directory).page_key))
            print(f"most resident memory of the monitor: {most_memory(process.pid):.0f} MiB")
        finally:
            process.stop()


async def fill(directory: Path, rows: int, users: int) -> None:
    """Store logins of the last year, oldest first."""
    choice = random.Random(7)
    begin = int(time.time() * 1000) - YEAR_MS
    parameters = [[*row[:3], str(int(row.data_type))] for row in LOGIN_PARAMETERS]
    store = Store.open(directory)
    monitor = await store.add_monitor(
        Definition("Login Monitor", "loginMonitor", "", {"resultParams": parameters})
    )
    for first in range(0, rows, BATCH):
        numbers = range(first, min(first + BATCH, rows))
        batch = [login(n, begin + YEAR_MS * n // rows, users, choice) for n in numbers]
        await store.add_results(monitor, batch)
    store.close()


def login(number: int, moment: int, users: int, choice: random.Random) -> Result:
    """Return one login."""
    user = "backup" if choice.random() < 1 / 3 else f"user{choice.randrange(users)}"
    ((service, kind),) = choice.choices(SERVICES, WEIGHTS)
    facts = {"id": f"{number:032x}", "machine": choice.choice(MACHINES), "kind": kind}
    facts |= {"verified": choice.random() < 1 / 2, "method": "publickey", "agent": "central"}
    return Result(moment, {"user_login": user, "host": choice.choice(HOSTS), "srv": service}, facts)


def wait_for_tidiness(directory: Path) -> None:
    """Wait until the writer has folded in what it had no time for."""
    query = "SELECT max(results.seq) - (SELECT seq FROM folded) FROM results"
    started = time.perf_counter()
    connection = sqlite3.connect(f"file:{directory / DATABASE}?mode=ro", uri=True)
    while connection.execute(query).fetchone()[0] > BATCH:
        time.sleep(0.1)
    connection.close()
    print(f"tables of counts complete after {time.perf_counter() - started:.1f} s more")


class Page:
    """Fetches views with the cookie."""

    def __init__(self, address: tuple[str, int], key: str) -> None:
        self._address = address
        self._cookie = ""
        cookie = self.get(f"/?key={key}")[1].headers["set-cookie"]
        self._cookie = cookie.partition(";")[0]

    def get(self, target: str) -> tuple[float, http.client.HTTPResponse, bytes]:
        """Return milliseconds, answer and body."""
        connection = http.client.HTTPConnection(*self._address)
        started = time.perf_counter()
        connection.request("GET", target, headers={"Cookie": self._cookie})
        answer = connection.getresponse()
        body = answer.read()
        return (time.perf_counter() - started) * 1000, answer, body


def measure(page: Page) -> None:
    """Ask for every view twice."""
    for target in VIEWS:
        first, answer, body = page.get(target)
        assert answer.status == http.HTTPStatus.OK, target
        again = page.get(target)[0]
        size = len(body) / 1024
        print(f"{target}: first {first:.0f} ms, again {again:.0f} ms, {size:.0f} KiB")


def most_memory(pid: int | None) -> float:
    """Return the greatest resident memory so far in MiB."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
