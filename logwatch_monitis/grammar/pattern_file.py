"""Reads one pattern file into values that still know their places, and collects its problems.

What the keys mean is the file format's business and decided here; whether the samples hold is
decided in `samples`, and what a line matches in `matcher`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from logwatch_monitis.config.yaml_document import Document, Node, ScalarLine
from logwatch_monitis.errors import suggest
from logwatch_monitis.grammar.checks import (
    check,
    check_cost,
    check_default,
    check_gives,
    check_name,
    check_prefix,
)
from logwatch_monitis.grammar.parser import parse_line
from logwatch_monitis.grammar.tree import Fault, Line, NotationError
from logwatch_monitis.grammar.tree import Literal as TextPart

__all__ = [
    "ANY",
    "FORMS",
    "KINDS",
    "PARTS",
    "FileSource",
    "Json",
    "Pattern",
    "RuleSource",
    "Sample",
    "read_file",
]

KINDS = ("login", "command", "session")
"""What a rule's events are; see `logwatch_monitis.login`."""
FORMS = ("syslog", "vsftpd")
"""The headers a line can have; see `logwatch_monitis.syslog`."""
PARTS = ("first", "next")
"""What a rule's lines are where a program writes one message as several lines."""
MAX_RULES = 200
ANY = "any"
"""Stands for every program, for the remaining PAM services, for whoever the part before names."""

FILE_KEYS = ("service", "title", "program", "header", "pam", "kind", "enabled", "set", "rules")
RULE_KEYS = ("name", "line", "except", "json", "take", "accept", "reject", "set", "program", "part")
_RULE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_WORD = re.compile(r"[^\s\[\]:{}]{1,64}")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A line of the notation: its tree and its place."""

    line: Line
    text: ScalarLine


@dataclass(frozen=True, slots=True)
class Sample:
    """A log message that comes with the rule, and what an accepted one must give by name."""

    text: ScalarLine
    program: str
    wanted: Mapping[str, tuple[Node, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Json:
    """How a rule reads JSON: the text before it, the path to the object, field by member."""

    prefix: str
    at: str
    take: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RuleSource:
    """One rule of a pattern file; *programs* is empty for any program, *part* for whole lines."""

    name: str
    place: Node
    programs: tuple[str, ...]
    defaults: Mapping[str, str]
    part: str = ""
    lines: tuple[Pattern, ...] = ()
    excepts: tuple[Pattern, ...] = ()
    json: Json | None = None
    accept: tuple[Sample, ...] = ()
    reject: tuple[Sample, ...] = ()

    def names(self) -> set[str]:
        """Return every name a match of this rule can have."""
        holes = (hole.name for pattern in self.lines for hole, _ in pattern.line.holes())
        taken = self.json.take if self.json else ()
        return {"user", "host", "service", "kind", *self.defaults, *taken, *holes} - {""}


@dataclass(frozen=True, slots=True)
class FileSource:
    """One pattern file; *pam* is None for the file that speaks for all remaining PAM services."""

    document: Document
    service: str = ""
    title: str = ""
    headers: tuple[str, ...] = ("syslog",)
    pam: tuple[str, ...] | None = ()
    kind: str = "login"
    enabled: bool = True
    rules: tuple[RuleSource, ...] = ()


def read_file(data: bytes, path: str) -> FileSource:
    """Return the pattern file in *data*; its problems are in its document.

    Raises:
        DocumentError: it is no YAML that can be read further.
    """
    document = Document.load(data, path)
    return _FileReader(document).file()


class _NodeReader:
    """What files and rules have in common; every problem goes into the document."""

    def __init__(self, document: Document) -> None:
        self._doc = document

    def _require(self, node: Node, keys: Collection[str], needed: Collection[str]) -> None:
        for key in needed:
            if node.kind == "mapping" and key not in keys:
                self._doc.problem(node, f"the key '{key}' is missing")

    def _word(self, node: Node | None, what: str) -> str:
        """Return a name without blanks, brackets, braces and colons."""
        word = self._doc.string(node) if node else ""
        if node and node.kind == "scalar" and word and not _WORD.fullmatch(word):
            self._doc.problem(node, f"'{word}' cannot be the name of a {what}")
        return word

    def _programs(self, node: Node | None) -> tuple[str, ...]:
        return self._any_or_words(node, "program") or ()

    def _any_or_words(self, node: Node | None, what: str) -> tuple[str, ...] | None:
        if node is None or (node.kind == "scalar" and node.text == ANY):
            return None
        if node.kind == "scalar" and node.type == "str":
            self._doc.problem(node, "a list is needed here", f"write: [{node.text}]")
            return ()
        words = tuple(self._word(item, what) for item in self._doc.items(node))
        if node.kind == "list" and not words:
            self._doc.problem(node, f"no {what} is named", "name one, or write: any")
        return words

    def _defaults(self, node: Node | None) -> dict[str, str]:
        """Return the values of ``set:``."""
        if node is None:
            return {}
        values = self._doc.string_map(node)
        for name, place in node.keys.items():
            self._fault(place, check_name(name))
            if node.entries[name].kind == "scalar":
                self._fault(node.entries[name], check_default(name, values[name]))
        return values

    def _fault(self, place: Node, fault: Fault | None) -> None:
        if fault:
            self._doc.problem(place, fault.message, fault.hint)


class _FileReader(_NodeReader):
    """Reads the keys of one file."""

    def file(self) -> FileSource:
        doc = self._doc
        if doc.empty:
            return FileSource(doc)
        keys = doc.mapping(doc.root, FILE_KEYS)
        self._require(doc.root, keys, ("service", "program", "rules"))
        programs = self._programs(keys.get("program"))
        defaults = self._defaults(keys.get("set"))
        return FileSource(
            document=doc,
            service=self._word(keys.get("service"), "service"),
            title=doc.string(keys["title"]) if "title" in keys else "",
            headers=self._headers(keys.get("header")),
            pam=self._pam(keys.get("pam")),
            kind=doc.choice(keys["kind"], KINDS) if "kind" in keys else "login",
            enabled=doc.boolean(keys["enabled"]) if "enabled" in keys else True,
            rules=self._rules(keys.get("rules"), programs, defaults),
        )

    def _pam(self, node: Node | None) -> tuple[str, ...] | None:
        return self._any_or_words(node, "PAM service") if node else ()

    def _headers(self, node: Node | None) -> tuple[str, ...]:
        if node is None:
            return ("syslog",)
        forms = tuple(self._doc.choice(item, FORMS) for item in self._doc.items(node))
        if node.kind == "list" and not forms:
            self._doc.problem(node, "no header is named", suggest("", FORMS))
        return forms

    def _rules(
        self, node: Node | None, programs: tuple[str, ...], defaults: Mapping[str, str]
    ) -> tuple[RuleSource, ...]:
        items = self._doc.items(node) if node else []
        if node and node.kind == "list" and not 1 <= len(items) <= MAX_RULES:
            self._doc.problem(node, f"{len(items)} rules; 1 to {MAX_RULES} are allowed")
        rules = [_RuleReader(self._doc, item).rule(programs, defaults) for item in items]
        seen: set[str] = set()
        for rule in rules:
            if rule.name and rule.name in seen:
                self._doc.problem(rule.place, f"a second rule is called '{rule.name}'")
            seen.add(rule.name)
        self._check_parts(rules)
        return tuple(rules)

    def _check_parts(self, rules: Sequence[RuleSource]) -> None:
        """A first part needs a rule for what follows it, which says nothing without a first one."""
        parts = {rule.part for rule in rules}
        for rule in rules:
            for part, other in zip(PARTS, reversed(PARTS), strict=True):
                if rule.part == part and other not in parts:
                    message = f"no rule of this file has 'part: {other}'"
                    self._doc.problem(rule.place, message, "a rule of either kind needs the other")


class _RuleReader(_NodeReader):
    """Reads the keys of one rule."""

    def __init__(self, document: Document, node: Node) -> None:
        super().__init__(document)
        self._node = node
        self._keys = document.mapping(node, RULE_KEYS)

    def rule(self, programs: tuple[str, ...], defaults: Mapping[str, str]) -> RuleSource:
        """Return the rule; *programs* and *defaults* are the file's."""
        keys = self._keys
        self._require(self._node, keys, ("name", "accept"))
        part = self._doc.choice(keys["part"], PARTS) if "part" in keys else ""
        anybody = {"user": ANY} if part == "next" else {}
        rule = RuleSource(
            name=self._name(keys.get("name")),
            place=keys.get("name", self._node),
            programs=self._programs(keys["program"]) if "program" in keys else programs,
            defaults={**anybody, **defaults, **self._defaults(keys.get("set"))},
            part=part,
            lines=self._patterns("line"),
            excepts=self._patterns("except"),
            json=self._json(),
        )
        self._check_reader(rule)
        patterns = (*rule.lines, *rule.excepts)
        self._fault(rule.place, check_cost([pattern.line for pattern in patterns]))
        for pattern in rule.lines:
            self._check_line(pattern, rule)
        return replace(rule, accept=self._accept(rule), reject=self._reject(rule))

    def _name(self, node: Node | None) -> str:
        name = self._doc.string(node) if node else ""
        if node and name and not _RULE_NAME.fullmatch(name):
            hint = "lower-case letters, digits and -"
            self._doc.problem(node, f"'{name}' cannot be the name of a rule", hint)
        return name

    def _patterns(self, key: str) -> tuple[Pattern, ...]:
        node = self._keys.get(key)
        if node is None:
            return ()
        texts = self._doc.texts(node)
        if not texts and node.style == "|":
            self._doc.problem(node, "no line stands here")
        found = (self._pattern(text) for text in texts)
        return tuple(pattern for pattern in found if pattern)

    def _pattern(self, text: ScalarLine) -> Pattern | None:
        try:
            line = parse_line(text.value)
        except NotationError as error:
            self._faults(text, error.faults)
            return None
        faults = check(line)
        self._faults(text, faults)
        return None if faults else Pattern(line, text)

    def _faults(self, text: ScalarLine, faults: Collection[Fault]) -> None:
        for fault in faults:
            start = fault.column - 1
            self._doc.problem(text, fault.message, fault.hint, start=start, length=fault.length)

    def _json(self) -> Json | None:
        node = self._keys.get("json")
        if node is None:
            return None
        keys = self._doc.mapping(node, ("prefix", "at"))
        self._require(node, keys, ("prefix", "at"))
        prefix = self._doc.string(keys["prefix"]) if "prefix" in keys else ""
        if prefix:
            self._fault(keys["prefix"], check_prefix(prefix))
        at = self._doc.string(keys["at"]) if "at" in keys else ""
        return Json(prefix, at, self._take(self._keys.get("take"), node))

    def _take(self, node: Node | None, json: Node) -> dict[str, str]:
        """Return the member of the JSON object for each field."""
        fields = self._doc.string_map(node) if node else {}
        for name, place in node.keys.items() if node else ():
            self._fault(place, check_name(name))
        if "user" not in fields:
            hint = "name its member, take: {user: …}"
            self._doc.problem(node or json, "nothing gives user", hint)
        return fields

    def _check_reader(self, rule: RuleSource) -> None:
        has_line, has_json = "line" in self._keys, "json" in self._keys
        if self._node.kind == "mapping" and has_line == has_json:
            self._doc.problem(rule.place, "a rule needs either 'line' or 'json'")
        if has_json and "except" in self._keys:
            self._doc.problem(self._keys["except"], "'except' does not go with 'json'")
        if has_json and "part" in self._keys:
            self._doc.problem(self._keys["part"], "'part' does not go with 'json'")
        if "take" in self._keys and not has_json:
            self._doc.problem(self._keys["take"], "'take' goes with 'json' only")

        if rule.json and "host" not in {*rule.defaults, *rule.json.take}:
            hint = 'take it, or, for local events, set: {host: "{machine}"}'
            self._doc.problem(rule.place, "nothing gives host", hint)

    def _check_line(self, pattern: Pattern, rule: RuleSource) -> None:
        self._faults(pattern.text, check_gives(pattern.line, rule.defaults))
        if not rule.programs and not isinstance(pattern.line.parts[0], TextPart):
            hint = "name the programs, or begin with what the program always writes"
            self._doc.problem(pattern.text, "a line for any program must begin with text", hint)

    def _accept(self, rule: RuleSource) -> tuple[Sample, ...]:
        node = self._keys.get("accept")
        items = self._doc.items(node) if node else []
        if node and node.kind == "list" and not items:
            self._doc.problem(node, "a rule needs a sample that it accepts")
        samples = (self._accepted(item, rule) for item in items)
        return tuple(sample for sample in samples if sample)

    def _accepted(self, node: Node, rule: RuleSource) -> Sample | None:
        known = rule.names() | {"line", "program"}
        keys = self._doc.mapping(node, known)
        if node.kind == "mapping" and "line" not in keys:
            self._doc.problem(node, "the key 'line' is missing")
        texts = self._doc.texts(keys["line"]) if "line" in keys else []
        if not texts:
            return None
        program = self._doc.string(keys["program"]) if "program" in keys else _first(rule)
        wanted = {
            key: (value, self._doc.string(value))
            for key, value in keys.items()
            if key not in {"line", "program"}
        }
        return Sample(texts[0], program, wanted)

    def _reject(self, rule: RuleSource) -> tuple[Sample, ...]:
        node = self._keys.get("reject")
        texts = [t for item in self._doc.items(node) for t in self._doc.texts(item)] if node else []
        return tuple(Sample(text, _first(rule)) for text in texts)


def _first(rule: RuleSource) -> str:
    """Return the program that a sample comes from unless it says so itself."""
    return rule.programs[0] if rule.programs else ANY
