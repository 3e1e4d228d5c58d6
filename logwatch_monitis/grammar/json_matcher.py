"""The second reader: messages that are a fixed text and one JSON object, such as sudo's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from logwatch_monitis.grammar.field_types import is_host, is_user
from logwatch_monitis.grammar.matcher import Found, fill
from logwatch_monitis.grammar.trace import Miss
from logwatch_monitis.grammar.tree import MAX_MESSAGE

__all__ = ["MAX_DEPTH", "JsonReader"]

#: Objects and arrays inside each other.
MAX_DEPTH = 16

_string = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*"', re.DOTALL)


class _NoMatchError(Exception):
    """Raised inside this module where a message is not what the rule describes."""


@dataclass(frozen=True, slots=True)
class JsonReader:
    """Reads ``prefix`` and one JSON object, and takes members of the object at the path ``at``.

    ``take`` has the member for each name. A member may be missing; one that is there must be a
    string or a number, and is kept as it is written. ``defaults`` are as in a rule of lines.
    """

    prefix: str
    at: str
    take: Mapping[str, str]
    defaults: Mapping[str, str] = field(default_factory=dict)

    def match(self, message: str, machine: str, program: str) -> Found | None:
        """Return what a rule of lines returns (`Matcher.match`); None for no match."""
        if not message.startswith(self.prefix):
            return None
        values = self._values(message)
        if isinstance(values, Miss):
            return None
        return fill(values, self.defaults, machine, program)

    def trace(self, message: str) -> Miss | None:
        """Return what keeps *message* from matching, None if it matches."""
        if not message.startswith(self.prefix):
            return Miss(0, len(self.prefix), f"expected {self.prefix!r} here")
        values = self._values(message)
        return values if isinstance(values, Miss) else None

    def _values(self, message: str) -> dict[str, str] | Miss:
        """Return the members that are taken, as text."""
        start = len(self.prefix)
        try:
            return self._taken(_parse(message, start))
        except json.JSONDecodeError as error:
            return Miss(start + error.pos, 1, f"this is no JSON: {error.msg.lower()}")
        except _NoMatchError as error:
            return Miss(start, max(len(message) - start, 1), str(error))

    def _taken(self, value: Any) -> dict[str, str]:
        """Return the members of the object that ``at`` leads to.

        Raises:
            _RefusedError: there is no such object, or a member holds what its name may not.
        """
        for step in self.at.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        if not isinstance(value, dict):
            raise _NoMatchError(f"no object '{self.at}' here")
        return {
            name: _checked(name, member, value[member])
            for name, member in self.take.items()
            if member in value
        }


def _parse(message: str, start: int) -> Any:
    """Return the JSON value in message[start:], numbers as they are written.

    Raises:
        JSONDecodeError: it is no JSON.
        _RefusedError: it is too large, too deep, or a member stands there twice.
    """
    text = message[start:]
    if len(message) > MAX_MESSAGE:
        raise _NoMatchError(f"longer than {MAX_MESSAGE} characters")
    if _too_deep(text):
        raise _NoMatchError(f"nested more than {MAX_DEPTH} deep")
    return json.loads(
        text,
        object_pairs_hook=_members,
        parse_int=str,
        parse_float=str,
        parse_constant=_no_number,
    )


def _too_deep(text: str) -> bool:
    """Say whether objects and arrays stand too deep inside each other, before any is parsed."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in re.findall(r"[\[{}\]]", _string.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's members.

    Raises:
        _RefusedError: a member stands there twice; which one a program reads is anybody's guess.
    """
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise _NoMatchError(f"the member {name!r} stands there twice")
        members[name] = value
    return members


def _no_number(name: str) -> Any:
    """Refuse ``NaN`` and ``Infinity``, which are no JSON.

    Raises:
        _RefusedError: always.
    """
    raise _NoMatchError(f"{name} is no JSON")


def _checked(name: str, member: str, value: Any) -> str:
    """Return the text of a member that is to be kept as *name*.

    Raises:
        _RefusedError: it is neither text nor a number, or no user, or no host.
    """
    if not isinstance(value, str):
        raise _NoMatchError(f"{member!r} is neither text nor a number")
    text = value.encode("utf-8", "backslashreplace").decode()
    if name == "host" and not is_host(text):
        raise _NoMatchError(f"{member!r} is no address and no host name")
    if name == "user" and not is_user(text):
        raise _NoMatchError(f"{member!r} is blank")
    return text
