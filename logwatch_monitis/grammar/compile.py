"""Turns a rule into one straight-line Python function: no backtracking, so no slow line exists.

The source text depends on the rule alone, so it can be kept on disk under a hash of its inputs.
It defines ``match(m, machine, program)`` and uses, besides builtins, only the names of `runtime`.

How a line is read: the cursor is a number known while generating (``9``) or a variable and a
number (``k1 + 5``). A hole costs one ``find`` for each text of NEXT; the later ones look only as
far as the best end so far. What stands right of a rest is the same code over the reversed message,
because ``str.rfind`` takes time in proportion to text times message in CPython.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any, NamedTuple

from logwatch_monitis.grammar.kinds import addresses, hosts, is_user, odd_blank, without_mapping
from logwatch_monitis.grammar.tree import (
    BLANKS,
    MAX_MESSAGE,
    MEANINGS,
    Hole,
    Line,
    Optional,
    Part,
    Piece,
    Rule,
    Text,
    required_texts,
)

__all__ = ["CompiledRule", "Found", "Match", "compile_rule", "generate", "load", "runtime"]

#: User, host, service (None: the file's own), extra fields.
Found = tuple[str, str, str | None, dict[str, str]]
#: Python allows 20 loops inside each other; this many levels of alternatives are enough.
_MAX_DEPTH = 8
#: Reads a message, given the machine and the program of its header; None if it does not match.
Match = Callable[[str, str, str], Found | None]


class CompiledRule(NamedTuple):
    """A rule ready for use, and the text it was made from."""

    source: str
    match: Match


def compile_rule(rule: Rule) -> CompiledRule:
    """Return the function of *rule*, whose lines must have passed the static rules."""
    source = generate(rule)
    return CompiledRule(source, load(source))


def load(source: str, names: dict[str, Any] | None = None) -> Match:
    """Return the function that *source*, made by `generate`, defines.

    *names* is a `runtime`, given where functions are to share one memory of checked hosts.
    """
    namespace = dict(names or runtime())
    exec(compile(source, "<rule>", "exec"), namespace)  # noqa: S102
    function: Match = namespace["match"]
    return function


def runtime() -> dict[str, Any]:
    """Return the names that generated code uses: checks of hosts, addresses and odd blanks."""
    return {"HOSTS": hosts(), "IPS": addresses(), "BLANK": odd_blank}


def generate(rule: Rule) -> str:
    """Return the source text of *rule*'s function: the same text for the same rule, always."""
    code = _Code()
    with code.block("def match(m, machine, program):"):
        known = _gate(code, rule.lines)
        code.add("n = len(m)")
        code.add(f"if n > {MAX_MESSAGE}:", "    return None")
        reader = _Reader(code, known)
        _alternatives(reader, rule.excepts, lambda *_: code.add("return None"))
        lines = [line for line in rule.lines if _answers(line, rule.defaults)]
        _alternatives(reader, lines, lambda read, line: _Result(read, line, rule.defaults).add())
        code.add("return None")
    return "\n".join(code.lines) + "\n"


def _alternatives(
    reader: _Reader, lines: Sequence[Line], finish: Callable[[_Reader, Line], None], depth: int = 0
) -> None:
    """Add the code of *lines*, tried in order; what lines in a row begin with is read once.

    *reader* has read the first parts of all of them; *finish* adds what is done on a match.
    """
    start = reader.parts_read
    for run in _runs(lines, start if depth < _MAX_DEPTH else None):
        with reader.code.block("while True:"):
            fork = reader.fork()
            if len(run) == 1:
                fork.line(run[0].parts[start:])
                finish(fork, run[0])
            else:
                fork.shared(run)
                _alternatives(fork, run, finish, depth + 1)
                fork.code.add("break")


def _runs(lines: Sequence[Line], start: int | None) -> list[list[Line]]:
    """Group lines in a row whose parts from *start* on begin alike; None groups nothing."""
    runs: list[list[Line]] = []
    for line in lines:
        if runs and start is not None and _alike([runs[-1][0], line], start):
            runs[-1].append(line)
        else:
            runs.append([line])
    return runs


def _alike(lines: Sequence[Line], n: int) -> bool:
    """Say whether the same code reads part *n* of all *lines*: same part, same NEXT."""
    if any(n >= len(line.parts) for line in lines) or _is_rest(lines[0].parts[n]):
        return False
    return len({(line.parts[n], _next(line.parts[n + 1 :])) for line in lines}) == 1


class _Code:
    """Lines of source text at the right depth."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0

    def add(self, *lines: str) -> None:
        """Add *lines* at this depth."""
        self.lines += ["    " * self.depth + line for line in lines]

    def unless(self, condition: str) -> None:
        """Give up on the line where *condition* holds."""
        self.add(f"if {condition}:", "    break")

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Add *head*, and what the body adds one step deeper."""
        self.add(head)
        self.depth += 1
        yield
        self.depth -= 1


class _Cursor(NamedTuple):
    """A place in the text that is read: *base* is a variable, '' for the text's beginning."""

    base: str
    offset: int = 0

    def __str__(self) -> str:
        if not self.base:
            return str(self.offset)
        return f"{self.base} + {self.offset}" if self.offset else self.base

    def mirrored(self) -> str:
        """Return the place in the message of this place in the reversed message."""
        taken = f" - {self.base}" if self.base else ""
        return f"n{taken} - {self.offset}" if self.offset else f"n{taken}"


@dataclass(frozen=True, slots=True)
class _Next:
    """NEXT of a place; *fixed* is the text that is not optional, None where END belongs to it."""

    optional: tuple[str, ...] = ()
    fixed: str | None = None

    def texts(self) -> list[str]:
        """Return all texts once, the one that must come first: it bounds the others."""
        fixed = () if self.fixed is None else (self.fixed,)
        return list(dict.fromkeys(fixed + self.optional))


class _Reader:
    """Writes the code that reads one line; keeps which variable holds which hole.

    *known* is text that the message is known to begin with.
    """

    def __init__(self, code: _Code, known: str) -> None:
        self.code = code
        self.parts_read = 0
        self.cursor = _Cursor("")
        self.values: dict[str, str] = {}
        self.counter = 0
        self.text = "m"
        self.stands = known

    def fork(self) -> _Reader:
        """Return a reader that goes on from here and leaves this one as it is."""
        other = copy(self)
        other.values = dict(self.values)
        return other

    def shared(self, lines: Sequence[Line]) -> None:
        """Read the parts that all *lines* have in common from here on."""
        while _alike(lines, self.parts_read):
            parts = lines[0].parts[self.parts_read :]
            self.part(parts[0], _next(parts[1:]))
            self.parts_read += 1

    def line(self, parts: Sequence[Part]) -> None:
        """Read *parts*, the last of the line, and demand that the message ends there."""
        for n, part in enumerate(parts):
            if _is_rest(part):
                self.rest(part, parts[n + 1 :])
                return
            self.part(part, _next(parts[n + 1 :]))
        if self.cursor != _Cursor("n"):
            self.code.unless(f"n != {self.cursor}")

    def part(self, part: Part, following: _Next) -> None:
        """Read one part."""
        if isinstance(part, Text):
            self.literal(part.text)
        elif isinstance(part, Optional):
            self.optional(part, following)
        else:
            self.hole(part, following)
            fixed = following.fixed or ""
            self.stands = fixed[:1] if part.kind == "inside" else fixed

    def literal(self, text: str) -> None:
        """Read text, which may be known to stand here."""
        if not self.stands.startswith(text):
            self.code.unless(f"not {self.text}.startswith({text!a}, {self.cursor})")
        self.cursor = _Cursor(self.cursor.base, self.cursor.offset + len(text))
        self.stands = ""

    def optional(self, part: Optional, following: _Next) -> None:
        """Read an optional part if its first text stands here."""
        place = self.variable("i")
        self.code.add(f"{place} = {self.cursor}")
        self.cursor = _Cursor(place)
        for hole in part.parts:
            if isinstance(hole, Hole) and hole.name:
                self.code.add(f"{self.value(hole)} = None")
        first = _text(part.parts[0])
        with self.code.block(f"if {self.text}.startswith({first!a}, {place}):"):
            self.stands = first
            self.inside(part.parts, following)
            self.code.add(f"{place} = {self.cursor}")
        self.cursor, self.stands = _Cursor(place), ""

    def inside(self, pieces: Sequence[Piece], following: _Next) -> None:
        """Read the pieces of an optional part that is there."""
        for n, piece in enumerate(pieces):
            if _is_rest(piece):
                self.rest(piece, pieces[n + 1 :])
                self.cursor = _Cursor("n")
                return
            self.part(piece, _next(pieces[n + 1 :]) if n + 1 < len(pieces) else following)

    def hole(self, hole: Hole, following: _Next) -> None:
        """Find the hole's end, check what it holds."""
        start = self.cursor
        self.end(hole, following)
        self.cut(hole, self.slice(start, self.cursor))

    def slice(self, start: _Cursor, end: _Cursor) -> str:
        """Return the expression for what stands between two places of the text that is read."""
        if self.text == "m":
            return f"m[{start}:]" if end.base == "n" else f"m[{start}:{end}]"
        return f"m[{end.mirrored()}:{start.mirrored()}]"

    def end(self, hole: Hole, following: _Next) -> None:
        """Set the cursor to the nearest place where something of NEXT stands."""
        texts = following.texts()
        if hole.kind == "inside":
            texts = list(dict.fromkeys(text[0] for text in texts))
        if not texts:
            self.cursor = _Cursor("n")
            return
        start, place = self.cursor, self.variable("k")
        self.code.add(f"{place} = {self.text}.find({texts[0]!a}, {start})")
        if following.fixed is None:
            self.code.add(f"if {place} < 0:", f"    {place} = n")
        else:
            self.code.unless(f"{place} < 0")
        for text in texts[1:]:
            bound = _Cursor(place, len(text) - 1)
            self.code.add(f"j = {self.text}.find({text!a}, {start}, {bound})")
            self.code.add("if j >= 0:", f"    {place} = j")
        self.cursor = _Cursor(place)

    def cut(self, hole: Hole, expression: str) -> None:
        """Keep what the hole holds where somebody asks for it."""
        if not hole.name and hole.kind in ("text", "inside", "rest"):
            return
        value = self.value(hole)
        self.code.add(f"{value} = {expression}")
        self.check(hole, value)

    def check(self, hole: Hole, value: str) -> None:
        """Give up where *value* is nothing the hole may hold."""
        conditions = [_REFUSED[hole.kind].format(v=value)] if hole.kind in _REFUSED else []
        if hole.kind == "choice":
            conditions.append(f"{value} not in {_words(hole)}")
        if hole.name == "user" and hole.kind in ("text", "inside", "rest"):
            conditions.append(f"not {value} or {value}.isspace() and not {value}.strip({BLANKS!r})")
        if conditions and hole.name != "host":
            self.code.unless(" or ".join(conditions))
        if hole.name == "host":
            self.host(hole, value, conditions)

    def host(self, hole: Hole, value: str, conditions: list[str]) -> None:
        """Replace *value* by the host's name in a login; give up where it is no host."""
        if hole.kind not in ("ip", "host") and conditions:
            self.code.unless(conditions[0])
        self.code.add(f"{value} = {'IPS' if hole.kind == 'ip' else 'HOSTS'}[{value}]")
        self.code.unless(f"not {value}")

    def rest(self, hole: Part, right: Sequence[Part]) -> None:
        """Read what stands right of the rest from the right end, then the rest itself."""
        assert isinstance(hole, Hole)
        start, end = self.cursor, _Cursor("n")
        if right:
            begin = "m" if start == _Cursor("") else f"m[{start}:]"
            self.code.add(f"r = {begin}[::-1]")
            self.text, self.cursor, self.stands = "r", _Cursor(""), ""
            mirrored = tuple(map(_mirrored, reversed(right)))
            for n, part in enumerate(mirrored):
                self.part(part, _next(mirrored[n + 1 :]))
            end, self.text = self.cursor, "m"
            self.cut(hole, f"m[{start}:{end.mirrored()}]")
        else:
            self.cut(hole, self.slice(start, end))

    def value(self, hole: Hole) -> str:
        """Return the variable that holds what *hole* holds; one for each name."""
        if not hole.name:
            return "v"
        return self.values.setdefault(hole.name, f"v{len(self.values)}")

    def variable(self, letter: str) -> str:
        """Return a variable that the line has not used yet."""
        self.counter += 1
        return f"{letter}{self.counter}"


class _Result:
    """Writes the return statement of a line that has been read."""

    def __init__(self, reader: _Reader, line: Line, defaults: Mapping[str, str]) -> None:
        self.code = reader.code
        self.defaults = defaults
        self.values = reader.values
        self.absent = {hole.name for hole, optional in line.holes() if optional}

    def add(self) -> None:
        """Add the return of user, host, service and fields; give up without user or host."""
        user, host = self.given("user"), self.given("host")
        service = self.value("service") or "None"
        names = dict.fromkeys([*self.defaults, *self.values])
        fields = [name for name in names if name not in MEANINGS]
        late = [name for name in fields if name in self.absent and name not in self.defaults]
        items = [f"{name!r}: {self.value(name)}" for name in fields if name not in late]
        table = f"{{{', '.join(items)}}}"
        if late:
            self.code.add(f"f = {table}")
            table = "f"
        for name in late:
            value = self.values[name]
            self.code.add(f"if {value} is not None:", f"    f[{name!r}] = {value}")
        self.code.add(f"return {user}, {host}, {service}, {table}")

    def given(self, name: str) -> str:
        """Return the expression for user or host; give up where it is absent or blank."""
        value = self.value(name)
        if name in self.absent and name not in self.defaults:
            self.code.unless(f"{value} is None")
        if self.defaults.get(name) == "{program}":
            self.code.add(f"{name} = {value}")
            self.code.unless(f"not {name}.strip({BLANKS!r})")
            return name
        return value

    def value(self, name: str) -> str:
        """Return the expression for what *name* has: its hole, else its default, '' for none."""
        default = self.default(name) if name in self.defaults else ""
        if name not in self.values:
            return default
        value = self.values[name]
        if name not in self.absent or not default:
            return value
        return f"{default} if {value} is None else {value}"

    def default(self, name: str) -> str:
        """Return the expression for a default."""
        value = self.defaults[name]
        if value in ("{machine}", "{program}"):
            return value[1:-1]
        return ascii(without_mapping(value) if name == "host" else value)


#: Where these conditions hold, a hole of the kind cannot hold ``{v}``.
_REFUSED = {
    "word": "not {v} or ' ' in {v} or not {v}.isprintable() and BLANK({v})",
    "int": "not {v}.isdigit() or not {v}.isascii() or len({v}) > 20",
    "ip": "not IPS[{v}]",
    "host": "not HOSTS[{v}]",
}


def _gate(code: _Code, lines: Sequence[Line]) -> str:
    """Add the test that most messages fail; return what the others are known to begin with."""
    known = commonprefix([_text(line.parts[0]) for line in lines])  # noqa: RUF071 (characters are meant)
    if known:
        code.add(f"if not m.startswith({known!a}):", "    return None")
        return known
    shared = set.intersection(*(set(required_texts(line)) for line in lines))
    if shared:
        longest = max(shared, key=lambda text: (len(text), text))
        code.add(f"if {longest!a} not in m:", "    return None")
    return ""


def _answers(line: Line, defaults: Mapping[str, str]) -> bool:
    """Say whether *line* can name a user and a host at all."""
    names = {hole.name for hole, _ in line.holes()}
    return all(name in names or is_user(defaults.get(name, "")) for name in ("user", "host"))


def _words(hole: Hole) -> str:
    """Return the expression for the words of a choice."""
    words = ", ".join(map(ascii, dict.fromkeys(hole.choices)))
    return f"{{{words}}}"


def _next(parts: Sequence[Part]) -> _Next:
    """Return NEXT of the place before *parts*, which the line ends with."""
    texts: list[str] = []
    for part in parts:
        if not isinstance(part, Optional):
            return _Next(tuple(texts), _text(part))
        texts.append(_text(part.parts[0]))
    return _Next(tuple(texts))


def _text(part: Part) -> str:
    """Return the text that *part* is, '' for any other part."""
    return part.text if isinstance(part, Text) else ""


def _mirrored(part: Part) -> Part:
    """Return *part* as it stands in the reversed message."""
    if isinstance(part, Optional):
        return Optional(tuple(map(_mirrored_piece, reversed(part.parts))))
    return _mirrored_piece(part)


def _mirrored_piece(piece: Piece) -> Piece:
    """Return text or a hole as it stands in the reversed message."""
    return Text(piece.text[::-1]) if isinstance(piece, Text) else piece


def _is_rest(part: Part) -> bool:
    """Say whether *part* is the hole of the kind rest."""
    return isinstance(part, Hole) and part.kind == "rest"
