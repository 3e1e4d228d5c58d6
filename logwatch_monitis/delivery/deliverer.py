"""The loop from the spool to the monitor."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from logwatch_monitis.errors import LogwatchError, StateError, UnreachableError
from logwatch_monitis.monitis.batch import MAX_BATCH, Result
from logwatch_monitis.monitis.client import MonitisClient
from logwatch_monitis.monitis.faults import (
    BusyError,
    NoSuchMonitorError,
    RefusedError,
    UnclearError,
    UnknownActionError,
)
from logwatch_monitis.seams import Clock, Events, Waker
from logwatch_monitis.spool import Entry

from .backoff import Backoff
from .events import (
    DeadLettered,
    Delivered,
    DeliveryFailed,
    DeliveryResumed,
    DeliveryStillFailing,
)
from .lanes import Lanes
from .notes import Notes
from .status import DeliveryStatus
from .target import Facts, Target, TargetFinder

__all__ = ["Deliverer", "Outbox"]

IDLE_SECONDS = 1.0
STATE_SECONDS = 5.0
PLAIN_AT_ONCE = 128
BATCHES_AT_ONCE = 16
BATCHES_TOGETHER = 4
BATCHES_SECONDS = 0.5
MARK_SECONDS = 0.2
UNCLEAR_AT_MOST = 5
REFUSED_AT_MOST = 3
OTHERS_ASKED = 16

# What passes without anybody doing something; the rest needs a person.
_PASSING = (UnreachableError, UnclearError, NoSuchMonitorError, StateError)


class Outbox(Facts, Protocol):
    """What the spool is to the delivery."""

    def due(self, limit: int) -> list[Entry]:
        """Return what is next, in the order in which it is to be sent."""

    def delivered(self, sent: Sequence[Entry]) -> int:
        """Take out what the monitor has."""

    def failed(self, tried: Sequence[Entry], reason: str) -> None:
        """Count a failed attempt."""

    def refuse(self, entry: Entry, reason: str) -> bool:
        """Put an entry aside as a dead letter."""


class Deliverer:
    """Sends what waits, in the spool's order, and takes it out when the monitor has it.

    An entry leaves the spool only after the body of an answer said ok, or after the monitor refused
    this entry for good (then it is a dead letter). After a lost answer the same result is sent
    again, with the same checktime and id. After a failure one single result is tried first; more
    follow when it was taken.

    Our own monitor gets batches, of history several at once. Every other one gets one request for
    each login, one after the other, or over several connections where the answers take long; they
    start in the spool's order.
    """

    def __init__(
        self,
        spool: Outbox,
        client: MonitisClient,
        *,
        clock: Clock,
        waker: Waker,
        events: Events,
        target: Target = Target(),  # noqa: B008 - immutable
        agent: str = "",
        notes: Path | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Make a deliverer; `run` or `step` make it work.

        Args:
            spool: where logins wait.
            client: speaks to the monitor; `stop` closes it.
            clock: back-off runs on its stopwatch.
            waker: is woken by whoever fills the spool.
            events: takes what happens.
            target: which monitor.
            agent: the name by which our own monitor knows this agent.
            notes: a file in the state directory (see `notes`); without it each login is marked in
                the spool before the next one is sent, which is slower.
            chance: the jitter, from 0 up to 1.
        """
        self._spool = spool
        self._client = client
        self._clock = clock
        self._waker = waker
        self._events = events
        self._agent = agent
        self._finder = TargetFinder(client, target, spool, events)
        self._lanes = Lanes(clock)
        self._batch_lanes, self._one_lane = Lanes(clock, BATCHES_TOGETHER), Lanes(clock, 1)
        self._notes = Notes(notes)
        self._backoff = Backoff(chance)
        self._status = DeliveryStatus()
        self._not_before = 0.0
        self._batch = 1
        self._refused_in_a_row = 0
        self._looked_again = False
        self._unmarked: list[Entry] = []
        self._marked_at = 0.0
        self._recovered = False
        self._stopping = False
        self._done = threading.Event()
        self._done.set()

    @property
    def status(self) -> DeliveryStatus:
        """How it is going; may be read from any thread."""
        return replace(self._status, monitor_id=self._finder.known)

    def run(self) -> None:
        """Deliver until `stop` is called, waiting on the waker in between."""
        self._done.clear()
        try:
            while not self._stopping:
                wait = self.step()
                if wait and not self._stopping:
                    self._waker.wait(wait)
        finally:
            self.close()
            self._done.set()

    def stop(self, grace: float = 3.0) -> None:
        """End `run`: let the request under way finish for *grace* seconds, then cut it off.

        What was cut off is sent again by the next run, like after any lost answer. Only looking up
        the server's name cannot be cut off; then this returns nevertheless, after 1.5 *grace*.
        """
        self._stopping = True
        self._waker.wake()
        self._done.wait(grace)
        self._client.close()
        self._done.wait(grace / 2)

    def close(self) -> None:
        """Let go of threads and files after the last `step`; `run` does so itself."""
        for lanes in (self._lanes, self._batch_lanes, self._one_lane):
            lanes.close()
        self._notes.close()

    def step(self) -> float:
        """Do one piece of work; return for how many seconds there is nothing to do."""
        rest = self._not_before - self._clock.monotonic()
        if rest > 0:
            return rest
        try:
            return self._work()
        except NoSuchMonitorError as error:
            self._finder.forget()
            once_more = not self._looked_again
            self._looked_again = True
            return 0.0 if once_more else self._fail(error)
        except LogwatchError as error:
            return self._fail(error)

    def _work(self) -> float:
        self._recover()
        self._mark()
        self._notes.clear()
        batches = self._client.ours and self._batch > 1
        entries = self._spool.due(BATCHES_AT_ONCE * MAX_BATCH if batches else PLAIN_AT_ONCE)
        if not entries:
            return IDLE_SECONDS
        monitor_id = self._finder.find()
        if self._client.ours and self._batch > 1 and len(entries) > 1:
            self._send_batches(monitor_id, entries)
        else:
            self._send_plain(monitor_id, entries[: min(self._batch, PLAIN_AT_ONCE)])
        return 0.0

    def _send_batches(self, monitor_id: str, entries: Sequence[Entry]) -> None:
        """Send what there is for a while, then mark it: a mark waits for the disk several times.

        What was sent and not marked when this process is killed is sent again; our monitor knows it
        by its id. Live logins arrive in their order; of what is only history several batches may be
        under way: then the monitor reads one while it stores others, those in one commit.

        Raises:
            LogwatchError: of a batch, and not because of what is in it.
        """
        end = self._clock.monotonic() + BATCHES_SECONDS
        lanes = self._batch_lanes if entries[0].history else self._one_lane
        work = partial(self._send_batch, monitor_id)
        sent, refused = 0, list[int]()
        failures: list[LogwatchError] = []
        for batch, error in lanes.each(work, list(_growing(entries, self._batch))):
            if error and _of_content(error):
                refused.append(len(batch))
            elif error:
                failures.append(error)
            else:
                sent += 1
                self._unmarked += batch
            if self._stopping or self._clock.monotonic() >= end:
                lanes.halt()
        self._mark()
        self._batch = min(self._batch << sent, MAX_BATCH)
        if refused:
            # All or none were stored, so halves lead to the one that is not wanted.
            self._batch = max(1, min(refused) // 2)
        if failures:
            raise failures[0]

    def _send_batch(self, monitor_id: str, entries: Sequence[Entry]) -> None:
        try:
            self._client.add_results(monitor_id, [self._result(entry) for entry in entries])
        except ValueError as error:
            # Another batch has just met something that may be another server.
            raise UnreachableError(str(error)) from error

    def _grow(self) -> None:
        self._batch = min(self._batch * 2, MAX_BATCH)

    def _send_plain(self, monitor_id: str, entries: Sequence[Entry]) -> None:
        failures: list[tuple[Entry, LogwatchError]] = []
        for entry, error in self._lanes.each(partial(self._send_one, monitor_id), entries):
            if error:
                failures.append((entry, error))
            elif not self._passed(entry) or self._stopping:
                self._lanes.halt()
        self._mark()
        if failures:
            self._judge(monitor_id, *min(failures, key=lambda failure: failure[0].seq))
        else:
            self._grow()

    def _send_one(self, monitor_id: str, entry: Entry) -> None:
        if self._client.ours is None:
            # Without its id, our own monitor would not know the result again.
            monitor_id = self._finder.find()
        self._client.add_result(monitor_id, self._result(entry))
        self._notes.take(entry)

    def _result(self, entry: Entry) -> Result:
        values = {"user_login": entry.user, "host": entry.host, "srv": entry.srv}
        additional = {
            "id": entry.id,
            "machine": entry.machine,
            "kind": entry.kind,
            "verified": entry.verified,
            "method": entry.method,
            "agent": self._agent,
        }
        return Result(entry.time_us // 1000, values, additional)

    def _judge(self, monitor_id: str, entry: Entry, error: LogwatchError) -> None:
        """Decide whether the entry is to blame, or the monitor.

        A monitor that refuses everything must not empty the spool into the dead letters: beyond a
        few refusals in a row, and for those that do not say what is wrong, the entry is to blame
        only if another one passes.

        Raises:
            LogwatchError: the error, if it is the monitor's.
        """
        if not _of_content(error):
            raise error
        if isinstance(error, UnclearError):
            self._spool.failed([entry], str(error))
            if entry.attempts + 1 < UNCLEAR_AT_MOST or not self._another_passes(monitor_id, entry):
                raise error
        elif self._refused_in_a_row >= REFUSED_AT_MOST and not self._another_passes(
            monitor_id, entry
        ):
            raise error
        self._refused_in_a_row += 1
        self._spool.refuse(entry, str(error))
        self._events(DeadLettered(entry.id, str(error)))

    def _another_passes(self, monitor_id: str, suspect: Entry) -> bool:
        for entry in self._spool.due(OTHERS_ASKED):
            if entry.seq != suspect.seq:
                try:
                    self._send_one(monitor_id, entry)
                except (RefusedError, UnclearError):
                    continue
                self._unmarked.append(entry)
                self._mark()
                return True
        return False

    def _recover(self) -> None:
        """Mark what a process that was killed had sent and not marked."""
        if not self._recovered:
            self._unmarked += self._notes.found(self._spool.due(MAX_BATCH))
            self._recovered = True

    def _passed(self, entry: Entry) -> bool:
        """Remember that the monitor has an entry, and mark what has gathered for a while.

        Returns:
            False when the spool cannot take that now. Nothing more should be sent then, but what
            is under way in other threads has to be waited for, and remembered.
        """
        self._unmarked.append(entry)
        age = self._clock.monotonic() - self._marked_at
        try:
            if not self._notes.usable or age >= MARK_SECONDS:
                self._mark()
        except StateError:
            return False
        return True

    def _mark(self) -> None:
        """Take out what the monitor has; what the spool keeps in is not sent again."""
        self._marked_at = self._clock.monotonic()
        if not self._unmarked:
            return
        self._spool.delivered(self._unmarked)
        delivered = Delivered(
            len(self._unmarked), tuple(e.time_us for e in self._unmarked if not e.history)
        )
        self._unmarked = []
        self._refused_in_a_row = 0
        self._looked_again = False
        self._backoff.reset()
        if self._status.state != "ok":
            self._events(DeliveryResumed())
        self._status = DeliveryStatus(last_delivery=self._clock.now())
        self._events(delivered)

    def _fail(self, error: LogwatchError) -> float:
        if self._stopping:
            return 0.0
        reason, wait = error.render(), self._wait(error)
        repeated = reason == self._status.error
        self._batch = 1
        self._not_before = self._clock.monotonic() + wait
        self._status = replace(
            self._status,
            state="waiting" if isinstance(error, _PASSING) else "refused",
            error=reason,
            next_try=self._clock.now() + wait,
        )
        with suppress(StateError):
            self._spool.failed([], reason)
        happened = DeliveryStillFailing if repeated else DeliveryFailed
        self._events(happened(reason, wait, type(error).__name__))
        return wait

    def _wait(self, error: LogwatchError) -> float:
        if isinstance(error, StateError):
            return STATE_SECONDS
        if isinstance(error, BusyError):
            return self._backoff.next(error.retry_after)
        return self._backoff.next() if isinstance(error, _PASSING) else self._backoff.next_slow()


def _growing(entries: Sequence[Entry], size: int) -> Iterator[Sequence[Entry]]:
    """Yield the entries in batches, the first of *size*, each of twice the last one's."""
    start = 0
    while start < len(entries):
        yield entries[start : start + size]
        start, size = start + size, min(size * 2, MAX_BATCH)


def _of_content(error: LogwatchError) -> bool:
    """Tell whether an error may lie in what was sent."""
    return isinstance(error, RefusedError | UnclearError) and not isinstance(
        error, UnknownActionError
    )
