"""Where the monitor listens: reading ``HOST:PORT``, taking the socket, naming the address."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from typing import NamedTuple
from urllib.parse import quote

from logwatch_monitis.errors import SetupError

__all__ = ["DEFAULT_LISTEN", "Address", "address_of", "bind", "parse_listen"]

DEFAULT_LISTEN = "127.0.0.1:8460"
MAX_PORT = 65_535

_FORM = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5})")


class Address(NamedTuple):
    """A host and a port, without brackets around IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``host:port`` as `parse_listen` reads it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Where clients on this machine or elsewhere find it; no slash at the end."""
        return self.link("http")

    def link(self, scheme: str) -> str:
        """Return the address with ``http`` or ``https`` before it; no slash at the end."""
        try:
            everywhere = ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            everywhere = False
        return f"{scheme}://{Address(socket.gethostname(), self.port) if everywhere else self}"

    def page(self, page_key: str, scheme: str = "http") -> str:
        """Return the address of the page with its access key."""
        return f"{self.link(scheme)}/?key={quote(page_key)}"


def parse_listen(text: str) -> Address:
    """Return the address in ``127.0.0.1:8460``, ``[::1]:8460`` or ``name:8460``.

    Raises:
        SetupError: not of that form.
    """
    match = _FORM.fullmatch(text)
    if not match or int(match["port"]) > MAX_PORT:
        raise SetupError(
            f"listen: '{text}' is no address to listen on",
            f"HOST:PORT is wanted, such as {DEFAULT_LISTEN} or [::1]:8460; port 0 picks a free one",
        )
    return Address(match["six"] or match["host"], int(match["port"]))


def bind(host: str, port: int, *, tries: int = 1) -> socket.socket:
    """Return a listening socket on *port*, or on the first free one of the *tries* ports from it.

    Raises:
        SetupError: all of them are taken, or the address is not one of this machine.
    """
    family, where = _resolve(host, port)
    for candidate in range(port, min(port + tries, MAX_PORT + 1)):
        try:
            return _listen(family, (where[0], candidate, *where[2:]))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SetupError(f"listen: {Address(host, candidate)}: {error.strerror}") from None
    last = f" to {min(port + tries - 1, MAX_PORT)}" if tries > 1 else ""
    raise SetupError(
        f"listen: {Address(host, port)}{last} is taken by another program",
        "stop that program, or choose another port (--listen, or listen: in the configuration)",
    )


def _resolve(
    host: str, port: int
) -> tuple[socket.AddressFamily, tuple[str, int, *tuple[int, ...]]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise SetupError(f"listen: '{host}' is no known host", str(error.strerror)) from None
    family, _, _, _, where = found[0]
    return family, where  # type: ignore[return-value]


def _listen(family: socket.AddressFamily, where: tuple[str | int, ...]) -> socket.socket:
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(where)
        taken.listen(1024)
    except OSError:
        taken.close()
        raise
    return taken


def address_of(taken: socket.socket) -> Address:
    """Return what the socket is bound to, its real port included."""
    name = taken.getsockname()
    return Address(name[0], name[1])
