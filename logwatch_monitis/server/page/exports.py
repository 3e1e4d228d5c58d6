"""Logins for programs: JSON, CSV and XML of what the page shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from logwatch_monitis.login import iso_time
from logwatch_monitis.protocol.wire import render_json, render_xml
from logwatch_monitis.server.store.login_queries import LoginRow
from logwatch_monitis.text import csv_cell, csv_rows

__all__ = ["FORMATS", "Format", "login_records"]

_COLUMNS = ("time", "user_login", "host", "srv", "kind", "machine", "method", "verified")
_WORDS = {True: "yes", False: "no", None: ""}

Records = Sequence[Mapping[str, Any]]


class Format(NamedTuple):
    """A form of records: its media type and its renderer, called with what a record is."""

    kind: str
    render: Callable[[Records, str], bytes]


def login_records(rows: Sequence[LoginRow]) -> list[dict[str, Any]]:
    """Return the logins under the names of the interchange format."""
    return [_record(row) for row in rows]


def _record(row: LoginRow) -> dict[str, Any]:
    verified = None if row.verified is None else bool(row.verified)
    time = iso_time(row.checktime * 1000)
    texts = (row.user, row.host, row.service, row.kind, row.machine, row.method)
    return dict(zip(_COLUMNS, (time, *texts, verified), strict=True))


def _json(records: Records, noun: str) -> bytes:
    return render_json({f"{noun}s": list(records)})


def _csv(records: Records, noun: str) -> bytes:
    """Return a table that a spreadsheet takes for text and nothing else."""
    columns = list(dict.fromkeys(name for record in records for name in record))
    if noun == "login":
        columns = list(_COLUMNS)
    cells = [[_cell(record.get(name)) for name in columns] for record in records]
    return csv_rows([[csv_cell(column) for column in columns], *cells], "\r\n").encode()


def _cell(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    return csv_cell(value)


def _xml(records: Records, noun: str) -> bytes:
    head = b'<?xml version="1.0" encoding="UTF-8"?>\n'
    return head + render_xml(f"{noun}s", list(records), noun)


FORMATS = {
    "json": Format("application/json", _json),
    "csv": Format("text/csv", _csv),
    "xml": Format("application/xml", _xml),
}
