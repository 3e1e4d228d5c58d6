"""What ``top`` shows: two looks at an agent, as lines that fit a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from logwatch_monitis.cli.login_output import Terminal
from logwatch_monitis.cli.tables import ago
from logwatch_monitis.text import cut, pad, visible, width

__all__ = ["Look", "glance"]

_STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_EXACT = 10
"""Figures below have one digit behind the point."""
_WIDEST_LOG = 40


class Look(NamedTuple):
    """The agent at one moment.

    Attributes:
        at: when, seconds since the epoch.
        status: what it says of itself; empty if it does not answer.
        recent: the last logins, newest first.
        trouble: why there is no status.
    """

    at: float
    status: Mapping[str, Any]
    recent: Sequence[Mapping[str, Any]]
    trouble: str = ""


def glance(
    now: Look, before: Look | None, terminal: Terminal, rows: int = 0, *, paused: bool = False
) -> list[str]:
    """Return the lines for *terminal*, none wider and not more of them than *rows* (0 for any).

    Args:
        now: what there is to show.
        before: an earlier look, for rates; without one there are none.
        terminal: has columns and colours.
        rows: of the terminal.
        paused: say so.
    """
    columns = terminal.columns
    lines = list(_head(now, before, terminal, paused=paused))
    if now.status:
        lines += ["", *_sources(now, before, terminal)]
        room = rows - len(lines) - 3 if rows else len(now.recent)
        lines += ["", *_logins(now.recent[: max(room, 0)], terminal)]
    lines = lines[:rows] if rows else lines
    return [line if "\x1b" in line else _fit(line, columns) for line in lines]


def _head(now: Look, before: Look | None, terminal: Terminal, *, paused: bool) -> Iterator[str]:
    clock = f"{datetime.fromtimestamp(now.at).astimezone():%H:%M:%S}"
    if not now.status:
        line = f"{clock}  no agent: {visible(now.trouble)}"
        yield terminal.paint(_fit(line, terminal.columns), "31")
        return
    status = now.status
    good = status["state"] == "ok"
    word = "healthy" if good else "not healthy"
    state = f"{clock}  {word}: {visible(status['reason'])}" + ("  [paused]" if paused else "")
    yield terminal.paint(_fit(state, terminal.columns), "32" if good else "31")
    logins, lines, size = (_rate(now, before, count) for count in (_logins_of, _lines, _bytes))
    yield f"{logins} logins/s  {lines} lines/s  {size}B/s  {_short(_logins_of(status))} logins seen"
    spool, delivery = status["spool"], status["delivery"]
    last = ago(delivery["last_delivery"], now.at)
    refused = f"  {spool['dead']} refused" if spool["dead"] else ""
    state = visible(delivery["state"])
    yield f"{spool['depth']} waiting{refused}  delivery {state}, last one {last}"
    if delivery["last_error"]:
        yield visible(delivery["last_error"])


def _sources(now: Look, before: Look | None, terminal: Terminal) -> list[str]:
    titles = ("log", "state", "lag", "lines/s", "last line", "last login")
    earlier = {row["log"]: row for row in before.status.get("sources", ())} if before else {}
    rows = [_source(row, earlier.get(row["log"]), now, before) for row in now.status["sources"]]
    return _table(titles, rows, terminal)


def _source(
    row: Mapping[str, Any], earlier: Mapping[str, Any] | None, now: Look, before: Look | None
) -> list[str]:
    log = visible(row["log"])
    if width(log) > _WIDEST_LOG:  # the end of a path tells more than its beginning
        log = ".." + log[2 - _WIDEST_LOG :]
    rate = "-"
    if earlier and before and now.at > before.at:
        rate = _short(max(row["lines"] - earlier["lines"], 0) / (now.at - before.at))
    moments = [ago(row[name], now.at) for name in ("last_line", "last_login")]
    return [log, visible(row["state"]), _short(row["lag"] or 0), rate, *moments]


def _logins(recent: Sequence[Mapping[str, Any]], terminal: Terminal) -> list[str]:
    if not recent:
        return ["no logins yet"]
    titles = ("time", "user", "host", "service", "method", "machine")
    keys = ("user_login", "host", "srv", "method", "machine")
    rows = [
        [
            f"{datetime.fromtimestamp(row['time']).astimezone():%m-%d %H:%M:%S}",
            *(visible(str(row[key])) or "-" for key in keys),
        ]
        for row in recent
    ]
    return _table(titles, rows, terminal)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], terminal: Terminal) -> list[str]:
    """Return an aligned table; what is wider than the terminal is cut on its right."""
    head = [title.upper() for title in titles]
    widths = [min(max(map(width, column)), _WIDEST_LOG) for column in zip(head, *rows, strict=True)]
    lines = []
    for row in (head, *rows):
        cells = (pad(cut(text, size), size) for text, size in zip(row, widths, strict=True))
        lines.append(_fit("  ".join(cells).rstrip(), terminal.columns))
    return [terminal.paint(lines[0], "1"), *lines[1:]]


def _fit(line: str, columns: int) -> str:
    return cut(line, columns) if columns else line


def _rate(now: Look, before: Look | None, count: Any) -> str:
    if not before or not before.status or now.at <= before.at:
        return "-"
    # A restarted agent counts from nothing.
    return _short(max(count(now.status) - count(before.status), 0) / (now.at - before.at))


def _logins_of(status: Mapping[str, Any]) -> int:
    return int(sum(status["events"].values()))


def _lines(status: Mapping[str, Any]) -> int:
    return int(sum(row["lines"] for row in status["sources"]))


def _bytes(status: Mapping[str, Any]) -> int:
    return int(sum(row["bytes"] for row in status["sources"]))


def _short(figure: float) -> str:
    """Return a figure in few characters: ``0``, ``2.5``, ``17``, ``1.2k``."""
    for size, unit in _STEPS:
        if figure >= size:
            return f"{figure / size:.1f}{unit}"
    return f"{figure:.1f}" if 0 < figure < _EXACT and figure % 1 else f"{figure:.0f}"
