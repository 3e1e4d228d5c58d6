"""What sshd's configuration says of its log; source: sshd_config(5) and OpenSSH's servconf.c."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from logwatch_monitis.config.small_files import read_small
from logwatch_monitis.errors import SetupError

__all__ = ["PATH", "SILENT", "SshdSetting", "read_log_settings"]

PATH = Path("/etc/ssh/sshd_config")
SILENT = frozenset({"QUIET", "FATAL", "ERROR"})
"""Levels at which sshd writes no line for an accepted login."""

_LINE = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.*?)\s*(?:#.*)?")
_DEPTH = 16


class SshdSetting(NamedTuple):
    """A value and where it stands, as ``file:line``."""

    value: str
    where: str


def read_log_settings(path: Path = PATH) -> dict[str, SshdSetting]:
    """Return ``loglevel`` and ``syslogfacility`` in capitals, as far as they are set for everybody.

    The first value counts, files that are included as if they stood there. What stands below a
    ``Match`` is left out, and so is what cannot be read.
    """
    found: dict[str, SshdSetting] = {}
    for name, setting in _settings(path, path.parent, _DEPTH):
        found.setdefault(name, setting)
    return found


def _settings(path: Path, base: Path, depth: int) -> Iterator[tuple[str, SshdSetting]]:
    with suppress(OSError, SetupError):
        text = read_small(path).decode("utf-8", "replace")
        for number, line in enumerate(text.splitlines(), 1):
            match = _LINE.fullmatch(line)
            name, value = (match[1].lower(), match[2]) if match else ("", "")
            if name == "match":
                return
            if name == "include" and depth:
                for included in _included(value, base):
                    yield from _settings(included, base, depth - 1)
            elif name in {"loglevel", "syslogfacility"}:
                yield name, SshdSetting(value.strip('"').upper(), f"{path}:{number}")


def _included(patterns: str, base: Path) -> Iterator[Path]:
    for pattern in patterns.split():
        for name in sorted(glob.glob(os.path.join(base, pattern.strip('"')))):  # noqa: PTH118, PTH207
            yield Path(name)
