"""How long ``backfill`` takes to bring many logins into the embedded monitor, and to do it again.

    python benchmarks/backfill_rate.py [--logins 100000] [--seed 1]

``generate.py`` makes the log. Next to it stands what the machine can do: the same rows put into a
SQLite table that is as durable (write-ahead log, ``synchronous=FULL``, 500 rows a commit). CPU time
is that of all processes taken together; on a busy machine it says more than the seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from generate import lines

ROWS_PER_COMMIT = 500
PROGRAM = [sys.executable, "-m", "logwatch_monitis"]


def write_log(path: Path, logins: int, seed: int) -> None:
    """Write a log that holds so many logins and nothing else."""
    made = lines(size=sys.maxsize, share=1.0, seed=seed, form="iso")
    with path.open("w") as log:
        log.writelines(next(made)[0] for _ in range(logins))


def timed(name: str, work: Callable[[], object]) -> float:
    """Do *work*, print how long it took, and return the seconds."""
    cpu, began = os.times(), time.perf_counter()
    work()
    seconds, after = time.perf_counter() - began, os.times()
    used = sum(after[:4]) - sum(cpu[:4])
    print(f"{name:28} {seconds:7.2f} s   {used:6.2f} s CPU")
    return seconds


def command(*words: object) -> bytes:
    """Run a command of ours and return what it printed."""
    return subprocess.run([*PROGRAM, *map(str, words)], check=True, stdout=subprocess.PIPE).stdout


def insert(path: Path, rows: list[tuple[str, ...]]) -> None:
    """Put the rows into a table of their own."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE login (id PRIMARY KEY, time, user, host, srv, machine)")
        for start in range(0, len(rows), ROWS_PER_COMMIT):
            database.execute("BEGIN")
            some = rows[start : start + ROWS_PER_COMMIT]
            database.executemany("INSERT OR IGNORE INTO login VALUES (?, ?, ?, ?, ?, ?)", some)
            database.execute("COMMIT")


def stored(state: Path) -> int:
    """Return how many logins the embedded monitor has on its disk."""
    path = state / "monitor" / "monitor.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        (count,) = database.execute("SELECT count(*) FROM results").fetchone()
    return int(count)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logins", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lwm-bench-") as name:
        place = Path(name)
        log, config, state = place / "auth.log", place / "config.yaml", place / "state"
        write_log(log, options.logins, options.seed)
        config.write_text(f"state_directory: {state}\nlisten: 127.0.0.1:0\n")
        found = map(json.loads, command("scan", "-q", "--format", "jsonl", log).splitlines())
        keys = ("id", "time", "user_login", "host", "srv", "machine")
        rows = [tuple(row[key] for key in keys) for row in found]
        bare = timed("rows into SQLite", lambda: insert(place / "bare.sqlite3", rows))
        ours = timed("backfill", lambda: command("backfill", "-c", config, log))
        again = timed("backfill again, nothing new", lambda: command("backfill", "-c", config, log))
        print(f"{stored(state)} of {options.logins} logins are in the monitor")
        print(f"{options.logins / ours:,.0f} logins a second, {ours / bare:.1f} x bare SQLite")
        print(f"again: {options.logins / again:,.0f} logins a second")
        if stored(state) != options.logins:
            sys.exit(1)


if __name__ == "__main__":
    main()
