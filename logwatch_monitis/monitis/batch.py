"""What only our own monitor understands: extra facts of a login, and many logins in one request.

It says so with the response header `ANNOUNCE` on every answer. To any other server nothing here is
ever sent.

* ``addResult`` takes ``additionalResults``, a name the protocol has, as a JSON array with one flat
  object: ``id``, ``machine``, ``kind``, ``verified``, ``method``, ``agent``.
* The action ``addResults`` takes ``monitorId`` and ``results``, a JSON array of objects
  ``{"checktime":1310578200000,"results":"user_login:…;host:…;srv:…","additionalResults":[{…}]}``,
  signed like every POST. All of them are stored or none; the reply's ``data`` is how many were
  taken, those included that the monitor had already (it knows them by ``id``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .lists import decode_results, encode_results

__all__ = [
    "ADD_RESULTS",
    "ANNOUNCE",
    "ANNOUNCEMENT",
    "MAX_BATCH",
    "MAX_CHECKTIME",
    "Result",
    "decode_additional",
    "decode_batch",
    "encode_additional",
    "encode_batch",
    "is_ours",
]

ANNOUNCE = "x-logwatch-monitis"
ANNOUNCEMENT = "1"
ADD_RESULTS = "addResults"
MAX_BATCH = 500
MAX_CHECKTIME = 253_402_300_799_999  # the last millisecond of the year 9999

_NESTED = frozenset({dict, list})
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class Result(NamedTuple):
    """One result on its way to a monitor.

    Attributes:
        checktime: milliseconds since the epoch, UTC.
        values: by the name of the result parameter.
        additional: what only our own monitor is told, flat; empty for none.
    """

    checktime: int
    values: Mapping[str, str]
    additional: Mapping[str, Any] = {}


def is_ours(headers: Mapping[str, str]) -> bool:
    """Say whether an answer with these headers (lower-case names) came from our own monitor."""
    return headers.get(ANNOUNCE) == ANNOUNCEMENT


def encode_additional(additional: Mapping[str, Any]) -> str:
    """Return parameter ``additionalResults``: a JSON array with *additional* in it."""
    return _encode([additional] if additional else [])


def decode_additional(text: str) -> dict[str, Any]:
    """Return the flat object in ``additionalResults``; several are merged, the first one wins.

    Raises:
        ValueError: not a JSON array of flat objects.
    """
    return _additional(_json(text)) if text else {}


def encode_batch(results: Iterable[Result]) -> str:
    """Return parameter ``results`` of ``addResults``; at most `MAX_BATCH` belong in it."""
    return _encode(
        [
            {
                "checktime": result.checktime,
                "results": encode_results(result.values),
                "additionalResults": [result.additional] if result.additional else [],
            }
            for result in results
        ]
    )


def decode_batch(text: str) -> list[Result]:
    """Return the results of one ``addResults``, in their order.

    Raises:
        ValueError: not such a list, empty, or longer than `MAX_BATCH`; the text names the entry.
    """
    rows = _json(text)
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_BATCH:
        raise ValueError(f"results must be a JSON array of 1 to {MAX_BATCH} objects")
    return [_result(row, number) for number, row in enumerate(rows)]


def _result(row: object, number: int) -> Result:
    match row:
        case {"checktime": int(checktime), "results": str(results)} if _is_time(checktime):
            try:
                return Result(checktime, decode_results(results), _additional_of(row))
            except ValueError as error:
                raise ValueError(f"entry {number}: {error}") from None
    raise ValueError(f"entry {number}: an object with checktime and results is wanted")


def _additional_of(row: Any) -> dict[str, Any]:
    return _additional(row.get("additionalResults", []))


def _is_time(checktime: int) -> bool:
    return not isinstance(checktime, bool) and 0 <= checktime <= MAX_CHECKTIME


def _additional(rows: object) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for row in rows if isinstance(rows, list) else [rows]:
        if not isinstance(row, dict) or not _flat(row.values()):
            raise ValueError("additionalResults must be a JSON array of flat objects")
        merged = row | merged
    return merged


def _flat(values: Iterable[object]) -> bool:
    return _NESTED.isdisjoint(map(type, values))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
