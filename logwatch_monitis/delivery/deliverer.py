"""The loop from the spool to the monitor."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from logwatch_monitis.delivery.backoff import Backoff
from logwatch_monitis.delivery.concurrency import ConcurrentSender
from logwatch_monitis.delivery.destination import Outbox, Target, TargetFinder
from logwatch_monitis.delivery.events import (
    DeadLettered,
    Delivered,
    DeliveryFailed,
    DeliveryResumed,
    DeliveryStillFailing,
    LoginHeld,
)
from logwatch_monitis.delivery.held import OTHERS_ASKED, HeldLogins, NotTakenError
from logwatch_monitis.delivery.memory import give_memory_back
from logwatch_monitis.delivery.sent_log import Notes
from logwatch_monitis.delivery.status import DeliveryStatus, HeldLogin
from logwatch_monitis.errors import LogwatchError, MonitorError, StateError, UnreachableError
from logwatch_monitis.interfaces import Clock, Events, Waker
from logwatch_monitis.protocol.client import MonitisClient
from logwatch_monitis.protocol.errors import (
    BusyError,
    NoSuchMonitorError,
    UnclearError,
    may_lie_in_content,
)
from logwatch_monitis.protocol.extensions import MAX_BATCH, Result
from logwatch_monitis.spool import OutboxEntry

__all__ = ["Deliverer"]

IDLE_SECONDS = 1.0
STATE_SECONDS = 5.0
PLAIN_AT_ONCE = 128
BATCHES_AT_ONCE = 16
BATCHES_TOGETHER = 4
BATCHES_SECONDS = 0.5
MARK_SECONDS = 0.2
SLOW_SECONDS = 5.0
BURST = 2_000

# What passes without anybody doing something; the rest needs a person.
_PASSING = (UnreachableError, UnclearError, NoSuchMonitorError, StateError)


class Deliverer:
    """Sends what waits, in the spool's order, and takes it out when the monitor has it.

    An entry leaves the spool only after the body of an answer said ok, or when it is clear that the
    monitor takes others, but not this one (then it is a dead letter; see `held`). After a lost
    answer the same result is sent again, with the same checktime and id. After a failure one single
    result is tried first, and again after a pause; if it fails twice, others are. More follow when
    one was taken.

    Our own monitor gets batches, of a long history several at once. Every other one gets one
    request for each login, one after the other, or over several connections where the answers take
    long; they start in the spool's order.
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
        self._lanes = ConcurrentSender(clock)
        self._batch_lanes = ConcurrentSender(clock)
        self._notes = Notes(notes)
        self._backoff = Backoff(chance)
        self._status = DeliveryStatus()
        self._held_status: tuple[HeldLogin, ...] = ()
        self._not_before = 0.0
        self._batch = 1
        self._next_batch = 1
        self._held = HeldLogins(clock)
        self._looked_again = False
        self._unmarked: list[OutboxEntry] = []
        self._marked_at = 0.0
        self._since_tidy = 0
        self._recovered = False
        self._stopping = False
        self._done = threading.Event()
        self._done.set()

    @property
    def status(self) -> DeliveryStatus:
        """How it is going; may be read from any thread."""
        return replace(self._status, monitor_id=self._finder.known, held=self._held_status)

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
        for lanes in (self._lanes, self._batch_lanes):
            lanes.close()
        self._notes.close()

    def step(self) -> float:
        """Do one piece of work; return for how many seconds there is nothing to do."""
        rest = self._not_before - self._clock.monotonic()
        try:
            if rest > 0 and not (self._held.alone and len(self._held) < OTHERS_ASKED):
                return rest
            return self._work_alone(rest) if rest > 0 else self._work()
        except NoSuchMonitorError as error:
            self._finder.forget()
            once_more = not self._looked_again
            self._looked_again = True
            return 0.0 if once_more else self._fail(error)
        except LogwatchError as error:
            return self._fail(error)
        finally:
            self._held_status = self._held.status()

    def _work(self) -> float:
        self._recover()
        self._mark()
        self._notes.clear()
        waiting = self._waiting()
        if not waiting:
            self._tidy()
            return IDLE_SECONDS
        monitor_id = self._finder.find()
        entries = [entry for entry in waiting if not self._held.is_held(entry)]
        self._held.alone = not entries
        if self._client.ours and self._batch > 1 and len(entries) > 1:
            self._send_batches(monitor_id, entries)
        elif entries:
            self._send_plain(monitor_id, entries[: min(self._batch, PLAIN_AT_ONCE)])
        tried = self._try_held(monitor_id, waiting)
        self._put_judged_aside()
        return 0.0 if entries or tried else self._held.wait(IDLE_SECONDS)

    def _tidy(self) -> None:
        """Give memory back after a burst."""
        if self._since_tidy >= BURST:
            give_memory_back()
        self._since_tidy = 0

    def _work_alone(self, rest: float) -> float:
        """Go on with held logins while nothing waits that was not refused before, or else begin."""
        waiting = self._waiting()
        if self._held.others(waiting):
            self._not_before = 0.0
            return 0.0
        tried = self._try_held(self._finder.find(), waiting)
        self._put_judged_aside()
        return 0.0 if tried else self._held.wait(min(rest, IDLE_SECONDS))

    def _waiting(self) -> list[OutboxEntry]:
        """Return what is next, beside the logins that are held."""
        batches = self._client.ours and self._batch > 1
        limit = BATCHES_AT_ONCE * MAX_BATCH if batches else PLAIN_AT_ONCE
        limit += len(self._held)
        waiting = self._spool.due(limit)
        if len(waiting) < limit:
            self._held.keep(waiting)
        return waiting

    def _send_batches(self, monitor_id: str, entries: Sequence[OutboxEntry]) -> None:
        """Send what there is for a while, then mark it: a mark waits for the disk several times.

        What was sent and not marked when this process is killed is sent again; our monitor knows it
        by its id. Live logins arrive in their order, and so does history while the batches grow. Of
        a long history several full batches may be under way: then the monitor reads one while it
        stores others, those in one commit.

        Raises:
            LogwatchError: of a batch, and not because of what is in it.
        """
        end = self._clock.monotonic() + BATCHES_SECONDS
        lanes, several = self._batch_lanes, entries[0].history and self._batch == MAX_BATCH
        work = partial(self._send_batch, monitor_id)
        sent, refused = 0, list[int]()
        failures: list[LogwatchError] = []
        batches = list(_growing(entries, self._batch))
        for batch, error in lanes.each(work, batches, BATCHES_TOGETHER if several else 1):
            if error and may_lie_in_content(error):
                refused.append(len(batch))
            elif error:
                failures.append(error)
            else:
                sent += 1
                self._unmarked += batch
                self._held.taken(batch)
            if self._stopping or self._clock.monotonic() >= end:
                lanes.halt()
        self._mark()
        self._batch = min(self._batch << sent, MAX_BATCH)
        if refused:
            # All or none were stored, so halves lead to the one that is not wanted. Between two
            # halves a single login shows whether the server takes anything at all.
            self._batch, self._next_batch = 1, max(1, min(refused) // 2)
        if failures:
            raise failures[0]

    def _send_batch(self, monitor_id: str, entries: Sequence[OutboxEntry]) -> None:
        try:
            self._client.add_results(monitor_id, [self._result(entry) for entry in entries])
        except ValueError as error:
            # Another batch has just met something that may be another server.
            raise UnreachableError(str(error)) from error

    def _grow(self) -> None:
        self._batch = min(max(self._batch * 2, self._next_batch), MAX_BATCH)
        self._next_batch = 1

    def _send_plain(self, monitor_id: str, entries: Sequence[OutboxEntry]) -> None:
        failures: list[tuple[OutboxEntry, LogwatchError]] = []
        for entry, error in self._lanes.each(partial(self._send_one, monitor_id), entries):
            if error:
                failures.append((entry, error))
            elif not self._passed(entry) or self._stopping:
                self._lanes.halt()
        self._mark()
        if failures:
            self._weigh(monitor_id, *min(failures, key=lambda failure: failure[0].seq))
        else:
            self._grow()

    def _send_one(self, monitor_id: str, entry: OutboxEntry) -> None:
        if self._client.ours is None:
            # Without its id, our own monitor would not know the result again.
            monitor_id = self._finder.find()
        began = self._clock.monotonic()
        try:
            self._client.add_result(monitor_id, self._result(entry))
        except MonitorError as error:
            if may_lie_in_content(error):
                raise NotTakenError(error, self._clock.monotonic() - began) from error
            raise
        self._notes.take(entry)

    def _result(self, entry: OutboxEntry) -> Result:
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

    def _weigh(self, monitor_id: str, entry: OutboxEntry, error: LogwatchError) -> None:
        """Find out whether the entry is to blame or the monitor: let others go past it.

        Raises:
            LogwatchError: the error, if no other is taken, or if the entry is to be tried once more
                first.
        """
        if not isinstance(error, NotTakenError):
            raise error
        refusals = self._held.refused(entry, error.cause, error.seconds)
        if refusals.count == 1 and error.seconds < SLOW_SECONDS:
            raise error.cause
        others = self._held.others(self._spool.due(len(self._held) + OTHERS_ASKED))
        for other in others:
            try:
                self._send_one(monitor_id, other)
            except NotTakenError as again:
                self._held.refused(other, again.cause, again.seconds)
                if again.seconds >= SLOW_SECONDS:
                    break
            else:
                self._passed(other)
                self._mark()
                return
        raise error.cause

    def _try_held(self, monitor_id: str, waiting: Sequence[OutboxEntry]) -> bool:
        """Try a held login once more; tell whether there was one to be tried."""
        entry = self._held.next(waiting)
        if entry is None:
            return False
        try:
            self._send_one(monitor_id, entry)
        except NotTakenError as error:
            refusals = self._held.refused(entry, error.cause, error.seconds)
            if refusals.count == 1:
                self._events(LoginHeld(entry.id, refusals.reason))
        else:
            self._passed(entry)
        return True

    def _put_judged_aside(self) -> None:
        for found in self._held.judged():
            if not found.others_since and not self._answers():
                found.begin(self._clock.monotonic())
                continue
            self._spool.refuse(found.entry, found.reason)
            self._held.forget(found.entry)
            self._events(DeadLettered(found.entry.id, found.reason))

    def _answers(self) -> bool:
        """Tell whether the server answers a read as it should."""
        try:
            self._finder.check()
        except MonitorError:
            return False
        return True

    def _recover(self) -> None:
        """Mark what a process that was killed had sent and not marked."""
        if not self._recovered:
            self._unmarked += self._notes.found(self._spool.due(MAX_BATCH))
            self._recovered = True

    def _passed(self, entry: OutboxEntry) -> bool:
        """Remember that the monitor has an entry, and mark what has gathered for a while.

        Returns:
            False when the spool cannot take that now. Nothing more should be sent then, but what
            is under way in other threads has to be waited for, and remembered.
        """
        self._unmarked.append(entry)
        self._held.taken([entry])
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
        self._since_tidy += len(self._unmarked)
        self._unmarked = []
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
        self._held.alone = self._held.alone and may_lie_in_content(error)
        repeated = reason == self._status.error
        self._batch = 1
        self._not_before = self._clock.monotonic() + wait
        self._status = replace(
            self._status,
            state="waiting" if self._passes(error) else "refused",
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
        return self._backoff.next() if self._passes(error) else self._backoff.next_slow()

    def _passes(self, error: LogwatchError) -> bool:
        """Tell whether it may pass without anybody doing something, or is not clear as yet."""
        unclear = may_lie_in_content(error) and len(self._held) < OTHERS_ASKED
        return isinstance(error, _PASSING) or unclear


def _growing(entries: Sequence[OutboxEntry], size: int) -> Iterator[Sequence[OutboxEntry]]:
    """Yield the entries in batches, the first of *size*, each of twice the last one's."""
    start = 0
    while start < len(entries):
        yield entries[start : start + size]
        start, size = start + size, min(size * 2, MAX_BATCH)
