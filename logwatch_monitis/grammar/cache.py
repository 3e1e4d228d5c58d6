"""Keeps built rules on disk, so that a start need not parse them and try their samples again.

A file holds data only, JSON behind a seal over all that it was made from. It decides what is a
login, so it is used only if the running user owns it and nobody else can write it or its
directory. It is a convenience: whatever is wrong with it, the rules are built anew.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection
from dataclasses import astuple
from pathlib import Path
from typing import Any

from logwatch_monitis._version import VERSION
from logwatch_monitis.config.paths import cache_directory
from logwatch_monitis.config.private_files import make_directory, write_file
from logwatch_monitis.errors import Problem, StateError
from logwatch_monitis.grammar.matcher import LinePlan, RulePlan
from logwatch_monitis.grammar.ruleset import BuiltRule, BuiltSet, Lane, PatternFile, RuleInfo
from logwatch_monitis.grammar.search_path import PatternFiles
from logwatch_monitis.grammar.trusted_file import UntrustedFileError, read_safely
from logwatch_monitis.login import blake2b

__all__ = ["load", "own_directory", "save"]

_LIMIT = 4 * 1024 * 1024
_SEAL = 32
"""Bytes."""
_FILES = 12
"""So many files are kept, the newest: those of a few versions and choices of services."""
_TEXTS = ("literals", "decoys", "follow_ups")
_BYTES = "latin-1"


def own_directory() -> Path | None:
    """Return where this user's rules are kept; None for a user without a home directory."""
    with contextlib.suppress(StateError):
        return cache_directory()
    return None


def load(
    search: PatternFiles, services: Collection[str] | None, directory: Path
) -> BuiltSet | None:
    """Return the rules kept for just these files and this program; else None."""
    try:
        data = read_safely(directory / _name(services), limit=_LIMIT)
    except UntrustedFileError:
        return None
    seal, body = data[:_SEAL], data[_SEAL:]
    return _unpack(json.loads(body)) if seal == _seal(body, search, services) else None


def save(
    built: BuiltSet, search: PatternFiles, services: Collection[str] | None, directory: Path
) -> None:
    """Keep *built* for the next start, if the directory can be used."""
    body = json.dumps(_pack(built)).encode()
    with contextlib.suppress(OSError, StateError):
        make_directory(directory)
        write_file(directory / _name(services), _seal(body, search, services) + body)
        _tidy(directory)


def _tidy(directory: Path) -> None:
    """Remove all but the newest files, those of former versions included."""
    found = [(path.lstat().st_mtime_ns, path) for path in directory.glob("rules-*")]
    for _, path in sorted(found, reverse=True)[_FILES:]:
        path.unlink(missing_ok=True)


def _name(services: Collection[str] | None) -> str:
    """Return a file name for this program and one choice of services.

    Two versions that share a directory, one installed and one in a checkout, keep a file each.
    """
    wanted = "all" if services is None else "\0".join(sorted(services))
    digest = blake2b(repr((_program(), wanted)).encode(), digest_size=8).hexdigest()
    return f"rules-{digest}.json"


def _program() -> tuple[Any, ...]:
    """Return what tells this program from others."""
    return VERSION, _own_modules()


def _seal(body: bytes, search: PatternFiles, services: Collection[str] | None) -> bytes:
    """Return a hash of *body* and of all that built rules depend on."""
    wanted = sorted(services) if services is not None else None
    files = [tuple(found) for versions in search.versions.values() for found in versions]
    problems = [problem.render() for problem in search.problems]
    digest = blake2b(repr((_program(), wanted, files, problems)).encode(), digest_size=_SEAL)
    digest.update(body)
    return digest.digest()


def _own_modules() -> list[tuple[str, int, int]]:
    """Return what tells one state of this package's files from another; nothing in a zip file."""
    with contextlib.suppress(OSError), os.scandir(Path(__file__).parent) as entries:
        modules = ((e.name, e.stat()) for e in entries if e.name.endswith(".py"))
        return sorted((name, status.st_mtime_ns, status.st_size) for name, status in modules)
    return []


def _pack(built: BuiltSet) -> dict[str, Any]:
    """Return the same as JSON can hold it: no bytes, no sets."""
    packed = built._asdict() | {
        "services": None if built.services is None else sorted(built.services),
        "echoes": sorted(built.echoes),
        "warnings": [astuple(warning) for warning in built.warnings],
    }
    return packed | {name: [text.decode(_BYTES) for text in packed[name]] for name in _TEXTS}


def _unpack(data: dict[str, Any]) -> BuiltSet:
    data = {name: _tuples(value) for name, value in data.items()}
    return BuiltSet(
        rules=tuple(map(_rule, data["rules"])),
        files=tuple(
            PatternFile._make((*f[:-1], tuple(map(RuleInfo._make, f[-1])))) for f in data["files"]
        ),
        lanes=tuple(map(Lane._make, data["lanes"])),
        services=None if data["services"] is None else frozenset(data["services"]),
        echoes=frozenset(data["echoes"]),
        warnings=tuple(Problem(*warning) for warning in data["warnings"]),
        **{name: tuple(text.encode(_BYTES) for text in data[name]) for name in _TEXTS},
    )


def _rule(row: tuple[Any, ...]) -> BuiltRule:
    rule = BuiltRule._make(row)
    if rule.plan is None:
        return rule
    lines, excepts = (tuple(map(LinePlan._make, lines)) for lines in rule.plan)
    return rule._replace(plan=RulePlan(lines, excepts))


def _tuples(value: Any) -> Any:
    """Return *value* with tuples in the place of lists."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
