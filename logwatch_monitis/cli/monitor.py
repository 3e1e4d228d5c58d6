"""``monitor``: the custom monitor by hand, as the original bash scripts did it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import click

from logwatch_monitis.cli.client import Access, connect, connection_options
from logwatch_monitis.cli.dates import FORMS, parse_moment
from logwatch_monitis.cli.login_output import FORMATS
from logwatch_monitis.cli.monitor_admin import backup, forget, password
from logwatch_monitis.cli.options import SuggestingGroup, format_option, login_format, say
from logwatch_monitis.cli.tables import as_json, table, write, write_record, write_records
from logwatch_monitis.config.file import load
from logwatch_monitis.errors import LogwatchError, UsageError
from logwatch_monitis.protocol.client import MonitisClient
from logwatch_monitis.protocol.encoding import (
    LOGIN_PARAMETERS,
    decode_parameters,
    encode_parameters,
)
from logwatch_monitis.protocol.extensions import Result, decode_additional
from logwatch_monitis.text import visible

_PARAMETER_COLUMNS = ("name", "displayName", "uom", "dataType")
_MANY_MINUTES = 24 * 60
_DEFINITION = {
    "kind": "type",
    "result_params": "resultParams",
    "additional_result_params": "additionalResultParams",
    "monitor_params": "monitorParams",
}

F = TypeVar("F", bound=Callable[..., Any])


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


def _columns(_ctx: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """Return a list of columns as the protocol wants it."""
    try:
        return encode_parameters(decode_parameters(text)) if text else None
    except ValueError as error:
        raise UsageError(f"{parameter.opts[0]}: {error}") from None


def _definition_options(default: str) -> Callable[[F], F]:
    """Add the options that `_split` makes parameters of the protocol of."""
    layout = "name:displayName:uom:dataType;…"
    options = (
        click.option("--type", "kind", help="Its type, free text."),
        click.option(
            "--result-params",
            metavar="LIST",
            callback=_columns,
            help=f"Its columns as {layout}{default}",
        ),
        click.option(
            "--additional-result-params",
            metavar="LIST",
            callback=_columns,
            help="The columns of its additional results, likewise.",
        ),
        click.option(
            "--monitor-params",
            metavar="LIST",
            help="Its own parameters as name:displayName:value:dataType:isHidden;…",
        ),
        click.option("--multi-value", is_flag=True, help="A value may be a list such as [1,2]."),
    )

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def _split(options: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the protocol's parameters among *options*, and the rest."""
    rest = dict(options)
    found = {name: rest.pop(option) for option, name in _DEFINITION.items()}
    if rest.pop("multi_value"):
        found["multiValue"] = "true"
    return {name: text for name, text in found.items() if text}, rest


@command.command(
    example="logwatch-monitis monitor create --name 'Door Monitor' --tag doors"
    " --result-params 'door:Door:doors:3;open:Open:state:1'"
)
@connection_options
@format_option(*FORMATS)
@click.option("--name", help="Name of the new monitor.  [default: as configured]")
@click.option("--tag", help="Its tag.  [default: as configured]")
@_definition_options("  [default: those of logins]")
def create(form: str | None, name: str | None, tag: str | None, **options: Any) -> None:
    """Create a monitor and print its id."""
    more, access = _split(options)
    configuration = load(access["config_path"])
    columns = more.pop("resultParams", "")
    with connect(Access(**access), configuration) as client:
        monitor_id = client.add_monitor(
            name or configuration.monitor.name,
            tag or configuration.monitor.tag,
            decode_parameters(columns) if columns else LOGIN_PARAMETERS,
            **more,
        )
    _write_value(form, "id", monitor_id)


@command.command(example="logwatch-monitis monitor edit 1 --name 'All Logins' --tag loginMonitor")
@connection_options
@click.option("--name", help="Its new name.")
@click.option("--tag", help="Its new tag.")
@_definition_options("")
@click.argument("monitor_id", metavar="ID")
def edit(monitor_id: str, name: str | None, tag: str | None, **options: Any) -> None:
    """Change a monitor; what is not given stays as it is."""
    more, access = _split(options)
    changes = {key: text for key, text in {"name": name, "tag": tag}.items() if text} | more
    if not changes:
        raise UsageError("nothing to change was given", "such as --name or --tag")
    with connect(Access(**access)) as client:
        client.edit_monitor(monitor_id, **changes)


@command.command("list", example="logwatch-monitis monitor list --tag loginMonitor --format json")
@connection_options
@format_option(*FORMATS)
@click.option("--tag", default="", help="Only monitors with this tag.")
@click.option("--type", "kind", default="", help="Only monitors of this type.")
@click.option("--name", default="", help="Only the monitor of this name.")
def list_monitors(form: str | None, tag: str, kind: str, name: str, **access: Any) -> int:
    """List the monitors of the account; exit code 1 if there is none."""
    with connect(Access(**access)) as client:
        rows = [monitor._asdict() for monitor in client.monitors(tag, type=kind, name=name)]
    write_records(form or "human", rows, ("id", "name", "tag", "type"))
    if not rows:
        say(_none_found(tag, any((kind, name))))
    return 0 if rows else 1


def _none_found(tag: str, narrowed: bool) -> str:  # noqa: FBT001 - private
    if narrowed:
        return "No monitor is like that."
    return f"No monitor has the tag '{visible(tag)}'." if tag else "There is no monitor yet."


_monitor_argument = click.argument("monitor_id", metavar="[ID]", required=False)
_tag_option = click.option("--tag", help="Find the monitor by its tag.  [default: as configured]")
_timezone_option = click.option(
    "--timezone",
    "minutes",
    type=click.IntRange(-_MANY_MINUTES, _MANY_MINUTES),
    default=0,
    help="Of days and times, in minutes east of GMT.",
)


def _find(client: MonitisClient, monitor_id: str | None, tag: str | None, path: str | None) -> str:
    """Return the id that is meant: the one given, or that of the one monitor with the tag."""
    if monitor_id:
        if tag:
            raise UsageError("an id and --tag exclude each other")
        return monitor_id
    tag = tag or load(path).monitor.tag
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
@click.option("--exclude-hidden", is_flag=True, help="Leave parameters out that are hidden.")
@_monitor_argument
def show(
    form: str | None,
    tag: str | None,
    *,
    monitor_id: str | None,
    exclude_hidden: bool,
    **access: Any,
) -> None:
    """Show one monitor with its columns."""
    with connect(Access(**access)) as client:
        found = _find(client, monitor_id, tag, access["config_path"])
        info = client.monitor_info(found, hidden=not exclude_hidden)
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
@click.option(
    "--additional",
    "objects",
    metavar="JSON",
    multiple=True,
    help="A flat object of additional results, such as '{\"port\":22}'.  Repeatable.",
)
@_monitor_argument
def push(
    tag: str | None,
    *,
    results: Sequence[str],
    moment: str,
    objects: Sequence[str],
    monitor_id: str | None,
    **access: Any,
) -> None:
    """Store one result."""
    values = dict(map(_pair, results))
    result = Result(_milliseconds(moment), values, others=_objects(objects))
    with connect(Access(**access)) as client:
        client.add_result(_find(client, monitor_id, tag, access["config_path"]), result)


def _milliseconds(moment: str) -> int:
    now = datetime.now().astimezone()
    return parse_moment(moment, now.tzinfo or UTC, now) // 1000


def _objects(texts: Sequence[str]) -> list[dict[str, Any]]:
    try:
        return [one for text in texts for one in decode_additional(text)]
    except ValueError:
        raise UsageError("--additional is no flat JSON object", "such as '{\"port\":22}'") from None


@command.command(
    example="logwatch-monitis monitor additional --time 2026-11-22T21:41:45Z"
    " --additional '{\"port\":57276}'"
)
@connection_options
@format_option(*FORMATS, default="human on a terminal, else jsonl")
@_tag_option
@click.option("--time", "moment", metavar="WHEN", required=True, help=f"Such as {FORMS}.")
@click.option(
    "--additional",
    "objects",
    metavar="JSON",
    multiple=True,
    help="Add this flat object before.  Repeatable.",
)
@_monitor_argument
def additional(
    form: str | None,
    tag: str | None,
    *,
    moment: str,
    objects: Sequence[str],
    monitor_id: str | None,
    **access: Any,
) -> None:
    """Print the additional results of a moment, to the millisecond; add some before."""
    checktime, added = _milliseconds(moment), _objects(objects)
    with connect(Access(**access)) as client:
        found = _find(client, monitor_id, tag, access["config_path"])
        if added:
            client.add_additional(found, checktime, added)
        rows = client.additional_results(found, checktime)
    _write_rows(form, rows)


def _write_rows(form: str | None, rows: Sequence[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    write_records(login_format(form), rows, columns)


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
@_timezone_option
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
    _write_rows(form, rows)


def _day(text: str | None) -> date:
    try:
        return date.fromisoformat(text) if text else datetime.now(UTC).date()
    except ValueError:
        raise UsageError(f"--day '{text}' is no date", "such as 2026-11-22") from None


@command.command(example="logwatch-monitis monitor report --since '7 d ago' --per day")
@connection_options
@format_option(*FORMATS, default="human on a terminal, else jsonl")
@_tag_option
@click.option(
    "--since", default="today", metavar="WHEN", show_default=True, help=f"Such as {FORMS}."
)
@click.option("--until", default="now", metavar="WHEN", show_default=True, help="Likewise.")
@click.option(
    "--per", type=click.Choice(["min", "hour", "day", "month"]), help="One row for each of these."
)
@click.option(
    "--interval", type=click.IntRange(1, 10_000), default=1, help="For so many of them, with --per."
)
@_timezone_option
@_monitor_argument
def report(
    form: str | None,
    tag: str | None,
    *,
    since: str,
    until: str,
    per: str | None,
    interval: int,
    minutes: int,
    monitor_id: str | None,
    **access: Any,
) -> None:
    """Print the results of a time, one by one or put together by the server."""
    start, end = _milliseconds(since), _milliseconds(until)
    step = {"interval": str(interval), "intervalType": per} if per else {}
    with connect(Access(**access)) as client:
        found = _find(client, monitor_id, tag, access["config_path"])
        rows = client.report(found, start, end, timezone=str(minutes), **step)
    _write_rows(form, rows)


_ids_argument = click.argument("monitor_ids", metavar="ID...", nargs=-1, required=True)


@command.command(example="logwatch-monitis monitor delete 1")
@connection_options
@_ids_argument
def delete(monitor_ids: Sequence[str], **access: Any) -> None:
    """Delete monitors with all their results, all of them or none."""
    with connect(Access(**access)) as client:
        client.delete_monitor(*monitor_ids)


@command.command(example="logwatch-monitis monitor suspend 1")
@connection_options
@_ids_argument
def suspend(monitor_ids: Sequence[str], **access: Any) -> None:
    """Let monitors take no results for a while; agents keep theirs."""
    with connect(Access(**access)) as client:
        client.suspend(*monitor_ids)


@command.command(example="logwatch-monitis monitor activate 1")
@connection_options
@_ids_argument
def activate(monitor_ids: Sequence[str], **access: Any) -> None:
    """Let suspended monitors take results again."""
    with connect(Access(**access)) as client:
        client.suspend(*monitor_ids, suspended=False)


for _upkeep in (backup, forget, password):
    command.add_command(_upkeep)
