"""The sending half that ``run`` and ``backfill`` share: client, thread and embedded monitor."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from logwatch_monitis.config.keys import Keys
from logwatch_monitis.config.model import Config
from logwatch_monitis.control import SOCKET_NAME
from logwatch_monitis.delivery import Deliverer, DeliveryStatus, Target
from logwatch_monitis.errors import LockHeldError
from logwatch_monitis.interfaces import Clock, Event, Events, ThreadWaker, Transport
from logwatch_monitis.monitor.child import MonitorProcess
from logwatch_monitis.protocol.client import MonitisClient
from logwatch_monitis.pulse import Pulse, PulsingWaker
from logwatch_monitis.spool import Limits, Locks, Spool

__all__ = [
    "PORTS_TRIED",
    "Around",
    "DeliveryBroke",
    "Embedded",
    "Sender",
    "embedded_client",
    "limits_of",
    "monitor_directory",
    "open_spool",
    "remote_client",
]

PORTS_TRIED = 20
NOTES = "delivery.notes"
LOCK_POLL_S = 2.0
RESTART_S = 5.0
HANDOVER_S = 20.0
"""How long a monitor that another process of ours still runs may take to end."""


def monitor_directory(config: Config) -> Path:
    """Return where the embedded monitor keeps its data and keys."""
    return config.state_directory / "monitor"


def limits_of(config: Config) -> Limits:
    """Return how much the spool may keep."""
    return Limits(config.spool.max_entries, config.spool.keep, config.spool.seen_days)


def open_spool(config: Config, clock: Clock, events: Events) -> Spool:
    """Return the spool of the configured state, open.

    Raises:
        StateError: it cannot be used.
    """
    return Spool.open(config.state_directory, clock=clock, events=events, limits=limits_of(config))


class Embedded(NamedTuple):
    """The embedded monitor as a child process.

    Attributes:
        process: watches it and stops it.
        url: its address.
        page: its page's address, access key included.
        keys: of its account.
    """

    process: MonitorProcess
    url: str
    page: str
    keys: Keys

    def renew(self, config: Config) -> None:
        """Start it again with what *config* says of it, on the same address.

        Raises:
            SetupError: it cannot start with that; it is started as it was.
        """
        self.process.restart(**_chosen(config))

    @classmethod
    def start(cls, config: Config, listen: str, clock: Clock, events: Events) -> Embedded:
        """Start it, and wait for one that a backfill is just giving up.

        Raises:
            SetupError: it cannot start, or its address cannot be used.
            LockHeldError: another process works on its data.
        """
        directory = monitor_directory(config)
        keys = Keys.load_or_make(directory)
        process = MonitorProcess(
            directory,
            listen,
            events,
            tries=1 if config.listen_chosen else PORTS_TRIED,
            agent_socket=config.state_directory / SOCKET_NAME,
            place=config.machine,
            clock=clock,
            **_chosen(config),
        )
        locks, end = Locks(config.state_directory, clock), clock.monotonic() + HANDOVER_S
        while True:
            try:
                address = process.start()
            except LockHeldError:
                holder = locks.holder("backfill")
                if not holder or holder.pid == os.getpid() or clock.monotonic() > end:
                    raise
                time.sleep(LOCK_POLL_S / 4)
            else:
                return cls(process, address.url, address.page(keys.page_key), keys)


def _chosen(config: Config) -> dict[str, Any]:
    """Return what an embedded monitor can be given anew."""
    return {
        "keep": config.retention,
        "page_password_file": config.page_password_file,
        "reads": config.reads or "proof",
        "timestamp_window": config.timestamp_window,
    }


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


class Sender:
    """Delivers in a thread of its own, as soon as no other process does."""

    def __init__(
        self,
        config: Config,
        spool: Spool,
        client: MonitisClient,
        clock: Clock,
        events: Events,
        *,
        pulse: Pulse | None = None,
    ) -> None:
        """Prepare; `start` starts the thread, which shows in *pulse* that it gets on."""
        self._locks = Locks(config.state_directory, clock)
        self._pulse = pulse or Pulse(clock)
        self._waker = PulsingWaker(ThreadWaker(), self._pulse)
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
