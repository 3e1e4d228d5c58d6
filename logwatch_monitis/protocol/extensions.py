"""What only our own monitor understands: extra facts of a login, and many logins in one request.

It says so with the response header `ANNOUNCE` on every answer. To any other server nothing here is
ever sent.

* ``addResult`` takes ``additionalResults``, a name the protocol has, as a JSON array whose first
  object is flat and holds ``id``, ``machine``, ``kind``, ``verified``, ``method``, ``agent``.
* The action ``addResults`` takes ``monitorId`` and ``results``, a JSON array of objects
  ``{"checktime":1310578200000,"results":"user_login:…;host:…;srv:…","additionalResults":[{…}]}``,
  signed like every POST. All of them are stored or none; the reply's ``data`` is how many were
  taken, those included that the monitor had already (it knows them by ``id``).
* The action ``forgetUser`` takes ``user`` and erases all results of that ``user_login``; the
  reply's ``data`` is how many there were.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from logwatch_monitis.protocol.encoding import decode_results, encode_results

__all__ = [
    "ADD_RESULTS",
    "ANNOUNCE",
    "ANNOUNCEMENT",
    "FORGET_USER",
    "MAX_BATCH",
    "MAX_CHECKTIME",
    "MAX_OBJECTS",
    "Result",
    "decode_additional",
    "decode_batch",
    "encode_additional",
    "encode_batch",
    "is_ours",
    "make_result",
    "parse_value",
]

ANNOUNCE = "x-logwatch-monitis"
ANNOUNCEMENT = "1"
ADD_RESULTS = "addResults"
FORGET_USER = "forgetUser"
MAX_BATCH = 500
MAX_OBJECTS = 1_000
MAX_CHECKTIME = 253_402_300_799_999  # the last millisecond of the year 9999

_NESTED = frozenset({dict, list})
_to_json = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class Result(NamedTuple):
    """One result on its way to a monitor.

    Attributes:
        checktime: milliseconds since the epoch, UTC.
        values: by the name of the result parameter.
        additional: what only our own monitor is told, flat; empty for none.
        others: further flat objects of ``additionalResults``, which any monitor may be told.
    """

    checktime: int
    values: Mapping[str, str]
    additional: Mapping[str, Any] = {}
    others: Sequence[Mapping[str, Any]] = ()


def _encode(value: Any) -> str:
    """Return JSON in which no text can be taken for the parameter ``action``.

    JSON holds the word in texts alone, and its last letter is no part of another escape.
    """
    return _to_json(value).replace("action", "actio\\u006e")


def is_ours(headers: Mapping[str, str]) -> bool:
    """Say whether an answer with these headers (lower-case names) came from our own monitor."""
    return headers.get(ANNOUNCE) == ANNOUNCEMENT


def encode_additional(*objects: Mapping[str, Any]) -> str:
    """Return parameter ``additionalResults``: a JSON array of the *objects* that are not empty."""
    return _encode([one for one in objects if one])


def decode_additional(text: str) -> list[dict[str, Any]]:
    """Return the flat objects of a JSON array, or the one that stands alone; none for no text.

    Raises:
        ValueError: not a JSON array of flat objects, or more than `MAX_OBJECTS`.
    """
    return _objects(parse_value(text)) if text else []


def encode_batch(results: Iterable[Result]) -> str:
    """Return parameter ``results`` of ``addResults``; at most `MAX_BATCH` belong in it."""
    return _encode(
        [
            {
                "checktime": result.checktime,
                "results": encode_results(result.values),
                "additionalResults": [one for one in (result.additional, *result.others) if one],
            }
            for result in results
        ]
    )


def decode_batch(text: str) -> list[Result]:
    """Return the results of one ``addResults``, in their order.

    Raises:
        ValueError: not such a list, empty, or longer than `MAX_BATCH`; the text names the entry.
    """
    rows = parse_value(text)
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_BATCH:
        raise ValueError(f"results must be a JSON array of 1 to {MAX_BATCH} objects")
    return [_result(row, number) for number, row in enumerate(rows)]


def _result(row: object, number: int) -> Result:
    match row:
        case {"checktime": int(checktime), "results": str(results)} if _is_time(checktime):
            try:
                return make_result(checktime, decode_results(results), _objects_of(row))
            except ValueError as error:
                raise ValueError(f"entry {number}: {error}") from None
    raise ValueError(f"entry {number}: an object with checktime and results is wanted")


def make_result(
    checktime: int, values: Mapping[str, str], objects: Sequence[Mapping[str, Any]]
) -> Result:
    """Return a result as a request holds it: the first additional object has the facts."""
    return Result(checktime, values, objects[0] if objects else {}, tuple(objects[1:]))


def _objects_of(row: Any) -> list[dict[str, Any]]:
    return _objects(row.get("additionalResults", []))


def _is_time(checktime: int) -> bool:
    return not isinstance(checktime, bool) and 0 <= checktime <= MAX_CHECKTIME


def _objects(rows: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rows if isinstance(rows, list) else [rows]
    if not all(map(_is_flat, found)):
        raise ValueError("additionalResults must be a JSON array of flat objects")
    if len(found) > MAX_OBJECTS:
        raise ValueError(f"additionalResults must not hold more than {MAX_OBJECTS} objects")
    return found


def _is_flat(row: object) -> bool:
    return isinstance(row, dict) and _NESTED.isdisjoint(map(type, row.values()))


def parse_value(text: str) -> Any:
    """Return the value of a stranger's JSON text.

    Raises:
        ValueError: not JSON, which has neither NaN nor Infinity, or nested too deeply.
    """
    try:
        return _decode(text)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    if math.isfinite(value := float(text)):
        return value
    raise ValueError(f"{text} is too large")


_decode = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite).decode
