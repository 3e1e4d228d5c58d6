"""``run --dry-run``: the logins as they happen, printed and kept nowhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from logwatch_monitis.account import about, refuse_denied, refuse_journal
from logwatch_monitis.config import Config
from logwatch_monitis.grammar import RuleSet
from logwatch_monitis.observe import LogEvents
from logwatch_monitis.output import Writer
from logwatch_monitis.scanner import Scanner
from logwatch_monitis.seams import SystemClock, ThreadWaker
from logwatch_monitis.signals import Signals
from logwatch_monitis.sources.tail import Tail
from logwatch_monitis.sources.watch import Watcher
from logwatch_monitis.syslog import Timeline, local_zone

__all__ = ["print_logins"]

LOOK_EVERY_S = 2.0
"""How often everything is looked at without being woken: what events miss is found then."""


def print_logins(
    config: Config,
    rules: RuleSet,
    *,
    logs: Sequence[str] = (),
    from_start: bool = False,
    writer: Writer,
    say: Callable[[str], None],
) -> int:
    """Print the logins as they happen until SIGTERM or SIGINT; send nothing, keep no state.

    Raises:
        NotPermittedError: none of the logs may be read.
    """
    refuse_journal(config)
    clock, waker = SystemClock(), ThreadWaker()
    events = LogEvents(level=config.log.number, form=config.log.format)
    signals, zone = Signals(waker), local_zone(config.timezone)
    scanners: dict[str, Scanner] = {}
    files = tuple(logs) or config.sources.files
    tail = Tail(files, {}, clock=clock, events=events, from_start=from_start)
    refuse_denied(tail.statuses())
    watcher = Watcher(waker.wake, events, tail.concerns)
    with ExitStack() as stack:
        stack.enter_context(signals.listening())
        stack.callback(tail.close)
        stack.callback(watcher.close)
        introduced = False
        while not signals.stop:
            for chunk in tail.read():
                if chunk.log not in scanners:
                    timeline = Timeline.live(zone, clock)
                    scanners[chunk.log] = Scanner(
                        rules, timeline, machine=config.machine, path=chunk.path
                    )
                writer.write(scanners[chunk.log].feed(chunk.data, chunk.offset))
            for line in () if introduced else about(tail.statuses()):
                say(line)
            introduced = True
            watcher.watch(tail.directories())
            waker.wait(LOOK_EVERY_S)
    writer.close()
    return 0
