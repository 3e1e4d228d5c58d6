r"""Entries of the systemd journal as log lines, each with what proves its origin.

The line of an entry is canonical: whoever reads the entry, live or from an export, makes the same
bytes of it, and so the same id. It has rsyslog's file form with the time in UTC::

    2026-11-22T21:41:45.101076+00:00 web1 sshd[26899]: Accepted publickey for alice …

The time is ``_SOURCE_REALTIME_TIMESTAMP`` (when the message was sent), else
``__REALTIME_TIMESTAMP``; the machine ``_HOSTNAME``; the program ``SYSLOG_IDENTIFIER``, else
``_COMM``; the process id ``SYSLOG_PID``, else ``_PID``. Control characters of the message become
``#ooo`` as in rsyslog's files, so an entry is one line whatever it holds. Fields are described in
systemd.journal-fields(7).
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from logwatch_monitis.login import iso_time
from logwatch_monitis.sources.journal.trust import ORIGIN_FIELDS, Origin, Session, session_of

__all__ = [
    "FIELDS",
    "Batch",
    "JournalEntry",
    "RefusedLogin",
    "entry_of",
    "from_json",
    "gap_between",
    "same_entry",
    "seqnum",
]

FIELDS = (
    "MESSAGE",
    "SYSLOG_IDENTIFIER",
    "SYSLOG_PID",
    "_HOSTNAME",
    "_SOURCE_REALTIME_TIMESTAMP",
    *ORIGIN_FIELDS,
)
"""What is asked of journalctl; it always adds the cursor and the address fields (``__…``)."""

_CONTROLS = re.compile(rb"[\0-\x1f\x7f]")
_NOT_A_NAME = re.compile(r"[^\w.@+/()-]", re.ASCII)
_PROGRAM_LENGTH = 128
_HOST_LENGTH = 255
_PID_DIGITS = 10
_TIME_DIGITS = 18
_ENDS = b" \t\r\n\0"
_SESSION = b":session): session opened for user "


class JournalEntry(NamedTuple):
    """One entry of the journal.

    Attributes:
        cursor: its place, as journalctl takes it; empty if that is not known.
        time_us: when it was sent, microseconds since the epoch, UTC.
        line: its canonical line without line end.
        field: looks up a field of it.
    """

    cursor: str
    time_us: int
    line: bytes
    field: Callable[[str], bytes]

    @property
    def origin(self) -> Origin:
        """What the journal itself noted of its sender; few are ever asked for it."""
        return Origin(*(_text(self.field(name)) for name in ORIGIN_FIELDS))

    @property
    def session(self) -> Session | None:
        """What it says of a session that was opened, if it is such an entry."""
        return session_of(_program(self.field), _text(self.field("MESSAGE")), self.origin)


def entry_of(field: Callable[[str], bytes]) -> JournalEntry | None:
    """Return the entry whose fields *field* looks up (empty: it has none of that name).

    Without a time or a message it is None.
    """
    message = field("MESSAGE")
    sent = field("_SOURCE_REALTIME_TIMESTAMP") or field("__REALTIME_TIMESTAMP")
    time_us = _number(sent, _TIME_DIGITS)
    if not message or time_us is None:
        return None
    program = _program(field)
    pid = _number(field("SYSLOG_PID"), _PID_DIGITS) or _number(field("_PID"), _PID_DIGITS)
    machine = _name(field("_HOSTNAME"), _HOST_LENGTH)
    try:
        time = iso_time(time_us)
    except OverflowError:
        return None
    words = [time, machine, f"{program}[{pid}]" if pid else program]
    head = " ".join(filter(None, words))
    line = f"{head}: ".encode() + _CONTROLS.sub(_escaped, message.rstrip(_ENDS))
    return JournalEntry(_text(field("__CURSOR")), time_us, line, field)


def from_json(line: bytes) -> JournalEntry | None:
    """Return the entry of a line of ``journalctl -o json``; None if it is no such entry.

    Bytes that are no text come as an array of numbers, a field that occurs more than once as an
    array of its values, of which the first is meant, and a value that is too long as null.
    """
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    return entry_of(lambda name: _value(record.get(name)))


def same_entry(first: str, second: str) -> bool:
    """Tell whether two cursors are of one entry; a copy of a journal may count anew."""
    one, other = _parts(first), _parts(second)
    return first == second or all(name in one and one[name] == other.get(name) for name in "bmtx")


def gap_between(earlier: str, later: str) -> int | None:
    """Return how many entries lie between two cursors; None if they do not tell."""
    one, other = _parts(earlier), _parts(later)
    if "s" not in one or one["s"] != other.get("s"):
        return None
    return max(0, seqnum(later) - seqnum(earlier) - 1)


def seqnum(cursor: str) -> int:
    """Return the number of an entry in its journal; 0 if the cursor does not tell."""
    return int(_parts(cursor).get("i", "0"), 16)


class RefusedLogin(NamedTuple):
    """A login that was not written by whom it names: its program and service, its sender, why."""

    program: str
    origin: Origin
    reason: str
    service: str = ""


class Batch:
    """Some entries as a block of lines, and who wrote each of them.

    Attributes:
        begin: offset of `data`, counted over all lines made of one stream.
        complete: the last entry was complete.
        taken: bytes of the stream up to the end of the batch.
    """

    def __init__(self, begin: int = 0) -> None:
        self.begin = begin
        self.complete = True
        self.taken = 0
        self._lines: list[bytes] = []
        self._starts: list[int] = []
        self._entries: list[tuple[int, JournalEntry]] = []
        self._end = begin

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, entry: JournalEntry, place: int) -> None:
        """Add an entry; *place* is what its logins have for an offset."""
        self._lines.append(entry.line + b"\n")
        self._starts.append(self._end)
        self._entries.append((place, entry))
        self._end += len(entry.line) + 1

    @property
    def size(self) -> int:
        """Bytes of `data`."""
        return self._end - self.begin

    @property
    def data(self) -> bytes:
        """The lines."""
        return b"".join(self._lines)

    @property
    def last_time_us(self) -> int:
        """When the last entry was sent, microseconds since the epoch, UTC; 0 if there is none."""
        return self._entries[-1][1].time_us if self._entries else 0

    def entry(self, offset: int) -> tuple[int, JournalEntry]:
        """Return place and entry of the line at *offset*."""
        return self._entries[bisect_right(self._starts, offset) - 1]

    def sessions(self) -> list[int]:
        """Return the offsets of lines by which PAM tells that a session was opened."""
        return [
            start for start, line in zip(self._starts, self._lines, strict=True) if _SESSION in line
        ]


def _program(field: Callable[[str], bytes]) -> str:
    return _name(field("SYSLOG_IDENTIFIER") or field("_COMM"), _PROGRAM_LENGTH) or "unknown"


def _number(value: bytes, digits: int) -> int | None:
    """Return a decimal number, if it is one of so many digits at most."""
    return int(value) if value.isdigit() and len(value) <= digits else None


def _escaped(found: re.Match[bytes]) -> bytes:
    return b"#%03o" % found[0][0]


def _name(value: bytes, length: int) -> str:
    """Return what can stand as a word in a header: it came from whoever logged."""
    return _NOT_A_NAME.sub("_", _text(value))[:length]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, list) and value:
        if all(type(number) is int and 0 <= number <= 255 for number in value):  # noqa: PLR2004
            return bytes(value)
        return _value(value[0])
    return b""


def _parts(cursor: str) -> Mapping[str, str]:
    """Return the parts of a cursor (``s=…;i=…;b=…;m=…;t=…;x=…``) that are hexadecimal numbers."""
    pairs = (part.partition("=") for part in cursor.split(";"))
    return {name: value for name, _, value in pairs if re.fullmatch("[0-9a-f]{1,64}", value)}
