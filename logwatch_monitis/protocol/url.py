"""The monitor's address: its form, and whether secrets may go there in clear text."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from logwatch_monitis.errors import SetupError
from logwatch_monitis.protocol.request_parsing import API_PATH, CUSTOM_PATH

__all__ = ["base_url", "is_loopback", "is_open", "refuse_clear_text"]


def base_url(url: str) -> str:
    """Return the address to which the protocol's two paths are appended.

    Raises:
        SetupError: no http or https address, or one with a user, a query or a fragment.
    """
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SetupError(
            "the monitor's address is not one of http or https",
            "it looks like https://monitor.example.org",
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise SetupError(
            f"the address of the monitor {parts.hostname} carries more than a path",
            "keys have settings of their own: api_key and secret_key_file",
        )
    path = parts.path.rstrip("/")
    for ending in (CUSTOM_PATH, API_PATH):
        path = path.removesuffix(ending)
    return f"{parts.scheme}://{parts.netloc}{path}"


def is_loopback(url: str) -> bool:
    """Say whether the address stays on this machine."""
    host = _split(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_open(url: str) -> bool:
    """Say whether what is sent there crosses a network in clear text."""
    return _split(url).scheme == "http" and not is_loopback(url)


def refuse_clear_text(url: str, *, insecure: bool = False) -> None:
    """Refuse to send the secret key or a token over plain HTTP beyond this machine.

    Requests signed with HMAC-SHA1 carry no secret.

    Raises:
        SetupError: unless the user said so with *insecure*.
    """
    if is_open(url) and not insecure:
        raise SetupError(
            f"secrets would cross the network in clear text to {_split(url).hostname}",
            "use https://, validation hmac, or --insecure where you trust the network",
        )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SetupError("the monitor's address cannot be read", "is the port a number?") from None
    return parts
