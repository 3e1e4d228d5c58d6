"""The actions of the protocol: which parameters each has, and what keeps a signed one from use.

A signature covers names and values with nothing between them, so one signed text may be cut into
names and values in more than one way. A signed request is therefore taken only with the names of
this list, each once, and with values of their form where they have one. Requests that carry a
token, and reads that need no proof, may hold whatever they like.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_plus

__all__ = [
    "ACTIONS",
    "KEY_NAMES",
    "Action",
    "escape_names",
    "plain_stamp",
    "unfit",
]

KEY_NAMES = ("apikey", "apiKey", "publickey")
"""The names that the public key goes by."""

MAX_STAMP = 60
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_KEY = r"[0-9A-Za-z_.-]{0,128}"

# What nothing else reads strictly: a free value could swallow the parameters behind it.
_FORMS = {
    name: re.compile(form)
    for name, form in {
        "nocache": r"[0-9. ]{0,40}",
        "output": r"(?i:xml|json)?",
        "validation": r"(?i:hmac-?sha-?1|hmac|token)?",
        "version": r"[0-9]?(?:\.[0-9])?",
        **dict.fromkeys(("clientApikey", *KEY_NAMES), _KEY),
    }.items()
}

_COMMON = (
    *("action", "timestamp", "version", "validation", "output"),
    *(*KEY_NAMES, "clientApikey", "nocache"),
)
_DEFINITION = (
    *("type", "monitorParams", "additionalResultParams", "multiValue"),
    *("agentId", "agentName", "customUserAgentId"),
)


class Action(NamedTuple):
    """The parameters of one action, beside those that any request may have.

    Attributes:
        needed: without which it is not done.
        optional: what it knows beside them.
        unread: what some client sends with it and no server reads.
        ours: only our own client sends it: its timestamp is in UTC, and nothing says that it is
            signed but the signature.
        write: it changes something.
    """

    needed: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    ours: bool = False
    write: bool = True

    @property
    def names(self) -> frozenset[str]:
        """Every name that a signed request of this action may hold beside ``checksum``."""
        names = frozenset((*_COMMON, *self.needed, *self.optional, *self.unread))
        return names - {"validation"} if self.ours else names


ACTIONS: Mapping[str, Action] = {
    "addMonitor": Action(("name", "tag", "resultParams"), _DEFINITION, ("m_type", "orderId")),
    "editMonitor": Action(("monitorId",), ("name", "tag", "resultParams", *_DEFINITION)),
    "deleteMonitor": Action(("monitorId",)),
    "suspendMonitors": Action((), ("monitorIds", "monitorId", "tag")),
    "activateMonitors": Action((), ("monitorIds", "monitorId", "tag")),
    "colorizeMonitors": Action(("monitorId", "guiStyle")),
    "addResult": Action(("monitorId", "checktime", "results"), ("additionalResults",)),
    "addAdditionalResults": Action(("monitorId", "checktime", "results")),
    "addResults": Action(("monitorId", "results"), ours=True),
    "forgetUser": Action(("user", "version"), ours=True),
    "getMonitors": Action((), ("tag", "type", "name", "agentId"), write=False),
    "getMonitorInfo": Action(("monitorId",), ("excludeHidden", "isExcludeHidden"), write=False),
    "getMonitorResults": Action(("monitorId", "year", "month", "day"), ("timezone",), write=False),
    "getAdditionalResults": Action(("monitorId",), ("checktime",), write=False),
    "getReport": Action(
        ("monitorId", "dateFrom", "dateTo"),
        ("timezone", "interval", "intervalType"),
        write=False,
    ),
    "getAdditionalDataReport": Action(
        ("monitorId", "dateFrom", "dateTo"), ("timezone",), write=False
    ),
}
"""Every action whose request may be signed."""


def unfit(params: Mapping[str, str]) -> str | None:
    """Return the name of a parameter that keeps a signed request from use, None if none does.

    Its action does not know it, or it has no value of its form. The *params* name one of `ACTIONS`.
    """
    given = params.keys() - {"checksum"}
    if unknown := given - ACTIONS[params["action"]].names:
        return min(unknown)
    return next((name for name in sorted(given) if not _fits(name, params[name])), None)


def _fits(name: str, value: str) -> bool:
    form = _FORMS.get(name)
    return form is None or form.fullmatch(value) is not None


def plain_stamp(text: str) -> str:
    """Return a timestamp as ``yyyy-MM-dd HH:mm:ss``; one client encodes it once too often.

    Raises:
        ValueError: it is no timestamp.
    """
    for plain in (text, unquote_plus(text[:MAX_STAMP])):
        if _STAMP.fullmatch(plain):
            return plain
    raise ValueError("no timestamp")


def escape_names(text: str, action: str) -> str:
    """Return a list of cells in which no cell can be taken for a parameter of *action*.

    The last letter of a parameter's name is percent-encoded, which reading a cell undoes. A server
    that takes any name would otherwise let a part of a signed value stand for another parameter.
    """
    return _names_of(action).sub(lambda found: f"{found[0][:-1]}%{ord(found[0][-1]):02X}", text)


@lru_cache
def _names_of(action: str) -> re.Pattern[str]:
    names = sorted(ACTIONS[action].names, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, names)))
