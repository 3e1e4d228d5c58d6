"""Parameters that hold a list: rows separated by ``;``, their cells by ``:``.

Cells are encoded once more inside the parameter, and the clients of this protocol do that in four
incompatible ways. We send the first; we read all four (`decode_list`, `decode_results`).

========================  =================================  ====================================
who                       one result                         one row of a definition
========================  =================================  ====================================
we, PHP, Node             ``host:2001%3Adb8%3A%3A1``         ``host:Host%20Address:address:3``
bash, Perl, Ruby, VBS     ``host:2001:db8::1``               ``host:Host Address:address:3``
Python                    ``host%3A2001%3Adb8%3A%3A1``       ``host:Host%20Address:address:3``
Java, .NET                ``host%3A2001%253Adb8%253A%253A1`` ``host%3AHost%2BAddress%3Aaddress%3A3``
========================  =================================  ====================================

What stays ambiguous:

* ``+`` within a result that is not encoded as a whole is a plus sign, because user names hold plus
  signs more often than blanks; within a definition it is a blank, as PHP writes it.
* A percent sign that happens to be followed by two hexadecimal digits is decoded, also where a
  client meant it literally.
* One single pair of the Python form (no ``;``) looks like the Java form; if its value holds
  ``%`` or ``+``, it is decoded once too often.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

from logwatch_monitis.protocol.actions import escape_names

__all__ = [
    "LOGIN_PARAMETERS",
    "DataType",
    "Parameter",
    "decode_list",
    "decode_parameters",
    "decode_results",
    "encode_cell",
    "encode_list",
    "encode_parameters",
    "encode_results",
]

_is_plain = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
_SAFE = frozenset(f"{string.ascii_letters}{string.digits}_.-~".encode())
_PERCENT = ord("%")

Decode = Callable[[str], str]


class DataType(IntEnum):
    """What the values of a result parameter are, by the protocol's code."""

    BOOLEAN = 1
    INTEGER = 2
    STRING = 3
    FLOAT = 4


class Parameter(NamedTuple):
    """The definition of one column of results, in the protocol's order of cells."""

    name: str
    display_name: str
    uom: str
    data_type: DataType


LOGIN_PARAMETERS = (
    Parameter("user_login", "Login Name", "logins", DataType.STRING),
    Parameter("host", "Host Address", "hostaddress", DataType.STRING),
    Parameter("srv", "Service", "service", DataType.STRING),
)


def encode_cell(text: str) -> str:
    """Return *text* with all but letters, digits and ``_.-~`` percent-encoded; never raises.

    The same as `urllib.parse.quote` with ``safe=""``, but replaces each special byte in the whole
    text at once, which for a batch is ten times as fast.
    """
    if _is_plain(text):
        return text
    data = text.encode("utf-8", "backslashreplace")
    special = set(data) - _SAFE
    if _PERCENT in special:
        data = data.replace(b"%", b"%25")
    for byte in special - {_PERCENT}:
        data = data.replace(bytes((byte,)), b"%%%02X" % byte)
    return data.decode("ascii")


def encode_list(rows: Iterable[Sequence[str]], action: str) -> str:
    """Return the rows as one parameter of *action*, in the form that every lenient server reads.

    The cells behind a row's name cannot be taken for other parameters (see `escape_names`).
    """
    return ";".join(
        [
            ":".join([encode_cell(name), *[escape_names(encode_cell(x), action) for x in cells]])
            for name, *cells in rows
        ]
    )


def decode_list(text: str) -> list[list[str]]:
    """Return the rows of a definition (``resultParams``, ``monitorParams``), in any of the forms.

    Empty rows, as behind the usual ``;`` at the end, are left out.
    """
    return [[decode(cell) for cell in row.split(":")] for row, decode in _rows(text, unquote_plus)]


def encode_results(results: Mapping[str, str]) -> str:
    """Return parameter ``results`` of addResult: ``name:value`` joined by ``;``."""
    return encode_list(results.items(), "addResult")


def decode_results(text: str) -> dict[str, str]:
    """Return the values by name, from any of the four forms.

    Raises:
        ValueError: a part has no name, or no value.
    """
    results = {}
    for row, decode in _rows(text, unquote if "%" in text else str):
        name, colon, value = row.partition(":")
        if not name or not colon:
            raise ValueError("results must be name:value, separated by ';'")
        results[decode(name)] = decode(value)
    return results


def _rows(text: str, decode: Decode) -> Iterator[tuple[str, Decode]]:
    """Yield each row that is not empty, with what is left to be decoded in its cells."""
    if ":" not in text and ";" not in text:
        text, decode = unquote_plus(text), unquote_plus
    for row in text.split(";"):
        if ":" in row:
            yield row, decode
        elif row:
            yield decode(row), str


def encode_parameters(parameters: Iterable[Parameter]) -> str:
    """Return parameter ``resultParams`` of addMonitor."""
    rows = [
        (item.name, item.display_name, item.uom, str(int(item.data_type))) for item in parameters
    ]
    return encode_list(rows, "addMonitor")


def decode_parameters(text: str) -> tuple[Parameter, ...]:
    """Return the definitions in ``resultParams`` or ``additionalResultParams``.

    Cells behind the fourth (newer clients send some) are ignored, a missing unit or display name is
    empty.

    Raises:
        ValueError: a row has no name, an unknown data type, or fewer than two cells.
    """
    return tuple(_parameter(row) for row in decode_list(text))


def _parameter(row: Sequence[str]) -> Parameter:
    if len(row) < 2 or not row[0]:  # noqa: PLR2004
        raise ValueError("a definition must be name:displayName:uom:dataType")
    name, display_name, uom, code = [*row, "", "", ""][:4]
    try:
        data_type = DataType(int(code)) if code.strip() else DataType.STRING
    except ValueError:
        raise ValueError(f"unknown data type of {name}; 1 to 4 are known") from None
    return Parameter(name, display_name, uom, data_type)
