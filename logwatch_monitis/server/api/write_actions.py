"""The writing actions of the protocol: each from a request's parameters to the reply's ``data``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from logwatch_monitis.protocol.wire import (
    ADD_RESULTS,
    FORGET_USER,
    decode_additional,
    decode_batch,
    decode_list,
    decode_parameters,
    decode_results,
    make_result,
    parse_checktime,
    parse_value,
)
from logwatch_monitis.server.api.read_actions import Params, monitor_id, monitor_ids, need
from logwatch_monitis.server.store.column_types import AGGREGATES
from logwatch_monitis.server.store.executed import Once
from logwatch_monitis.server.store.store import Definition, Store
from logwatch_monitis.server.store.writer import OperationRefused

__all__ = ["CHANGING", "WRITES"]

MAX_NAME = 255
MAX_PARAMETERS = 200

_TEXTS = ("agentId", "agentName", "customUserAgentId")
_EMBEDDED = "additionalResults"


async def add_monitor(store: Store, params: Params, once: Once | None) -> int:
    """Make a monitor and return its id."""
    for name in ("name", "tag", "resultParams"):
        need(params, name)
    return await store.add_monitor(_changed(Definition("", "", "", {}), params), once)


async def edit_monitor(store: Store, params: Params, once: Once | None) -> None:
    """Change what is given of a monitor; the rest stays as it is."""
    monitor = monitor_id(need(params, "monitorId"))
    await store.change_monitors([monitor], lambda found: _changed(found, params), once)


def _changed(old: Definition, params: Params) -> Definition:
    name, tag = params.get("name") or old.name, params.get("tag") or old.tag
    type_ = params.get("type", old.type)
    if max(map(len, (name, tag, type_))) > MAX_NAME:
        raise OperationRefused(f"Invalid name, tag or type: longer than {MAX_NAME} characters")
    lists = {key: read(params[key]) for key, read in _LISTS.items() if params.get(key)}
    details = dict(old.details)
    details |= {key: params[key][:MAX_NAME] for key in _TEXTS if params.get(key)}
    if word := params.get("multiValue"):
        details["multiValue"] = _truth("multiValue", word)
    return Definition(name, tag, type_, {**old.params, **lists}, details, old.suspended)


def _truth(name: str, word: str) -> bool:
    if word.lower() not in ("true", "false"):
        raise OperationRefused(f"Invalid {name}: true or false is wanted")
    return word.lower() == "true"


def _result_parameters(text: str) -> list[list[str]]:
    """Return the rows of a definition, their cells behind the fourth too if they say something."""
    rows = [
        [*item[:3], str(int(item.data_type)), *row[4:]]
        for item, row in zip(decode_parameters(text), decode_list(text), strict=True)
    ]
    for row in rows:
        if row[6:] and (row[6] and row[6] not in AGGREGATES):
            raise OperationRefused(
                f"Invalid aggregate of {row[0]}: known are {', '.join(AGGREGATES)}"
            )
    return _limited(rows)


def _monitor_parameters(text: str) -> list[list[str]]:
    """Return the rows; one client separates them by colons too, and leaves isHidden out."""
    rows = []
    for row in decode_list(text):
        joined = len(row) > 5 and len(row) % 4 == 0  # noqa: PLR2004 - cells of a row
        rows += [row[first : first + 4] for first in range(0, len(row), 4)] if joined else [row]
    return _limited(rows)


def _limited(rows: list[list[str]]) -> list[list[str]]:
    if len({row[0] for row in rows}) < len(rows):
        raise OperationRefused("Invalid parameter list: a name stands in it twice")
    if len(rows) > MAX_PARAMETERS:
        raise OperationRefused(f"Invalid parameter list: longer than {MAX_PARAMETERS}")
    return rows


_LISTS: Mapping[str, Callable[[str], list[list[str]]]] = {
    "resultParams": _result_parameters,
    "additionalResultParams": _result_parameters,
    "monitorParams": _monitor_parameters,
}


async def delete_monitor(store: Store, params: Params, once: Once | None) -> None:
    """Delete the monitor, or all of a list with commas."""
    await store.delete_monitors(monitor_ids(need(params, "monitorId")), once)


async def suspend_monitors(
    store: Store, params: Params, once: Once | None, *, suspended: bool
) -> None:
    """Let the monitors of a list or with a tag take results, or not."""
    listed, tag = params.get("monitorIds") or params.get("monitorId", ""), params.get("tag", "")
    if not listed and not tag:
        need(params, "monitorIds")
    monitors = monitor_ids(listed) if listed else ()
    await store.suspend(monitors, tag, suspended=suspended, once=once)


async def colorize_monitors(store: Store, params: Params, once: Once | None) -> None:
    """Keep the style in which a client wants to show the monitors; getMonitorInfo returns it."""
    monitors = monitor_ids(need(params, "monitorId"))
    text = need(params, "guiStyle")
    try:
        style = parse_value(text)
    except ValueError:
        raise OperationRefused("Invalid guiStyle: it must be JSON") from None

    def styled(found: Definition) -> Definition:
        return found._replace(details={**found.details, "guiStyle": style})

    await store.change_monitors(monitors, styled, once)


async def add_result(store: Store, params: Params, once: Once | None) -> None:
    """Store one result."""
    monitor = monitor_id(need(params, "monitorId"))
    checktime = parse_checktime(need(params, "checktime"))
    values = decode_results(need(params, "results"))
    objects = decode_additional(params.get("additionalResults", ""))
    if values.get(_EMBEDDED, "").startswith("["):  # a bash script puts them among the values
        objects += decode_additional(values.pop(_EMBEDDED))
    result = make_result(checktime, values, objects)
    await store.add_results(monitor, [result], once)


async def add_results(store: Store, params: Params, once: Once | None) -> int:
    """Store a batch, all of it or nothing; return how many results it has."""
    monitor = monitor_id(need(params, "monitorId"))
    results = decode_batch(need(params, "results"))
    await store.add_results(monitor, results, once)
    return len(results)


async def add_additional_results(store: Store, params: Params, once: Once | None) -> None:
    """Store additional objects of the results of a moment."""
    monitor = monitor_id(need(params, "monitorId"))
    checktime = parse_checktime(need(params, "checktime"))
    objects = decode_additional(need(params, "results"))
    if not objects:
        raise OperationRefused("Invalid results: a JSON array of flat objects is wanted")
    await store.add_additional(monitor, checktime, objects, once)


async def forget_user(store: Store, params: Params, once: Once | None) -> int:
    """Erase all results of a person; return how many there were."""
    if once:  # behind the name in the signed text: where it ends must be clear
        need(params, "version")
    return await store.forget(need(params, "user"), once)


Write = Callable[[Store, Params, Once | None], Awaitable[Any]]
WRITES: Mapping[str, Write] = {
    "addMonitor": add_monitor,
    "editMonitor": edit_monitor,
    "deleteMonitor": delete_monitor,
    "suspendMonitors": partial(suspend_monitors, suspended=True),
    "activateMonitors": partial(suspend_monitors, suspended=False),
    "colorizeMonitors": colorize_monitors,
    "addResult": add_result,
    ADD_RESULTS: add_results,
    "addAdditionalResults": add_additional_results,
    FORGET_USER: forget_user,
}
CHANGING = frozenset({"addResult", ADD_RESULTS, "deleteMonitor", FORGET_USER})
"""The actions after which a page shows something else."""
