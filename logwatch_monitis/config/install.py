"""Writing configuration, keys and unit of a machine, and taking them away again.

A record beside the configuration holds a digest of each file as it was written; a file that differs
from its digest was edited by a person, and is left alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from subprocess import PIPE, TimeoutExpired

from logwatch_monitis.config.credentials import Secret
from logwatch_monitis.config.private_files import (
    FILE_MODE,
    PUBLIC_FILE_MODE,
    UnsafeFileError,
    open_below,
    read_in,
    write_in,
)
from logwatch_monitis.errors import LogwatchError, SetupError
from logwatch_monitis.login import blake2b
from logwatch_monitis.sources import programs

__all__ = [
    "API_KEY",
    "CONFIG",
    "SECRET_KEY",
    "UNIT",
    "Tree",
    "WantedFile",
    "Written",
    "configuration_text",
    "has_systemd",
    "is_packaged",
    "key_file",
    "own_program",
    "reload_units",
    "start",
    "stop",
    "unit_text",
]

NAME = "logwatch-monitis"
ETC = f"/etc/{NAME}"
CONFIG = f"{ETC}/config.yaml"
API_KEY = f"{ETC}/api-key"
SECRET_KEY = f"{ETC}/secret-key"
UNIT = f"/etc/systemd/system/{NAME}.service"
_PATTERNS = f"{ETC}/patterns.d"
_RECORD = f"{ETC}/.setup.json"
_WRITTEN = {CONFIG, API_KEY, SECRET_KEY, UNIT}
"""What `Tree.install` writes; a record that names anything else is not ours."""
_LARGEST = 1024 * 1024
_STATE = [f"/var/{kind}/{NAME}" for kind in ("lib", "lib/private", "cache", "cache/private")]
_SHIPPED = "/usr/bin/logwatch-monitis"
_PACKAGED = (f"/lib/systemd/system/{NAME}.service", f"/usr/lib/systemd/system/{NAME}.service")
_HIDDEN = ("/home/", "/root/", "/tmp/", "/var/tmp/", "/run/user/")  # noqa: S108 - by the unit
_SAFE = re.compile(r"[\w./+ -]+", re.ASCII)
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file as it shall be; *path* counts from the root of the tree."""

    path: str
    data: bytes
    mode: int = PUBLIC_FILE_MODE


@dataclass(slots=True)
class Written:
    """What became of the files: paths as they are in the tree."""

    changed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


class Tree:
    """A machine's files below *root*; ``/`` is this machine.

    No link below another root is followed, and on this machine those of root alone.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._own = root.resolve() == Path("/")

    def path(self, name: str) -> Path:
        """Return where a file of the machine lies."""
        return self._root / name.lstrip("/")

    def holds(self, name: str) -> bool:
        """Return whether the machine has a file of this name."""
        with suppress(OSError, UnsafeFileError), self._beside(name) as (directory, last):
            os.stat(last, dir_fd=directory, follow_symlinks=False)
            return True
        return False

    def install(self, wanted: Iterable[WantedFile]) -> Written:
        """Write what is missing or has become old; leave what a person wrote or edited.

        Raises:
            OSError: something cannot be written.
            SetupError: the record of what was written is damaged, or a directory is a link.
        """
        record, done = self._read_record(), Written()
        with self._beside(f"{_PATTERNS}/any", make=True):
            pass
        for file in wanted:
            old, new = self._digest(file.path), _digest(file.data)
            if old == new:
                continue
            if old is not None and old != record.get(file.path):
                done.left.append(file.path)
                continue
            record[file.path] = new
            self._write_record(record)  # first: a crash leaves no file that nobody wrote
            self._write(file)
            done.changed.append(file.path)
        return done

    def remove(self, *, purge: bool) -> Written:
        """Take away what `install` wrote; with *purge* also what was edited, and the state.

        Raises:
            OSError: something cannot be taken away.
            SetupError: the record of what was written is damaged, or a directory is a link.
        """
        done = Written()
        for name, digest in self._read_record().items():
            found = self._digest(name)
            if found is not None and (purge or found == digest):
                self._take_away(name)
                done.changed.append(name)
            elif found is not None:
                done.left.append(name)
        self._take_away(_RECORD)
        if purge:
            done.changed += filter(self._take_away, (ETC, UNIT, f"{UNIT}.d", *_STATE))
        for name in (_PATTERNS, ETC):
            with suppress(OSError), self._beside(name) as (directory, last):
                os.rmdir(last, dir_fd=directory)  # absent, or with files of a person
        return done

    @contextmanager
    def _beside(self, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Open the directory of a file of the machine; yields it with the file's own name."""
        *above, last = name.strip("/").split("/")
        directory = open_below(self._root, above, make=make, roots_links=self._own)
        try:
            yield directory, last
        finally:
            os.close(directory)

    def _take_away(self, name: str) -> bool:
        """Remove a file, a link, or a directory with all in it; return whether there was one."""
        with suppress(FileNotFoundError), self._beside(name) as (directory, last):
            status = os.stat(last, dir_fd=directory, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                shutil.rmtree(last, dir_fd=directory)
            else:
                os.unlink(last, dir_fd=directory)
            return True
        return False

    def _digest(self, name: str) -> str | None:
        """Return the digest of a file, nothing but its own for what is none; None if absent."""
        with suppress(FileNotFoundError), self._beside(name) as (directory, last):
            data = read_in(directory, last, _LARGEST)
            return "" if data is None else _digest(data)
        return None

    def _read_record(self) -> dict[str, str]:
        data: bytes | None = b"{}"
        with suppress(FileNotFoundError), self._beside(_RECORD) as (directory, last):
            data = read_in(directory, last)
        with suppress(ValueError, TypeError, AttributeError):
            record = {str(name): str(digest) for name, digest in json.loads(data or b"").items()}
            if record.keys() <= _WRITTEN:
                return record
        path = self.path(_RECORD)
        raise SetupError(f"{path} is damaged", f"remove it: rm {path}")

    def _write_record(self, record: dict[str, str]) -> None:
        data = json.dumps(record, indent=1, sort_keys=True).encode() + b"\n"
        self._write(WantedFile(_RECORD, data, FILE_MODE))

    def _write(self, file: WantedFile) -> None:
        """Put a file in its place at once, never open to others for a moment."""
        with self._beside(file.path, make=True) as (directory, last):
            write_in(directory, last, file.data, file.mode, give=False)


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=32).hexdigest()


def configuration_text(url: str, logs: Sequence[str], *, keys: bool) -> str:
    """Return a configuration with comments; *keys* says whether key files lie beside it."""
    named = f"  api_key_file: {API_KEY}\n  secret_key_file: {SECRET_KEY}\n" if keys else ""
    listed = "".join(f"    - {json.dumps(log)}\n" for log in logs)
    return f"""\
# {CONFIG}
#
# Written by `{NAME} setup`, which leaves it alone once you have edited it. Every key there is, and
# its default: the page "Configuration" of the documentation. `{NAME} check` says what is wrong;
# `systemctl reload {NAME}` takes changes up.

monitor:
  # embedded: a monitor with a page that the agent brings along. Or the address of another one.
  url: {json.dumps(url)}
{named}
sources:
  # Globs are allowed; a file that does not exist is waited for.
  files:
{listed}
  # auto reads the systemd journal only where no file of the list exists; yes reads both.
  journal: auto

patterns:
  # Pattern files of your own. One with the name of a shipped one takes its place.
  directories: [{_PATTERNS}]
"""


def unit_text(program: str) -> str:
    """Return the systemd unit that starts *program*."""
    text = files("logwatch_monitis").joinpath(f"systemd/{NAME}.service").read_text("utf-8")
    return text.replace(_SHIPPED, program)


def is_packaged(tree: Tree) -> bool:
    """Return whether the Debian package has brought the unit."""
    return any(map(tree.holds, _PACKAGED))


def own_program(*, hidden: bool = False) -> str:
    """Return the command line that starts this program; *hidden* allows what the unit hides.

    Python is isolated in it: neither working directory nor environment say what is imported.

    Raises:
        SetupError: the unit could not start it where it lies.
    """
    python = Path(*programs.isolated()[:1])
    beside = python.with_name(NAME)
    begin = [str(beside)] if beside.exists() else ["-m", "logwatch_monitis"]
    program = " ".join(programs.isolated(*begin))
    places = map(str, (python, beside, python.resolve(), Path(__file__).resolve()))
    if not hidden and any(place.startswith(_HIDDEN) for place in places):
        raise SetupError(
            f"{program} lies where a service cannot see it",
            f"install it elsewhere: python3 -m venv /opt/{NAME}",
        )
    if not _SAFE.fullmatch(program):
        raise SetupError(f"{program}: such a path cannot stand in a unit", "install it elsewhere")
    return program


def has_systemd() -> bool:
    """Return whether systemd runs this machine; source: sd_booted(3)."""
    return Path("/run/systemd/system").is_dir()


def start(*, again: bool) -> None:
    """Enable the unit, start it, and wait until it says that it is ready (``Type=notify``).

    With *again* a running one is started anew.

    Raises:
        LogwatchError: systemctl refused, or it did not become ready.
    """
    _systemctl("daemon-reload")
    _systemctl("enable", NAME)
    _systemctl("restart" if again else "start", NAME)


def stop() -> None:
    """Stop and disable the unit; one that is not there is not missed.

    Raises:
        LogwatchError: it could not be stopped.
    """
    if _systemctl("show", "--property=LoadState", "--value", NAME).strip() == "not-found":
        return
    _systemctl("disable", "--now", NAME)


def reload_units() -> None:
    """Make systemd look at its units again.

    Raises:
        LogwatchError: systemctl refused.
    """
    _systemctl("daemon-reload")


def _systemctl(*words: str) -> str:
    command = ["systemctl", *words]
    try:
        with programs.start(command, stdout=PIPE, stderr=PIPE, text=True) as process:
            try:
                printed, complaints = process.communicate(timeout=_PATIENCE_S)
            except TimeoutExpired:
                process.kill()
                raise
    except (OSError, TimeoutExpired) as error:
        raise LogwatchError(f"{' '.join(command)}: {error}", f"journalctl -u {NAME}") from None
    if process.returncode != 0:
        told = " ".join(complaints.split()) or f"exit code {process.returncode}"
        raise LogwatchError(f"{' '.join(command)}: {told}", f"journalctl -u {NAME} says why")
    return str(printed)


def key_file(path: str, key: Secret) -> WantedFile:
    """Return the file of a key, for its owner alone."""
    return WantedFile(path, key.reveal().encode() + b"\n", FILE_MODE)
