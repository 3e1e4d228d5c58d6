"""``run --dry-run``: the loop of ``run`` with a sink that prints the logins and keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from logwatch_monitis.agent.loop import Loop, Reread, Say
from logwatch_monitis.config.model import Config
from logwatch_monitis.config.signals import Signals
from logwatch_monitis.interfaces import Clock, Events, SystemClock, ThreadWaker
from logwatch_monitis.login import Login, LoginWriter
from logwatch_monitis.spool import Limits, Position, Spool

__all__ = ["print_logins"]


def print_logins(
    config: Config,
    *,
    reread: Reread,
    logs: Sequence[str] = (),
    from_start: bool = False,
    writer: LoginWriter,
    say: Say,
) -> int:
    """Print the logins that ``run`` would send on a machine new to it, until SIGTERM or SIGINT.

    Args:
        config: the configuration.
        reread: returns what the configuration is now; asked on SIGHUP.
        logs: watched in place of the configured files.
        from_start: read files that are met for the first time from their first byte.
        writer: prints.
        say: takes the lines meant for the person who started it.

    Raises:
        NotPermittedError: none of the logs may be read.
        SetupError: something must be put right first.
    """
    clock, waker = SystemClock(), ThreadWaker()
    signals = Signals(waker)
    with ExitStack() as stack:
        stack.enter_context(signals.listening())
        loop = Loop(config, logs, clock=clock, waker=waker, signals=signals, stack=stack)
        sink = _Printer(config, writer, clock, loop.events)
        stack.callback(sink.close)
        loop.begin(sink, from_start=from_start)
        loop.watch()
        loop.introduce(say)
        loop.run(reread)
    writer.close()
    return 0


class _Printer:
    """Takes logins as a spool does, and prints those that a spool would hand on to the monitor."""

    def __init__(self, config: Config, writer: LoginWriter, clock: Clock, events: Events) -> None:
        self._writer = writer
        limits = Limits(seen_days=config.spool.seen_days)
        self._spool = Spool.in_memory(clock=clock, events=events, limits=limits)

    def positions(self) -> dict[str, Position]:
        """See `logwatch_monitis.agent.reader.Sink`."""
        return self._spool.positions()

    def commit(
        self, logins: Sequence[Login], positions: Mapping[str, Position], *, ignored: int = 0
    ) -> int:
        """See `logwatch_monitis.agent.reader.Sink`."""
        new = self._spool.commit(logins, positions, ignored=ignored)
        if new:
            handed_on = self._spool.due(new)
            ids = {entry.id for entry in handed_on}
            self._writer.write([login for login in logins if login.id in ids])
            self._spool.delivered(handed_on)
        return new

    def close(self) -> None:
        """Forget everything."""
        self._spool.close()
