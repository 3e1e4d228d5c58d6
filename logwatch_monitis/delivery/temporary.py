"""Temporary delivery, by a command that is no agent, until an agent takes over."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from logwatch_monitis.config.model import EMBEDDED, Config
from logwatch_monitis.delivery import DeliveryStatus
from logwatch_monitis.delivery.embedded import Embedded, MonitorProcess
from logwatch_monitis.delivery.worker import DeliveryThread, embedded_client, remote_client
from logwatch_monitis.errors import LogwatchError
from logwatch_monitis.interfaces import Clock, Events
from logwatch_monitis.spool import Locks, Spool

__all__ = ["TemporaryDelivery"]

LOOK_S = 0.25
RETRY_S = 5.0
STOP_S = 5.0
LISTEN = "127.0.0.1:0"
"""The embedded monitor of a temporary delivery leaves the configured address to the agent."""


class TemporaryDelivery:
    """Delivers what is in the spool, with an embedded monitor if that is the configured one.

    An agent that starts meanwhile gets both within a second, and this delivery takes over again if
    that agent ends.
    """

    def __init__(self, config: Config, spool: Spool, clock: Clock, events: Events) -> None:
        """Prepare; `start` starts."""
        self._config = config
        self._spool = spool
        self._clock = clock
        self._events = events
        self._locks = Locks(config.state_directory, clock)
        self._parts = ExitStack()
        self._sender: DeliveryThread | None = None
        self._monitor: MonitorProcess | None = None
        self._error = ""
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stand-in", daemon=True)

    @property
    def status(self) -> DeliveryStatus | None:
        """How the delivery is going; None while an agent delivers."""
        if self._error:
            return DeliveryStatus("waiting", self._error)
        sender = self._sender
        return sender.status if sender else None

    def start(self) -> None:
        """Deliver if no agent does, and watch from now on whether one does.

        Raises:
            SetupError: keys are missing, or the embedded monitor cannot start.
            LockHeldError: another process works on the embedded monitor's data.
        """
        self._look()
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to send."""
        if sender := self._sender:
            sender.wake()

    def stop(self) -> None:
        """End the delivery; the request under way may finish for a few seconds."""
        self._leaving.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        self._hand_over()

    def _run(self) -> None:
        wait = LOOK_S
        while not self._leaving.wait(wait):
            wait = LOOK_S
            try:
                self._look()
            except (LogwatchError, OSError) as error:
                self._error = error.render() if isinstance(error, LogwatchError) else str(error)
                wait = RETRY_S

    def _look(self) -> None:
        agent = self._locks.holder("run") is not None
        if agent and self._sender:
            self._hand_over()
        elif not agent and not self._sender:
            self._take_over()
        elif self._monitor:
            self._monitor.check()
        self._error = ""

    def _take_over(self) -> None:
        with ExitStack() as parts:
            if self._config.monitor.url == EMBEDDED:
                monitor = Embedded.start(self._config, LISTEN, self._clock, self._events)
                parts.callback(monitor.process.stop)
                client = embedded_client(self._config, monitor, self._clock, self._events)
                self._monitor = monitor.process
            else:
                client = remote_client(self._config, self._clock, self._events)
            sender = DeliveryThread(self._config, self._spool, client, self._clock, self._events)
            parts.callback(sender.stop)
            self._parts = parts.pop_all()
        sender.start()
        self._sender = sender

    def _hand_over(self) -> None:
        self._sender = self._monitor = None
        self._parts.close()
