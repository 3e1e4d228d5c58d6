"""Answers, rendered for the server and read for the client: compact JSON, and XML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat
from xml.sax.saxutils import escape

__all__ = [
    "MAX_REPLY",
    "SizeBound",
    "bound_of",
    "element_value",
    "parse_json",
    "parse_xml",
    "render_json",
    "render_xml",
]

MAX_REPLY = 16 * 1024 * 1024
MAX_DEPTH = 32
MAX_TAGS = 20_000


class SizeBound(NamedTuple):
    """How large an answer may be, looked at before it is parsed.

    Parsed, an answer takes many times its length: an empty object is two bytes of JSON, and 64 in
    memory.

    Attributes:
        size: bytes.
        rows: objects and arrays.
        values: members of objects and arrays.
    """

    size: int = MAX_REPLY
    rows: int = 250_000
    values: int = 4_000_000


_WRITE = SizeBound(64 * 1024, 1_000, 10_000)
_LIST = SizeBound(1024 * 1024, 10_000, 100_000)
_BOUNDS: Mapping[str, SizeBound] = {
    "authToken": _WRITE,
    "getMonitorResults": SizeBound(),
    "getReport": SizeBound(),
    "getAdditionalResults": SizeBound(),
}


def bound_of(method: str, action: str) -> SizeBound:
    """Return the bound of an answer: that of a write, of a list, or of a read of many results."""
    return _WRITE if method == "POST" else _BOUNDS.get(action, _LIST)


_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
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


def parse_json(body: bytes, bound: SizeBound = SizeBound()) -> Any:  # noqa: B008 - immutable
    """Return the value of an untrusted JSON body; half a surrogate pair becomes U+FFFD.

    Raises:
        ValueError: not JSON, beyond its bound, nested too deeply, with a name twice in one object,
            or with an integer of thousands of digits.
    """
    rows, values = body.count(b"{") + body.count(b"["), body.count(b",")
    if len(body) > bound.size or rows > bound.rows or values > bound.values:
        raise ValueError("the answer is too long")
    try:
        value = json.loads(body, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None
    return _whole(value) if _HALF_PAIR.search(body) else value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these members; of two of one name nobody knows which one counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _whole(value: Any) -> Any:
    """Return *value* such that every text in it can be encoded."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(inner) for name, inner in value.items()}
    return value


def parse_xml(body: bytes, bound: SizeBound = SizeBound()) -> Element:  # noqa: B008 - immutable
    """Return the root of an untrusted XML body.

    Raises:
        ValueError: not XML, beyond its bound or `MAX_TAGS`, nested deeper than `MAX_DEPTH`, or with
            a document type, which is where entities that grow or read files would be declared.
    """
    if len(body) > bound.size or body.count(b"<") > MAX_TAGS:
        raise ValueError("the answer is too long")
    reader = _XmlReader()
    try:
        reader.parser.Parse(body, True)
    except (expat.ExpatError, LookupError) as error:  # the latter for an unknown encoding
        raise ValueError(f"the answer is no XML: {error}") from None
    return reader.builder.close()


class _XmlReader:
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
