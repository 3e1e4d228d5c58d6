"""Logins as text: for a terminal, as JSON, as JSON lines and for a spreadsheet.

Whatever a stranger managed to write into a log stays inert: control characters, escape sequences
and bidirectional controls are shown as escapes, and no cell can start a formula. Only JSON carries
the original text, and it is plain ASCII.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, BinaryIO, ClassVar, NamedTuple, TextIO

from logwatch_monitis.login import Login, LoginWriter, json_line
from logwatch_monitis.text import compact_json, csv_cell, csv_rows, cut, pad, visible, width

__all__ = ["FORMATS", "PLAIN", "JsonLines", "Terminal", "writer"]

FORMATS = ("human", "json", "jsonl", "csv")

_COLUMNS = ("id", "time", "user_login", "host", "srv", "kind", "machine", "program", "pid", "rule")
_CSV_COLUMNS = (*_COLUMNS, "fields", "path", "offset", "line")
_TITLES = ("TIME", "USER", "HOST", "SERVICE", "KIND", "MACHINE")
_KIND = _TITLES.index("KIND")
_COLOURS = {"login": "32", "command": "33", "session": "36"}
_MIN_DETAILS = 16


class Terminal(NamedTuple):
    """What the stream that a user looks at can show.

    Attributes:
        interactive: a person sits there.
        colour: colours are welcome.
        columns: how many characters fit on a line; 0 for any number.
        encoding: of its characters.
    """

    interactive: bool = False
    colour: bool = False
    columns: int = 0
    encoding: str = "utf-8"

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str] = os.environ) -> Terminal:
        """Return what *stream* can show; https://no-color.org says who decides on colours."""
        encoding = getattr(stream, "encoding", None) or "utf-8"
        if not stream.isatty():
            return cls(encoding=encoding)
        colour = not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"
        return cls(True, colour, _columns(stream), encoding)

    def paint(self, text: str, code: str) -> str:
        """Return *text* in the colour of the SGR *code*, or as it is."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text


PLAIN = Terminal()
"""A file or a pipe."""


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 80


# -- one login -----------------------------------------------------------------------------------


# -- many logins ---------------------------------------------------------------------------------


def writer(
    form: str, sink: BinaryIO, terminal: Terminal = PLAIN, zone: tzinfo = UTC
) -> LoginWriter:
    """Return the writer for one of `FORMATS`.

    Args:
        form: the format's name.
        sink: takes the bytes.
        terminal: what *sink* leads to; the human format alone looks at it.
        zone: whose clock the human format shows.
    """
    if form == "human":
        return _Human(sink, terminal, zone)
    makers: dict[str, Callable[[BinaryIO], LoginWriter]] = {
        "jsonl": JsonLines,
        "json": _JsonArray,
        "csv": _Csv,
    }
    return makers[form](sink)


class JsonLines:
    """Writes one object a line."""

    independent: ClassVar[bool] = True

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    def write(self, logins: Sequence[Login]) -> None:
        """See `LoginWriter.write`."""
        self.write_rows([f"{json_line(login)}\n" for login in logins])

    def write_rows(self, rows: Sequence[str]) -> None:
        """Write logins that are lines of JSON already."""
        if rows:
            self._sink.write("".join(rows).encode("ascii"))
            self._sink.flush()

    def close(self) -> None:
        """See `LoginWriter.close`."""
        self._sink.flush()


class _JsonArray:
    independent: ClassVar[bool] = False

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._before = "[\n"

    def write(self, logins: Sequence[Login]) -> None:
        if logins:
            text = self._before + ",\n".join(map(json_line, logins))
            self._before = ",\n"
            self._sink.write(text.encode("ascii"))
            self._sink.flush()

    def close(self) -> None:
        self._sink.write(b"[]\n" if self._before == "[\n" else b"\n]\n")
        self._sink.flush()


class _Csv:
    independent: ClassVar[bool] = True

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._rows([_CSV_COLUMNS])

    def write(self, logins: Sequence[Login]) -> None:
        self._rows([[csv_cell(value) for value in _csv_values(login)] for login in logins])

    def close(self) -> None:
        self._sink.flush()

    def _rows(self, rows: Sequence[Sequence[str]]) -> None:
        self._sink.write(csv_rows(rows).encode("utf-8", "backslashreplace"))
        self._sink.flush()


def _csv_values(login: Login) -> list[Any]:
    record = login.as_dict()
    tail = [compact_json(record["fields"]), login.path, login.offset, record["line"]]
    return [*(record[name] for name in _COLUMNS), *tail]


class _Human:
    """Aligned columns that widen as longer values come; what else the line said stands behind them.

    On a narrow terminal these details are shortened or left out; who, whence and when never are.
    """

    independent: ClassVar[bool] = False

    def __init__(self, sink: BinaryIO, terminal: Terminal, zone: tzinfo) -> None:
        self._sink = sink
        self._terminal = terminal
        self._zone = zone
        self._widths = [0] * len(_TITLES)

    def write(self, logins: Sequence[Login]) -> None:
        rows = [self._cells(login) for login in logins]
        head = [_TITLES] if rows and not any(self._widths) else []
        for row in (*head, *rows):
            self._widths = list(map(max, self._widths, map(width, row)))
        lines = [self._terminal.paint(self._line(row, ""), "1") for row in head]
        lines += [
            self._line(row, self._details(login)) for row, login in zip(rows, logins, strict=True)
        ]
        text = "".join(line + "\n" for line in lines)
        self._sink.write(text.encode(self._terminal.encoding, "backslashreplace"))
        self._sink.flush()

    def close(self) -> None:
        self._sink.flush()

    def _cells(self, login: Login) -> tuple[str, ...]:
        time = datetime.fromtimestamp(login.time // 1_000_000, self._zone)
        values = login.user_login, login.host, login.srv, login.kind, login.machine
        return (time.isoformat(" "), *map(visible, values))

    def _details(self, login: Login) -> str:
        text = visible(" ".join(f"{name}={value}" for name, value in login.fields.items()))
        room = self._terminal.columns - sum(self._widths) - 2 * len(self._widths)
        if not self._terminal.columns:
            return text
        return cut(text, room) if room >= _MIN_DETAILS else ""

    def _line(self, row: Sequence[str], details: str) -> str:
        cells = [pad(cell, columns) for cell, columns in zip(row, self._widths, strict=True)]
        if row[_KIND] in _COLOURS:
            cells[_KIND] = self._terminal.paint(cells[_KIND], _COLOURS[row[_KIND]])
        return "  ".join([*cells, details]).rstrip()
