"""The two keys of a monitor: where they come from, and how they stay out of every text.

The nearest source counts: the command's own file, the environment, systemd's credentials, the
configuration. Keys are read when they are needed and not before, so that commands which send
nothing work for users who may not read them.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from logwatch_monitis.config.private_files import check_mode
from logwatch_monitis.config.small_files import read_small
from logwatch_monitis.errors import SetupError

__all__ = ["Credential", "Secret", "keep_memory_private", "read_secret_file", "without_keys"]

_PREFIX = "LOGWATCH_MONITIS_"
_API_KEY = f"{_PREFIX}API_KEY"
_SECRET_KEY = f"{_PREFIX}SECRET_KEY"
_MAX_BYTES = 4096


class Secret:
    """A text that shows itself only to who asks with `reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


@dataclass(frozen=True, slots=True)
class Credential:
    """One key and all that the configuration says about it.

    Attributes:
        name: ``api-key`` or ``secret-key``, also its name among systemd's credentials.
        value: what stands in the configuration itself.
        file: the file that the configuration names.
    """

    name: str
    value: Secret | None = None
    file: str = ""

    def find(self, environ: Mapping[str, str] = os.environ) -> Secret | None:
        """Return the key from the nearest source, or None if there is none.

        A blank systemd credential is none: a unit needs something to hand over without a file.

        Raises:
            SetupError: a file that is named cannot be read, is empty, or is open to others.
        """
        variable = _PREFIX + self.name.upper().replace("-", "_")
        if value := environ.get(variable):
            return Secret(value)
        if path := environ.get(f"{variable}_FILE"):
            return read_secret_file(path)
        if directory := environ.get("CREDENTIALS_DIRECTORY"):
            credential = Path(directory, self.name)
            if credential.exists() and read_small(credential).strip():
                return _read(str(credential), guarded=False)
        return read_secret_file(self.file) if self.file else self.value

    def need(self, environ: Mapping[str, str] = os.environ) -> Secret:
        """Return the key like `find`; a missing one is an error that says where it can stand.

        Raises:
            SetupError: there is none, or its file is not usable.
        """
        found = self.find(environ)
        if found is None:
            word = self.name.replace("-", "_")
            raise SetupError(
                f"the monitor's {self.name.replace('-', ' ')} is not known",
                f"set monitor: {word}_file in the configuration, or {_PREFIX}{word.upper()}_FILE",
            )
        return found


def without_keys(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment for a child process that has no business with the keys."""
    keys = (_API_KEY, _SECRET_KEY)
    return {name: value for name, value in environ.items() if name not in keys}


def read_secret_file(path: str) -> Secret:
    """Return the only word of a key file that nobody but its owner can read; ``-`` is stdin.

    As with ssh and PostgreSQL: nobody but the owner may read it, except that a file of root may be
    readable for one group, which is how a service gets it.

    Raises:
        SetupError: the file cannot be read, is empty, or is readable for others.
    """
    return _read(path, guarded=True)


def _read(path: str, *, guarded: bool) -> Secret:
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
            if guarded:
                check_mode(path, os.fstat(file.fileno()))
            return _parse(path, file.read(_MAX_BYTES))
    except OSError as error:
        raise SetupError(f"cannot read the key file {path}: {error.strerror}") from None


def _parse(path: str, data: bytes) -> Secret:
    try:
        text = data.decode("ascii").strip()
    except UnicodeDecodeError:
        text = "\0"
    if not "".join(text.split()).isprintable():
        raise SetupError(f"the key file {path} holds bytes that no key has")
    if not text or len(text.split()) > 1:
        raise SetupError(
            f"the key file {path} {'is empty' if not text else 'holds more than one word'}",
            "it holds one line, the key",
        )
    return Secret(text)


_PR_SET_DUMPABLE = 4


def keep_memory_private() -> None:
    """Leave no core file, and let no other process of this user look into the memory.

    Programs that are started later inherit the first and not the second (prctl(2)).
    """
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
