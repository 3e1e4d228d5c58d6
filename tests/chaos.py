"""What the tests of the whole agent share: serial-numbered logins, rotation, exact accounts."""

import contextlib
import gzip
import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from fake_monitor import API_KEY, SECRET_KEY, FakeMonitor
from running import Running, eventually

FULL = os.environ.get("LOGWATCH_TEST_EFFORT") == "full"


class Written(NamedTuple):
    """A login as it was written: its serial number, and its time in milliseconds."""

    number: int
    checktime: int


class Log:
    """A log with numbered logins in it, and the accounts of what was written.

    Threads may share it: lines stand in the order of their numbers.
    """

    def __init__(self, path: Path, first: int = 0) -> None:
        """Make it, empty; its logins are numbered from *first* on."""
        self.path = path
        self.written: list[Written] = []
        self._next = first
        self._lock = threading.Lock()
        path.touch()

    def text(self, count: int) -> str:
        """Return so many new lines, and count them as written."""
        lines = []
        for _ in range(count):
            now = self.now()
            number, self._next = self._next, self._next + 1
            self.written.append(Written(number, int(now.timestamp() * 1000)))
            stamp = now.isoformat(timespec="microseconds")
            lines.append(
                f"{stamp} web1 CRON[1]: pam_unix(cron:session): session opened for user root\n"
                f"{stamp} web1 sshd[{number}]: Accepted password for u{number}"
                f" from 192.0.2.{number % 250 + 1} port {number % 60000 + 1024} ssh2\n"
            )
        return "".join(lines)

    @staticmethod
    def now() -> datetime:
        """Return the time of the next login."""
        return datetime.now(UTC)

    def append(self, count: int = 1, path: Path | None = None) -> None:
        """Write so many logins, to the log or to a file that it has become."""
        with self._lock, (path or self.path).open("a") as file:
            file.write(self.text(count))

    def rotate(self, keep: int = 4, packed_from: int = 2) -> None:
        """Rename and create, as logrotate does: older copies move on, from a number on packed."""
        with self._lock:
            self._rotate(keep)
        for number in range(packed_from, keep + 1):
            pack(Path(f"{self.path}.{number}"))

    def _rotate(self, keep: int) -> None:
        names = [self.path, *(self.path.with_name(f"{self.path.name}.{n}") for n in range(1, keep))]
        for number in range(keep - 1, 0, -1):
            for suffix in ("", ".gz"):
                old = Path(f"{names[number]}{suffix}")
                if old.exists():
                    old.rename(f"{self.path}.{number + 1}{suffix}")
        self.path.rename(names[1])
        self.path.touch()


def pack(path: Path) -> None:
    """Compress a file as logrotate does: the copy is complete before the original goes."""
    if path.exists():
        found = path.stat()
        with gzip.open(f"{path}.gz", "wb") as packed:
            packed.write(path.read_bytes())
        os.utime(f"{path}.gz", ns=(found.st_atime_ns, found.st_mtime_ns))
        path.unlink()


class Stored(NamedTuple):
    """A login as a monitor has it."""

    number: int
    checktime: int
    host: str
    srv: str


def results_of(database: Path) -> list[Stored]:
    """Return what an embedded monitor has stored, in the order in which it came."""
    if not database.exists():
        return []
    query = "SELECT user_login, checktime, host, srv FROM results ORDER BY seq"
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reader:
        try:
            rows = reader.execute(query).fetchall()
        except sqlite3.OperationalError:  # made this moment, without tables yet
            return []
    return [Stored(int(user[1:]), *rest) for user, *rest in rows]


def embedded(run: Running) -> list[Stored]:
    """Return what the embedded monitor of *run* has stored."""
    return results_of(run.state / "monitor" / "monitor.sqlite")


def taken_by(server: FakeMonitor) -> list[Stored]:
    """Return what a server has stored, repeats included, by number.

    A plain server gets several requests at once when its answers take long.
    """
    rows = []
    for result in list(server.results):
        values = dict(result.values)
        number = int(values.pop("user_login")[1:])
        rows.append(Stored(number, result.checktime, values.pop("host"), values.pop("srv")))
        assert values == {}
    return sorted(rows)


def expected(log: Log) -> list[Stored]:
    """Return the logins of a log as a monitor must have them."""
    return [
        Stored(number, checktime, f"192.0.2.{number % 250 + 1}", "sshd")
        for number, checktime in log.written
    ]


def exactly(wanted: Sequence[Stored], found: Callable[[], list[Stored]], seconds: float) -> None:
    """Demand that in due time everything is there: once, unaltered, in order, and nothing else."""
    eventually(lambda: len(found()) >= len(wanted), seconds)
    rows = found()
    lost = sorted({row.number for row in wanted} - {row.number for row in rows})
    again = {number: n for number, n in Counter(row.number for row in rows).items() if n > 1}
    assert ([], {}) == (lost, again)
    assert wanted == rows


def at_least_once(
    wanted: Sequence[Stored], found: Callable[[], list[Stored]], seconds: float
) -> Counter[int]:
    """Demand that in due time everything is there, unaltered; return what came more than once."""
    numbers = {row.number for row in wanted}
    eventually(lambda: numbers <= {row.number for row in found()}, seconds)
    rows = found()
    assert [] == sorted(numbers - {row.number for row in rows})
    assert set(wanted) == set(rows)
    return Counter(row.number for row in rows) - Counter(numbers)


def plain_config(server: FakeMonitor | str, directory: Path, **keys: str) -> str:
    """Return the configuration that sends the logins to a server, and write its secret key."""
    url = server if isinstance(server, str) else server.url
    secret = directory / "secret-key"
    secret.write_text(keys.get("secret", SECRET_KEY))
    secret.chmod(0o600)
    key = keys.get("key", API_KEY)
    return f"monitor:\n  url: {url}\n  api_key: {key}\n  secret_key_file: {secret}\n"


def status_of(run: Running) -> tuple[int, str]:
    """Return exit code and text of `status` for an agent."""
    words = ["-m", "logwatch_monitis", "status", "--config", str(run.config)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@contextlib.contextmanager
def meanwhile(*works: Callable[[], object], pause: float = 0.02) -> Iterator[None]:
    """Do each of these again and again, in a thread of its own, until the block ends."""
    over = threading.Event()
    errors: list[BaseException] = []

    def go(work: Callable[[], object]) -> None:
        try:
            while not over.is_set():
                work()
                over.wait(random.uniform(0, 2 * pause))
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=go, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert errors == []


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descendants_of(pid: int) -> list[int]:
    """Return a process and all that came from it."""
    return [pid, *(n for child in children_of(pid) for n in descendants_of(child))]


def peek(run: Running) -> None:
    """Ask an agent for its status, whether one runs or not."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        run.status()
