"""Reads the notation: one line of text becomes a tree, or says what is wrong with it and where.

The grammar is the EBNF of the pattern language in pyparsing, with one production more for each
mistake, so that every mistake of a line is found and named at its own column. This is the only
module that imports pyparsing, and log lines never come here.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import pyparsing as pp

from logwatch_monitis.errors import suggest
from logwatch_monitis.grammar.tree import (
    BLANKS,
    KINDS,
    MAX_LINE,
    NAME,
    RESERVED,
    Fault,
    Hole,
    Line,
    Literal,
    NotationError,
    Optional,
)

__all__ = ["parse_line"]

_ENDS = " \t\r"
_BRACE = "for a brace of the log line write it twice"


def parse_line(source: str) -> Line:
    """Return the tree of one line; blanks and tabs at both ends do not belong to it.

    Columns count in *source* as it was given. The static rules are not looked at: see `static`.

    Raises:
        NotationError: with every fault that the notation has.
    """
    text = source.strip(_ENDS)
    shift = len(source) - len(source.lstrip(_ENDS)) if text else 0
    if not text:
        raise NotationError([Fault(1, 1, "the line is empty", "write what the program logs")])
    if len(text) > MAX_LINE:
        hint = f"{MAX_LINE} are allowed"
        raise NotationError([Fault(1 + shift, 1, f"the line has {len(text)} characters", hint)])
    parts = _grammar().parse_string(" " * shift + text, parse_all=True).as_list()
    faults = [fault for part in parts for fault in _faults(part)]
    if faults:
        raise NotationError(sorted(faults))
    return Line(tuple(parts), source)


@functools.cache
def _grammar() -> pp.ParserElement:
    """Return the parser of a line: its tokens are parts, and faults where there is no part."""
    name = pp.Regex(NAME.pattern)
    word = pp.Regex(rf"[^{{}}|{BLANKS}]+")
    choice = word + pp.OneOrMore(pp.Suppress("|") + word)
    fixed = pp.one_of(KINDS) + pp.FollowedBy("}")
    kind = pp.Suppress(":") + pp.Group(fixed | choice)
    hole = pp.Suppress("{") + pp.Opt(name, "") + pp.Opt(kind, ["word"]) + pp.Suppress("}")
    literal = pp.Regex(r"(?:[^{}]|\{\{|\}\})+")
    piece = _at(hole, _hole) | _at(literal, _text) | _at(pp.Regex(r"\{(?!\?)[^{}]*\}"), _bad_hole)
    opening, pieces, closing = pp.Suppress("{?"), pp.ZeroOrMore(piece), pp.Suppress("}")
    nested = _at(opening + pieces + closing, _nested)
    optional = opening + pieces + pp.Opt(nested + pieces) + closing
    broken = opening + pieces + _at(opening + pieces + pp.Opt(closing), _nested)
    part = piece | _at(optional | broken, _optional) | _at(pp.Regex(r"\{\??|\}"), _stray)
    line = pp.Suppress(pp.Regex(f"[{_ENDS}]*")) + pp.OneOrMore(part)
    return line.leave_whitespace(recursive=True).parse_with_tabs()


def _at(element: pp.ParserElement, build: Any) -> pp.ParserElement:
    """Return *element* with its tokens built by ``build(tokens, column, length)``."""
    located = pp.Located(element)
    return located.set_parse_action(lambda t: [build(list(t[1]), t[0] + 1, t[2] - t[0])])


def _text(tokens: list[str], column: int, length: int) -> Literal:
    """Return the characters that a literal stands for."""
    return Literal(tokens[0].replace("{{", "{").replace("}}", "}"), column, length)


def _hole(tokens: list[Any], column: int, length: int) -> Hole | Fault:
    """Return a hole, or the fault of a name that is taken."""
    name, (kind, *words) = tokens
    if name in RESERVED:
        return Fault(column + 1, len(name), f"the name '{name}' is taken", _reserved(name))
    if words:
        return Hole(name, "choice", (kind, *words), column, length)
    return Hole(name, kind, (), column, length)


def _optional(tokens: list[Any], column: int, length: int) -> Optional | list[Fault]:
    """Return an optional part, or the faults inside it."""
    faults = [fault for token in tokens for fault in _faults(token)]
    if faults:
        return faults
    if not tokens:
        return [Fault(column, length, "the optional part is empty", "write its text after the ?")]
    return Optional(tuple(tokens), column, length)


def _nested(tokens: list[Any], column: int, length: int) -> list[Fault]:
    """Return the faults of an optional part inside another, its own included."""
    hint = "close the outer one before it, or write two lines"
    fault = Fault(column, length, "an optional part cannot stand inside another", hint)
    return [fault, *(token for token in tokens if isinstance(token, Fault))]


def _stray(tokens: list[str], column: int, length: int) -> Fault:
    """Return the fault of a brace that has no partner."""
    if tokens[0] == "}":
        return Fault(column, length, "this } closes nothing", _BRACE)
    what = "hole" if tokens[0] == "{" else "optional part"
    return Fault(column, length, f"this {what} is not closed", f"close it with }}; {_BRACE}")


def _bad_hole(tokens: list[str], column: int, _: int) -> Fault:
    """Return what keeps ``{…}`` from being a hole: its name first, then its kind."""
    name, colon, kind = tokens[0][1:-1].partition(":")
    if name and not NAME.fullmatch(name):
        return Fault(column + 1, len(name), f"'{name}' is no name", _name_hint(name))
    start = column + len(name) + 2
    if "|" in kind:
        return _bad_choice(kind, start)
    if not kind:
        return Fault(start - 1, len(colon), "the kind is missing", f"one of {', '.join(KINDS)}")
    return Fault(start, len(kind), f"unknown kind '{kind}'", suggest(kind, KINDS))


def _bad_choice(kind: str, column: int) -> Fault:
    """Return what is wrong with a choice: the first word that is empty or holds a blank."""
    for word in kind.split("|"):
        if not word:
            hint = "at least two words, a | between each"
            return Fault(max(column - 1, 1), 1, "a word of the choice is empty", hint)
        if any(blank in word for blank in BLANKS):
            hint = "the words of a choice hold no blanks: write one line for each text"
            return Fault(column, len(word), f"'{word}' is no word", hint)
        column += len(word) + 1
    raise AssertionError(kind)


def _name_hint(name: str) -> str:
    """Return what to write in place of a name that is none."""
    if "|" in name:
        return f"a choice is written {{:{name}}}"
    usual = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if NAME.fullmatch(usual) and usual not in RESERVED:
        return f"did you mean '{usual}'?"
    return "a lower-case letter, then lower-case letters, digits and _"


def _reserved(name: str) -> str:
    """Return what to do about a reserved name."""
    return f"every login has its own {name}; choose another name, such as '{name}_logged'"


def _faults(token: Any) -> list[Fault]:
    """Return the faults in a token of the grammar: one, several or none."""
    if isinstance(token, Fault):
        return [token]
    return [item for item in token if isinstance(item, Fault)] if isinstance(token, list) else []
