"""Records for people and programs: aligned tables, JSON, JSON lines and CSV."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from logwatch_monitis.cli.login_output import Terminal
from logwatch_monitis.cli.options import stdout
from logwatch_monitis.text import csv_cell, csv_rows, pad, visible, width

__all__ = ["ago", "as_json", "clock_time", "table", "write", "write_record", "write_records"]

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def write(text: str) -> None:
    """Write *text* to standard output; what its encoding lacks is escaped."""
    encoding = Terminal.of(sys.stdout).encoding
    stream = stdout()
    stream.write(text.encode(encoding, "backslashreplace"))
    stream.flush()


def as_json(value: Any, form: str) -> str:
    """Return *value* as JSON in ASCII: indented for ``json``, on one line for ``jsonl``."""
    if form == "json":
        return json.dumps(value, indent=2) + "\n"
    return json.dumps(value, separators=(",", ":")) + "\n"


def write_records(form: str, records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write records in one of the four formats; *columns* are those of table and CSV."""
    if form == "json":
        text = as_json(list(records), form)
    elif form == "jsonl":
        text = "".join(as_json(record, form) for record in records)
    elif form == "csv":
        cells = [[csv_cell(record.get(name)) for name in columns] for record in records]
        text = csv_rows([columns, *cells])
    else:
        text = table(columns, [[record.get(name) for name in columns] for record in records])
    write(text)


def write_record(form: str, record: Mapping[str, Any]) -> None:
    """Write one record for a program: ``json``, ``jsonl`` or ``csv``; no list around it."""
    if form == "csv":
        write_records(form, [record], tuple(record))
    else:
        write(as_json(record, form))


def table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return an aligned table, its titles in capitals; nothing at all without rows."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        return ""
    head = [title.replace("_", " ").upper() for title in titles]
    widths = [max(map(width, column)) for column in zip(head, *cells, strict=True)]
    terminal = Terminal.of(sys.stdout)
    lines = [
        "  ".join(map(pad, row, widths)).rstrip()  # the last column needs no blanks behind it
        for row in (head, *cells)
    ]
    return "\n".join([terminal.paint(lines[0], "1"), *lines[1:]]) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return visible(value if isinstance(value, str) else json.dumps(value))


def clock_time(seconds: float | None) -> str:
    """Return the local time of seconds since the epoch; a dash for None."""
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(int(seconds)).astimezone().isoformat(" ")


def ago(seconds: float | None, now: float | None = None) -> str:
    """Return how long ago a moment was, in its largest unit: ``3 min ago``; a dash for None."""
    if seconds is None:
        return "-"
    span = max((time.time() if now is None else now) - seconds, 0)
    for size, unit in _UNITS:
        if span >= size:
            return f"{span // size:.0f} {unit} ago"
    return "just now"
