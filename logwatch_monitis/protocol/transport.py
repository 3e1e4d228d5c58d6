"""Carries requests over HTTP with the requests package, and trusts the other side with nothing.

The only module that imports requests.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import logging
import socket
import ssl
import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    IncompleteRead,
    LocationValueError,
    ReadTimeoutError,
)

from logwatch_monitis._version import VERSION
from logwatch_monitis.errors import UnreachableError
from logwatch_monitis.interfaces import Reply
from logwatch_monitis.protocol.deadline import Deadlines, SocketHandle, current_call
from logwatch_monitis.protocol.encoding import encode_cell
from logwatch_monitis.protocol.errors import AnswerLostError
from logwatch_monitis.protocol.idle_connections import IDLE_SECONDS, IdleConnections
from logwatch_monitis.protocol.rendering import bound_of

__all__ = ["RequestsTransport"]

MAX_INTERIM = 10

# It tells of odd headers with a traceback and the whole address, secret key included.
logging.getLogger("urllib3").setLevel(logging.CRITICAL + 1)

_ERRORS = (requests.RequestException, HTTPError, OSError, ValueError, OverflowError)
QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux has it
_HEADERS = {
    "User-Agent": f"logwatch-monitis/{VERSION}",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}
_FORM = _HEADERS | {"Content-Type": "application/x-www-form-urlencoded"}


class RequestsTransport:
    """One pool of kept-alive connections; may be used from several threads.

    Nothing comes from the environment: no proxy, no netrc. Certificates are verified against the
    system's authorities and those of certifi. Redirects are not followed, cookies not kept; no
    request is repeated. Compression is not asked for; gzip and deflate that come nevertheless are
    unpacked up to what the answer may hold.
    """

    def __init__(
        self,
        *,
        connect: float = 10.0,
        read: float = 30.0,
        total: float = 60.0,
        connections: int = 8,
        proxy: str = "",
        idle: float = IDLE_SECONDS,
    ) -> None:
        """Make a transport; nothing is sent yet.

        Args:
            connect: seconds for one address to accept the connection, and for TLS.
            read: seconds between two pieces of an answer.
            total: seconds for the whole exchange, looking up the name left out.
            connections: how many are kept for later.
            proxy: address of a proxy, empty for none.
            idle: seconds after which a connection that is kept for later is closed.
        """
        self._timeout = (connect, read)
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._deadlines = Deadlines(total)
        self._idle = IdleConnections(idle)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(connections, self._idle))

    def send(self, method: str, url: str, params: Mapping[str, str]) -> Reply:
        """Send *params* (query of a GET, form of a POST) and return the whole reply.

        Raises:
            UnreachableError: no complete reply came, or a redirect. The text says why, and of the
                address no more than the host; an AnswerLostError if the request went out.
        """
        size = bound_of(method, params.get("action", "")).size
        with self._deadlines.call() as call:
            try:
                reply = self._exchange(_prepare(method, url, params), size)
                # To the parser the end of a connection that was cut is the end of a header.
                if not call.ended:
                    return reply
                reason = call.ended
            except _ERRORS as error:
                reason = call.ended or self._reason(error)
        # Raised out here so that it carries no context: those errors hold the keys in the address.
        kind = AnswerLostError if call.connected else UnreachableError
        raise kind(f"{urlsplit(url).hostname}: {reason}")

    def close(self) -> None:
        """Close the connections; an exchange under way ends at once with UnreachableError."""
        self._deadlines.close()
        self._idle.close()
        self._session.close()

    def _exchange(self, request: requests.PreparedRequest, size: int) -> Reply:
        response = self._session.send(
            request,
            stream=True,
            timeout=self._timeout,
            allow_redirects=False,
            proxies=self._proxies,
        )
        with contextlib.closing(response):
            return _read(response, size)

    def _reason(self, error: Exception) -> str:
        causes = list(_causes(error))
        for kind, text in _REASONS.items():
            for cause in causes:
                if isinstance(cause, kind):
                    connect, read = self._timeout
                    return text.format(cause, cause=cause, connect=connect, read=read)
        return type(error).__name__


class _UnusableError(ValueError):
    """Raised for an answer that nobody should read; the text is the reason."""


# The first kind counts that occurs anywhere among the causes.
_REASONS: Mapping[type[BaseException], str] = {
    _UnusableError: "{0}",
    socket.gaierror: "its name cannot be resolved",
    ssl.SSLCertVerificationError: "its certificate is not trusted: {cause.verify_message}",
    ConnectTimeoutError: "no connection within {connect:g} s",
    ReadTimeoutError: "no answer within {read:g} s",
    TimeoutError: "no answer within {connect:g} s",
    ssl.SSLError: "TLS failed: {cause.reason}",
    ConnectionRefusedError: "connection refused",
    http.client.RemoteDisconnected: "connection closed before an answer came",
    ConnectionResetError: "connection reset",
    IncompleteRead: "the answer broke off",
    http.client.IncompleteRead: "the answer broke off",
    http.client.HTTPException: "the answer is not HTTP",
    requests.exceptions.InvalidURL: "its address cannot be used",
    LocationValueError: "its address cannot be used",
    OSError: "{cause.strerror}",
    HTTPError: "the answer is not HTTP",
    ValueError: "the answer is not HTTP",
    OverflowError: "the answer is not HTTP",
}


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield *error* and whatever it wraps, by any of the ways that the packages use.

    The wrappers of requests are left out: each of them is an OSError, without a reason.
    """
    if error is not None:
        if not isinstance(error, requests.RequestException) or type(error) in _REASONS:
            yield error
        for inner in (*error.args, getattr(error, "reason", None), error.__cause__):
            if isinstance(inner, BaseException):
                yield from _causes(inner)


def _prepare(method: str, url: str, params: Mapping[str, str]) -> requests.PreparedRequest:
    text = "&".join([f"{encode_cell(name)}={encode_cell(params[name])}" for name in params])
    request = requests.PreparedRequest()
    if method == "GET":
        request.prepare(method=method, url=f"{url}?{text}", headers=_HEADERS)
    else:
        request.prepare(method=method, url=url, headers=_FORM, data=text)
    return request


def _read(response: requests.Response, size: int) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    if response.is_redirect:
        where = _origin(headers["location"])
        raise _UnusableError(f"redirects to {where[:200]!r}, which is not followed")
    coding = headers.get("content-encoding", "identity").strip().lower() or "identity"
    if coding not in _WINDOW_BITS:
        raise _UnusableError("the answer is compressed, which was not asked for")
    body = response.raw.read(size + 1, decode_content=False)
    if len(body) <= size and len(body) < _promised(headers):
        raise _UnusableError("the answer broke off")
    if _WINDOW_BITS[coding]:
        body = _unpacked(body, _WINDOW_BITS[coding], size)
    if len(body) > size:
        raise _UnusableError(f"the answer is longer than {size} bytes")
    return Reply(response.status_code, headers, body)


def _origin(location: str) -> str:
    """Return scheme and host of a redirect's target, without the user's part."""
    try:
        target = urlsplit(location)
    except ValueError:
        return "elsewhere"
    host = target.netloc.rpartition("@")[2]
    return f"{target.scheme}://{host}" if host else "elsewhere"


def _promised(headers: Mapping[str, str]) -> int:
    """Return the length that the header promises, 0 for none or for nonsense."""
    text = headers.get("content-length", "")
    return int(text[:18]) if text.isascii() and text.isdigit() else 0


_WINDOW_BITS = {"identity": 0, "gzip": 31, "x-gzip": 31, "deflate": 15}


def _unpacked(body: bytes, window_bits: int, size: int) -> bytes:
    """Return the body unpacked, cut off one byte beyond *size*.

    Raises:
        _UnusableError: it is damaged or incomplete.
    """
    unpacker = zlib.decompressobj(window_bits)
    try:
        unpacked = unpacker.decompress(body, size + 1)
    except zlib.error:
        raise _UnusableError("the answer is compressed, and damaged") from None
    if not unpacker.eof and len(unpacked) <= size:
        raise _UnusableError("the answer broke off")
    return unpacked


class _Response(http.client.HTTPResponse):
    """Passes over interim answers such as 103 Early Hints; the standard library knows only 100."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MAX_INTERIM):
            line: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not 100 < line[1] < 200 or line[1] == http.HTTPStatus.SWITCHING_PROTOCOLS:  # noqa: PLR2004
                return line
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException("too many interim answers")


class _Watched:
    """Makes a connection known to the exchange it serves, so that its deadline can end it."""

    _dns_host: str
    port: int
    timeout: float | None
    sock: socket.socket | None
    _handle: SocketHandle | None = None

    def _new_conn(self) -> socket.socket:
        """Connect as urllib3 does, but such that the time can run out while connecting."""
        addresses = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        try:
            return self._connect(addresses, self.timeout)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "timed out") from error
        except (BrokenPipeError, ConnectionResetError) as error:
            # urllib3 takes these for a server that answered early, and would go on to read.
            raise ConnectionAbortedError(errno.ECONNABORTED, error.strerror) from error

    def _connect(self, addresses: list[Any], seconds: float | None) -> socket.socket:
        failure: OSError | None = None
        for family, kind, protocol, _, address in addresses:
            sock = socket.socket(family, kind, protocol)
            try:
                self._register(sock)
                sock.settimeout(seconds)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.connect(address)
            except OSError as error:
                failure = error
                sock.close()
            else:
                return sock
        raise failure or OSError("the name has no address")

    def _register(self, sock: socket.socket) -> None:
        self._handle = SocketHandle(sock)
        self._announce()

    def _announce(self) -> None:
        call = current_call()
        if call and self._handle:
            call.hold(self._handle)

    def connect(self) -> None:
        """Connect, TLS included, and note that from here on the request may have an effect."""
        super().connect()  # type: ignore[misc]
        self._note_connected()

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request; over a kept connection this is where the exchange meets it."""
        self._announce()
        if self.sock is not None:
            self._note_connected()
        super().request(*args, **kwargs)  # type: ignore[misc]
        self._acknowledge_at_once()

    def _note_connected(self) -> None:
        call = current_call()
        if call:
            call.connected = True

    def _acknowledge_at_once(self) -> None:
        """Let the kernel acknowledge the next bytes without a delay; it forgets that soon.

        A server that writes header and body apart, and leaves Nagle's algorithm on as Python's
        http.server does, sends the body only when the header is acknowledged: 40 ms later.
        """
        if self.sock is not None and QUICKACK is not None:
            with contextlib.suppress(OSError):
                self.sock.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)

    def close(self) -> None:
        """Close, and let go of the second hold, or the other side would not see an end."""
        self._handle = None
        super().close()  # type: ignore[misc]


class _WatchedConnection(_Watched, HTTPConnection):
    response_class = _Response


class _SecureConnection(_Watched, HTTPSConnection):
    response_class = _Response


class _Resting:
    """A pool, of whose connections `IdleConnections` knows."""

    def __init__(self, idle: IdleConnections, *args: Any, **kwargs: Any) -> None:
        self._idle = idle
        super().__init__(*args, **kwargs)

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection = super()._get_conn(timeout)  # type: ignore[misc]
        self._idle.use(connection)
        return connection

    def _put_conn(self, connection: Any) -> None:
        if connection and connection.sock:
            self._idle.rest(connection)
        super()._put_conn(connection)  # type: ignore[misc]


class _Pool(_Resting, HTTPConnectionPool):
    ConnectionCls = _WatchedConnection


class _SecurePool(_Resting, HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    """Uses the watched connections, directly and through a proxy."""

    def __init__(self, connections: int, idle: IdleConnections) -> None:
        self._pools = {"http": partial(_Pool, idle), "https": partial(_SecurePool, idle)}
        super().__init__(pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """See `HTTPAdapter.init_poolmanager`."""
        super().init_poolmanager(*args, ssl_context=ssl.create_default_context(), **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """See `HTTPAdapter.proxy_manager_for`."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager
