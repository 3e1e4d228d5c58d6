"""Tries a file's own samples, both ways: what must match and give what, and what must not match.

A problem stands where the sample stands, and says what the rule made of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from logwatch_monitis.errors import suggest
from logwatch_monitis.grammar.json_matcher import JsonReader
from logwatch_monitis.grammar.matcher import Matcher, RulePlan, RuleReader
from logwatch_monitis.grammar.pattern_file import ANY, FileSource, Pattern, RuleSource, Sample
from logwatch_monitis.grammar.plan import plan_rule
from logwatch_monitis.grammar.trace import Miss, trace
from logwatch_monitis.grammar.tree import ParsedRule

__all__ = ["MACHINE", "Readable", "Said", "answer", "message_of", "readable", "try_samples"]

MACHINE = "MACHINE"
"""The local machine's name in samples."""

_TRIM = " \t\r"

Said = tuple[str, dict[str, str]]
"""A rule's name, and what it says by name."""


class Readable(NamedTuple):
    """A rule that can read, its tree, and the matcher of its lines; JSON has no lines."""

    source: RuleSource
    read: RuleReader
    tree: ParsedRule
    matcher: Matcher


def readable(rule: RuleSource) -> Readable:
    """Return *rule* ready to read."""
    lines = tuple(pattern.line for pattern in rule.lines)
    excepts = tuple(pattern.line for pattern in rule.excepts)
    tree = ParsedRule(lines, excepts, rule.defaults)
    matcher = Matcher(plan_rule(tree))
    if rule.json:
        reader = JsonReader(rule.json.prefix, rule.json.at, rule.json.take, rule.defaults)
        return Readable(rule, reader.match, tree, matcher)
    return Readable(rule, matcher.match, tree, matcher)


def message_of(sample: Sample) -> str:
    """Return the message of a sample as the header room would hand it over."""
    return sample.text.value.strip(_TRIM)


def answer(file: FileSource, rules: Iterable[Readable], sample: Sample) -> Said | None:
    """Return the first of a file's rules that takes *sample*, and all that it says."""
    for rule in rules:
        programs = rule.source.programs
        if programs and sample.program not in (*programs, ANY):
            continue
        found = rule.read(message_of(sample), MACHINE, sample.program)
        if found is not None:
            user, host, service, fields = found
            said = {"user": user, "host": host, "service": service or file.service}
            return rule.source.name, {**said, "kind": file.kind, **fields}
    return None


def try_samples(file: FileSource, rules: list[Readable]) -> None:
    """Try every sample of *file*; what is wrong goes into its document."""
    for rule in rules:
        _Trial(file, rules, rule).run()


class _Trial:
    """The samples of one rule."""

    def __init__(self, file: FileSource, rules: list[Readable], rule: Readable) -> None:
        self._file = file
        self._doc = file.document
        self._rules = rules
        self._rule = rule
        self._source = rule.source

    def run(self) -> None:
        """Try all samples; a line is idle only if no sample is in doubt."""
        taken = [self._accept(sample) for sample in self._source.accept]
        if all(taken):
            self._lines()
        for sample in self._source.reject:
            self._reject(sample)
        self._excepts()

    def _accept(self, sample: Sample) -> bool:
        """Try one sample and say whether the rule takes it."""
        programs = self._source.programs
        if programs and sample.program not in programs:
            message = f"this rule is not for the program '{sample.program}'"
            self._whole(sample, message, suggest(sample.program, programs))
            return False
        if self._rule.read(message_of(sample), MACHINE, sample.program) is None:
            self._missed(sample)
            return False
        found = answer(self._file, self._rules, sample)
        assert found is not None
        name, said = found
        if name == self._source.name:
            self._compare(sample, said)
        else:
            self._whole(sample, f"the rule '{name}' above takes this sample")
        return name == self._source.name

    def _whole(self, place: Sample | Pattern, message: str, hint: str = "") -> None:
        """Note a problem of a whole sample or line."""
        self._doc.problem(place.text, message, hint, length=len(place.text.value))

    def _compare(self, sample: Sample, said: Mapping[str, str]) -> None:
        for key, (place, wanted) in sample.wanted.items():
            if key not in said:
                self._doc.problem(place, f"{key} is absent, the sample says '{wanted}'")
            elif said[key] != wanted:
                self._doc.problem(place, f"{key} is '{said[key]}', the sample says '{wanted}'")

    def _missed(self, sample: Sample) -> None:
        """Say how far the line got that got furthest."""
        message, shift = message_of(sample), _shift(sample)
        for number, refusing in enumerate(self._rule.matcher.plan.excepts):
            if trace(refusing, message) is None:
                line = self._source.excepts[number].text.line
                self._whole(sample, f"the 'except' line {line} takes this sample")
                return
        miss = max(self._misses(message), key=lambda one: one.position, default=None)
        if miss is None:
            self._whole(sample, "this sample gives no user or no host")
            return
        what, start = "this sample does not match", miss.position + shift
        self._doc.problem(sample.text, what, miss.message, start=start, length=miss.length)

    def _misses(self, message: str) -> Iterator[Miss]:
        json = self._source.json
        if json:
            found = JsonReader(json.prefix, json.at, json.take, self._source.defaults).trace(
                message
            )
            yield from [found] if found else []
        for line in self._rule.matcher.plan.lines:
            if miss := trace(line, message):
                yield miss

    def _reject(self, sample: Sample) -> None:
        found = self._rule.read(message_of(sample), MACHINE, sample.program)
        if found is not None:
            message = f"this is taken for a login of '{found[0]}' from '{found[1]}'"
            self._whole(sample, message, "make the line stricter, or add 'except'")

    def _lines(self) -> None:
        """Every line needs a sample that it answers itself, or nobody knows that it works."""
        answered = set()
        for sample in self._source.accept:
            message = message_of(sample)
            found = self._rule.matcher.answer(message, MACHINE, sample.program)
            answered.add(found[0] if found else None)
        for number, pattern in enumerate(self._source.lines):
            if number not in answered:
                self._whole(pattern, "no accept sample is answered by this line", "add one")

    def _excepts(self) -> None:
        """Every except line needs a sample that it alone keeps from being a login."""
        lines, excepts = self._rule.matcher.plan
        for number, pattern in enumerate(self._source.excepts):
            others = Matcher(RulePlan(lines, (*excepts[:number], *excepts[number + 1 :])))
            if not any(
                trace(excepts[number], message_of(sample)) is None
                and others.match(message_of(sample), MACHINE, sample.program)
                for sample in self._source.reject
            ):
                message = "no reject sample shows what this line is for"
                self._whole(pattern, message, "add one that would match without it")


def _shift(sample: Sample) -> int:
    return len(sample.text.value) - len(sample.text.value.lstrip(_TRIM))
