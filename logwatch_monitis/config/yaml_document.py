"""YAML whose every value knows its place: what configuration and pattern files are read from.

A document is never loaded into dicts first, because only nodes can say where a mistake stands.
What makes YAML surprising is refused with its position: aliases, anchors, tags, duplicate and
non-string keys, tabs in the indentation, control characters, a byte order mark, several documents.

The readers of `Document` collect problems instead of raising, and return a harmless stand-in, so
that one run shows every mistake; `Document.check` raises them all at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, cast

import yaml

from logwatch_monitis.errors import DocumentError, Problem, suggest

__all__ = ["MAX_BYTES", "MAX_DEPTH", "Document", "Node", "ScalarLine"]

MAX_BYTES = 1 << 20
"""A larger document is refused unread; ours are a few kilobytes."""
MAX_DEPTH = 16
"""Lists and mappings inside each other."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER: Any = yaml.resolver.Resolver()
_STRANGE = re.compile(
    "[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_QUOTE_HINT = "quote text that begins with { or [, or holds ': ' or ' #'"
_TYPES = {"bool": "a yes or no", "null": "nothing at all"}
_WORDS = {"scalar": "a single value", "list": "a list", "mapping": "keys and values"}
_NEEDED = {
    "scalar": "a single value is needed here",
    "list": "a list is needed here",
    "mapping": "keys and values are needed here",
}
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One value of a document and the place of its first character.

    Attributes:
        kind: ``scalar``, ``list`` or ``mapping``.
        line: counted from 1, as is *column*; columns are characters.
        end: line and column just behind a scalar.
        text: a scalar's text.
        style: ``'``, ``"``, ``|``, ``>`` or empty for a plain scalar.
        items: a list's values.
        entries: a mapping's values by key.
        keys: the same mapping's keys as nodes.
    """

    kind: Literal["scalar", "list", "mapping"]
    line: int
    column: int
    end: tuple[int, int] = (0, 0)
    text: str = ""
    style: str = ""
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Node] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """Return what YAML takes a scalar for: ``str``, ``int``, ``bool``, ``null`` and so on."""
        if self.style:
            return "str"
        tag: str = _RESOLVER.resolve(yaml.ScalarNode, self.text, (True, False))
        return tag.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class ScalarLine:
    """One line of a scalar: character *i* of *value* stands at ``columns[i]`` of line *line*."""

    value: str
    line: int
    columns: Sequence[int]

    def span(self, start: int, length: int) -> tuple[int, int]:
        """Return the file's column and length for *length* characters from *start* (from 0)."""
        first = self.columns[min(start, len(self.columns) - 1)]
        last = self.columns[min(start + length, len(self.columns) - 1)]
        return first, max(last - first, 1)


class Document:
    """A YAML document, its nodes and the problems found in it so far.

    Attributes:
        path: the file as the user knows it.
        root: the uppermost node; an empty mapping for an empty document.
        empty: whether the document holds nothing but blanks and comments.
        problems: what the readers have found, in the order of reading.
    """

    def __init__(self, path: str, lines: list[str], root: Node, *, empty: bool) -> None:
        self.path = path
        self.lines = lines
        self.root = root
        self.empty = empty
        self.problems: list[Problem] = []

    @classmethod
    def load(cls, data: bytes, path: str) -> Document:
        """Return the document in *data*.

        Raises:
            DocumentError: it is no YAML, or a kind of YAML that is refused (see the module).
        """
        text = _decode(data, path)
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        builder = _Builder(path, lines)
        root = builder.document(text)
        return cls(path, lines, root or Node("mapping", 1, 1), empty=root is None)

    def check(self) -> None:
        """Raise `DocumentError` with every error found so far; warnings alone do not raise."""
        if any(problem.severity == "error" for problem in self.problems):
            raise DocumentError(sorted(self.problems, key=lambda p: (p.line, p.column)))

    def problem(
        self,
        place: Node | ScalarLine,
        message: str,
        hint: str = "",
        *,
        start: int = 0,
        length: int = 0,
    ) -> Problem:
        """Note and return one problem: at *place*, or at *length* characters from its *start*."""
        column, width = (
            place.span(start, length) if isinstance(place, ScalarLine) else _extent(place)
        )
        excerpt = self.lines[place.line - 1] if place.line <= len(self.lines) else ""
        found = Problem(self.path, place.line, column, message, excerpt, width, hint)
        self.problems.append(found)
        return found

    # -- readers ---------------------------------------------------------------------------------

    def mapping(self, node: Node, known: Collection[str] | None = None) -> dict[str, Node]:
        """Return the values by key; keys not in *known* (None: all are) are problems."""
        if not self._is(node, "mapping"):
            return {}
        for key, place in node.keys.items():
            if known is not None and key not in known:
                self.problem(place, f"unknown key '{key}'", suggest(key, known))
        return {k: v for k, v in node.entries.items() if known is None or k in known}

    def items(self, node: Node) -> list[Node]:
        """Return the values of a list."""
        return node.items if self._is(node, "list") else []

    def string(self, node: Node) -> str:
        """Return the text of a scalar as it is written; numbers and dates are text too."""
        if not self._is(node, "scalar"):
            return ""
        if node.type in _TYPES:
            self.problem(
                node, f"YAML reads this as {_TYPES[node.type]}, text is needed", "put it in quotes"
            )
            return ""
        return node.text

    def boolean(self, node: Node) -> bool:
        """Return the truth of ``true``, ``yes``, ``on`` or ``false``, ``no``, ``off``."""
        word = node.text.lower() if self._is(node, "scalar") and not node.style else "?"
        if node.kind == "scalar" and word not in (*_TRUE, *_FALSE):
            self.problem(node, "this must be true or false")
        return word in _TRUE

    def integer(self, node: Node, low: int, high: int) -> int:
        """Return a whole number from *low* to *high*, written with digits 0 to 9 alone."""
        if not self._is(node, "scalar"):
            return low
        plain = re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", node.text) and not node.style
        if not plain or not low <= int(node.text) <= high:
            self.problem(node, f"this must be a whole number from {low} to {high}")
            return low
        return int(node.text)

    def choice(self, node: Node, known: Collection[str]) -> str:
        """Return one of the words in *known*; another one is a problem with a suggestion."""
        if not self._is(node, "scalar"):
            return ""
        if node.text not in known:
            self.problem(node, f"'{node.text}' is not possible here", suggest(node.text, known))
        return node.text

    def strings(self, node: Node) -> list[str]:
        """Return a list of texts."""
        return [self.string(item) for item in self.items(node)]

    def string_map(self, node: Node) -> dict[str, str]:
        """Return a mapping of any keys to texts."""
        return {key: self.string(value) for key, value in self.mapping(node).items()}

    def texts(self, node: Node) -> list[ScalarLine]:
        """Return the lines of a ``|`` block that are not blank, or the one line of another scalar.

        A comment behind plain text is a problem here: it is hardly ever meant as one.
        """
        if not self._is(node, "scalar"):
            return []
        if node.style == "|":
            return [text for text in self._block(node) if text.value.strip()]
        text = self._single(node)
        if text is None:
            self.problem(node, "this text spans several lines", "write it under |, a line each")
            return []
        behind = self.lines[node.line - 1][text.columns[-1] - 1 :].lstrip()
        if not node.style and behind.startswith("#"):
            self.problem(node, "the text ends where ' #' begins a comment", _QUOTE_HINT)
            return []
        self.string(node)
        return [text]

    def _block(self, node: Node) -> Iterator[ScalarLine]:
        for number, value in enumerate(node.text.split("\n"), node.line + 1):
            if value:
                column = len(self.lines[number - 1]) - len(value) + 1
                yield ScalarLine(value, number, range(column, column + len(value) + 1))

    def _single(self, node: Node) -> ScalarLine | None:
        if node.end[0] != node.line or node.style == ">":
            return None
        if not node.style:
            columns: Sequence[int] = range(node.column, node.column + len(node.text) + 1)
            return ScalarLine(node.text, node.line, columns)
        raw = self.lines[node.line - 1][node.column : node.end[1] - 2]
        pattern = _DOUBLE if node.style == '"' else _SINGLE
        columns = [node.column + 1 + found.start() for found in pattern.finditer(raw)]
        return ScalarLine(node.text, node.line, [*columns, node.column + 1 + len(raw)])

    def _is(self, node: Node, kind: str) -> bool:
        if node.kind == kind:
            return True
        hint = _QUOTE_HINT if kind == "scalar" and self._flow(node) else ""
        missing = node.kind == "scalar" and node.type == "null"
        given = "nothing" if missing else _WORDS[node.kind]
        self.problem(node, f"{_NEEDED[kind]}, this is {given}", hint)
        return False

    def _flow(self, node: Node) -> bool:
        return self.lines[node.line - 1][node.column - 1 :][:1] in {"{", "["}


_SINGLE = re.compile(r"''|.", re.DOTALL)
_DOUBLE = re.compile(r"\\x..|\\u.{4}|\\U.{8}|\\.|.", re.DOTALL)


def _extent(node: Node) -> tuple[int, int]:
    """Return the column of *node* and how many characters of its first line it takes."""
    same_line = node.kind == "scalar" and node.end[0] == node.line
    return node.column, max(node.end[1] - node.column, 1) if same_line else 1


def _decode(data: bytes, path: str) -> str:
    if len(data) > MAX_BYTES:
        raise DocumentError([Problem(path, 0, 0, f"larger than {MAX_BYTES} bytes")])
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        head = data[: error.start].decode()
        raise _behind(head, path, "this byte is not UTF-8", "save the file as UTF-8") from None
    if found := _STRANGE.search(text.replace("\r\n", " \n")):
        what = "byte order mark" if found[0] == "\ufeff" else "control character"
        message = f"a {what} (U+{ord(found[0]):04X}) is not allowed"
        raise _behind(text[: found.start()], path, message, "take it out")
    return text


def _behind(head: str, path: str, message: str, hint: str) -> DocumentError:
    """Return the error that stands just behind the text *head*, without an excerpt."""
    line, column = head.count("\n") + 1, len(head) - head.rfind("\n")
    return DocumentError([Problem(path, line, column, message, hint=hint)])


class _Builder:
    """Builds nodes from the parser's events, because only these still show what is refused."""

    def __init__(self, path: str, lines: list[str]) -> None:
        self._path = path
        self._lines = lines
        self._events: Iterator[Any] = iter(())

    def document(self, text: str) -> Node | None:
        for number, line in enumerate(self._lines, 1):
            blank = line[: len(line) - len(line.lstrip())]
            if "\t" in blank and line.strip():
                column = blank.index("\t") + 1
                raise self._error(number, column, "a tab in the indentation", "use blanks")
        try:
            self._events = yaml.parse(text, Loader=_LOADER)
            return self._document()
        except yaml.MarkedYAMLError as error:
            mark = cast(Any, error.problem_mark or error.context_mark)
            line = min(mark.line + 1, len(self._lines))
            message = f"this is no YAML: {error.problem}"
            raise self._error(line, mark.column + 1, message, _QUOTE_HINT) from None

    def _document(self) -> Node | None:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                self._refuse(event, "a second document in one file", "one file holds one document")
            if isinstance(event, yaml.NodeEvent):
                root = self._node(event, 0)
        empty = root is not None and root.kind == "scalar" and root.type == "null"
        return None if empty else root

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self._refuse(event, "anchors and aliases (& and *) are not allowed", "write it out")
        if event.tag is not None:
            self._refuse(event, "tags (!) are not allowed", "put text that begins with ! in quotes")
        if depth > MAX_DEPTH:
            self._refuse(event, f"nested deeper than {MAX_DEPTH} levels", "")
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        end = event.end_mark.line + 1, event.end_mark.column + 1
        if isinstance(event, yaml.ScalarEvent):
            return Node("scalar", line, column, end, event.value, event.style or "")
        if isinstance(event, yaml.SequenceStartEvent):
            return Node("list", line, column, items=self._list(depth + 1))
        node = Node("mapping", line, column)
        self._fill(node, depth + 1)
        return node

    def _list(self, depth: int) -> list[Node]:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth))
        return items

    def _fill(self, node: Node, depth: int) -> None:
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth)
            if key.kind != "scalar" or key.type != "str":
                self._refuse(event, "a key must be text", "put it in quotes")
            if key.text in node.keys:
                first = node.keys[key.text].line
                hint = f"the first one stands on line {first}"
                self._refuse(event, f"the key '{key.text}' stands here twice", hint)
            node.keys[key.text] = key
            node.entries[key.text] = self._node(next(self._events), depth)

    def _refuse(self, event: Any, message: str, hint: str) -> NoReturn:
        start, end = event.start_mark, event.end_mark
        length = max(end.column - start.column, 1) if end.line == start.line else 1
        raise self._error(start.line + 1, start.column + 1, message, hint, length)

    def _error(
        self, line: int, column: int, message: str, hint: str, length: int = 1
    ) -> DocumentError:
        excerpt = self._lines[line - 1]
        return DocumentError([Problem(self._path, line, column, message, excerpt, length, hint)])
