"""Keeps built rules on disk, so that a start need not parse them and try their samples again.

The cache holds code, so a file is used only if the running user owns it and nobody else can write
it or its directory. It is a convenience: whatever is wrong with it, the rules are built anew.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from logwatch_monitis._version import VERSION
from logwatch_monitis.config.paths import cache_directory
from logwatch_monitis.config.private_files import make_directory, write_file
from logwatch_monitis.errors import Problem, StateError
from logwatch_monitis.grammar.rules import BuiltRule, BuiltSet, Lane, PatternFile, Rule
from logwatch_monitis.grammar.safety import RefusedError, read_safely
from logwatch_monitis.grammar.search import Search
from logwatch_monitis.login import blake2b

__all__ = ["load", "own_directory", "save"]

_LIMIT = 4 * 1024 * 1024
_FILES = 12
"""So many files are kept, the newest: those of a few versions and choices of services."""


def own_directory() -> Path | None:
    """Return where this user's rules are kept; None for a user without a home directory."""
    with contextlib.suppress(StateError):
        return cache_directory()
    return None


def load(search: Search, services: Collection[str] | None, directory: Path) -> BuiltSet | None:
    """Return the rules kept for just these files, this program and this Python; else None."""
    key = _key(search, services)
    try:
        data = read_safely(directory / _name(services), limit=_LIMIT)
        if not data.startswith(key):
            return None
        return _unpack(marshal.loads(data[len(key) :]))  # noqa: S302 - only our own user's file
    except (RefusedError, ValueError, EOFError, TypeError):
        return None


def save(
    built: BuiltSet, search: Search, services: Collection[str] | None, directory: Path
) -> None:
    """Keep *built* for the next start, if the directory can be used."""
    data = _key(search, services) + marshal.dumps(_pack(built))
    with contextlib.suppress(OSError, StateError):
        make_directory(directory)
        write_file(directory / _name(services), data)
        _tidy(directory)


def _tidy(directory: Path) -> None:
    """Remove all but the newest files."""
    found = [(path.lstat().st_mtime_ns, path) for path in directory.glob("rules-*.marshal")]
    for _, path in sorted(found, reverse=True)[_FILES:]:
        path.unlink(missing_ok=True)


def _name(services: Collection[str] | None) -> str:
    """Return a file name for this program and one choice of services.

    Two versions that share a directory, one installed and one in a checkout, keep a file each.
    """
    wanted = "all" if services is None else "\0".join(sorted(services))
    digest = blake2b(repr((_program(), wanted)).encode(), digest_size=8).hexdigest()
    return f"rules-{digest}.marshal"


def _program() -> tuple[Any, ...]:
    """Return what tells this program and this Python from others."""
    return VERSION, sys.version, marshal.version, _own_modules()


def _key(search: Search, services: Collection[str] | None) -> bytes:
    """Return a hash of all that built rules depend on."""
    digest = blake2b(digest_size=32)
    wanted = sorted(services) if services is not None else None
    files = [tuple(found) for versions in search.versions.values() for found in versions]
    problems = [problem.render() for problem in search.problems]
    digest.update(repr((_program(), wanted, files, problems)).encode())
    return digest.digest()


def _own_modules() -> list[tuple[str, int, int]]:
    """Return what tells one state of this package's files from another; nothing in a zip file."""
    with contextlib.suppress(OSError), os.scandir(Path(__file__).parent) as entries:
        modules = ((e.name, e.stat()) for e in entries if e.name.endswith(".py"))
        return sorted((name, status.st_mtime_ns, status.st_size) for name, status in modules)
    return []


def _pack(built: BuiltSet) -> tuple[Any, ...]:
    """Return the same as exact tuples, which is all that marshal can write."""
    files = tuple((*f[:-1], tuple(map(tuple, f.rules))) for f in built.files)
    warnings = tuple(
        (w.path, w.line, w.column, w.message, w.text, w.length, w.hint, w.severity)
        for w in built.warnings
    )
    return (
        tuple(map(tuple, built.rules)),
        files,
        built.literals,
        built.decoys,
        built.follow_ups,
        tuple(map(tuple, built.lanes)),
        built.services,
        built.echoes,
        warnings,
    )


def _unpack(data: tuple[Any, ...]) -> BuiltSet:
    rules, files, literals, decoys, follow_ups, lanes, services, echoes, warnings = data
    return BuiltSet(
        tuple(map(BuiltRule._make, rules)),
        tuple(PatternFile._make((*f[:-1], tuple(map(Rule._make, f[-1])))) for f in files),
        literals,
        decoys,
        follow_ups,
        tuple(map(Lane._make, lanes)),
        services,
        echoes,
        tuple(Problem(*warning) for warning in warnings),
    )
