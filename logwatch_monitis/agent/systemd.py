"""Tells systemd how it is going: sd_notify(3) without its library."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

from logwatch_monitis.interfaces import Clock

__all__ = ["STATUS_EVERY_S", "Notifier"]

STATUS_EVERY_S = 5.0


class Notifier:
    """Speaks to the service manager that started this process; to nobody, it says nothing.

    Args:
        clock: for the rhythm of watchdog and status.
        environ: has ``NOTIFY_SOCKET``, and ``WATCHDOG_USEC`` if a watchdog waits to be fed.
    """

    def __init__(self, clock: Clock, environ: Mapping[str, str] = os.environ) -> None:
        self._clock = clock
        self._address = environ.get("NOTIFY_SOCKET", "")
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        interval = int(environ.get("WATCHDOG_USEC", "0")) / 1e6 if ours else 0.0
        self._feed_every = interval / 3
        self._fed = self._told = -float("inf")
        self._status = ""

    @property
    def rhythm(self) -> float | None:
        """Within how many seconds `alive` is to be called again; None without a watchdog."""
        return self._feed_every or None

    @property
    def wants_status(self) -> bool:
        """Whether somebody listens, and the last status is old enough for a new one."""
        return bool(self._address) and self._clock.monotonic() - self._told >= STATUS_EVERY_S

    def ready(self) -> None:
        """Say that the start, or a reload, is done."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Say that a reload begins; systemd waits for `ready`, and tells reloads by the time."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(self._clock.monotonic() * 1e6)}")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Show *text*, one line, in ``systemctl status``; what is shown already is not sent."""
        self._told = self._clock.monotonic()
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def alive(self) -> None:
        """Feed the watchdog, if there is one and it is time to."""
        now = self._clock.monotonic()
        if self._feed_every and now - self._fed >= self._feed_every:
            self._fed = now
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        """Send; systemd that is busy or gone must not hold anything up."""
        if not self._address:
            return
        address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.setblocking(False)
            connection.sendto(message.encode(), address)
