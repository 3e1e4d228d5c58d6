"""How long to wait before the next try."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["Backoff"]

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 60.0
PATIENCE_SECONDS = 300.0


class Backoff:
    """Exponential, with full jitter: thousands of agents do not come back at the same moment."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        """Start fresh; *chance* returns numbers from 0 up to 1."""
        self._chance = chance
        self._failures = 0

    def next(self, retry_after: float | None = None) -> float:
        """Return the seconds until the next try, at most `LONGEST_SECONDS`.

        What the server asked for in *retry_after* comes before that, up to `PATIENCE_SECONDS`.
        """
        ceiling = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return min(retry_after or 0.0, PATIENCE_SECONDS) + self._chance() * ceiling

    def next_slow(self) -> float:
        """Return the seconds until it may be worth asking again what only a person can mend."""
        self._failures += 1
        return PATIENCE_SECONDS * (0.5 + self._chance() / 2)

    def reset(self) -> None:
        """Begin anew: it works."""
        self._failures = 0
