"""``status``: what the running agent does."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from logwatch_monitis.cli.login_output import FORMATS, Terminal
from logwatch_monitis.cli.options import Command, config_option, format_option
from logwatch_monitis.cli.running_agent import ask_agent
from logwatch_monitis.cli.tables import ago, as_json, clock_time, table, write, write_records
from logwatch_monitis.config.file import load
from logwatch_monitis.text import counted, visible

_SOURCE_COLUMNS = ("log", "state", "position", "size", "lag", "last_line", "last_login")


@click.command(cls=Command, example="logwatch-monitis status --format json")
@config_option
@format_option(*FORMATS)
def command(config_path: str | None, form: str | None) -> int:
    """Show what the running agent does.

    Every log with its position and its silences, what waits, what was delivered last. Exit code 0
    if the agent reads and delivers, 1 if it does not or if none runs.
    """
    healthy, why, whole, status = ask_agent(load(config_path).state_directory, "status")
    if form in ("json", "jsonl"):
        write(as_json(whole, form))
    elif form == "csv":
        write_records(form, status["sources"], _SOURCE_COLUMNS)
    else:
        write(_human(status, why, healthy=healthy))
    return 0 if healthy else 1


def _human(status: Mapping[str, Any], why: str, *, healthy: bool) -> str:
    spool, delivery = status["spool"], status["delivery"]
    monitor, version = status["monitor"], visible(status["version"])
    word = Terminal.of(sys.stdout).paint(*(("healthy", "32") if healthy else ("not healthy", "31")))
    facts = {
        "agent": f"{word}: {visible(why)}",
        "process": f"{status['pid']}, version {version}, {_since(status['since'])}",
        "monitor": visible(monitor["page"] or monitor["url"] or "-") + _deaths(monitor),
        "spool": f"{spool['depth']} waiting, {spool['dead']} refused by the monitor",
        "delivery": f"{visible(delivery['state'])}, last one {_since(delivery['last_delivery'])}",
        "last error": visible(delivery["last_error"] or "-"),
    }
    if (dead := spool["last_refused"])["id"]:
        when = ago(dead["refused"])
        facts["refused"] = visible(f"last {dead['id']} ({when}): {dead['reason']}")
    if held := delivery["held"]:
        facts["held"] = visible(_held(held))
    if waiting := status["configuration"]["needs_restart"]:
        facts["restart"] = f"needed for new values of {visible(', '.join(waiting))}"
    lines = [f"{name:<10}  {value}\n" for name, value in facts.items()]
    return "".join(lines) + "\n" + _sources(status["sources"])


def _held(rows: list[dict[str, Any]]) -> str:
    """Return which logins the monitor does not take, as far as nobody has judged them."""
    row = rows[0]
    more = f" and {counted(len(rows) - 1, 'more login')}" if rows[1:] else ""
    fate = (
        "put aside if this goes on, for others are taken"
        if row["judged"]
        else "waits until another login is taken, which shows whether it is to blame"
    )
    return f"{row['id']}{more}, refused {row['refusals']} times; {fate}: {row['reason']}"


def _deaths(monitor: Mapping[str, Any]) -> str:
    """Return how often the embedded monitor has ended by itself, if it has."""
    if not monitor["restarts"]:
        return ""
    times = counted(monitor["restarts"], "time")
    last = f"last {ago(monitor['died'])}, exit status {monitor['exit_status']}"
    return f" (ended by itself {times} and was started again, {last}; the agent's log says why)"


def _since(moment: float | None) -> str:
    return "never" if moment is None else f"{clock_time(moment)} ({ago(moment)})"


def _sources(sources: list[dict[str, Any]]) -> str:
    return table(_SOURCE_COLUMNS, map(_source, sources)) or "no logs\n"


def _source(row: dict[str, Any]) -> list[Any]:
    detail = f" ({row['detail']})" if row.get("detail") else ""
    if row.get("refused"):
        detail += f" ({row['refused']} logins refused: not proved)"
    if row.get("skipped"):
        detail += f" (too costly, skipped: {', '.join(row['skipped'])})"
    if row.get("cut_off"):
        detail += f" ({counted(row['cut_off'], 'line')} cut off)"
    figures = [row.get(name) for name in ("position", "size", "lag")]
    moments = [ago(row.get("last_line")), ago(row.get("last_login"))]
    return [row["log"], f"{row['state']}{detail}", *figures, *moments]
