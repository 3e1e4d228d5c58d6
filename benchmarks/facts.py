"""What a measurement was made on: processor, system, versions; nothing that names the machine."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from tools import PROGRAMS

__all__ = ["Facts", "load"]

LIBRARIES = ("ahocorasick_rs", "isal", "zstandard")
VERSION_OPTION = {"mawk": "-Wversion", "lnav": "-V", "lognormalizer": "-V", "fail2ban-regex": "-V"}


class Facts(NamedTuple):
    """What figures depend on.

    Attributes:
        lines: for people.
        load: how many processes wanted to run before the measurement began.
    """

    lines: list[str]
    load: float

    @classmethod
    def now(cls) -> Facts:
        """Ask the machine."""
        return cls([*_hardware(), *_software()], load())


def load() -> float:
    """Return the load average of the last five minutes."""
    return os.getloadavg()[1]


def _hardware() -> Iterator[str]:
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kernel = platform.release().partition("-")[0]
    name = model[1] if model else platform.machine()
    yield f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {kernel}"


def _software() -> Iterator[str]:
    yield f"Python {platform.python_version()}, " + ", ".join(map(_library, LIBRARIES))
    programs = [*PROGRAMS.values(), "gzip"]
    yield ", ".join(f"{name} {_version(name)}" for name in programs if shutil.which(name))


def _library(name: str) -> str:
    try:
        return f"{name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return f"no {name}"


def _version(program: str) -> str:
    """Return the first thing in a program's account of its version that looks like one."""
    words = [program, VERSION_OPTION.get(program, "--version")]
    said = subprocess.run(words, check=False, capture_output=True, text=True)
    found = re.search(r"\d+(\.\w+)+(~\w+)?", said.stdout + said.stderr)
    return found[0] if found else "of unknown version"
