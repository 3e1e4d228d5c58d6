"""Answers, rendered for the server and read for the client: compact JSON, and XML."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat
from xml.sax.saxutils import escape

__all__ = ["MAX_REPLY", "element_value", "parse_json", "parse_xml", "render_json", "render_xml"]

MAX_REPLY = 16 * 1024 * 1024
MAX_DEPTH = 32

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_NAME = re.compile(r"[^\w.-]|^(?=[^A-Za-z_])", re.ASCII)


def render_json(value: Any) -> bytes:
    """Return *value* on one line without blanks; keys keep their order (``data`` is last)."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def render_xml(root: str, value: Any, item: str = "item") -> bytes:
    """Return *value* as the element *root*: a key is a child element, a list's member an *item*.

    Characters that XML cannot hold become U+FFFD, those that a name cannot hold become ``_``.
    """
    parts: list[str] = []
    _render(parts, root, value, item)
    return "".join(parts).encode()


def _render(parts: list[str], name: str, value: Any, item: str) -> None:
    name = _NOT_NAME.sub("_", name) or "_"
    parts.append(f"<{name}>")
    if isinstance(value, dict):
        for key, inner in value.items():
            _render(parts, key, inner, "item")
    elif isinstance(value, list | tuple):
        for inner in value:
            _render(parts, item, inner, "item")
    elif value is not None:
        parts.append(escape(_NOT_XML.sub("\ufffd", _text(value))))
    parts.append(f"</{name}>")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse_json(body: bytes) -> Any:
    """Return the value of an untrusted JSON body.

    Raises:
        ValueError: not JSON, longer than `MAX_REPLY`, or nested too deeply.
    """
    if len(body) > MAX_REPLY:
        raise ValueError("the answer is too long")
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None


def parse_xml(body: bytes) -> Element:
    """Return the root of an untrusted XML body.

    Raises:
        ValueError: not XML, longer than `MAX_REPLY`, nested deeper than `MAX_DEPTH`, or with a
            document type, which is where entities that grow or read files would be declared.
    """
    if len(body) > MAX_REPLY:
        raise ValueError("the answer is too long")
    reader = _Reader()
    try:
        reader.parser.Parse(body, True)
    except expat.ExpatError as error:
        raise ValueError(f"the answer is no XML: {error}") from None
    return reader.builder.close()


class _Reader:
    """Builds elements; expat is driven by hand because only so a document type can be refused."""

    def __init__(self) -> None:
        self.builder = TreeBuilder()
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self.builder.data
        self.parser.StartDoctypeDeclHandler = self._refuse
        self._depth = 0

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError("the answer is nested too deeply")
        self.builder.start(name, attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        self.builder.end(name)

    def _refuse(self, *_: object) -> NoReturn:
        raise ValueError("the answer has a document type")


def element_value(element: Element) -> Any:
    """Return an element as JSON would have it: children by name, ``item`` children as a list."""
    if not len(element):
        return element.text or ""
    if all(child.tag == "item" for child in element):
        return [element_value(child) for child in element]
    return {child.tag: element_value(child) for child in element}
