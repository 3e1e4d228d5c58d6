"""HTTP on a Unix socket, and on TCP: what the running agent tells about itself.

The socket lies in the state directory, mode 0600, so that ``status`` works without any port. With
a remote monitor the same answers are given on the configured address; with the embedded one its
process owns the address and hands ``/healthz``, ``/readyz`` and ``/metrics`` on to the socket.
"""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import re
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

from logwatch_monitis.config.paths import SOCKET_NAME
from logwatch_monitis.config.private_files import make_private
from logwatch_monitis.errors import place_of
from logwatch_monitis.interfaces import Event, Events

__all__ = ["Control", "Health", "PageFailed", "ask"]

_NEVER = 86_400.0
"""Seconds between two looks of an idle server loop; connections are served at once all the same."""

REQUEST_S = 10.0
"""So long a request may take to come, and so long its answer may take to be read."""
LONGEST_REQUEST = 16 * 1024
MOST_REQUESTS = 32
"""So many are worked on at the same time; when one more comes, the oldest is given up."""
ANSWER_S = 10.0
RETRY_S = 0.05
LONGEST_ANSWER = 16 * 1024 * 1024

Health = Callable[[], tuple[bool, str]]
Page = Callable[[], tuple[int, str, bytes]]


@dataclass(frozen=True, slots=True)
class PageFailed(Event):
    """A page of the agent's own account could not be made, by a mistake of this program."""

    page: str
    error: str
    level: ClassVar[int] = logging.ERROR

    def __str__(self) -> str:
        return f"{self.page} could not be answered: internal error, {self.error}"


def _nobody(_event: Event, /) -> None:
    """Hear no events."""


class Control:
    """Serves the agent's own account of itself until closed.

    Args:
        status: returns the status as a JSON-able mapping.
        ready: returns whether the agent reads and delivers, and why not.
        metrics: returns the metrics in the Prometheus text format.
        recent: returns the last logins as a JSON-able list. Who logged in is not for everybody:
            they are told on the socket alone, never over TCP.
        events: takes what goes wrong.
    """

    def __init__(
        self,
        *,
        status: Callable[[], Mapping[str, Any]],
        ready: Health,
        metrics: Callable[[], bytes],
        recent: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
        events: Events = _nobody,
    ) -> None:
        self._events = events
        self._pages: dict[str, Page] = {
            "/status": lambda: (200, "application/json", json.dumps(status()).encode()),
            "/healthz": lambda: (200, "text/plain; charset=utf-8", b"ok\n"),
            "/readyz": lambda: _readiness(ready),
            "/metrics": lambda: (200, "text/plain; version=0.0.4; charset=utf-8", metrics()),
        }
        self._private: dict[str, Page] = {
            "/recent": lambda: (200, "application/json", json.dumps(recent()).encode()),
        }
        self._servers: list[_UnixServer | _TcpServer] = []
        self._socket_path: Path | None = None
        self._socket_inode = 0

    def listen_unix(self, directory: Path) -> None:
        """Answer on ``agent.sock`` in *directory*; a stale socket of a killed agent is replaced.

        Raises:
            OSError: the socket cannot be made.
        """
        path = directory / SOCKET_NAME
        path.unlink(missing_ok=True)
        with _short(path) as short:
            self._start(_UnixServer(short, _handler(self._pages | self._private), self._events))
        make_private(path)
        self._socket_path = path
        self._socket_inode = path.stat().st_ino

    def listen_tcp(self, host: str, port: int) -> tuple[str, int]:
        """Answer on a TCP address too, and return the address in use (port 0 picks one).

        Raises:
            OSError: the address is taken or not of this machine.
        """
        server = _TcpServer((host, port), _handler(self._pages), self._events)
        self._start(server)
        bound: tuple[str, int] = server.socket.getsockname()[:2]
        return bound

    def close_tcp(self) -> None:
        """Stop answering over TCP; the addresses are free again."""
        for server in [server for server in self._servers if isinstance(server, _TcpServer)]:
            self._servers.remove(server)
            _end(server)

    def close(self) -> None:
        """Stop answering and remove the socket, unless it is another agent's by now."""
        for server in self._servers:
            _end(server)
        if self._socket_path is not None:
            with suppress(OSError):
                if self._socket_path.stat().st_ino == self._socket_inode:
                    self._socket_path.unlink()

    def _start(self, server: _UnixServer | _TcpServer) -> None:
        self._servers.append(server)
        threading.Thread(
            target=server.serve_forever, args=(_NEVER,), name="control", daemon=True
        ).start()


def _handler(pages: Mapping[str, Page]) -> type[_ControlHandler]:
    return type("Handler", (_ControlHandler,), {"pages": pages})


class _ControlHandler(BaseHTTPRequestHandler):
    """One request, one page."""

    pages: Mapping[str, Page]
    server: _UnixServer | _TcpServer
    timeout = REQUEST_S
    server_version = "logwatch-monitis"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Bounded(self.connection))

    def do_GET(self) -> None:
        status, kind, body = self._page(self.path.partition("?")[0])
        self.connection.settimeout(REQUEST_S)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _page(self, name: str) -> tuple[int, str, bytes]:
        page = self.pages.get(name)
        if page is None:
            return 404, "text/plain", b"not found\n"
        try:
            return page()
        except Exception as error:  # noqa: BLE001 - the agent goes on
            self.server.events(PageFailed(name, f"{type(error).__name__}, {place_of(error)}"))
            return 500, "text/plain", b"internal error\n"

    do_HEAD = do_GET  # noqa: N815 - the base's name

    def address_string(self) -> str:
        return "local"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: scrapes are no news."""


def _end(server: _UnixServer | _TcpServer) -> None:
    """End a server's loop: it sleeps until its socket has something to say."""
    ending = threading.Thread(target=server.shutdown, daemon=True)
    ending.start()
    with suppress(OSError):
        server.socket.shutdown(socket.SHUT_RDWR)
    ending.join(1)
    server.server_close()


class _Bounded(io.RawIOBase):
    """What a client sends, until it is too much or takes too long; then it ends there."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._left = LONGEST_REQUEST
        self._end = time.monotonic() + REQUEST_S

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        seconds = self._end - time.monotonic()
        if seconds <= 0 or not self._left:
            return 0
        self._connection.settimeout(seconds)
        size = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= size
        return size


class _ControlServer(socketserver.ThreadingMixIn):
    """Answers a few requests at the same time, each for a short while, and says little of them."""

    daemon_threads = True
    request_queue_size = MOST_REQUESTS

    def __init__(self, address: Any, handler: type[_ControlHandler], events: Events) -> None:
        self.events = events
        self._working: dict[socket.socket, None] = {}  # in order of their arrival
        self._guard = threading.Lock()
        super().__init__(address, handler)  # type: ignore[call-arg]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            if len(self._working) >= MOST_REQUESTS:
                oldest = next(iter(self._working))
                del self._working[oldest]
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
            self._working[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._working.pop(request, None)
        super().shutdown_request(request)  # type: ignore[misc]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that is gone, or wants too much, is no news."""


class _UnixServer(_ControlServer, socketserver.UnixStreamServer):
    pass


class _TcpServer(_ControlServer, socketserver.TCPServer):
    allow_reuse_address = True


class _short:  # noqa: N801 - used like a function
    """A name of at most 108 bytes for a socket, as sockaddr_un wants it, however deep it lies."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> str:
        self._fd = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def ask(directory: Path, page: str) -> tuple[int, bytes]:
    """Ask the agent that works on the state *directory* and return (HTTP status, body).

    Raises:
        PermissionError: the directory may not be entered, or neither its owner, nor root, nor this
            user listens there; the latter without a file name.
        TimeoutError: the whole answer takes more than 10 s.
        OSError: no agent answers there.
        ValueError: the answer is not HTTP, or longer than 16 MiB.
    """
    end = time.monotonic() + ANSWER_S
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_S)
        _connect(connection, directory, end)
        _check_peer(connection, directory)
        connection.sendall(f"GET {page} HTTP/1.0\r\n\r\n".encode())
        answer = bytearray()
        while piece := _receive(connection, end):
            answer += piece
            if len(answer) > LONGEST_ANSWER:
                raise ValueError("an endless answer")
    head, _, body = answer.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.[01] (\d{3})\b", head)
    if not status:
        raise ValueError("no HTTP")
    return int(status[1]), bytes(body)


def _connect(connection: socket.socket, directory: Path, end: float) -> None:
    with _short(directory / SOCKET_NAME) as short:
        while True:
            try:
                return connection.connect(short)
            except BlockingIOError:  # so many others want to that none more may wait
                if time.monotonic() > end:
                    raise TimeoutError from None
                time.sleep(RETRY_S)


def _receive(connection: socket.socket, end: float) -> bytes:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)
    return connection.recv(65_536)


def _check_peer(connection: socket.socket, directory: Path) -> None:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    _, owner, _ = struct.unpack("3i", credentials)
    if owner not in (0, os.geteuid(), directory.stat().st_uid):
        raise PermissionError(
            errno.EPERM, f"user {owner} listens in {directory}, which is not theirs; not asked"
        )


def _readiness(ready: Health) -> tuple[int, str, bytes]:
    good, why = ready()
    return (200 if good else 503), "text/plain; charset=utf-8", f"{why}\n".encode()
