"""Which files a glob means, found with a limit on the work: ``/**/**/*`` means half a machine."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Callable, Iterator
from itertools import chain

from logwatch_monitis.errors import SetupError

__all__ = ["PLACES", "expand"]

PLACES = 200_000
"""So many directories and names in them are looked at for one glob: a second."""


def expand(pattern: str, limit: int = PLACES) -> list[str]:
    """Return the paths that *pattern* means, sorted; ``**`` stands for any number of directories.

    Raises:
        SetupError: more than *limit* places would have to be looked at.
    """
    search = _GlobSearch(pattern, limit)
    names = [name for name in pattern.split("/") if name]
    places: Iterator[str] = iter(["/" if pattern.startswith("/") else ""])
    for name in names[:-1]:
        places = search.step(places, name)
    return sorted({path for path in search.step(places, *names[-1:], last=True) if _exists(path)})


class _GlobSearch:
    """One look at the directories, as far as the limit allows."""

    def __init__(self, pattern: str, limit: int) -> None:
        self._pattern = pattern
        self._limit = limit
        self._seen = 0

    def step(self, places: Iterator[str], name: str = "", *, last: bool = False) -> Iterator[str]:
        """Yield what *name*, a part of the glob, means in each of the *places*."""
        if name == "**":
            below = chain.from_iterable(map(self._below, places))
            return (path for path, directory in below if last or directory)
        if glob.has_magic(name):
            fits = _fitting(name)
            return (path for place in places for path, _ in self._children(place, fits))
        return (_joined(place, name) for place in places)

    def _below(self, place: str) -> Iterator[tuple[str, bool]]:
        """Yield the place itself and all that is below it, and whether each is a directory."""
        waiting = [place]
        yield place, True
        while waiting:
            for path, directory in self._children(waiting.pop(), _fitting("*")):
                yield path, directory
                if directory:
                    waiting.append(path)

    def _children(self, place: str, fits: Callable[[str], object]) -> Iterator[tuple[str, bool]]:
        self._count()
        try:
            with os.scandir(place or ".") as entries:
                for entry in entries:
                    self._count()
                    if fits(entry.name):
                        yield _joined(place, entry.name), _is_directory(entry)
        except OSError:  # no directory, or closed to us: nothing is found there
            return

    def _count(self) -> None:
        self._seen += 1
        if self._seen > self._limit:
            raise SetupError(
                f"{self._pattern}: more than {self._limit:,} places would have to be looked at",
                "name more of the directories",
            )


def _fitting(name: str) -> Callable[[str], object]:
    """Return what tells whether a name fits; as in a shell, a leading dot has to be named."""
    fits = re.compile(fnmatch.translate(name)).match
    return fits if name.startswith(".") else lambda text: text[0] != "." and fits(text)


def _joined(place: str, name: str) -> str:
    return f"{place}{'' if place in ('', '/') else '/'}{name}" if name else place


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _exists(path: str) -> bool:
    return os.path.lexists(path)
