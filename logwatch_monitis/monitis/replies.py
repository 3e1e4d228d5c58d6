"""Answers, rendered for the server and read for the client: compact JSON, and XML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat
from xml.sax.saxutils import escape

__all__ = ["MAX_REPLY", "element_value", "parse_json", "parse_xml", "render_json", "render_xml"]

MAX_REPLY = 16 * 1024 * 1024
MAX_DEPTH = 32

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_NAME = re.compile(r"[^\w.-]|^(?=[^A-Za-z_])", re.ASCII)


_encode = json.JSONEncoder(separators=(",", ":")).encode


def render_json(value: Any) -> bytes:
    """Return *value* on one line without blanks; keys keep their order (``data`` is last).

    An iterator is an array whose members are taken one by one.
    """
    if isinstance(value, Iterator):
        return f"[{','.join(map(_encode, value))}]".encode("ascii")
    return _encode(value).encode("ascii")


def render_xml(root: str, value: Any, item: str = "item") -> bytes:
    """Return *value* as the element *root*: a key is a child element, a list's member an *item*.

    Characters that XML cannot hold become U+FFFD, those that a name cannot hold become ``_``.
    """
    return _element(root, value, item).encode()


def _element(name: str, value: Any, item: str) -> str:
    name = _NOT_NAME.sub("_", name) or "_"
    return f"<{name}>{_content(value, item)}</{name}>"


def _content(value: Any, item: str) -> str:
    if isinstance(value, dict):
        return "".join([_element(key, inner, "item") for key, inner in value.items()])
    if isinstance(value, list | tuple | Iterator):
        return "".join([_element(item, inner, "item") for inner in value])
    return "" if value is None else escape(_NOT_XML.sub("\ufffd", _text(value)))


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
