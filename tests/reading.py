"""The reading half of an agent in this process, for what goes from a `Bench` into a spool."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from tail_bench import Bench

from logwatch_monitis.agent.reader import LogReader
from logwatch_monitis.grammar import load_rules
from logwatch_monitis.login import Login
from logwatch_monitis.sources.files.tail import Tail
from logwatch_monitis.spool import Spool, SpoolFullError

_rules = cache(load_rules)


def login(user: str, second: int = 1_000_000) -> bytes:
    """Return a line without a process id: those of one user and second are equal."""
    now = datetime.fromtimestamp(second, UTC).isoformat()
    return f"{now} web1 sudo: {user} : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls\n".encode()


class FullSpool(Spool):
    """A spool that takes nothing while it is *full*."""

    full = False

    def commit(self, logins: Sequence[Login], positions: Any, **more: Any) -> int:
        """See `Spool.commit`."""
        if self.full:
            raise SpoolFullError("the disk is full", "wait")
        return super().commit(logins, positions, **more)


class Reader:
    """Reads the log of a bench into a spool of its own; the log is known to it from the start."""

    def __init__(self, bench: Bench) -> None:
        """Begin at the log's first byte, if it is there."""
        self.bench = bench
        self.spool = FullSpool.open(
            bench.directory / "state", clock=bench.clock, events=bench.events.append
        )
        self.start()
        self.look()
        self.agent.flush()

    def start(self) -> None:
        """Go on at what was committed."""
        bench, clock = self.bench, self.bench.clock
        saved = {log: row.checkpoint for log, row in self.spool.positions().items()}
        events = bench.events.append
        self.tail = Tail([str(bench.path)], saved, clock=clock, events=events, from_start=True)
        self.agent = LogReader(
            tail=self.tail,
            spool=self.spool,
            rules=_rules(),
            zone=UTC,
            machine="web1",
            clock=clock,
            events=events,
        )

    def kill(self) -> None:
        """Be as if the process had been killed."""
        self.tail.close()

    def look(self) -> None:
        """Take all that is there."""
        while self.agent.step():
            pass

    @property
    def sent(self) -> Counter[str]:
        """Who is to be told to the monitor, and how often."""
        return Counter(entry.user for entry in self.spool.due(1_000_000))

    def close(self) -> None:
        """Let go of everything."""
        self.tail.close()
        self.spool.close()
