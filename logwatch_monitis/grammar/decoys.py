"""Decoys: longer texts that keep the search from stopping at lines which are no logins.

A busy server writes ``pam_unix(cron:session): session opened for user root`` all day. The text
``session opened for user `` must be searched for, because a session of cockpit is a login; that
of cron is an echo. The search reports the leftmost match, so a decoy, `` pam_unix(cron:session):
session opened for use``, swallows the text that begins within, and costs a twentieth of looking at
the line.

A decoy is used only if no rule can miss a line by it. Where it swallows a literal, a line of the
log that relies on the literal at this place must be refused anyway:

* Its message begins with ``pam_unix(``, then comes one word up to ``:session): …``. The decoy's
  blank ends this word on the left, so message and decoy begin together and the word is the
  decoy's service, which the rule refuses: it is an echo, or an ``except`` line names it.
* Or its message begins with the literal itself. Then the decoy's text before the literal would
  belong to the header, behind the program; no header has such text there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from logwatch_monitis.grammar.literals import Need, is_everyday
from logwatch_monitis.grammar.tree import (
    BLANKS,
    Hole,
    Line,
    Literal,
    Optional,
    ParsedRule,
    required_texts,
)

__all__ = ["Asker", "choose_decoys"]


class Asker(NamedTuple):
    """A rule that relies on literals.

    Attributes:
        tree: its lines; without any, *need* has the text of a JSON rule.
        need: what a log is searched for.
        programs: empty for any program.
        remaining: it speaks for the PAM services that no file names.
    """

    tree: ParsedRule
    need: Need
    programs: tuple[str, ...]
    remaining: bool


class _MessageStart(NamedTuple):
    """What a message begins with up to a literal: text, one word for a PAM service, text."""

    head: str
    tail: str

    def of(self, service: str) -> str:
        return f"{self.head}{service}{self.tail}"


def choose_decoys(
    askers: Sequence[Asker], literals: Sequence[bytes], echoes: Collection[str]
) -> tuple[bytes, ...]:
    """Return the decoys for *literals* that are worth it; *echoes* are the services refused."""
    found = (
        _cut(decoy, literal, literals)
        for literal in literals
        for decoy in _whole(literal.decode(), askers, echoes)
    )
    return tuple(sorted(decoy for decoy in found if decoy))


def _whole(literal: str, askers: Sequence[Asker], echoes: Collection[str]) -> Iterator[str]:
    """Yield decoys that end with *literal*."""
    relying = [asker for asker in askers if _relies(asker, literal)]
    lines = [(asker, line) for asker in relying for line in _lines(asker, literal)]
    openings = {opening for _, line in lines if (opening := _opening(line, literal))}
    if len(openings) != 1 or not all(asker.tree.lines for asker in relying):
        return
    (opening,) = openings
    for service in sorted({*echoes, *_excepted(relying)}):
        decoy = f" {opening.of(service)}"
        if is_everyday(decoy) and all(
            _refuses(asker, opening, service, echoes)
            if _opening(line, literal)
            else _begins(line, literal) and _is_no_header(asker, decoy.removesuffix(literal))
            for asker, line in lines
        ):
            yield decoy


def _relies(asker: Asker, literal: str) -> bool:
    texts = [text for texts in asker.need.lines for text in texts]
    return any(literal in text for text in (*texts, *asker.need.programs))


def _lines(asker: Asker, literal: str) -> Iterator[Line]:
    """Yield the lines that *literal* may be the only one to find."""
    if any(literal in name for name in asker.need.programs):
        yield from asker.tree.lines
        return
    for line in asker.tree.lines:
        if any(literal in text for text in required_texts(line)):
            yield line


def _opening(line: Line, literal: str) -> _MessageStart | None:
    """Return how *line* begins up to the literal, if a word that names the service is all."""
    if sum(literal in text for text in required_texts(line)) != 1:
        return None
    match line.parts:
        case (Literal(text=head), Hole(name="service", kind="word"), Literal(text=tail), *_):
            place = tail.find(literal)
            if place >= 0 and not set(head) & set(BLANKS):
                return _MessageStart(head, tail[: place + len(literal)])
    return None


def _excepted(askers: Sequence[Asker]) -> Iterator[str]:
    for asker in askers:
        for line in asker.tree.excepts:
            for hole, _ in line.holes():
                yield from hole.choices


def _refuses(asker: Asker, opening: _MessageStart, service: str, echoes: Collection[str]) -> bool:
    """Say whether no message with this opening is a login to the rule."""
    text = opening.of(service)
    at = len(opening.head)
    if text.find(opening.head, 1) >= 0 or text.find(opening.tail, at) != at + len(service):
        return False
    if asker.remaining and service in echoes:
        return True
    return any(_excepts(line, text, at, service) for line in asker.tree.excepts)


def _excepts(line: Line, text: str, at: int, service: str) -> bool:
    """Say whether an ``except`` line of the form text, choice, text, rest takes such messages."""
    match line.parts:
        case (
            Literal(text=head),
            Hole(kind="choice") as word,
            Literal(text=tail),
            Hole(kind="rest"),
        ):
            place = text.find(tail, at)
            return head == text[:at] and service in word.choices and place == at + len(service)
    return False


def _begins(line: Line, literal: str) -> bool:
    """Say whether a message begins with the literal, but for optional text."""
    for part in line.parts:
        if isinstance(part, Literal):
            return part.text.startswith(literal)
        if not isinstance(part, Optional) or len(part.parts) > 1:
            return False
    return False


def _is_no_header(asker: Asker, before: str) -> bool:
    """Say whether *before* cannot stand between a program of the rule and what begins its message.

    A header ends with the program's tag, with RFC 5424's ``-`` or ``[…]``, or with a priority.
    """
    token = before.rsplit(maxsplit=1)[-1]
    optional = [p for line in asker.tree.lines for p in line.parts if isinstance(p, Optional)]
    texts = [part.parts[0].text for part in optional if isinstance(part.parts[0], Literal)]
    return (
        bool(asker.programs)
        and token.endswith("):")
        and not any(name in token for name in asker.programs)
        and not any(before.endswith(text) or text.endswith(before) for text in texts)
    )


def _cut(decoy: str, literal: bytes, literals: Sequence[bytes]) -> bytes:
    """Return the longest beginning that swallows *literal* and nothing else; empty if none does."""
    data = decoy.encode()
    start = len(data) - len(literal)
    cuts = (data[:end] for end in range(len(data), start, -1))
    alone = (cut for cut in cuts if not any(_touches(cut, o, start) for o in literals))
    return next(alone, b"") if data.find(literal) == start else b""


def _touches(cut: bytes, literal: bytes, start: int) -> bool:
    """Say whether *literal* could begin within *cut*, other than at *start*."""
    return any(
        literal.startswith(cut[place : place + len(literal)])
        for place in range(len(cut))
        if place != start
    )
