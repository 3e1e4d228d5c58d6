"""The programs that are compared: ours and others', how each is called, and what it must find.

Each of the others is given the form that was found to be its fastest here. It is asked for what
makes a login: when, which service, who, from where; or only for the number of lines.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from inputs import Input, check_count, check_rows, check_words

__all__ = ["ALL", "PROGRAMS", "SERVICES", "THREE", "Tool", "others", "ours", "starting", "zcat"]

RULES = Path(__file__).parent / "rules"
SERVICES = ("sshd", "vsftpd", "sudo")
THREE, ALL = "scan, three services", "scan, all patterns"
FOUR, COUNT = "4 captures", "a count"
PROGRAMS = {
    "ripgrep": "rg",
    "grep": "grep",
    "mawk": "mawk",
    "liblognorm-utils": "lognormalizer",
    "lnav": "lnav",
    "mtail": "mtail",
    "fail2ban": "fail2ban-regex",
}
"""Debian packages, and the program that is used of each."""

Check = Callable[[Path, Input], None]

_RG = "rg --no-config --no-unicode --no-line-number"
_FOUR = f"{_RG} -o -r '$1 $2$5$9 $3$6$10 $4$7$8' -f four.rx"
_ALL = f"{_RG} -o -r '$1|$2|$3$11$15|$4$12|$6$13$16|$7$14|$5|$8|$9|$10|$17|$18|$19|$20' -f all.rx"


@dataclass(frozen=True, slots=True)
class Tool:
    """A way to read a log.

    Attributes:
        name: what is run.
        gives: what it prints.
        words: the command, without the log, which comes last.
        check: compares what it printed with the truth; None where no log is read.
        package: of Debian, that brings the program; empty for ours.
        limit: bytes of the log that it is given at most; 0 for all.
        cores: how many it may use.
    """

    name: str
    gives: str
    words: tuple[str, ...]
    check: Check | None
    package: str = ""
    limit: int = 0
    cores: int = 1

    @property
    def missing(self) -> bool:
        """Whether it is not installed."""
        return bool(self.package) and shutil.which(PROGRAMS[self.package]) is None

    @property
    def counts(self) -> bool:
        """Whether it prints a number only; GNU grep would not even count into /dev/null."""
        return self.gives == COUNT

    def command(self, log: Path) -> list[str]:
        """Return the command for a log."""
        return [*self.words, str(log)] if self.check else [*self.words]


def ours(*, services: bool = True, cores: int = 1, jobs: int = 1) -> Tool:
    """Return our scan to jsonl, with the patterns of three services or all that are shipped."""
    chosen = [word for name in SERVICES for word in ("--service", name)] if services else []
    name = THREE if services else ALL
    name += f", --jobs {jobs}" if jobs > 1 else ", 2 cores" if cores > 1 else ""
    words = (*_program(), "scan", "--format", "jsonl", "--jobs", str(jobs), *chosen)
    return Tool(name, "jsonl, all", words, check_rows, cores=cores)


def _program() -> list[str]:
    program = Path(sys.executable).with_name("logwatch-monitis")
    return [str(program)] if program.exists() else [sys.executable, "-m", "logwatch_monitis"]


def others() -> Iterator[Tool]:
    """Yield what else reads a plain log."""
    yield _rg("rg -o -r", FOUR, check_words, f'exec {_FOUR} "$1"')
    yield _rg("rg -o -r, all", "all captures", _lines(), f'exec {_ALL} "$1"')
    two = f'{_RG} -F -f literals.txt "$1" | {_FOUR}'
    yield _rg("rg -F | rg -o -r", FOUR, check_words, two)
    yield _rg("rg -c", COUNT, _number, f'exec {_RG} -c -f four.rx "$1"')
    yield _rg("rg -c -F", COUNT, _number, f'exec {_RG} -cF -f literals.txt "$1"')
    for option, rules in [("-P", "four.rx"), ("-E", "extended.rx")]:
        script = f'exec grep -c {option} -f {rules} "$1"'
        yield Tool(f"grep -c {option}", COUNT, _shell(script), _number, "grep")
    yield Tool("mawk", FOUR, _shell('exec mawk -f logins.awk "$1"'), check_words, "mawk")
    script = 'exec lognormalizer -p -T -r logins.rb <"$1"'
    yield Tool("lognormalizer", "json, all", _shell(script), _lines(), "liblognorm-utils")
    yield from _slow()


def _slow() -> Iterator[Tool]:
    words = _shell('exec lnav -n -f logins.lnav "$1"')
    yield Tool("lnav -n", "csv, 4 captures", words, _lines(header=1), "lnav", 50_000_000)
    options = "--one_shot --logtostderr --address 127.0.0.1 --port 0"
    words = _shell(f'exec mtail {options} --progs "$0" --logs "$1"')
    yield Tool("mtail --one_shot", "counters", words, _sum, "mtail", 20_000_000)
    words = _shell('exec fail2ban-regex --usedns=no -o row "$1" "$0/logins.conf"')
    yield Tool("fail2ban-regex -o row", FOUR, words, _lines(), "fail2ban", 5_000_000)


def zcat(*, cores: int = 1) -> Tool:
    """Return what reads a compressed log without us."""
    name = "zcat | rg -o -r" + (", 2 cores" if cores > 1 else "")
    return _rg(name, FOUR, check_words, f'zcat "$1" | {_FOUR}', cores)


def starting() -> Iterator[Tool]:
    """Yield what is compared by its start; the first is what the others are measured by."""
    program = "import re, json, argparse"
    yield Tool("python3", "nothing", (sys.executable, "-c", program), None)
    yield Tool("--help", "help", (*_program(), "--help"), None)
    yield ours()
    yield ours(services=False)


def _rg(name: str, gives: str, check: Check, script: str, cores: int = 1) -> Tool:
    return Tool(name, gives, _shell(script), check, "ripgrep", cores=cores)


def _shell(script: str) -> tuple[str, ...]:
    """Return the words for a line of shell that is run among the rules; ``$1`` is the log."""
    return ("sh", "-c", f'cd "$0" && {script}', str(RULES))


# -- checks of what was printed -------------------------------------------------------------------


def _lines(*, header: int = 0) -> Check:
    """Return a check of the number of lines, of which *header* are no login."""

    def check(out: Path, log: Input) -> None:
        with out.open("rb") as printed:
            check_count(sum(1 for _ in printed) - header, log)

    return check


def _number(out: Path, log: Input) -> None:
    check_count(int(out.read_text()), log)


def _sum(out: Path, log: Input) -> None:
    """Check the sum of mtail's counters."""
    counters = json.loads(out.read_text())["logins"][0].get("LabelValues", [])
    check_count(sum(one["Value"]["Value"] for one in counters), log)
