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
from logwatch_monitis.digest import blake2b
from logwatch_monitis.errors import Problem, StateError
from logwatch_monitis.grammar.rules import BuiltRule, BuiltSet, Lane, PatternFile, Rule
from logwatch_monitis.grammar.safety import RefusedError, read_safely
from logwatch_monitis.grammar.search import Search
from logwatch_monitis.private_files import make_directory, write_file

__all__ = ["cache_directory", "load", "save"]

_LIMIT = 4 * 1024 * 1024


def cache_directory() -> Path | None:
    """Return where this user's rules are kept: for root never a place in somebody's home."""
    given = os.environ.get("CACHE_DIRECTORY")
    if given or os.geteuid() == 0:
        return Path(given or "/var/cache/logwatch-monitis")
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    with contextlib.suppress(RuntimeError):
        base = base.expanduser()
    return base / "logwatch-monitis" if base.is_absolute() else None


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


def _name(services: Collection[str] | None) -> str:
    """Return a file name for one choice of services, so that few files collect."""
    wanted = "all" if services is None else "\0".join(sorted(services))
    digest = blake2b(wanted.encode(), digest_size=8).hexdigest()
    return f"rules-{digest}.marshal"


def _key(search: Search, services: Collection[str] | None) -> bytes:
    """Return a hash of all that built rules depend on."""
    digest = blake2b(digest_size=32)
    about = (VERSION, sys.version, marshal.version, _own_modules())
    wanted = sorted(services) if services is not None else None
    files = [tuple(found) for versions in search.versions.values() for found in versions]
    problems = [problem.render() for problem in search.problems]
    digest.update(repr((about, wanted, files, problems)).encode())
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
