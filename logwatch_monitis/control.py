"""What the running agent tells about itself: a small HTTP face on a Unix socket, and on TCP.

The socket lies in the state directory, mode 0600, so that ``status`` works without any port. With
a remote monitor the same answers are given on the configured address; with the embedded one its
process owns the address and hands ``/healthz``, ``/readyz`` and ``/metrics`` on to the socket.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from logwatch_monitis.private_files import make_private

__all__ = ["SOCKET_NAME", "Control", "Health", "ask"]

SOCKET_NAME = "agent.sock"
_NEVER = 86_400.0
"""Seconds between two looks of an idle server loop; connections are served at once all the same."""

Health = Callable[[], tuple[bool, str]]
Page = Callable[[], tuple[int, str, bytes]]


class Control:
    """Serves the agent's own account of itself until closed.

    Args:
        status: returns the status as a JSON-able mapping.
        ready: returns whether the agent reads and delivers, and why not.
        metrics: returns the metrics in the Prometheus text format.
        recent: returns the last logins as a JSON-able list. Who logged in is not for everybody:
            they are told on the socket alone, never over TCP.
    """

    def __init__(
        self,
        *,
        status: Callable[[], Mapping[str, Any]],
        ready: Health,
        metrics: Callable[[], bytes],
        recent: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
    ) -> None:
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
            self._start(_UnixServer(short, _handler(self._pages | self._private)))
        make_private(path)
        self._socket_path = path
        self._socket_inode = path.stat().st_ino

    def listen_tcp(self, host: str, port: int) -> tuple[str, int]:
        """Answer on a TCP address too, and return the address in use (port 0 picks one).

        Raises:
            OSError: the address is taken or not of this machine.
        """
        server = _TcpServer((host, port), _handler(self._pages))
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


def _handler(pages: Mapping[str, Page]) -> type[_Handler]:
    return type("Handler", (_Handler,), {"pages": pages})


class _Handler(BaseHTTPRequestHandler):
    """One request, one page."""

    pages: Mapping[str, Page]
    timeout = 5
    server_version = "logwatch-monitis"
    sys_version = ""

    def do_GET(self) -> None:
        page = self.pages.get(self.path.partition("?")[0])
        status, kind, body = page() if page else (404, "text/plain", b"not found\n")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

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


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class _TcpServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
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
        OSError: no agent answers there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        with _short(directory / SOCKET_NAME) as short:
            connection.connect(short)
        connection.sendall(f"GET {page} HTTP/1.0\r\n\r\n".encode())
        with connection.makefile("rb") as reply:
            status = int(reply.readline().split()[1])
            while reply.readline().strip():
                pass
            return status, reply.read()


def _readiness(ready: Health) -> tuple[int, str, bytes]:
    good, why = ready()
    return (200 if good else 503), "text/plain; charset=utf-8", f"{why}\n".encode()
