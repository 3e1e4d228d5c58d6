"""The sending half that ``run`` and ``backfill`` share: client, thread and embedded monitor."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from logwatch_monitis.config.model import Config
from logwatch_monitis.delivery import Deliverer, DeliveryStatus, Target
from logwatch_monitis.delivery.embedded import LOCK_POLL_S, Embedded
from logwatch_monitis.delivery.liveness import Liveness, LivenessWaker
from logwatch_monitis.interfaces import Clock, Event, Events, ThreadWaker, Transport
from logwatch_monitis.protocol.client import MonitisClient
from logwatch_monitis.spool import Limits, Locks, Spool

__all__ = [
    "Around",
    "DeliveryBroke",
    "DeliveryThread",
    "embedded_client",
    "limits_of",
    "open_spool",
    "remote_client",
]

NOTES = "delivery.notes"
RESTART_S = 5.0


def limits_of(config: Config) -> Limits:
    """Return how much the spool may keep."""
    return Limits(config.spool.max_entries, config.spool.keep, config.spool.seen_days)


def open_spool(config: Config, clock: Clock, events: Events) -> Spool:
    """Return the spool of the configured state, open.

    Raises:
        StateError: it cannot be used.
    """
    return Spool.open(config.state_directory, clock=clock, events=events, limits=limits_of(config))


Around = Callable[[Transport], Transport]
"""Puts something around the transport: who counts requests, or watches that they end."""


def _bare(transport: Transport) -> Transport:
    return transport


def embedded_client(
    config: Config, monitor: Embedded, clock: Clock, events: Events, around: Around = _bare
) -> MonitisClient:
    """Return the client of an embedded monitor."""
    keys = monitor.keys.api_key, monitor.keys.secret_key
    return _client(config, monitor.url, *keys, clock=clock, events=events, around=around)


def remote_client(
    config: Config, clock: Clock, events: Events, around: Around = _bare
) -> MonitisClient:
    """Return the client of the configured monitor.

    Raises:
        SetupError: a key is missing, or would cross the network in clear text.
    """
    monitor = config.monitor
    keys = monitor.api_key.need().reveal(), monitor.secret_key.need().reveal()
    return _client(config, monitor.url, *keys, clock=clock, events=events, around=around)


def _client(
    config: Config,
    url: str,
    api_key: str,
    secret_key: str,
    *,
    clock: Clock,
    events: Events,
    around: Around,
) -> MonitisClient:
    from logwatch_monitis.protocol.transport import RequestsTransport

    return MonitisClient(
        url,
        api_key,
        secret_key,
        validation=config.monitor.validation,
        insecure=config.monitor.insecure,
        transport=around(RequestsTransport()),
        clock=clock,
        events=events,
    )


@dataclass(frozen=True, slots=True)
class DeliveryBroke(Event):
    """The delivery ended by a mistake of this program; it is started again."""

    error: str
    level: ClassVar[int] = logging.ERROR

    def __str__(self) -> str:
        return f"The delivery broke off ({self.error}) and is started again; nothing is lost"


class DeliveryThread:
    """Delivers in a thread of its own, as soon as no other process does."""

    def __init__(
        self,
        config: Config,
        spool: Spool,
        client: MonitisClient,
        clock: Clock,
        events: Events,
        *,
        pulse: Liveness | None = None,
    ) -> None:
        """Prepare; `start` starts the thread, which shows in *pulse* that it gets on."""
        self._locks = Locks(config.state_directory, clock)
        self._pulse = pulse or Liveness(clock)
        self._waker = LivenessWaker(ThreadWaker(), self._pulse)
        self._events = events
        self._leaving = threading.Event()
        self._delivering = False
        self._new = partial(
            Deliverer,
            spool,
            client,
            clock=clock,
            waker=self._waker,
            events=events,
            target=Target(config.monitor.name, config.monitor.tag),
            agent=config.machine,
            notes=config.state_directory / NOTES,
        )
        self._deliverer = self._new()
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    @property
    def status(self) -> DeliveryStatus:
        """How it is going; may be read from any thread."""
        return self._deliverer.status

    def start(self) -> None:
        """Start the thread."""
        self._pulse.beat()
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to send."""
        self._waker.wake()

    def stop(self) -> None:
        """Let the request under way finish for a few seconds, and give up the lock."""
        self._leaving.set()
        if self._delivering:
            self._deliverer.stop()
        if self._thread.is_alive():
            self._thread.join(LOCK_POLL_S)
        self._pulse.rest()

    def _run(self) -> None:
        while (lock := self._locks.poll("deliver")) is None:
            self._pulse.beat()
            if self._leaving.wait(LOCK_POLL_S):
                return
        with lock:
            self._delivering = True
            while not self._deliver() and not self._leaving.wait(RESTART_S):
                self._deliverer = self._new()

    def _deliver(self) -> bool:
        """Deliver until told to stop; return False if that ended in any other way."""
        try:
            self._deliverer.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next try may do
            self._events(DeliveryBroke(f"{type(error).__name__}: {error}"))
            return False
        return True
