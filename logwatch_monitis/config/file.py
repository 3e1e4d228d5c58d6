"""The configuration file: what may stand in it, every mistake told with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from logwatch_monitis.config.credentials import Credential, Secret
from logwatch_monitis.config.model import (
    DEFAULT_PATH,
    EMBEDDED,
    Config,
    Ignore,
    Keep,
    LogConfig,
    MonitorConfig,
    Sources,
    SpoolLimits,
)
from logwatch_monitis.config.small_files import read_small
from logwatch_monitis.config.yaml_document import Document, Node
from logwatch_monitis.errors import DocumentError, Problem, SetupError

__all__ = ["load", "parse"]

_SECRETIVE = re.compile(r"((?:key|secret|token|password)(?<!_file)[\"']?\s*:\s*)\S.*")

Reader = Callable[[Document, Node], Any]


def parse(data: bytes, path: str) -> Config:
    """Return the configuration in *data*.

    Raises:
        DocumentError: mistakes in it, all of them, with their places in *path*.
    """
    try:
        document = Document.load(data, path)
        values = _section(document, document.root, _ROOT)
        document.check()
    except DocumentError as error:
        raise DocumentError(map(_masked, error.problems)) from None
    values.update(values.pop("patterns", {}))
    values["state"] = values.pop("state_directory", "")
    return Config(path=path, listen_chosen="listen" in values, **values)


def _masked(problem: Problem) -> Problem:
    """Return *problem* with an excerpt that shows no key, whatever its line was meant to be."""
    text = re.sub(r"//[^/\s]*@", "//***@", problem.text)
    return replace(problem, text=_SECRETIVE.sub(r"\1***", text))


# -- readers: each takes one node, notes what is wrong with it, and returns its value --------------


def _section(document: Document, node: Node, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Return the values of a mapping's keys; a key with everything under it commented out is {}."""
    if node.kind == "scalar" and node.type == "null":
        return {}
    entries = document.mapping(node, readers)
    return {key: readers[key](document, value) for key, value in entries.items()}


def _monitor(document: Document, node: Node) -> MonitorConfig:
    values = _section(document, node, _MONITOR)
    api_key, api_key_file = values.pop("api_key", ""), values.pop("api_key_file", "")
    if api_key and api_key_file:
        document.problem(node.keys["api_key"], "api_key and api_key_file exclude each other")
    return MonitorConfig(
        api_key=Credential("api-key", Secret(api_key) if api_key else None, api_key_file),
        secret_key=Credential("secret-key", file=values.pop("secret_key_file", "")),
        **values,
    )


def _sources(document: Document, node: Node) -> Sources:
    return Sources(**_section(document, node, _SOURCES))


def _patterns(document: Document, node: Node) -> dict[str, Any]:
    values = _section(document, node, {"directories": Document.strings})
    return {"patterns": tuple(map(Path, values["directories"]))} if values else {}


def _ignore(document: Document, node: Node) -> Ignore:
    values = _section(document, node, dict.fromkeys(_IGNORE, Document.strings))
    return Ignore(**{key: frozenset(words) for key, words in values.items()})


def _retention(document: Document, node: Node) -> Keep:
    return Keep(**_section(document, node, _RETENTION))


def _spool(document: Document, node: Node) -> SpoolLimits:
    return SpoolLimits(**_section(document, node, _SPOOL))


def _log(document: Document, node: Node) -> LogConfig:
    return LogConfig(**_section(document, node, _LOG))


def _files(document: Document, node: Node) -> tuple[str, ...]:
    return tuple(document.strings(node))


def _journal(document: Document, node: Node) -> str:
    """Return the choice; YAML reads a plain yes or no as a truth value, so those are taken too."""
    word = document.choice(node, ("auto", "yes", "no", "true", "false"))
    return {"true": "yes", "false": "no"}.get(word, word)


def _window(document: Document, node: Node) -> str:
    """Return the choice; YAML reads a plain off as a truth value, so that is taken too."""
    word = document.choice(node, ("15m", "27h", "off", "false"))
    return "off" if word == "false" else word


def _key(document: Document, node: Node) -> str:
    """Return a key; what is wrong with it is said without an excerpt, which would show it."""
    text = document.string(node)
    if node.kind == "scalar" and len(text.split()) != 1:
        message = "a key is one word"
        document.problems.append(Problem(document.path, node.line, node.column, message))
    return text


def _text(check: Callable[[str], object]) -> Reader:
    """Return the reader of a text for which *check* raises `SetupError` if it is wrong."""

    def read(document: Document, node: Node) -> str:
        good = len(document.problems)
        text = document.string(node)
        if len(document.problems) == good:
            try:
                check(text)
            except SetupError as error:
                document.problem(node, error.message, error.hint)
        return text

    return read


def _check_word(text: str) -> None:
    if not text.isprintable() or len(text.split()) != 1:
        raise SetupError("this must be one word")


def _check_title(text: str) -> None:
    if not text.isprintable() or not text.strip():
        raise SetupError("this must not be empty, nor hold control characters")


def _check_url(url: str) -> None:
    from logwatch_monitis.protocol.url import base_url

    if url != EMBEDDED:
        base_url(url)


def _check_zone(name: str) -> None:
    from logwatch_monitis.syslog import local_zone

    local_zone(name)


def _check_listen(text: str) -> None:
    from logwatch_monitis.config.listen import parse_listen

    parse_listen(text)


def _check_directory(path: str) -> None:
    if not path.startswith(("/", "~")):
        raise SetupError("this must be an absolute path")


_MONITOR: dict[str, Reader] = {
    "url": _text(_check_url),
    "api_key": _key,
    "api_key_file": Document.string,
    "secret_key_file": Document.string,
    "validation": lambda document, node: document.choice(node, ("hmac", "token")),
    "name": _text(_check_title),
    "tag": _text(_check_title),
}
_SOURCES: dict[str, Reader] = {"files": _files, "journal": _journal}
_IGNORE = ("users", "hosts", "services")
_SPOOL: dict[str, Reader] = {
    "max_entries": lambda document, node: document.integer(node, 1000, 1_000_000_000),
    "keep": lambda document, node: document.choice(node, ("newest", "oldest")),
    "seen_days": lambda document, node: document.integer(node, 1, 36_500),
}
_RETENTION: dict[str, Reader] = {
    "days": lambda document, node: document.integer(node, 0, 36_500),
    "mebibytes": lambda document, node: document.integer(node, 0, 1_000_000_000),
}
_LOG: dict[str, Reader] = {
    "format": lambda document, node: document.choice(node, ("human", "json")),
    "level": lambda document, node: document.choice(node, ("debug", "info", "warning", "error")),
}
_ROOT: dict[str, Reader] = {
    "monitor": _monitor,
    "sources": _sources,
    "patterns": _patterns,
    "state_directory": _text(_check_directory),
    "machine": _text(_check_word),
    "timezone": _text(_check_zone),
    "ignore": _ignore,
    "listen": _text(_check_listen),
    "page_password_file": Document.string,
    "reads": lambda document, node: document.choice(node, ("key", "proof")),
    "timestamp_window": _window,
    "spool": _spool,
    "retention": _retention,
    "log": _log,
}


def load(path: str | None = None) -> Config:
    """Return the configuration in *path*; without one, that of the usual place, if it is there.

    Raises:
        DocumentError: mistakes in the file, all of them, with their places.
        SetupError: the file cannot be read, or is too large.
    """
    name = path or DEFAULT_PATH
    try:
        data = read_small(name)
    except FileNotFoundError:
        if path is None:
            return Config()
        raise SetupError(f"the configuration file {name} does not exist") from None
    except OSError as error:
        raise SetupError(f"cannot read the configuration file {name}: {error.strerror}") from None
    from logwatch_monitis.config.file import parse  # YAML is imported where a file needs it

    return parse(data, name)
