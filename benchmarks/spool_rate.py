"""Logins a second through the spool, next to plain SQLite rows with the same durability.

Usage: spool_rate.py [DIRECTORY]

The directory (default: the current one) decides which disk is measured.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import perf_counter

from logwatch_monitis.interfaces import SystemClock
from logwatch_monitis.login import Login
from logwatch_monitis.spool import Position, Spool

BATCHES = {1: 300, 100: 100, 1_000: 100, 10_000: 10}
DELIVERED_AT_ONCE = 500


def login() -> Login:
    """Return a login with an id of its own."""
    return Login(
        id=os.urandom(16).hex(),
        time=1_700_000_000_000_000,
        user_login="alice",
        host="192.0.2.7",
        srv="sshd",
        kind="login",
        machine="web1",
        program="sshd",
        pid=1,
        rule="sshd/accepted",
        fields={"method": "publickey"},
        path="/var/log/auth.log",
        offset=0,
        line=b"",
    )


def measured(work: Callable[[list[Login]], object], size: int, times: int) -> tuple[float, float]:
    """Return rows a second and milliseconds a commit."""
    batches = [[login() for _ in range(size)] for _ in range(times)]
    begin = perf_counter()
    for batch in batches:
        work(batch)
    seconds = perf_counter() - begin
    return size * times / seconds, seconds / times * 1000


def plain(directory: Path) -> Callable[[list[Login]], object]:
    """Return a function that puts bare rows into one table, one transaction a batch."""
    raw = sqlite3.connect(directory / "plain.sqlite3", isolation_level=None)
    raw.execute("PRAGMA journal_mode = PERSIST")
    raw.execute("PRAGMA synchronous = EXTRA")
    raw.execute("CREATE TABLE login (id, time, user, host, srv, kind, machine, verified, method)")

    def work(batch: list[Login]) -> None:
        raw.execute("BEGIN IMMEDIATE")
        raw.executemany(
            "INSERT INTO login VALUES (?, ?, ?, ?, ?, ?, ?, 0, 'publickey')",
            [(bytes.fromhex(row.id), *row[1:7]) for row in batch],
        )
        raw.execute("COMMIT")

    return work


def drained(spool: Spool) -> float:
    """Return how many logins a second leave the spool."""
    begin, total = perf_counter(), 0
    while batch := spool.due(DELIVERED_AT_ONCE):
        total += spool.delivered(batch)
    return total / (perf_counter() - begin)


def main() -> None:
    """Print a line for each size of a batch, and one for the delivery."""
    top = sys.argv[1] if len(sys.argv) > 1 else "."
    with tempfile.TemporaryDirectory(dir=top) as place:
        directory = Path(place)
        bare = plain(directory)
        with closing(Spool.open(directory / "state", clock=SystemClock(), events=print)) as spool:
            number = 0

            def take(batch: list[Login]) -> None:
                nonlocal number
                number += 1
                spool.commit(batch, {"auth.log": Position(str(number))})

            for size, times in BATCHES.items():
                rows, milliseconds = measured(take, size, times)
                ratio = rows / measured(bare, size, times)[0]
                print(
                    f"{size:6} logins a commit: {rows:9,.0f}/s, {milliseconds:7.2f} ms a commit,"
                    f" {ratio:4.2f} of plain SQLite"
                )
            print(f"{DELIVERED_AT_ONCE:6} a delivery:       {drained(spool):9,.0f}/s")


if __name__ == "__main__":
    main()
