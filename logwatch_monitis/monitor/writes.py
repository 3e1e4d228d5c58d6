"""The writing actions of the protocol: each from a request's parameters to the reply's ``data``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from logwatch_monitis.monitis.wire import (
    ADD_RESULTS,
    Result,
    decode_additional,
    decode_batch,
    decode_list,
    decode_parameters,
    decode_results,
    parse_checktime,
)

from .reads import Params, monitor_id, need
from .store import Definition, Store
from .writer import Refused

__all__ = ["ADDING", "WRITES"]

MAX_NAME = 255


async def add_monitor(store: Store, params: Params) -> int:
    """Make a monitor and return its id."""
    name, tag = need(params, "name"), need(params, "tag")
    if len(name) > MAX_NAME or len(tag) > MAX_NAME:
        raise Refused(f"Invalid name or tag: longer than {MAX_NAME} characters")
    lists = {
        "resultParams": _parameters(need(params, "resultParams")),
        "additionalResultParams": _parameters(params.get("additionalResultParams", "")),
        "monitorParams": decode_list(params.get("monitorParams", "")),
    }
    return await store.add_monitor(Definition(name, tag, params.get("type", ""), lists))


async def delete_monitor(store: Store, params: Params) -> None:
    """Delete the monitor, or all of a list with commas."""
    texts = need(params, "monitorId").split(",")
    await store.delete_monitors([monitor_id(text.strip()) for text in texts])


async def add_result(store: Store, params: Params) -> None:
    """Store one result."""
    monitor = monitor_id(need(params, "monitorId"))
    result = Result(
        parse_checktime(need(params, "checktime")),
        decode_results(need(params, "results")),
        decode_additional(params.get("additionalResults", "")),
    )
    await store.add_results(monitor, [result], repeat=_repeat(params))


async def add_results(store: Store, params: Params) -> int:
    """Store a batch, all of it or nothing; return how many results it has."""
    monitor = monitor_id(need(params, "monitorId"))
    results = decode_batch(need(params, "results"))
    await store.add_results(monitor, results, repeat=_repeat(params))
    return len(results)


def _parameters(text: str) -> list[list[str]]:
    return [[*row[:3], str(int(row.data_type))] for row in decode_parameters(text)]


def _repeat(params: Params) -> str:
    """Return what a signed request has in common with its repetition only, empty for nothing."""
    timestamp, signature = params.get("timestamp"), params.get("checksum")
    return f"{timestamp} {signature}" if timestamp and signature else ""


Write = Callable[[Store, Params], Awaitable[Any]]
WRITES: Mapping[str, Write] = {
    "addMonitor": add_monitor,
    "deleteMonitor": delete_monitor,
    "addResult": add_result,
    ADD_RESULTS: add_results,
}
ADDING = frozenset({"addResult", ADD_RESULTS})
