"""Makes rules out of pattern files: reads them, tries their samples, plans, chooses literals.

The result is plain data, so that it can be kept on disk; `assemble` makes a `RuleSet` of it.
Everything slow is imported here, and this module only when there is something to build.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from logwatch_monitis.errors import DocumentError, Problem
from logwatch_monitis.grammar.decoys import Asker, choose_decoys
from logwatch_monitis.grammar.fast_path import make_lane
from logwatch_monitis.grammar.literals import Need, choose
from logwatch_monitis.grammar.pattern_file import FileSource, RuleSource, Sample, read_file
from logwatch_monitis.grammar.ruleset import BuiltRule, BuiltSet, Lane, PatternFile, RuleInfo
from logwatch_monitis.grammar.samples import (
    MACHINE,
    Readable,
    Said,
    answer,
    message_of,
    readable,
    try_samples,
)
from logwatch_monitis.grammar.search_path import FoundFile, PatternFiles
from logwatch_monitis.grammar.tree import Line, Literal, required_texts

__all__ = ["build"]

_HEX_START = re.compile(r"^x?[0-9a-f]{1,2}")
_ESCAPE = re.compile(r"\\.{0,3}", re.DOTALL)


class _File(NamedTuple):
    """A file that was read, and all files of its name; it is the last of them."""

    found: FoundFile
    versions: Sequence[FoundFile]
    source: FileSource
    rules: list[Readable]


def build(search: PatternFiles, services: Collection[str] | None = None) -> BuiltSet:
    """Return the rules of the files found, only those for *services* unless that is None.

    Raises:
        DocumentError: with every problem of every file.
    """
    problems = list(search.problems)
    files = [file for versions in search.versions.values() for file in _read(versions, problems)]
    for file in files:
        try_samples(file.source, file.rules)
        problems += file.source.document.problems
    if any(problem.severity == "error" for problem in problems):
        raise DocumentError(sorted(problems, key=lambda p: (p.path, p.line, p.column)))
    enabled = [file for file in files if file.source.enabled and file.rules]
    echoes = frozenset(_echoes(files))
    problems += _contradictions(enabled, echoes)
    wanted = [file for file in enabled if _wanted(file, enabled, services)]
    askers = [_asker(file, r) for file in wanted for r in file.rules if r.source.part != "next"]
    literals = choose(asker.need for asker in askers)
    return BuiltSet(
        rules=tuple(_built(file, rule) for file in wanted for rule in file.rules),
        files=tuple(map(_summary, files)),
        literals=literals,
        decoys=choose_decoys(askers, literals, echoes),
        follow_ups=tuple(sorted({text for file in wanted for text in _follow_ups(file)})),
        lanes=tuple(_lanes(wanted)),
        services=_services(wanted),
        echoes=echoes,
        warnings=tuple(problems),
    )


def _read(versions: Sequence[FoundFile], problems: list[Problem]) -> Iterator[_File]:
    """Yield the file in force; none if it cannot be read at all."""
    found = versions[-1]
    try:
        source = read_file(found.data, found.path)
    except DocumentError as error:
        problems += error.problems
        return
    sound = not source.document.problems
    rules = [readable(rule) for rule in source.rules] if sound else []
    yield _File(found, versions, source, rules)


def _echoes(files: Iterable[_File]) -> Iterator[str]:
    """Yield the PAM services whose session lines are no logins of their own.

    A file that is switched off still speaks for its services: who switches off sshd does not ask
    to have its sessions instead, and a session of su or sudo names the wrong person.
    """
    for file in files:
        yield from file.source.pam or ()
        if file.source.document.empty:
            yield from _masked_services(file.versions)


def _masked_services(versions: Sequence[FoundFile]) -> Iterator[str]:
    for found in reversed(versions[:-1]):
        try:
            source = read_file(found.data, found.path)
        except DocumentError:
            continue
        if not source.document.empty:
            yield from source.pam or ()
            return


def _wanted(file: _File, files: Iterable[_File], services: Collection[str] | None) -> bool:
    """Say whether *file* can have an event of one of *services*."""
    if services is None or file.source.service in services:
        return True
    named = {other.source.service for other in files if not _names_services(other)}
    spoken = {service for other in files for service in other.source.pam or ()}
    return _names_services(file) and not set(services) <= named | spoken


def _services(files: Iterable[_File]) -> frozenset[str] | None:
    if any(map(_names_services, files)):
        return None
    return frozenset(file.source.service for file in files)


def _names_services(file: _File) -> bool:
    """Say whether a rule takes the service from the line, so that it can be any."""
    return any(
        "service" in rule.defaults
        or any(hole.name == "service" for p in rule.lines for hole, _ in p.line.holes())
        for rule in file.source.rules
    )


def _built(file: _File, rule: Readable) -> BuiltRule:
    json = rule.source.json
    return BuiltRule(
        rule=f"{_stem(file)}/{rule.source.name}",
        service=file.source.service,
        kind=file.source.kind,
        programs=rule.source.programs,
        headers=file.source.headers,
        remaining=file.source.pam is None,
        starts=_starts(rule.source),
        plan=None if json else rule.matcher.plan,
        json=(json.prefix, json.at, dict(json.take)) if json else None,
        defaults=dict(rule.source.defaults),
        part=rule.source.part,
    )


def _follow_ups(file: _File) -> Iterator[bytes]:
    """Yield a text for each line that is the next part of another."""
    for rule in file.rules:
        for pattern in rule.source.lines if rule.source.part == "next" else ():
            yield max(_searchable(pattern.line), key=len).strip().encode()


def _stem(file: _File) -> str:
    return file.found.name.removesuffix(".yaml")


def _starts(rule: RuleSource) -> tuple[str, ...]:
    """Return what every message that *rule* matches begins with, if each line says so."""
    if rule.json:
        return (rule.json.prefix,)
    first = [pattern.line.parts[0] for pattern in rule.lines]
    texts = [part.text for part in first if isinstance(part, Literal)]
    return tuple(dict.fromkeys(texts)) if len(texts) == len(first) else ()


def _lanes(files: Iterable[_File]) -> Iterator[Lane]:
    """Yield a lane for every rule whose everyday line can have one.

    A rule's first sample shows its everyday form. Rules for any program have none: what comes
    before them depends on the program.
    """
    before: list[Readable] = []
    for file in files:
        if "syslog" not in file.source.headers:
            continue
        for rule in file.rules:
            whole = not rule.source.json and not rule.source.part
            if rule.source.programs and file.source.pam is not None and whole:
                number = _everyday(rule)
                others = [line for one in before for line in _tried(one, rule.source.programs)]
                others += [*rule.tree.excepts, *rule.tree.lines[:number]]
                name = f"{_stem(file)}/{rule.source.name}", file.source.service, file.source.kind
                line, defaults = rule.tree.lines[number], rule.source.defaults
                made = make_lane(name, rule.source.programs, line, defaults, others)
                yield from [made] if made else []
            before.append(rule)


def _everyday(rule: Readable) -> int:
    sample = rule.source.accept[0]
    found = rule.matcher.answer(message_of(sample), MACHINE, sample.program)
    return found[0] if found else 0


def _tried(rule: Readable, programs: Collection[str]) -> Iterator[Line]:
    """Yield the lines that *rule* tries on messages of *programs*."""
    if not rule.source.programs or set(rule.source.programs) & set(programs):
        yield from rule.tree.lines
        if rule.source.json:
            yield Line((Literal(rule.source.json.prefix),))


def _asker(file: _File, rule: Readable) -> Asker:
    return Asker(rule.tree, _need(file, rule), rule.source.programs, file.source.pam is None)


def _need(file: _File, rule: Readable) -> Need:
    """Return what lines of the log hold: the program's tag stands in a syslog header only."""
    tagged = rule.source.programs if file.source.headers == ("syslog",) else ()
    if rule.source.json:
        return Need(tagged, ((rule.source.json.prefix,),))
    return Need(tagged, tuple(_searchable(pattern.line) for pattern in rule.source.lines))


def _searchable(line: Line) -> tuple[str, ...]:
    r"""Return the texts of *line* as they stand in the bytes of a log.

    Bytes that are no UTF-8 are read as ``\xNN``, so text that could be a part of such a
    notation is left out.
    """
    first = line.parts[0]
    head = first.text if isinstance(first, Literal) else ""
    texts = (t if t == head else _HEX_START.sub("", t) for t in required_texts(line))
    return tuple(piece for text in texts for piece in _ESCAPE.split(text) if piece)


def _summary(file: _File) -> PatternFile:
    source = file.source
    state = "in force" if source.enabled else "disabled"
    return PatternFile(
        name=file.found.name,
        path=file.found.path,
        service=source.service,
        title=source.title,
        kind=source.kind,
        headers=source.headers,
        pam=source.pam,
        state="masked" if source.document.empty else state,
        replaces=tuple(found.path for found in reversed(file.versions[:-1])),
        rules=tuple(map(_rule_summary, source.rules)),
    )


def _rule_summary(rule: RuleSource) -> RuleInfo:
    return RuleInfo(
        name=rule.name,
        line_number=rule.place.line,
        programs=rule.programs,
        lines=tuple(pattern.text.value for pattern in rule.lines),
        excepts=tuple(pattern.text.value for pattern in rule.excepts),
        json=(rule.json.prefix, rule.json.at, dict(rule.json.take)) if rule.json else None,
        defaults=dict(rule.defaults),
        accepts=len(rule.accept),
        rejects=len(rule.reject),
    )


def _contradictions(files: Sequence[_File], echoes: Collection[str]) -> Iterator[Problem]:
    """Yield a warning for every sample that another file answers differently."""
    for file, sample in _samples(files):
        own = answer(file.source, file.rules, sample)
        for other in files:
            if other is file or not set(file.source.headers) & set(other.source.headers):
                continue
            said = answer(other.source, other.rules, sample)
            echo = said and other.source.pam is None and said[1]["service"] in echoes
            if said and not echo and not _agree(own, said):
                yield _warning(file, sample, other, said)


def _samples(files: Iterable[_File]) -> Iterator[tuple[_File, Sample]]:
    for file in files:
        for rule in file.rules:
            for sample in (*rule.source.accept, *rule.source.reject):
                yield file, sample


def _agree(own: Said | None, said: Said) -> bool:
    keys = ("user", "host", "service", "kind")
    return own is not None and all(own[1][key] == said[1][key] for key in keys)


def _warning(file: _File, sample: Sample, other: _File, said: Said) -> Problem:
    rule, values = said
    line = next(r.source.place.line for r in other.rules if r.source.name == rule)
    message = f"{other.found.path}:{line}: rule '{rule}' answers this sample differently"
    hint = f"a {values['kind']} of '{values['user']}' from '{values['host']}'"
    length = len(sample.text.value)
    problem = file.source.document.problem(sample.text, message, hint, length=length)
    return replace(problem, severity="warning")
