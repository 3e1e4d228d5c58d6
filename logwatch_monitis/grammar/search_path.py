"""Finds the pattern files in force: directory after directory, the later file of a name wins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from logwatch_monitis.errors import Problem
from logwatch_monitis.grammar.trusted_file import UntrustedFileError, read_safely

__all__ = ["SYSTEM_DIRECTORIES", "FoundFile", "PatternFiles", "find", "find_named"]

SYSTEM_DIRECTORIES = tuple(
    Path(root, "logwatch-monitis/patterns.d") for root in ("/usr/lib", "/run", "/etc")
)
"""Read after the package's own patterns and before the configured directories."""


class FoundFile(NamedTuple):
    """One pattern file as it lies on the disk: its name without directory, its path, its bytes."""

    name: str
    path: str
    data: bytes


class PatternFiles(NamedTuple):
    """All pattern files found: by name, the one in force last; and what could not be read."""

    versions: dict[str, list[FoundFile]]
    problems: list[Problem]


def find(directories: Sequence[Path] = (), *, system: Sequence[Path] | None = None) -> PatternFiles:
    """Return every pattern file: of the package, of the system, of *directories*.

    A directory that is not there is no problem; a file that is refused is one.
    """
    search = PatternFiles({}, [])
    for found in _own():
        search.versions[found.name] = [found]
    order = [*(SYSTEM_DIRECTORIES if system is None else system), *directories]
    for number, directory in enumerate(order):
        if directory not in order[number + 1 :]:
            for found in _read(_names(directory, search.problems), search.problems):
                search.versions.setdefault(found.name, []).append(found)
    return PatternFiles(dict(sorted(search.versions.items())), search.problems)


def find_named(paths: Iterable[Path]) -> PatternFiles:
    """Return the files at *paths* and in directories among them, whoever owns them.

    None stands in front of another: they come under their paths, not their names.
    """
    search = PatternFiles({}, [])
    for path in paths:
        inside = _names(path, search.problems) if path.is_dir() else [path]
        for found in _read(inside, search.problems, trusted=True):
            search.versions[found.path] = [found]
    return search


def _read(
    paths: Iterable[Path], problems: list[Problem], *, trusted: bool = False
) -> Iterator[FoundFile]:
    for path in paths:
        try:
            yield FoundFile(path.name, str(path), read_safely(path, trusted=trusted))
        except UntrustedFileError as refused:
            problems.append(refused.problem)


def _names(directory: Path, problems: list[Problem]) -> list[Path]:
    """Return the pattern files of *directory* by name; ``.yml`` and the like get a warning."""
    try:
        paths = sorted(directory.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        message = f"this directory cannot be read: {error.strerror}"
        problems.append(Problem(str(directory), 0, 0, message))
        return []
    for path in paths:
        if path.suffix == ".yml":
            message, hint = "not read: its name does not end in .yaml", "rename it"
            problems.append(Problem(str(path), 0, 0, message, hint=hint, severity="warning"))
    return [path for path in paths if path.suffix == ".yaml" and path.name[0] != "."]


def _own() -> Iterator[FoundFile]:
    """Yield the package's own patterns, out of a zip file too."""
    patterns = import_module("logwatch_monitis.patterns")

    folder = Path(patterns.__path__[0])
    if folder.is_dir():
        for path in sorted(folder.glob("*.yaml")):
            yield FoundFile(path.name, str(path), path.read_bytes())
        return
    from importlib.resources import files

    for entry in sorted(files(patterns).iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".yaml"):
            yield FoundFile(entry.name, str(entry), entry.read_bytes())
