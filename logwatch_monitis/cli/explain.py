"""``explain``: why a line is a login, or why it is not."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import click

from logwatch_monitis.cli.login_output import FORMATS, Terminal
from logwatch_monitis.cli.options import Command, config_option, format_option
from logwatch_monitis.cli.stdin_lines import NO_HEADER, head_of, lines_of
from logwatch_monitis.cli.tables import as_json, write, write_records
from logwatch_monitis.config.file import load
from logwatch_monitis.config.model import Config
from logwatch_monitis.grammar import RuleSet, load_rules
from logwatch_monitis.grammar.explain import Explanation, explain
from logwatch_monitis.interfaces import SystemClock
from logwatch_monitis.login import iso_time
from logwatch_monitis.syslog import Moment, Split, Timeline, local_zone
from logwatch_monitis.text import visible

_COLUMNS = (
    *("login", "reason", "time", "machine", "program", "pid"),
    *("rule", "user", "host", "service", "kind", "line"),
)


class _Case(NamedTuple):
    """One line, cut at its header, with all that is known of it."""

    line: str
    head: Split
    machine: str
    moment: Moment | None
    explanation: Explanation

    @property
    def login(self) -> bool:
        """Whether the line counts as a login."""
        return self.explanation.match is not None and bool(self.moment or not self.head.stamp)

    @property
    def reason(self) -> str:
        """The one sentence."""
        if self.explanation.match and not self.login:
            return f"its time cannot be made out: '{self.head.stamp}'"
        return self.explanation.reason


@click.command(
    cls=Command,
    example="logwatch-monitis explain 'Nov 22 21:41:45 web1 sshd[7]:"
    " Accepted password for alice from 192.0.2.7 port 57276 ssh2'",
)
@config_option
@format_option(*FORMATS)
@click.option("--program", metavar="NAME", help="LINE is a message of this program, no header.")
@click.argument("line", metavar="[LINE|-]", required=False)
def command(
    config_path: str | None, form: str | None, program: str | None, line: str | None
) -> int:
    """Say why a line is a login, or why it is not.

    Shows the header, the rule and every field below its place in the line; for a line that no rule
    takes, how far the nearest rule got. Without LINE, and for -, each line of standard input is
    explained. Exit code 1 if one of them is no login.
    """
    configuration = load(config_path)
    rules = load_rules(configuration.patterns)
    cases = []
    for text in lines_of(line):
        case = _case(text, program, rules, configuration)
        cases.append(case)
        if form == "jsonl":
            write(as_json(_record(case), form))
        elif form in (None, "human"):
            write(("\n" if len(cases) > 1 else "") + _human(case))
    if form == "json":
        records = [_record(case) for case in cases]
        write(as_json(records if line in (None, "-") else records[0], form))
    elif form == "csv":
        write_records(form, [_row(_record(case)) for case in cases], _COLUMNS)
    return 0 if all(case.login for case in cases) else 1


def _case(line: str, program: str | None, rules: RuleSet, configuration: Config) -> _Case:
    head = head_of(line, program)
    if head is None:
        told = Explanation(line, None, "{} ({})".format(*NO_HEADER))
        return _Case(line, Split("", "", "", None, line, 1, ""), "", None, told)
    machine = head.machine or configuration.machine
    timeline = Timeline.live(local_zone(configuration.timezone), SystemClock())
    moment = timeline.resolve(head.stamp) if head.stamp else None
    told = explain(head.message, head.program, rules, machine=machine, form=head.form)
    return _Case(line, head, machine, moment, told)


def _row(record: dict[str, Any]) -> dict[str, Any]:
    """Return what fits into a line: neither the spans nor fields that only some rules have."""
    return {**record["fields"], **record["header"], **record}


def _human(case: _Case) -> str:
    head, told = case.head, case.explanation
    word, colour = ("yes", "32") if case.login else ("no", "31")
    pid = f" [{head.pid}]" if head.pid is not None else ""
    repeated = f" (written once, repeated {head.repeated} times)" if head.repeated > 1 else ""
    facts = {
        "login": f"{Terminal.of(sys.stdout).paint(word, colour)}: {visible(case.reason)}",
        "time": iso_time(case.moment.time_us) if case.moment else head.stamp,
        "machine": case.machine,
        "program": f"{head.program}{pid}{repeated}",
        "rule": f"{told.rule} ({told.path}:{told.line_number})" if told.rule else "",
        "pattern": told.pattern,
        "fields": _fields(told),
    }
    lines = [
        f"{name:<7}  {value if name == 'login' else visible(value)}\n"
        for name, value in facts.items()
        if value
    ]
    return "".join(lines) + told.excerpt() + "\n"


def _fields(told: Explanation) -> str:
    """Return everything the login says, also what does not stand in the message."""
    return " ".join(f"{name}={value}" for name, value in _values(told).items())


def _values(told: Explanation) -> dict[str, str]:
    match = told.match
    if match is None:
        return {}
    named = {"user": match.user, "host": match.host, "service": match.service, "kind": match.kind}
    return {**named, **match.fields}


def _record(case: _Case) -> dict[str, Any]:
    head, told = case.head, case.explanation
    return {
        "line": case.line,
        "login": case.login,
        "reason": case.reason,
        "header": {
            "form": head.form,
            "stamp": head.stamp,
            "time": iso_time(case.moment.time_us) if case.moment else None,
            "machine": case.machine,
            "program": head.program,
            "pid": head.pid,
            "repeated": head.repeated,
        },
        "message": head.message,
        "rule": told.rule or None,
        "path": told.path or None,
        "line_number": told.line_number or None,
        "pattern": told.pattern or None,
        "fields": _values(told),
        "spans": [
            {"name": span.name, "value": span.value, "start": span.start, "end": span.end}
            for span in told.spans
        ],
        "miss": told.miss._asdict() if told.miss else None,
    }
