"""Multi-literal search: which places of a block can matter at all.

The automaton is asked for leftmost-first matches: only for these the ``aho-corasick`` crate behind
``ahocorasick_rs`` uses its packed vector searcher, several times as fast as the automaton that
serves its standard matches (``benchmarks/search_cost.py`` measures both).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["Hit", "LiteralSearch", "make_search", "plain_search"]

Hit = tuple[int, int, int]
"""The literal's number, where it begins, where it ends."""
LiteralSearch = Callable[[bytes], list[Hit]]
"""Takes a block, returns hits in ascending order."""


def make_search(literals: Sequence[bytes], decoys: Sequence[bytes] = ()) -> LiteralSearch:
    """Return a search for *literals*, the fastest that is installed.

    A literal that begins inside another one's match is not reported on its own: hits tell
    lines apart, not literals, so literals must not hold a line end. A literal that begins inside a
    decoy is not wanted; decoys are numbered behind the literals, so that they can be passed over.
    """
    if not literals:
        return _nothing
    try:
        from ahocorasick_rs import BytesAhoCorasick, MatchKind
    except ImportError:  # no wheel for this machine
        return plain_search(literals)
    automaton = BytesAhoCorasick([*literals, *decoys], matchkind=MatchKind.LeftmostFirst)
    find: LiteralSearch = automaton.find_matches_as_indexes
    return find


def plain_search(literals: Sequence[bytes]) -> LiteralSearch:
    """Return a search that uses ``bytes.find`` alone: slower, and finds every line wanted."""

    def search(block: bytes) -> list[Hit]:
        hits: list[Hit] = []
        for number, literal in enumerate(literals):
            at = block.find(literal)
            while at >= 0:
                hits.append((number, at, at + len(literal)))
                at = block.find(literal, at + len(literal))
        hits.sort(key=_place)
        return hits

    return search


def _place(hit: Hit) -> int:
    return hit[1]


def _nothing(_block: bytes) -> list[Hit]:
    return []
