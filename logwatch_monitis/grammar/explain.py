"""Says why a message is a login or is none, in terms of the pattern line that decides it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from logwatch_monitis.grammar.json_matcher import JsonReader
from logwatch_monitis.grammar.matcher import LinePlan
from logwatch_monitis.grammar.parser import parse_line
from logwatch_monitis.grammar.plan import plan_line
from logwatch_monitis.grammar.ruleset import Match, PatternFile, RuleInfo, RuleSet
from logwatch_monitis.grammar.trace import Miss, spans, trace
from logwatch_monitis.grammar.tree import MAX_MESSAGE
from logwatch_monitis.text import in_place

__all__ = ["Explanation", "FieldSpan", "explain"]


_PARTS = {
    "first": "the first part of a {kind} of {user}, cut off: alone it does not count, but with the"
    " next part of the same process within 5 seconds",
    "next": "the next part of a {kind}, of which the line before tells",
}


@dataclass(frozen=True, slots=True)
class FieldSpan:
    """A field and where its value stands in the message: from *start* up to *end*, from 0."""

    name: str
    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a message is a login or is none.

    Attributes:
        message: what was looked at.
        match: what the login is; None if the message is none.
        reason: one sentence.
        rule: the rule that took the message, refused it, or got furthest; empty for none.
        path: the rule's file, and *line_number* the place of the rule in it.
        pattern: the pattern line that decided; empty for JSON.
        spans: the fields that stand in the message, in its order.
        miss: for a message that no rule takes: how far the nearest pattern line got, and why.
    """

    message: str
    match: Match | None
    reason: str
    rule: str = ""
    path: str = ""
    line_number: int = 0
    pattern: str = ""
    spans: tuple[FieldSpan, ...] = field(default=())
    miss: Miss | None = None

    def excerpt(self) -> str:
        """Return the message and below it either the fields' names or a caret at the miss."""
        lines = [f"   | {in_place(self.message)}"]
        if self.miss:
            pad, carets = " " * self.miss.position, "^" * self.miss.length
            lines.append(f"   | {pad}{carets} {self.miss.message}")
        lines += [
            f"   | {' ' * span.start}{'^' * max(span.end - span.start, 1)} {span.name}"
            for span in self.spans
        ]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A rule that may read the message, and its file."""

    file: PatternFile
    rule: RuleInfo

    @property
    def name(self) -> str:
        return f"{self.file.name.removesuffix('.yaml')}/{self.rule.name}"

    def told(self, message: str, match: Match | None, reason: str, **more: object) -> Explanation:
        place = (self.name, self.file.path, self.rule.line_number)
        return Explanation(message, match, reason, *place, **more)  # type: ignore[arg-type]


def explain(
    message: str, program: str, rules: RuleSet, *, machine: str = "localhost", form: str = "syslog"
) -> Explanation:
    """Return why *message*, logged by *program*, is a login by *rules* or is none.

    *message* is what stands behind the header, *form* the header's form.
    """
    if len(message) > MAX_MESSAGE:
        reason = f"the message has {len(message)} characters, more than {MAX_MESSAGE}"
        return Explanation(message, None, reason)
    candidates = list(_candidates(program, rules, form))
    found = rules.read(program, message, machine, form)
    if found:
        return _taken(message, *found, candidates)
    return _refused(message, candidates) or _missed(message, program, candidates, rules)


def _candidates(program: str, rules: RuleSet, form: str) -> Iterator[_Candidate]:
    for file in rules.files:
        if file.state == "in force" and form in file.headers:
            for rule in file.rules:
                if form != "syslog" or not rule.programs or program in rule.programs:
                    yield _Candidate(file, rule)


def _taken(message: str, match: Match, part: str, candidates: Sequence[_Candidate]) -> Explanation:
    """Return what the rule says that takes the message; a part alone is no login."""
    known = None if part else match
    candidate = next(one for one in candidates if one.name == match.rule)
    reason = _PARTS.get(part, "a {kind} of {user} from {host}").format(**match._asdict())
    for line in candidate.rule.lines:
        found = spans(_plan(line), message)
        if "user" in found or ("user" in candidate.rule.defaults and found):
            places = tuple(
                FieldSpan(name, message[start:end], start, end)
                for name, (start, end) in sorted(found.items(), key=lambda item: item[1])
            )
            return candidate.told(message, known, reason, pattern=line.strip(), spans=places)
    return candidate.told(message, known, reason)


def _refused(message: str, candidates: Sequence[_Candidate]) -> Explanation | None:
    """Return which rule knows the message and says that it is no login."""
    for candidate in candidates:
        for line in candidate.rule.excepts:
            if trace(_plan(line), message) is None:
                reason = f"the rule {candidate.name} knows this line, and it is no login"
                return candidate.told(message, None, reason, pattern=line.strip())
        if candidate.file.pam is None and _matching(candidate, message):
            reason = "a PAM session that repeats a login, which its own program's line tells"
            return candidate.told(message, None, reason)
    return None


def _matching(candidate: _Candidate, message: str) -> bool:
    return any(trace(_plan(line), message) is None for line in candidate.rule.lines)


def _missed(
    message: str, program: str, candidates: Sequence[_Candidate], rules: RuleSet
) -> Explanation:
    """Return which line got furthest; a line for this program alone counts before any other."""
    misses = [
        (bool(candidate.rule.programs), miss.position, -number, candidate, pattern, miss)
        for number, candidate in enumerate(candidates)
        for pattern, miss in _misses(candidate, message)
    ]
    if not any(named for named, *_ in misses):
        known = ", ".join(sorted(rules.programs))
        reason = f"no rule reads lines of the program '{program}' (there are rules for {known})"
        return Explanation(message, None, reason)
    *_, candidate, pattern, miss = max(misses, key=lambda one: one[:3])
    reason = f"no rule matches; {candidate.name} got furthest"
    return candidate.told(message, None, reason, pattern=pattern, miss=miss)


def _misses(candidate: _Candidate, message: str) -> Iterator[tuple[str, Miss]]:
    if candidate.rule.json:
        miss = JsonReader(*candidate.rule.json).trace(message)
        if miss:
            yield "", miss
    for line in candidate.rule.lines:
        miss = trace(_plan(line), message)
        if miss:
            yield line.strip(), miss


def _plan(line: str) -> LinePlan:
    return plan_line(parse_line(line))
