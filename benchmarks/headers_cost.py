"""What a header and its time cost, against `re` and `strptime` in the same run.

Run ``python benchmarks/headers_cost.py``; absolute times move with the machine, ratios do not.
"""

from __future__ import annotations

import re
import timeit
from collections.abc import Callable
from datetime import UTC, datetime

from logwatch_monitis.syslog import Timeline, Years, local_zone, split

_MESSAGE = "Accepted publickey for alice from 192.0.2.7 port 50001 ssh2: ED25519 SHA256:k1kjhwoH"
_FORMS = {
    "rfc3164": (
        f"Mar  5 04:05:06 web1 sshd[4001]: {_MESSAGE}",
        r"(\w{3} [ \d]\d \d\d:\d\d:\d\d) (\S+) ([^\s\[:]+)(?:\[(\d+)\])?: (.*)",
    ),
    "iso": (
        f"2025-03-05T04:05:06.123456+01:00 web1 sshd[4001]: {_MESSAGE}",
        r"(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d)) (\S+) ([^\s\[:]+)(?:\[(\d+)\])?: (.*)",
    ),
    "rfc5424": (
        f"<86>1 2025-03-05T04:05:06.123Z web1 sshd 4001 - - {_MESSAGE}",
        r"<\d+>1 (\S+) (\S+) (\S+) (\S+) \S+ (?:-|\[[^\]]*\]) (.*)",
    ),
}
_REFERENCE = datetime(2025, 11, 1, tzinfo=UTC).timestamp()


def _costs(*actions: Callable[[], object]) -> list[float]:
    """Return microseconds a call for each, the best of many runs taken in turns."""
    best = [1e9] * len(actions)
    for _ in range(60):
        for index, action in enumerate(actions):
            best[index] = min(best[index], timeit.timeit(action, number=2000) / 2000 * 1e6)
    return best


def _header(line: str, expression: str) -> list[float]:
    compiled = re.compile(expression).fullmatch
    return _costs(lambda: split(line), lambda: compiled(line).groups())


def _times(*stamps: str) -> list[float]:
    """Return the cost of resolving each of *stamps* in turn, and that of strptime."""
    resolve = Timeline.history(local_zone("Europe/Berlin"), Years((0,), (_REFERENCE,))).resolve
    ours, theirs = _costs(
        lambda: [resolve(stamp, 0) for stamp in stamps],
        lambda: datetime.strptime("2025 Mar  5 04:05:06 +0100", "%Y %b %d %H:%M:%S %z"),
    )
    return [ours / len(stamps), theirs]


def main() -> None:
    """Print one line for each measurement."""
    micros = [f"2025-03-05T04:05:06.{n:06d}+01:00" for n in range(10)]
    rows = {f"split, {name}, against re": _header(*form) for name, form in _FORMS.items()}
    rows |= {
        "the same stamp, against strptime": _times(*["Mar  5 04:05:06"] * 10),
        "another second of the day": _times(*[f"Mar  5 04:05:{n:02d}" for n in range(10)]),
        "another microsecond": _times(*micros),
        "another day": _times(*[f"Mar {n:2d} 04:05:06" for n in range(1, 11)]),
    }
    print(f"{'':34} {'ours µs':>9} {'other µs':>9} {'ratio':>7}")
    for name, (ours, theirs) in rows.items():
        print(f"{name:34} {ours:9.3f} {theirs:9.3f} {theirs / ours:7.2f}")


if __name__ == "__main__":
    main()
