"""The rules in force: which rule reads a message, and what it says the login is.

Nothing here parses; a set is built by `build` or taken from the cache, and never changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from logwatch_monitis.errors import Problem
from logwatch_monitis.grammar.matcher import Found, Matcher, RulePlan, RuleReader

__all__ = ["BuiltRule", "BuiltSet", "Lane", "Match", "PatternFile", "RuleInfo", "RuleSet"]

Json = tuple[str, str, dict[str, str]]


class Match(NamedTuple):
    """What a rule says about a message.

    Attributes:
        rule: the file's name and the rule's: ``sshd/accepted``.
        service: as PAM would name it.
        kind: ``login``, ``command`` or ``session``.
        user: who got in, as logged.
        host: where from, without ``::ffff:``; the local machine for local events.
        fields: every other named value.
    """

    rule: str
    service: str
    kind: str
    user: str
    host: str
    fields: dict[str, str]


class RuleInfo(NamedTuple):
    """A rule as its file has it, in text; *programs* is empty for any program."""

    name: str
    line_number: int
    programs: tuple[str, ...]
    lines: tuple[str, ...]
    excepts: tuple[str, ...]
    json: Json | None
    defaults: dict[str, str]
    accepts: int
    rejects: int


class PatternFile(NamedTuple):
    """A pattern file that was found, in force or not.

    Attributes:
        name: without its directory; what a later directory replaces it by.
        pam: the PAM services it speaks for; None for all that no other file names.
        state: ``in force``, ``disabled`` (``enabled: false``) or ``masked`` (empty).
        replaces: paths of the files of this name that it stands in front of.
    """

    name: str
    path: str
    service: str
    title: str
    kind: str
    headers: tuple[str, ...]
    pam: tuple[str, ...] | None
    state: str
    replaces: tuple[str, ...]
    rules: tuple[RuleInfo, ...]


class BuiltRule(NamedTuple):
    """A rule in the form that can be kept on disk: the plan of its lines, or how to read JSON.

    Attributes:
        rule, service, kind: as in `Match`.
        programs: empty for any program.
        headers: the forms of header that its lines have.
        remaining: it speaks for the PAM services that no file names.
        starts: every message it matches begins with one of these; empty if that is not known.
        part: as `RuleSet.read` returns it.
    """

    rule: str
    service: str
    kind: str
    programs: tuple[str, ...]
    headers: tuple[str, ...]
    remaining: bool
    starts: tuple[str, ...]
    plan: RulePlan | None
    json: Json | None
    defaults: dict[str, str]
    part: str


class Lane(NamedTuple):
    """The everyday form of a rule (`lane` makes it and says why it answers like the rule).

    Attributes:
        rule, service, kind: as in `Match`.
        programs: whose messages it reads; never empty.
        pattern: the message as a regular expression, one group for each name; it neither begins
            nor ends with an anchor, and matches nothing but printable ASCII. Neither quotes nor
            backslashes stand in a group.
        names: the groups' names in their order.
        checks: ``ip``, ``host`` or the empty text for each group: what is still to be checked.
        unless: texts; a message that holds one of them is for the rule to decide.
        optional: the names whose group may be absent.
        fields: the names of the fields; the rule gives those first that are never absent.
        defaults: for names without a group, or whose group is absent.
    """

    rule: str
    service: str
    kind: str
    programs: tuple[str, ...]
    pattern: str
    names: tuple[str, ...]
    checks: tuple[str, ...]
    unless: tuple[str, ...]
    optional: tuple[str, ...]
    fields: tuple[str, ...]
    defaults: dict[str, str]


class BuiltSet(NamedTuple):
    """All that a `RuleSet` is made of.

    Attributes:
        echoes: PAM services whose session lines repeat what another line says.
        services, literals, decoys, follow_ups, lanes, warnings: see `RuleSet`.
    """

    rules: tuple[BuiltRule, ...]
    files: tuple[PatternFile, ...]
    literals: tuple[bytes, ...]
    decoys: tuple[bytes, ...]
    follow_ups: tuple[bytes, ...]
    lanes: tuple[Lane, ...]
    services: frozenset[str] | None
    echoes: frozenset[str]
    warnings: tuple[Problem, ...]


class _CompiledRule(NamedTuple):
    built: BuiltRule
    read: RuleReader


class _ProgramRules:
    """The rules for one program, and the beginnings that let most messages pass untried."""

    __slots__ = ("entries", "starts")

    def __init__(self, entries: Iterable[_CompiledRule]) -> None:
        self.entries = tuple(entries)
        known = all(entry.built.starts for entry in self.entries)
        self.starts = tuple({s for e in self.entries for s in e.built.starts}) if known else ("",)


class RuleSet:
    """All rules in force; immutable, so it can be used by several threads and swapped at once.

    Attributes:
        built: what it was made of.
        files: every pattern file found, by name; also those that are not in force.
        literals: every line of a log that some rule matches holds one of these bytes.
        decoys: a literal that begins within one of these is not the one that finds a login.
        follow_ups: every line that is the next part of another holds one of these bytes. They are
            not among the literals: whoever knows of no first part need not look for them.
        lanes: the everyday forms of rules, for whoever has many lines to read.
        services: those that a match can name; None where a line can name any.
        programs: the programs that rules name; a rule for any program is not among them.
        warnings: problems that do not keep the set from being used.
    """

    def __init__(self, built: BuiltSet) -> None:
        self.built = built
        self.files = built.files
        self.literals = built.literals
        self.decoys = built.decoys
        self.follow_ups = built.follow_ups
        self.lanes = built.lanes
        self.services = built.services
        self.programs = frozenset(name for rule in built.rules for name in rule.programs)
        self.warnings = built.warnings
        self._echoes = built.echoes
        entries = [_CompiledRule(rule, _reader(rule)) for rule in built.rules]
        syslog = [entry for entry in entries if "syslog" in entry.built.headers]
        self._any = _ProgramRules(entry for entry in syslog if not entry.built.programs)
        self._shelves = {
            name: _ProgramRules(
                e for e in syslog if name in e.built.programs or not e.built.programs
            )
            for name in self.programs
        }
        forms = {form for rule in built.rules for form in rule.headers} - {"syslog"}
        self._forms = {
            form: _ProgramRules(e for e in entries if form in e.built.headers) for form in forms
        }

    def match(self, program: str, message: str, machine: str, form: str = "syslog") -> Match | None:
        """Return what the first rule that matches says; None if the message is no login.

        *message* has no blanks at its ends; one over 65,536 characters is never matched. A header
        of another *form* than syslog belongs to one program alone, so *program* does not count.
        """
        found = self.read(program, message, machine, form)
        return found[0] if found and not found[1] else None

    def read(
        self, program: str, message: str, machine: str, form: str = "syslog"
    ) -> tuple[Match, str] | None:
        """Return the same as `match`, of parts of logins too, and which part it is.

        The part is empty for a whole line; ``first`` for one that counts if the ``next`` one
        follows; ``next`` for that, whose user is ``any`` if it names none.
        """
        if form == "syslog":
            shelf = self._shelves.get(program, self._any)
        else:
            shelf = self._forms.get(form, _EMPTY)
        if not message.startswith(shelf.starts):
            return None
        for rule, read in shelf.entries:
            found = read(message, machine, program)
            if found is not None:
                user, host, service, fields = found
                service = service or rule.service
                if rule.remaining and service in self._echoes:
                    return None
                return Match(rule.rule, service, rule.kind, user, host, fields), rule.part
        return None


_EMPTY = _ProgramRules(())


def _reader(rule: BuiltRule) -> RuleReader:
    """Return what reads messages with *rule*."""
    if rule.plan is not None:
        return Matcher(rule.plan).match
    assert rule.json is not None
    return _json_reader(rule.json, rule.defaults)


def _json_reader(json: Json, defaults: dict[str, str]) -> RuleReader:
    """Return a reader that imports what it needs with the first message that may be JSON."""
    prefix, at, take = json
    made: list[RuleReader] = []

    def read(message: str, machine: str, program: str) -> Found | None:
        if not message.startswith(prefix):
            return None
        if not made:
            from logwatch_monitis.grammar.json_matcher import JsonReader

            made.append(JsonReader(prefix, at, take, defaults).match)
        return made[0](message, machine, program)

    return read
