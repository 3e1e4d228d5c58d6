"""The programs that are compared: ours and others', how each is called, and what it must find.

Each of the others is given the form that was found to be its fastest here. What it is asked for is
what makes a login: when, which service, who, from where; or only the number of lines.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from inputs import Input, check_count, check_logins

__all__ = ["LITERALS", "RULES", "SERVICES", "Tool", "ours", "others", "starting", "unpacking"]

RULES = Path(__file__).parent / "rules"
SERVICES = ("sshd", "vsftpd", "sudo")
LITERALS = (": Accepted ", "] OK LOGIN: ", " ; COMMAND=")

Check = Callable[[Path, Input], None]
Words = Callable[[Path], list[str]]

_HEAD = r"^(\w{3} [ \d]\d \d\d:\d\d:\d\d) "
_FOUR = (
    rf"(?-u){_HEAD}\S+ (?:(sshd)\[\d+\]: Accepted \S+ for (.+?) from (\S+) port \d+ ssh[12]"
    r'|(vsftpd)\[\d+\]: \[([^\]]*)\] OK LOGIN: Client "([^"]*)"'
    r"|(sudo): +(\S+) : (?:TTY=\S+ ; )?PWD=.*? ; USER=.*? ; COMMAND=)"
)
_FOUR_SHOWN = "$1 $2$5$8 $3$6$9 $4$7"
_ALL = (
    rf"(?-u){_HEAD}(\S+) (?:"
    r"(sshd)\[(\d+)\]: Accepted (\S+) for (.+?) from (\S+) port (\d+) (ssh[12])(?:: (.*))?"
    r'|(vsftpd)\[(\d+)\]: \[([^\]]*)\] OK LOGIN: Client "([^"]*)"'
    r"|(sudo): +(\S+) : (?:TTY=(\S+) ; )?PWD=(.*?) ; USER=(.*?) ; COMMAND=(.*))$"
)
_ALL_SHOWN = "\t".join(
    "$1 $2 $3$11$15 $4$12 $6$13$16 $7$14 $5 $8 $9 $10 $17 $18 $19 $20".split(" ")
)
_EXTENDED = (
    r"^[A-Z][a-z]{2} .{11} [^ ]+ "
    r"(sshd\[[0-9]+\]: Accepted [^ ]+ for .+ from [^ ]+ port [0-9]+ ssh[12]"
    r'|vsftpd\[[0-9]+\]: \[[^]]*\] OK LOGIN: Client "'
    r"|sudo: +[^ ]+ : (TTY=[^ ]+ ; )?PWD=.* ; USER=.* ; COMMAND=)"
)
_LNAV = ";" + " UNION ALL ".join(
    f"SELECT log_time, log_procname, log_hostname, regexp_match('{expression}', log_body)"  # noqa: S608
    f" FROM syslog_log WHERE log_procname = '{service}' AND log_body LIKE '{like}'"
    for service, like, expression in [
        ("sshd", "Accepted %", r"^Accepted \S+ for (?<user>.+?) from (?<host>\S+) port \d+"),
        ("vsftpd", "%] OK LOGIN: %", r'\[(?<user>[^\]]*)\] OK LOGIN: Client "(?<host>[^"]*)"'),
        ("sudo", "% ; COMMAND=%", r"^ *(?<user>\S+) : (?:TTY=\S+ ; )?PWD=.*? ; USER=.*? ; "),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A way to read a log.

    Attributes:
        key: by which goals name it.
        name: what is run, for people.
        gives: what it prints.
        words: the command for a log.
        check: compares what it printed with the truth; None where nothing is found.
        package: of Debian, that brings the program; empty for ours.
        program: that must be installed.
        limit: bytes of the log that it is given at most; 0 for all.
        cores: how many it may use.
    """

    key: str
    name: str
    gives: str
    words: Words
    check: Check | None
    package: str = ""
    program: str = ""
    limit: int = 0
    cores: int = 1

    @property
    def missing(self) -> bool:
        """Whether it is not installed."""
        return bool(self.program) and shutil.which(self.program) is None

    @property
    def counts(self) -> bool:
        """Whether it prints a number only; GNU grep would not even count into /dev/null."""
        return self.gives == "a count"


def _lines(extra: int = 0) -> Check:
    """Return a check of the number of lines printed; *extra* of them are no login."""

    def check(out: Path, log: Input) -> None:
        with out.open("rb") as printed:
            check_count(sum(1 for _ in printed) - extra, log)

    return check


def _number(out: Path, log: Input) -> None:
    check_count(int(out.read_text()), log)


def _sum(out: Path, log: Input) -> None:
    """Check the sum of mtail's counters."""
    counters = json.loads(out.read_text())["logins"][0].get("LabelValues", [])
    check_count(sum(one["Value"]["Value"] for one in counters), log)


def _ours() -> list[str]:
    program = Path(sys.executable).with_name("logwatch-monitis")
    return [str(program)] if program.exists() else [sys.executable, "-m", "logwatch_monitis"]


def ours(key: str, *, services: bool = True, cores: int = 1) -> Tool:
    """Return our scan to jsonl, with the patterns of three services or all that are shipped."""
    chosen = [word for name in SERVICES for word in ("--service", name)] if services else []
    options = ["--format", "jsonl", "--jobs", str(cores), *chosen]
    jobs = f", --jobs {cores}" if cores > 1 else ""
    return Tool(
        key=key,
        name=f"scan, {'three services' if services else 'all patterns'}{jobs}",
        gives="jsonl",
        words=lambda log: [*_ours(), "scan", *options, str(log)],
        check=check_logins,
        cores=cores,
    )


def others() -> Iterator[Tool]:
    """Yield what else reads a plain log."""
    yield from _ripgrep()
    yield from _counting()
    yield Tool(
        key="mawk",
        name="mawk",
        gives="4 captures",
        words=lambda log: ["mawk", "-f", str(RULES / "logins.awk"), str(log)],
        check=_lines(),
        package="mawk",
        program="mawk",
    )
    script = 'exec lognormalizer -p -T -r "$1" <"$2"'
    yield Tool(
        key="lognormalizer",
        name="lognormalizer",
        gives="json, all captures",
        words=lambda log: ["sh", "-c", script, "sh", str(RULES / "logins.rb"), str(log)],
        check=_lines(),
        package="liblognorm-utils",
        program="lognormalizer",
    )
    yield from _slow()


def _rg(*words: str) -> list[str]:
    return ["rg", "--no-config", "--no-filename", "--no-line-number", *words]


def _ripgrep() -> Iterator[Tool]:
    def tool(key: str, name: str, gives: str, words: Words) -> Tool:
        check = _number if gives == "a count" else _lines()
        return Tool(
            key=key,
            name=name,
            gives=gives,
            words=words,
            check=check,
            package="ripgrep",
            program="rg",
        )

    fixed = [word for literal in LITERALS for word in ("-e", literal)]
    four, every = ["-o", "-r", _FOUR_SHOWN, _FOUR], ["-o", "-r", _ALL_SHOWN, _ALL]
    first = 'rg --no-config -N -F -e "$2" -e "$3" -e "$4" "$1" | rg --no-config -N -o -r'
    both = f'{first} "$5" "$6"'
    yield tool("rg", "rg -o -r", "4 captures", lambda log: _rg(*four, str(log)))
    yield tool("rg-all", "rg -o -r", "all captures", lambda log: _rg(*every, str(log)))
    yield tool(
        "rg-rg",
        "rg -F | rg -o -r",
        "4 captures",
        lambda log: ["sh", "-c", both, "sh", str(log), *LITERALS, _FOUR_SHOWN, _FOUR],
    )
    yield tool("rg-count", "rg -c", "a count", lambda log: _rg("-c", _FOUR, str(log)))
    yield tool(
        "rg-literals", "rg -c -F, 3 literals", "a count", lambda log: _rg("-cF", *fixed, str(log))
    )


def _counting() -> Iterator[Tool]:
    for option, expression in [("-P", _FOUR.removeprefix("(?-u)")), ("-E", _EXTENDED)]:
        yield Tool(
            key=f"grep{option}",
            name=f"grep -c {option}",
            gives="a count",
            words=lambda log, words=("grep", "-c", option, expression): [*words, str(log)],
            check=_number,
            package="grep",
            program="grep",
        )


def _slow() -> Iterator[Tool]:
    yield Tool(
        key="lnav",
        name="lnav -n",
        gives="csv, 4 captures",
        words=lambda log: ["lnav", "-n", "-c", _LNAV, "-c", ":write-csv-to -", str(log)],
        check=_lines(extra=1),
        package="lnav",
        program="lnav",
        limit=50_000_000,
    )
    options = ["--one_shot", "--logtostderr", "--address", "127.0.0.1", "--port", "0"]
    yield Tool(
        key="mtail",
        name="mtail --one_shot",
        gives="counters",
        words=lambda log: ["mtail", *options, "--progs", str(RULES), "--logs", str(log)],
        check=_sum,
        package="mtail",
        program="mtail",
        limit=20_000_000,
    )
    filter_ = str(RULES / "logins.conf")
    yield Tool(
        key="fail2ban",
        name="fail2ban-regex -o row",
        gives="4 captures",
        words=lambda log: ["fail2ban-regex", "--usedns=no", "-o", "row", str(log), filter_],
        check=_lines(),
        package="fail2ban",
        program="fail2ban-regex",
        limit=5_000_000,
    )


def unpacking(key: str, cores: int) -> Tool:
    """Return what reads a compressed log without us."""
    return Tool(
        key=key,
        name="zcat | rg -o -r",
        gives="4 captures",
        words=lambda log: [
            *("sh", "-c", 'zcat "$1" | rg --no-config -N -o -r "$2" "$3"', "sh"),
            *(str(log), _FOUR_SHOWN, _FOUR),
        ],
        check=_lines(),
        package="ripgrep",
        program="rg",
        cores=cores,
    )


def starting() -> Iterator[Tool]:
    """Yield what is compared by its start alone."""
    program = "import re, json, argparse"
    yield Tool(
        key="python",
        name=f"python3 -c '{program}'",
        gives="nothing",
        words=lambda _: [sys.executable, "-c", program],
        check=None,
    )
    yield Tool(
        key="help",
        name="logwatch-monitis --help",
        gives="help",
        words=lambda _: [*_ours(), "--help"],
        check=None,
    )
    yield ours("ours-all", services=False)
    yield ours("ours")
