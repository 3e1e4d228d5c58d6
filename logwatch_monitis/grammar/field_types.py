"""What the kinds of holes may hold, checked once a hole has been cut."""

from __future__ import annotations

import re
from collections.abc import Callable

from logwatch_monitis.grammar.tree import BLANKS

__all__ = [
    "MAX_INT",
    "Checked",
    "addresses",
    "hosts",
    "is_host",
    "is_int",
    "is_ip",
    "is_user",
    "is_word",
    "without_mapping",
]

#: Digits of an ``int``: an unsigned 64-bit number has as many.
MAX_INT = 20

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_ipv4 = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}").fullmatch
_group = re.compile(r"[0-9A-Fa-f]{1,4}").fullmatch
_zone = re.compile(rf"[^{BLANKS}/%]{{1,15}}").fullmatch
_name = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}").fullmatch

_odd_blank = re.compile(f"[{BLANKS[1:]}]").search

_MAX_IP = 64
_MAX_HOST = 253
_GROUPS = 8


def is_word(text: str) -> bool:
    """Say whether *text* is one character or more, none of them blank."""
    return bool(text) and " " not in text and (text.isprintable() or not _odd_blank(text))


def is_int(text: str) -> bool:
    """Say whether *text* is 1 to 20 ASCII digits."""
    return len(text) <= MAX_INT and text.isdigit() and text.isascii()


def is_ip(text: str) -> bool:
    """Say whether *text* is an IPv4 address without leading zeros, or IPv6, a zone allowed."""
    if len(text) > _MAX_IP:
        return False
    if ":" not in text:
        return _ipv4(text) is not None
    address, percent, zone = text.partition("%")
    return _is_ipv6(address) and (not percent or _zone(zone) is not None)


def is_host(text: str) -> bool:
    """Say whether *text* is an address, or a name whose last label is not all digits."""
    if _name(text) is None:
        return is_ip(text)
    return not text.rpartition(".")[2].isdigit() or is_ip(text)


def is_user(text: str) -> bool:
    """Say whether *text* holds a character that is not blank."""
    return bool(text.strip(BLANKS))


def without_mapping(host: str) -> str:
    """Return *host* as a login names it: an IPv4 address without the ``::ffff:`` before it."""
    return host[7:] if host[:7].lower() == "::ffff:" and _ipv4(host[7:]) else host


class Checked(dict[str, str]):
    """Remembers the last answers of a check: ``checked[text]`` is the host's name, '' if refused.

    Few hosts log in often, so most look-ups are hits. Bounded: it starts afresh when full, and
    never keeps a text too long to be a host.
    """

    __slots__ = ("_check",)

    def __init__(self, check: Callable[[str], bool]) -> None:
        super().__init__()
        self._check = check

    def __missing__(self, text: str) -> str:
        """Check *text*, which is not known yet, and keep the answer."""
        if len(text) > _MAX_HOST:
            return ""
        if len(self) >= 4096:  # noqa: PLR2004
            self.clear()
        self[text] = answer = without_mapping(text) if self._check(text) else ""
        return answer


def hosts() -> Checked:
    """Return a memory for `is_host`."""
    return Checked(is_host)


def addresses() -> Checked:
    """Return a memory for `is_ip`."""
    return Checked(is_ip)


def _is_ipv6(address: str) -> bool:
    """Say whether *address* is eight groups, or fewer around one ``::`` (RFC 4291, 2.2)."""
    before, gap, after = address.partition("::")
    groups = _groups(before, last=not gap) + _groups(after, last=True)
    if not all(map(_group, groups)):
        return False
    return len(groups) < _GROUPS if gap else len(groups) == _GROUPS


def _groups(text: str, *, last: bool) -> list[str]:
    """Split *text* at colons; at the address's end an IPv4 address stands for two groups."""
    groups = text.split(":") if text else []
    if last and groups and _ipv4(groups[-1]):
        groups[-1:] = ["0", "0"]
    return groups
