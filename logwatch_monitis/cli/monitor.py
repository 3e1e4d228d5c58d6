"""``monitor``: the custom monitor by hand, as the original bash scripts did it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import click

from logwatch_monitis import config
from logwatch_monitis.cli.connection import Access, connect, connection_options
from logwatch_monitis.cli.moments import FORMS, parse_moment
from logwatch_monitis.cli.options import SuggestingGroup, format_option, login_format, say
from logwatch_monitis.cli.tables import as_json, table, write, write_record, write_records
from logwatch_monitis.errors import LogwatchError, UsageError
from logwatch_monitis.monitis.batch import Result
from logwatch_monitis.monitis.client import MonitisClient
from logwatch_monitis.monitis.lists import LOGIN_PARAMETERS, decode_parameters
from logwatch_monitis.output import FORMATS, visible

_PARAMETER_COLUMNS = ("name", "displayName", "uom", "dataType")
_MANY_MINUTES = 24 * 60


@click.group(
    cls=SuggestingGroup,
    example="logwatch-monitis monitor list --tag loginMonitor",
)
def command() -> None:
    """Work on the custom monitor by hand.

    Any compatible server will do. Where the configuration says nothing else, the monitor is the
    embedded one of the running agent.
    """


@command.command(example="logwatch-monitis monitor token")
@connection_options
@format_option(*FORMATS)
def token(form: str | None, **access: Any) -> None:
    """Fetch a token for the key pair and print it."""
    with connect(Access(**access)) as client:
        text = client.auth_token()
    _write_value(form, "authToken", text)


def _write_value(form: str | None, name: str, value: str) -> None:
    if form in (None, "human"):
        write(f"{value}\n")
    else:
        write_record(form or "", {name: value})


@command.command(
    example="logwatch-monitis monitor create --name 'Door Monitor' --tag doors"
    " --result-params 'door:Door:doors:3;open:Open:state:1'"
)
@connection_options
@format_option(*FORMATS)
@click.option("--name", help="Name of the new monitor.  [default: as configured]")
@click.option("--tag", help="Its tag.  [default: as configured]")
@click.option(
    "--result-params",
    metavar="LIST",
    help="Its columns as name:displayName:uom:dataType;…  [default: those of logins]",
)
def create(
    form: str | None, name: str | None, tag: str | None, result_params: str | None, **access: Any
) -> None:
    """Create a monitor and print its id."""
    configuration = config.load(access["config_path"])
    parameters = _parameters(result_params) if result_params else LOGIN_PARAMETERS
    with connect(Access(**access), configuration) as client:
        monitor_id = client.add_monitor(
            name or configuration.monitor.name, tag or configuration.monitor.tag, parameters
        )
    _write_value(form, "id", monitor_id)


def _parameters(text: str) -> Sequence[Any]:
    try:
        return decode_parameters(text)
    except ValueError as error:
        raise UsageError(f"--result-params: {error}") from None


@command.command("list", example="logwatch-monitis monitor list --tag loginMonitor --format json")
@connection_options
@format_option(*FORMATS)
@click.option("--tag", default="", help="Only monitors with this tag.")
def list_monitors(form: str | None, tag: str, **access: Any) -> int:
    """List the monitors of the account; exit code 1 if there is none."""
    with connect(Access(**access)) as client:
        rows = [monitor._asdict() for monitor in client.monitors(tag)]
    write_records(form or "human", rows, ("id", "name", "tag", "type"))
    if not rows:
        say(f"No monitor has the tag '{visible(tag)}'." if tag else "There is no monitor yet.")
    return 0 if rows else 1


_monitor_argument = click.argument("monitor_id", metavar="[ID]", required=False)
_tag_option = click.option("--tag", help="Find the monitor by its tag.  [default: as configured]")


def _find(client: MonitisClient, monitor_id: str | None, tag: str | None, path: str | None) -> str:
    """Return the id that is meant: the one given, or that of the one monitor with the tag."""
    if monitor_id:
        if tag:
            raise UsageError("an id and --tag exclude each other")
        return monitor_id
    tag = tag or config.load(path).monitor.tag
    found = client.monitors(tag)
    if len(found) != 1:
        ids = ", ".join(monitor.id for monitor in found)
        raise LogwatchError(
            f"{len(found) or 'no'} monitors have the tag '{tag}'",
            f"give the id, one of {ids}" if ids else "logwatch-monitis monitor list shows all",
        )
    return found[0].id


@command.command(example="logwatch-monitis monitor show --tag loginMonitor")
@connection_options
@format_option(*FORMATS)
@_tag_option
@_monitor_argument
def show(form: str | None, tag: str | None, monitor_id: str | None, **access: Any) -> None:
    """Show one monitor with its columns."""
    with connect(Access(**access)) as client:
        info = client.monitor_info(_find(client, monitor_id, tag, access["config_path"]))
    if form in ("json", "jsonl"):
        write(as_json(info, form))
    elif form == "csv":
        write_records(form, info.get("resultParams") or (), _PARAMETER_COLUMNS)
    else:
        write(_human(info))


def _human(info: dict[str, Any]) -> str:
    facts = [(name, info.get(name)) for name in ("id", "name", "tag", "type")]
    lines = [f"{name:<6}  {visible(str(value))}\n" for name, value in facts if value]
    parameters = info.get("resultParams") or ()
    rows = [[item.get(name) for name in _PARAMETER_COLUMNS] for item in parameters]
    return "".join(lines) + "\n" + table(_PARAMETER_COLUMNS, rows)


@command.command(
    example="logwatch-monitis monitor push --result user_login:alice"
    " --result host:2001:db8::7 --result srv:sshd --time yesterday"
)
@connection_options
@_tag_option
@click.option(
    "--result", "results", metavar="NAME:VALUE", multiple=True, required=True, help="Repeatable."
)
@click.option(
    "--time", "moment", default="now", metavar="WHEN", help=f"When it was, such as {FORMS}."
)
@_monitor_argument
def push(
    tag: str | None, results: Sequence[str], moment: str, monitor_id: str | None, **access: Any
) -> None:
    """Store one result."""
    now = datetime.now().astimezone()
    checktime = parse_moment(moment, now.tzinfo or UTC, now) // 1000
    values = dict(map(_pair, results))
    with connect(Access(**access)) as client:
        found = _find(client, monitor_id, tag, access["config_path"])
        client.add_result(found, Result(checktime, values))


def _pair(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not name or not colon:
        raise UsageError(f"--result '{visible(text)}' is not NAME:VALUE")
    return name, value


@command.command(example="logwatch-monitis monitor results --day 2026-11-21 --format csv")
@connection_options
@format_option(*FORMATS, default="human on a terminal, else jsonl")
@_tag_option
@click.option("--day", metavar="DATE", help="The day, such as 2026-11-22.  [default: today]")
@click.option(
    "--timezone",
    "minutes",
    type=click.IntRange(-_MANY_MINUTES, _MANY_MINUTES),
    default=0,
    help="Of the day, in minutes east of GMT.",
)
@_monitor_argument
def results(
    form: str | None,
    *,
    tag: str | None,
    day: str | None,
    minutes: int,
    monitor_id: str | None,
    **access: Any,
) -> None:
    """Print the results of one day."""
    wanted = _day(day)
    with connect(Access(**access)) as client:
        found = _find(client, monitor_id, tag, access["config_path"])
        rows = client.results(found, wanted, minutes)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    write_records(login_format(form), rows, columns)


def _day(text: str | None) -> date:
    try:
        return date.fromisoformat(text) if text else datetime.now(UTC).date()
    except ValueError:
        raise UsageError(f"--day '{text}' is no date", "such as 2026-11-22") from None


@command.command(example="logwatch-monitis monitor delete 1")
@connection_options
@click.argument("monitor_id", metavar="ID")
def delete(monitor_id: str, **access: Any) -> None:
    """Delete a monitor with all its results."""
    with connect(Access(**access)) as client:
        client.delete_monitor(monitor_id)
