"""Multi-literal search: which places of a block can matter at all.

The automaton is asked for leftmost-first matches: only for these the ``aho-corasick`` crate behind
``ahocorasick_rs`` uses its packed vector searcher, several times as fast as the automaton that
serves its standard matches (``benchmarks/search_cost.py`` measures both).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["Search", "make_search", "plain_search"]

Search = Callable[[bytes], list[int]]
"""Takes a block, returns the ascending positions where some literal begins."""


def make_search(literals: Sequence[bytes]) -> Search:
    """Return a search for *literals*, the fastest that is installed.

    A literal that begins inside another one's match is not reported on its own: the places tell
    lines apart, not literals, so literals must not hold a line end.
    """
    if not literals:
        return _nothing
    try:
        from ahocorasick_rs import BytesAhoCorasick, MatchKind
    except ImportError:  # no wheel for this machine
        return plain_search(literals)
    find = BytesAhoCorasick(literals, matchkind=MatchKind.LeftmostFirst).find_matches_as_indexes

    def search(block: bytes) -> list[int]:
        return [start for _, start, _ in find(block)]

    return search


def plain_search(literals: Sequence[bytes]) -> Search:
    """Return a search that uses ``bytes.find`` alone: slower, with the same lines found."""

    def search(block: bytes) -> list[int]:
        places: set[int] = set()
        for literal in literals:
            at = block.find(literal)
            while at >= 0:
                places.add(at)
                at = block.find(literal, at + len(literal))
        return sorted(places)

    return search


def _nothing(_block: bytes) -> list[int]:
    return []
