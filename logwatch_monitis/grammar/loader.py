"""Loads the rules in force, from the cache where that is possible, and holds them for reloading."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from logwatch_monitis.errors import DocumentError
from logwatch_monitis.grammar import cache
from logwatch_monitis.grammar.ruleset import RuleSet
from logwatch_monitis.grammar.search_path import SYSTEM_DIRECTORIES, find, find_named

__all__ = ["RulesHolder", "check_files", "load_rules"]


def load_rules(
    directories: Sequence[Path] = (),
    *,
    services: Collection[str] | None = None,
    system: Sequence[Path] | None = None,
    cache_directory: Path | None = None,
) -> RuleSet:
    """Return the rules in force: of the package, of the system's directories, of *directories*.

    Args:
        directories: searched last, so that their files win.
        services: only rules that can have an event of one of these; None for all.
        system: in place of the system's own directories.
        cache_directory: in place of the user's own.

    Raises:
        DocumentError: with every problem of every file, those of their samples included.
    """
    search = find(directories, system=system)
    kept = cache_directory or cache.own_directory()
    built = cache.load(search, services, kept) if kept else None
    if built is None:
        from logwatch_monitis.grammar.build import build

        built = build(search, services)
        if kept:
            cache.save(built, search, services, kept)
    return RuleSet(built)


def check_files(paths: Iterable[Path]) -> RuleSet:
    """Return the rules of the files at *paths* alone, after trying all their samples.

    Files in directories among *paths* are taken too. Nobody asks who owns them.

    Raises:
        DocumentError: with every problem of every file.
    """
    from logwatch_monitis.grammar.build import build

    return RuleSet(build(find_named(paths)))


class RulesHolder:
    """Holds the rules in force and replaces them as a whole; any error keeps the old ones.

    Attributes:
        rules: the rules in force.
        error: what the last reload failed with; empty after one that worked.
    """

    def __init__(
        self, directories: Sequence[Path] = (), *, system: Sequence[Path] | None = None
    ) -> None:
        self._directories = tuple(directories)
        self._system = system
        self._seen = self._loaded = self._listing(self._directories)
        self.rules = load_rules(self._directories, system=system)
        self.error = ""

    def changed(self) -> bool:
        """Tell whether files differ from those loaded last, and have settled since the last call.

        Files are known by name, size and modification time, so asking is cheap.
        """
        before, self._seen = self._seen, self._listing(self._directories)
        return before == self._seen != self._loaded

    def reload(self, directories: Sequence[Path] | None = None) -> bool:
        """Read all files again, of other *directories* if they are given.

        Returns:
            Whether their rules are now in force; if not, the directories stay the former ones.
        """
        wanted = self._directories if directories is None else tuple(directories)
        listing = self._listing(wanted)
        self._loaded = self._seen = self._listing(self._directories)
        try:
            rules = load_rules(wanted, system=self._system)
        except DocumentError as error:
            self.error = error.render()
            return False
        self._directories = wanted
        self._loaded = self._seen = listing
        self.rules, self.error = rules, ""
        return True

    def _listing(self, directories: Sequence[Path]) -> frozenset[tuple[str, int, int]]:
        system = SYSTEM_DIRECTORIES if self._system is None else self._system
        rows: set[tuple[str, int, int]] = set()
        for directory in (*system, *directories):
            with suppress(OSError):
                for path in directory.iterdir():
                    status = path.stat()
                    rows.add((str(path), status.st_mtime_ns, status.st_size))
        return frozenset(rows)
