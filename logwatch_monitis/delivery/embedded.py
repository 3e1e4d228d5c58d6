"""The monitor as a child process of an agent: started, watched, started again, stopped."""

from __future__ import annotations

import logging
import os
import select
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from logwatch_monitis.config.credentials import without_keys
from logwatch_monitis.config.keys import Keys
from logwatch_monitis.config.listen import Address, address_of, bind, parse_listen
from logwatch_monitis.config.model import Config, Keep, ReadProof, Window
from logwatch_monitis.config.paths import SOCKET_NAME
from logwatch_monitis.errors import LockHeldError, LogwatchError, MissingExtraError, SetupError
from logwatch_monitis.interfaces import Clock, Event, Events, SystemClock
from logwatch_monitis.sources import programs
from logwatch_monitis.spool import Locks

__all__ = [
    "PORTS_TRIED",
    "Embedded",
    "MonitorDied",
    "MonitorProcess",
    "MonitorStarted",
    "monitor_directory",
]

LOCK_POLL_S = 2.0
HANDOVER_S = 20.0
"""How long a monitor that another process of ours still runs may take to end."""
READY_PATIENCE = 20.0
STOP_PATIENCE = 5.0
FIRST_DELAY = 1.0
LAST_DELAY = 60.0
KEEP_ALL = Keep()


@dataclass(frozen=True, slots=True)
class MonitorStarted(Event):
    """The embedded monitor answers."""

    url: str

    def __str__(self) -> str:
        return f"The embedded monitor listens on {self.url}"


@dataclass(frozen=True, slots=True)
class MonitorDied(Event):
    """The embedded monitor ended without being asked to."""

    level: ClassVar[int] = logging.ERROR
    code: int
    delay: float

    def __str__(self) -> str:
        return (
            f"The embedded monitor ended (exit status {self.code});"
            f" it is started again in {self.delay:.0f} s, logins are kept until then"
        )


class MonitorProcess:
    """One embedded monitor, for as long as the agent lives.

    The listening socket belongs to the agent, so the address outlives a crash, and clients that
    come in between wait instead of being refused. The child ends when this process does, however
    it does: it watches its standard input. It has a process group of its own, so that Ctrl-C in a
    terminal reaches the agent alone, which still has logins to send.
    """

    def __init__(
        self,
        data_directory: Path,
        listen: str,
        events: Events,
        *,
        tries: int = 1,
        agent_socket: Path | None = None,
        place: str = "",
        keep: Keep = KEEP_ALL,
        page_password_file: str = "",
        reads: ReadProof = "proof",
        timestamp_window: Window = "15m",
        clock: Clock | None = None,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            data_directory: for results and keys; `Keys.load_or_make` reads them.
            listen: ``HOST:PORT``.
            events: takes `MonitorStarted` and `MonitorDied`.
            tries: how many ports to try, from that of *listen* on.
            agent_socket: where the agent answers for ``/healthz``, ``/readyz`` and ``/metrics``.
            place: the name in the page's heading; the machine's if it is empty.
            keep: how much is kept.
            page_password_file: holds what opens the page; empty for none.
            reads: what reads of the API have to show, the public key or a proof.
            timestamp_window: how far the timestamps of signed requests may be from its clock.
            clock: for the delays between starts.
        """
        self._listen = listen
        self._tries = tries
        self._events = events
        self._clock = clock or SystemClock()
        self._arguments = ["--data", str(data_directory.absolute()), "--place", place]
        if agent_socket:
            self._arguments += ["--agent-socket", str(agent_socket.absolute())]
        self._chosen = _options(keep, page_password_file, reads, timestamp_window)
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._delay = FIRST_DELAY
        self._started = 0.0
        self._next_start: float | None = None

    @property
    def address(self) -> Address:
        """Where the monitor listens; known from `start` on."""
        assert self._socket is not None
        return address_of(self._socket)

    @property
    def pid(self) -> int | None:
        """The process id, None while none runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> Address:
        """Take the address and start the monitor; return when it answers.

        Raises:
            MissingExtraError: a package of the extra ``monitor`` is missing.
            SetupError: the address cannot be used, or the monitor ended at once; it has then said
                why on standard error.
            LockHeldError: another monitor works on the data directory.
        """
        for package in ("starlette", "uvicorn", "jinja2"):
            if find_spec(package) is None:
                raise MissingExtraError(f"the embedded monitor ({package})", "monitor")
        self._socket = bind(*parse_listen(self._listen), tries=self._tries)
        if not self._launch_and_wait():
            error = self._failure()
            self.stop()
            raise error
        self._events(MonitorStarted(self.address.url))
        return self.address

    def restart(
        self,
        *,
        keep: Keep = KEEP_ALL,
        page_password_file: str = "",
        reads: ReadProof = "proof",
        timestamp_window: Window = "15m",
    ) -> None:
        """Start the monitor again on the same address, with other settings.

        Raises:
            SetupError: it does not start with these; it is started with the former ones.
            LockHeldError: another monitor works on the data directory; as above.
        """
        former = self._chosen
        self._chosen = _options(keep, page_password_file, reads, timestamp_window)
        self._end()
        if not self._launch_and_wait():
            error, self._chosen = self._failure(), former
            self._end()
            self._launch()
            raise error
        self._events(MonitorStarted(self.address.url))

    def check(self) -> None:
        """Start the monitor again if it died; for the agent's loop, at least every few seconds."""
        now = self._clock.monotonic()
        if self._next_start is not None:
            if now >= self._next_start:
                self._next_start = None
                self._launch()
                self._events(MonitorStarted(self.address.url))
        elif self._process and (code := self._process.poll()) is not None:
            if now - self._started > LAST_DELAY:
                self._delay = FIRST_DELAY
            _end(self._process)
            self._next_start = now + self._delay
            self._events(MonitorDied(code, self._delay))
            self._delay = min(2 * self._delay, LAST_DELAY)

    def stop(self) -> None:
        """Let the monitor answer what it was asked, then end it; free the address."""
        self._end()
        if self._socket:
            self._socket.close()
        self._socket = None

    def _end(self) -> None:
        """End the process, if there is one."""
        if self._process:
            _end(self._process)
        self._process = self._next_start = None

    def _launch_and_wait(self) -> bool:
        """Start the process; say whether it got ready."""
        ready, theirs = os.pipe()
        with os.fdopen(ready, "rb") as line:
            with os.fdopen(theirs, "wb"):
                self._launch(theirs)
            readable, _, _ = select.select([line], [], [], READY_PATIENCE)
            return bool(readable and line.read(1))

    def _launch(self, ready: int | None = None) -> None:
        """Start the process; it writes a line to *ready* once it answers."""
        assert self._socket is not None
        numbers = {"--listen-fd": self._socket.fileno()}
        if ready is not None:
            numbers["--ready-fd"] = ready
        options = [text for name, number in numbers.items() for text in (name, str(number))]
        arguments = [*self._arguments, *self._chosen, *options]
        self._process = programs.start(
            programs.python("logwatch_monitis.server.web", *arguments),
            stdin=subprocess.PIPE,
            env=without_keys(),
            pass_fds=tuple(numbers.values()),
            process_group=0,
        )
        self._started = self._clock.monotonic()

    def _failure(self) -> LogwatchError:
        """Return the error to raise for a process that did not get ready."""
        assert self._process is not None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.poll()
        if code == LockHeldError.exit_code:
            return LockHeldError("another monitor works on this data", "stop it first")
        return SetupError(
            f"the embedded monitor did not start (exit status {code})",
            "see the line above, or set monitor.url to another monitor",
        )


def _options(
    keep: Keep, page_password_file: str, reads: ReadProof, timestamp_window: Window
) -> list[str]:
    """Return the options for what may be chosen anew while the agent runs."""
    options = ["--keep-days", str(keep.days), "--keep-mebibytes", str(keep.mebibytes)]
    options += ["--reads", reads, "--timestamp-window", timestamp_window]
    if page_password_file:
        options += ["--page-password-file", str(Path(page_password_file).absolute())]
    return options


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    process.terminate()
    try:
        process.wait(STOP_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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


PORTS_TRIED = 20


def monitor_directory(config: Config) -> Path:
    """Return where the embedded monitor keeps its data and keys."""
    return config.state_directory / "monitor"


def _chosen(config: Config) -> dict[str, Any]:
    """Return what an embedded monitor can be given anew."""
    return {
        "keep": config.retention,
        "page_password_file": config.page_password_file,
        "reads": config.reads or "proof",
        "timestamp_window": config.timestamp_window,
    }
