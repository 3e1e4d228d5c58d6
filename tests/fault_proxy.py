"""A line to a monitor that breaks: an HTTP proxy that answers, cuts or loses what it likes."""

import contextlib
import http.client
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import unquote, urlsplit


class FaultProxy:
    """Stands before a monitor, and lets a share of the requests fail in one of five ways.

    Attributes:
        url: where clients go.
        target: the monitor; may be changed at any time.
        share: how many of the requests fail, from 0 to 1; may be changed at any time.
        met: how often each fault was met.
    """

    def __init__(self, target: str, share: float) -> None:
        """Prepare; it listens within a ``with`` block."""
        self.target = target
        self.share = share
        self.met: Counter[str] = Counter()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fate(self, body: bytes) -> str:
        """Choose what happens to a request; the empty text lets it pass."""
        names = ["error 500", "reset", "lost reply", "error in a 200", "web page"]
        name = random.choice(names) if random.random() < self.share else ""
        self.met[name] += 1
        return name


_PAGE = (
    b"<html><head><title>%d</title></head><body><p>Request blocked.<br>Rule %d</p></body></html>"
)
REFUSALS = {
    "400 empty": (400, b""),
    "403 page": (403, _PAGE % (403, 17)),
    "413 page": (413, _PAGE % (413, 18)),
    "500 text": (500, b"Internal Server Error: rule 19"),
    "500 JSON": (500, b'{"error":"cannot store that"}'),
    "403 JSON": (403, b'{"message":"Forbidden by rule 20"}'),
}


class Firewall(FaultProxy):
    """Lets every request pass but those in which certain users stand, for ever."""

    def __init__(self, target: str, fates: Mapping[str, str]) -> None:
        """Prepare; *fates* says by user what happens: one of `REFUSALS`, or ``reset``."""
        super().__init__(target, 0.0)
        self._fates = {f":{user};": name for user, name in fates.items()}

    def fate(self, body: bytes) -> str:
        """See `FaultProxy.fate`."""
        text = unquote(body.decode())
        name = next((name for sign, name in self._fates.items() if sign in text), "")
        self.met[name] += 1
        return name


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    proxy: FaultProxy

    def handle_error(self, request, client_address) -> None:
        """Say nothing: broken connections are what this is about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Pass a request on, or not."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fate = self.server.proxy.fate(body)
        if fate in REFUSALS:
            self._answer(*REFUSALS[fate])
        elif fate == "reset":
            self._cut(reset=True)
        elif fate == "lost reply":
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._forward(body)
            self._cut()
        elif fate == "error 500":
            self._answer(500, b"Internal Server Error")
        elif fate == "web page":
            self._answer(200, b"<!DOCTYPE html><html><br>Log in, please")
        elif fate:
            self._answer(200, b'{"error":"Database is down"}')
        else:
            self._pass_on(body)

    do_POST = do_GET  # noqa: N815

    def _pass_on(self, body: bytes) -> None:
        try:
            status, headers, answer = self._forward(body)
        except (OSError, http.client.HTTPException):
            self._answer(502, b"Bad Gateway")
        else:
            kept = {k: v for k, v in headers if k.lower().startswith(("x-", "content-type"))}
            self._answer(status, answer, kept)

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        address = urlsplit(self.server.proxy.target)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        with contextlib.closing(connection):
            headers = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def _answer(self, status: int, body: bytes, headers=()) -> None:
        self.send_response(status)
        for name, value in {**dict(headers), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _cut(self, *, reset: bool = False) -> None:
        self.close_connection = True
        if reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        with contextlib.suppress(OSError):
            if not reset:
                self.connection.shutdown(socket.SHUT_RDWR)
            self.connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
