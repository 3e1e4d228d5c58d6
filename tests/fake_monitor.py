"""A plain custom monitor server that misbehaves on demand.

It is written from the protocol's description with the standard library alone, so that it shares no
mistake with the package. It takes what the service takes, and notes whatever it does not know::

    with FakeMonitor() as server:
        server.program(lost_reply(), answer(500), action="addResult")
        ...
        assert [...] == server.results
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import hmac
import json
import socket
import ssl
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = [
    "API_KEY",
    "SECRET_KEY",
    "FakeMonitor",
    "Fault",
    "Stored",
    "answer",
    "drip",
    "endless",
    "garbage",
    "gzip_bomb",
    "hang",
    "lost_reply",
    "redirect",
    "reset",
    "truncated",
    "web_page",
]

API_KEY = "FAKEAPIKEY0000000000000001"
SECRET_KEY = "FAKESECRETKEY0000000000001"
TOKEN = "FAKETOKEN00000000000000{:03d}"

_COMMON = {"action", "apikey", "version", "output", "timestamp", "checksum", "validation"}
_COMMON |= {"authToken"}
_KNOWN = {
    "authToken": {"secretkey"},
    "addMonitor": {"name", "tag", "resultParams", "type", "monitorParams"},
    "deleteMonitor": {"monitorId"},
    "addResult": {"monitorId", "checktime", "results"},
    "getMonitors": {"tag", "type"},
    "getMonitorInfo": {"monitorId", "excludeHidden"},
    "getMonitorResults": {"monitorId", "year", "month", "day", "timezone"},
}


class Stored(NamedTuple):
    """One result as the server keeps it."""

    monitor_id: str
    checktime: int
    values: dict[str, str]
    additional: dict[str, Any]


class Request(NamedTuple):
    """One request as it came."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]


class FakeMonitor:
    """The server. Everything it was sent and has stored may be read at any time.

    Attributes:
        url: its address, without the protocol's paths.
        requests: all requests, in the order of their arrival.
        results: all stored results, in their order.
        monitors: name and tag by id.
        unknown: what a plain server does not know: actions, and ``action.parameter``.
        connections: how many were opened.
    """

    def __init__(self, *, ours: bool = False, tls: ssl.SSLContext | None = None, port: int = 0):
        """Make a server.

        Args:
            ours: announce itself as our own monitor, and take what only that one takes.
            tls: speak https with this context.
            port: where to listen; 0 for any.
        """
        self.ours = ours
        self.requests: list[Request] = []
        self.results: list[Stored] = []
        self.monitors: dict[str, tuple[str, str]] = {}
        self.tokens: list[str] = []
        self.unknown: list[str] = []
        self.connections = 0
        self.closing = threading.Event()
        self.lock = threading.RLock()
        self._next_id = 305
        self._ids: set[str] = set()
        self._programs: dict[str, deque[Fault]] = defaultdict(deque)
        self._always: dict[str, Fault] = {}
        self._server = _Server(("127.0.0.1", port), _Handler, self, tls)
        self._scheme = "https" if tls else "http"
        self.port = self._server.server_address[1]
        self.url = f"{self._scheme}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.cut()

    def program(self, *faults: Fault | None, action: str = "") -> None:
        """Let the next requests (with *action*, or any) meet these faults; None lets one pass."""
        self._programs[action].extend(faults)

    def always(self, fault: Fault | None, action: str = "") -> None:
        """Let every request (with *action*, or any) meet *fault*, until None ends it."""
        if fault:
            self._always[action] = fault
        else:
            self._always.pop(action, None)

    def actions(self) -> list[str]:
        """Return the actions asked for, in order."""
        return [request.params.get("action", "") for request in self.requests]

    def users(self) -> list[str]:
        """Return the users of the stored results, in order."""
        return [result.values["user_login"] for result in self.results]

    def fault(self, action: str) -> Fault | None:
        """Return what the request with *action* has to meet."""
        with self.lock:
            for key in (action, ""):
                if self._programs[key]:
                    return self._programs[key].popleft()
            return self._always.get(action) or self._always.get("")

    def reply(self, request: Request) -> Any:
        """Do what the request wants, and return the answer's value."""
        with self.lock:
            action = request.params.get("action", "")
            self._note_unknown(action, request.params)
            if request.params.get("apikey") != API_KEY:
                return {"error": "Invalid api key"}
            wrong = self._proof(request.params) if request.method == "POST" else ""
            if wrong:
                return {"error": wrong}
            method = getattr(self, f"_{action}", None)
            return method(request.params) if method else {"error": "Invalid action"}

    def _note_unknown(self, action: str, params: dict[str, str]) -> None:
        if action not in _KNOWN:
            self.unknown.append(action)
        else:
            extra = set(params) - _COMMON - _KNOWN[action]
            self.unknown += [f"{action}.{name}" for name in sorted(extra)]

    def _proof(self, params: dict[str, str]) -> str:
        if params.get("validation") == "token":
            known = params.get("authToken") in self.tokens
            return "" if known else "Authentication token has expired"
        text = "".join(k + v for k, v in sorted(params.items()) if k != "checksum")
        mac = hmac.new(SECRET_KEY.encode(), text.encode(), hashlib.sha1).digest()
        right = base64.b64encode(mac).decode() == params.get("checksum")
        return "" if right else "Invalid checksum"

    def _authToken(self, params: dict[str, str]) -> Any:  # noqa: N802
        if params.get("secretkey") != SECRET_KEY:
            return {"error": "Authentication failure"}
        self.tokens.append(TOKEN.format(len(self.tokens)))
        return {"authToken": self.tokens[-1]}

    def _getMonitors(self, params: dict[str, str]) -> Any:  # noqa: N802
        tag = params.get("tag")
        rows = [
            {"id": key, "name": name, "tag": its}
            for key, (name, its) in self.monitors.items()
            if tag in (None, its)
        ]
        if params.get("output", "").lower() != "xml":
            return rows
        cells = ("".join(f"<{k}>{v}</{k}>" for k, v in row.items()) for row in rows)
        return f"<monitors>{''.join(f'<monitor>{text}</monitor>' for text in cells)}</monitors>"

    def _getMonitorInfo(self, params: dict[str, str]) -> Any:  # noqa: N802
        name, tag = self.monitors[params["monitorId"]]
        return {"id": params["monitorId"], "name": name, "tag": tag, "resultParams": []}

    def _getMonitorResults(self, params: dict[str, str]) -> Any:  # noqa: N802
        return [
            result.values | {"checkTimeInGMT": result.checktime}
            for result in self.results
            if result.monitor_id == params["monitorId"]
        ]

    def _addMonitor(self, params: dict[str, str]) -> Any:  # noqa: N802
        if params["name"] in (name for name, _ in self.monitors.values()):
            return {"status": "Monitor with that name already exists"}
        key, self._next_id = str(self._next_id), self._next_id + 1
        self.monitors[key] = params["name"], params["tag"]
        return {"status": "ok", "data": int(key)}

    def _deleteMonitor(self, params: dict[str, str]) -> Any:  # noqa: N802
        return self._written(self.monitors.pop(params["monitorId"], None))

    def _addResult(self, params: dict[str, str]) -> Any:  # noqa: N802
        if params["monitorId"] not in self.monitors:
            return {"status": "Invalid monitorId"}
        self._store(params["monitorId"], [params])
        return {"status": "ok", "data": None}

    def _addResults(self, params: dict[str, str]) -> Any:  # noqa: N802
        rows = json.loads(params["results"])
        if not self.ours:
            return {"error": "Invalid action"}
        if params["monitorId"] not in self.monitors:
            return {"status": "Invalid monitorId"}
        self._store(params["monitorId"], rows)
        return {"status": "ok", "data": len(rows)}

    def _store(self, monitor_id: str, rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            cells = (cell.split(":") for cell in row["results"].split(";"))
            values = {unquote(name): unquote(value) for name, value in cells}
            extra = row.get("additionalResults") or "[]"
            extra = json.loads(extra) if isinstance(extra, str) else extra
            additional = extra[0] if extra else {}
            if not self.ours or additional.get("id") not in self._ids:
                self._ids.add(additional.get("id"))
                self.results.append(Stored(monitor_id, int(row["checktime"]), values, additional))

    def _written(self, found: object) -> Any:
        return {"status": "ok", "data": None} if found else {"status": "Invalid monitorId"}


class Exchange:
    """One request on its connection, for a fault to do with as it likes."""

    def __init__(self, handler: _Handler, request: Request) -> None:
        self.handler = handler
        self.request = request
        self.server = handler.server.monitor
        self.socket = handler.connection

    def proper(self) -> bytes:
        """Do what the request wants and return the body of the answer."""
        value = self.server.reply(self.request)
        return (
            value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        ).encode()

    def send(self, body: bytes, status: int = 200, **headers: str) -> None:
        """Send a whole answer."""
        lines = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        self.send_head(status, **(lines | {k.replace("_", "-"): v for k, v in headers.items()}))
        self.socket.sendall(body)

    def send_head(self, status: int = 200, **headers: str) -> None:
        """Send the first line and the header."""
        if self.server.ours:
            headers["X-Logwatch-Monitis"] = "1"
        text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.socket.sendall(f"HTTP/1.1 {status} Whatever\r\n{text}\r\n".encode())

    def cut(self, *, reset: bool = False) -> None:
        """Close the connection, with a reset if wanted."""
        self.handler.close_connection = True
        if reset:
            linger = struct.pack("ii", 1, 0)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


Fault = Callable[[Exchange], None]


def answer(status: int = 200, value: Any = None, **headers: str) -> Fault:
    """Answer with this status and body, and do nothing."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return lambda exchange: exchange.send(
        b"" if value is None else text.encode(), status, **headers
    )


def web_page(status: int = 200) -> Fault:
    """Answer with a captive portal's page."""
    return answer(status, "<!DOCTYPE html><html><br>Log in, please", Content_Type="text/html")


def lost_reply() -> Fault:
    """Do what was asked, then cut the connection without an answer."""

    def act(exchange: Exchange) -> None:
        exchange.proper()
        exchange.cut()

    return act


def reset() -> Fault:
    """Reset the connection in the middle of the body, having done nothing."""

    def act(exchange: Exchange) -> None:
        exchange.send_head(Content_Length="1000")
        exchange.socket.sendall(b'{"sta')
        exchange.cut(reset=True)

    return act


def truncated() -> Fault:
    """Do what was asked, answer with half a body and end the connection."""

    def act(exchange: Exchange) -> None:
        body = exchange.proper()
        exchange.send_head(**{"Content-Length": str(len(body))})
        exchange.socket.sendall(body[:-5])
        exchange.cut()

    return act


def drip(seconds: float = 0.05) -> Fault:
    """Send one byte every so many seconds, from the first byte of the header on, for ever."""

    def act(exchange: Exchange) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10**6:
            if exchange.server.closing.wait(seconds):
                return
            exchange.socket.sendall(bytes([byte]))

    return act


def hang() -> Fault:
    """Never answer."""
    return lambda exchange: exchange.server.closing.wait() and None


def endless(size: int = 10 * 2**30) -> Fault:
    """Announce and send so many bytes."""

    def act(exchange: Exchange) -> None:
        exchange.send_head(**{"Content-Type": "application/json", "Transfer-Encoding": "chunked"})
        block = b" " * 65536
        for _ in range(size // len(block)):
            exchange.socket.sendall(b"10000\r\n" + block + b"\r\n")

    return act


def gzip_bomb() -> Fault:
    """Answer with 100 MB of blanks, packed, though nobody asked for it."""
    packed = gzip.compress(gzip.compress(b" " * 10**8))
    return lambda exchange: exchange.send(packed, Content_Encoding="gzip")


def redirect(location: str, status: int = 302) -> Fault:
    """Point elsewhere."""
    return answer(status, "", Location=location)


def garbage() -> Fault:
    """Speak something that is no HTTP."""

    def act(exchange: Exchange) -> None:
        exchange.socket.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
        exchange.cut()

    return act


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address, handler, monitor: FakeMonitor, tls: ssl.SSLContext | None) -> None:
        self.monitor = monitor
        self._tls = tls
        self._open: set[socket.socket] = set()
        super().__init__(address, handler)

    def finish_request(self, request, client_address) -> None:
        if self._tls:
            request = self._tls.wrap_socket(request, server_side=True)
        self.monitor.connections += 1
        self._open.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            self._open.discard(request)
            request.close()

    def handle_error(self, request, client_address) -> None:
        """Say nothing: broken connections are what this is about."""

    def cut(self) -> None:
        """End the connections that are left."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Take a request of either kind."""
        monitor = self.server.monitor
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length).decode()
        if len(body) < length:  # whoever asks was killed amid the request
            return
        pairs = parse_qsl(parts.query or body, keep_blank_values=True)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, parts.path, dict(pairs), headers)
        with monitor.lock:
            monitor.requests.append(request)
        exchange = Exchange(self, request)
        fault = monitor.fault(request.params.get("action", ""))
        if fault:
            fault(exchange)
        elif parts.path.rstrip("/") in ("/customMonitorApi", "/api"):
            exchange.send(exchange.proper())
        else:
            exchange.send(b"<html>Not found</html>", 404)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""
