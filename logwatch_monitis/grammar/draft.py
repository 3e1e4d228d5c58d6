"""Drafts a pattern file from one log message: what changes from login to login becomes a hole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from logwatch_monitis.errors import DocumentError, UsageError
from logwatch_monitis.grammar.build import build
from logwatch_monitis.grammar.field_types import is_host, is_ip, is_word, without_mapping
from logwatch_monitis.grammar.search_path import FoundFile, PatternFiles

__all__ = ["draft"]

_MAX_MESSAGE = 4000
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_ADDRESS = re.compile(
    r"(?<![\w.:%])[0-9A-Fa-f.:]*[.:][0-9A-Fa-f.:]*[0-9A-Fa-f:](?:%[\w.-]{1,15})?(?![\w%])"
)
_AFTER_FROM = re.compile(r"\b(?:from|rhost|host|client|ip)[ =:]+['\"<\[(]?([\w.-]+)", re.IGNORECASE)
_PORT = re.compile(r"\bport[ =:]+(\d{1,20})(?!\w)", re.IGNORECASE)
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'|<([^<>]*)>")
_NUMBER = re.compile(r"(?<![\w.-])\d{1,20}(?![\w.-])")
_TOKEN = re.compile(r"(?<![^\s=:,(\[])(?=\S*\d)(?=\S*[A-Za-z])[\w+/=-]{12,}(?![^\s,)\];])")


class _DraftHole(NamedTuple):
    start: int
    end: int
    text: str


def draft(name: str, message: str, *, program: str, user: str | None = None) -> str:
    """Return a valid pattern file called *name* that takes *message*, logged by *program*.

    *message* is what stands behind the header. The address, the port, numbers, quoted parts and
    long tokens become holes; without an address the login is a local one.

    Raises:
        UsageError: *user* is not given or not in the message, or no line can be made of it.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{name}' cannot be a service", "lower-case letters, digits, - and _")
    message = message.strip(" \t\r")
    if len(message) > _MAX_MESSAGE:
        raise UsageError(f"the line has {len(message)} characters", f"{_MAX_MESSAGE} are allowed")
    if not user:
        raise UsageError("which part of the line is the user?", "say it with --user NAME")
    holes = sorted(_holes(message, user))
    host = next((message[h.start : h.end] for h in holes if h.text.startswith("{host")), "")
    text = _file(name, program, _line(message, holes), (message, user, without_mapping(host)))
    _check(name, text)
    return text


def _holes(message: str, user: str) -> Iterator[_DraftHole]:
    """Yield the holes; what comes first has the better claim to its place."""
    taken: list[_DraftHole] = []
    for hole in _claims(message, user):
        if all(hole.end <= other.start or hole.start >= other.end for other in taken):
            taken.append(hole)
    yield from taken


def _claims(message: str, user: str) -> Iterator[_DraftHole]:
    yield _user(message, user)
    yield from _hosts(message)
    for found in list(_PORT.finditer(message))[:1]:
        yield _DraftHole(*found.span(1), "{port:int}")
    for found in _QUOTED.finditer(message):
        yield _DraftHole(*found.span(found.lastindex or 0), "{:inside}")
    yield from (_DraftHole(*found.span(), "{:int}") for found in _NUMBER.finditer(message))
    yield from (_DraftHole(*found.span(), "{}") for found in _TOKEN.finditer(message))


def _user(message: str, user: str) -> _DraftHole:
    found = re.search(rf"(?<!\w){re.escape(user)}(?!\w)", message)
    if not found:
        raise UsageError(f"'{user}' does not stand in the line", "write it as the line has it")
    start, end = found.span()
    quotes = (message[start - 1 : start], message[end : end + 1])
    if quotes in {('"', '"'), ("'", "'"), ("<", ">"), ("[", "]")}:
        return _DraftHole(start, end, "{user:inside}")
    return _DraftHole(start, end, "{user}" if is_word(user) else "{user:text}")


def _hosts(message: str) -> Iterator[_DraftHole]:
    """Yield the addresses, the first as host; without any, a host name behind «from»."""
    spans = [f.span() for f in _ADDRESS.finditer(message) if is_ip(f[0])]
    if not spans:
        names = _AFTER_FROM.finditer(message)
        found = next((f for f in names if "." in f[1].rstrip(".") and is_host(f[1])), None)
        if found:
            yield _DraftHole(*found.span(1), "{host:host}")
    for number, span in enumerate(spans):
        yield _DraftHole(*span, "{:ip}" if number else "{host:ip}")


def _line(message: str, holes: Iterable[_DraftHole]) -> str:
    parts, end = [], 0
    for hole in holes:
        parts += [_literal(message[end : hole.start]), hole.text]
        end = hole.end
    return "".join([*parts, _literal(message[end:])])


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _file(name: str, program: str, line: str, sample: tuple[str, str, str]) -> str:
    message, user, host = map(_quoted, sample)
    local = "" if sample[2] else "set: {host: '{machine}'}   # a local event\n"
    return (
        f"# Drafted from one log line. Give names to the holes that are worth keeping, and add\n"
        f"# samples, above all to 'reject': what looks alike and is no login.\n"
        f"service: {_quoted(name)}\n"
        f"title: {name}, accepted logins\n"
        f"program: [{_quoted(program or name)}]\n"
        f"{local}"
        f"rules:\n"
        f"  - name: login\n"
        f"    line: |\n"
        f"      {line}\n"
        f"    accept:\n"
        f"      - line: {message}\n"
        f"        user: {user}\n"
        f"        host: {host if sample[2] else 'MACHINE'}\n"
    )


def _quoted(text: str) -> str:
    """Return *text* as YAML in quotes; what cannot be shown is escaped."""
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


def _check(name: str, text: str) -> None:
    """Load the draft as any pattern file is loaded."""
    found = FoundFile(f"{name}.yaml", f"{name}.yaml", text.encode())
    try:
        build(PatternFiles({found.name: [found]}, []))
    except DocumentError as error:
        problem = error.problems[0]
        reason = f"{problem.message}: {problem.hint}" if problem.hint else problem.message
        hint = "write it by hand: docs/patterns.rst"
        raise UsageError(f"no pattern can be drafted from this line; {reason}", hint) from None
