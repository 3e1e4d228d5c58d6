"""The configuration: what can be chosen, and what holds where nothing is chosen."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from logwatch_monitis.credentials import Credential
from logwatch_monitis.errors import SetupError
from logwatch_monitis.paths import state_directory

__all__ = [
    "DEFAULT_FILES",
    "DEFAULT_LISTEN",
    "DEFAULT_PATH",
    "EMBEDDED",
    "Config",
    "Ignore",
    "Keep",
    "Log",
    "Monitor",
    "Sources",
    "SpoolLimits",
    "load",
]

DEFAULT_PATH = "/etc/logwatch-monitis/config.yaml"
DEFAULT_FILES = ("/var/log/auth.log", "/var/log/secure", "/var/log/vsftpd.log")
DEFAULT_PATTERNS = Path("/etc/logwatch-monitis/patterns.d")
DEFAULT_LISTEN = "127.0.0.1:8460"
EMBEDDED = "embedded"

_API_KEY = Credential("api-key")
_SECRET_KEY = Credential("secret-key")


@dataclass(frozen=True, slots=True)
class Monitor:
    """The custom monitor that the logins go to.

    Attributes:
        url: ``embedded``, or where ``/api`` and ``/customMonitorApi`` are appended.
        api_key: names the account.
        secret_key: signs.
        validation: how writes prove themselves, ``hmac`` or ``token``.
        name: of the monitor.
        tag: of the monitor; it is found by its tag.
        insecure: tokens may cross the network in clear text; never configured, only typed.
    """

    url: str = EMBEDDED
    api_key: Credential = _API_KEY
    secret_key: Credential = _SECRET_KEY
    validation: Literal["hmac", "token"] = "hmac"
    name: str = "Login Monitor"
    tag: str = "loginMonitor"
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Sources:
    """What is watched.

    Attributes:
        files: paths and globs; a missing file is waited for.
        journal: ``auto`` reads the journal only where no file of the list exists.
    """

    files: tuple[str, ...] = DEFAULT_FILES
    journal: Literal["auto", "yes", "no"] = "auto"


@dataclass(frozen=True, slots=True)
class Ignore:
    """Whose logins are counted and not sent."""

    users: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """How much waits for a monitor that does not answer, and for how long ids are remembered.

    Attributes:
        max_entries: logins that may wait.
        keep: which of them stay when there are more, the ``newest`` or the ``oldest``.
        seen_days: days with logins for which a login is known again and not sent twice.
    """

    max_entries: int = 1_000_000
    keep: Literal["newest", "oldest"] = "newest"
    seen_days: int = 400


@dataclass(frozen=True, slots=True)
class Log:
    """What the agent writes to standard error.

    Attributes:
        format: ``human``, or ``json`` for programs.
        level: what is less grave is left out.
    """

    format: Literal["human", "json"] = "human"
    level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def number(self) -> int:
        """The level as the module `logging` counts."""
        return {"debug": 10, "info": 20, "warning": 30, "error": 40}[self.level]


@dataclass(frozen=True, slots=True)
class Keep:
    """How much the embedded monitor keeps.

    Attributes:
        days: results of earlier days go, by their own time; 0 keeps all.
        mebibytes: when its data takes more, the oldest results go; 0 sets no limit.
    """

    days: int = 0
    mebibytes: int = 0


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be configured, with its defaults.

    Attributes:
        path: the file it comes from; empty if there is none.
        patterns: directories of pattern files, the later ones stronger.
        state: the directory asked for; empty for the usual one.
        machine: the name for lines that name no machine.
        timezone: of log lines without one; None for the machine's own.
        listen: address of page, API, health and metrics, as ``HOST:PORT``.
        listen_chosen: the address was asked for, so another one will not do.
        page_password_file: holds what opens the embedded monitor's page; empty for none.
    """

    path: str = ""
    monitor: Monitor = field(default_factory=Monitor)
    sources: Sources = field(default_factory=Sources)
    patterns: tuple[Path, ...] = (DEFAULT_PATTERNS,)
    state: str = ""
    machine: str = field(default_factory=lambda: os.uname().nodename)
    timezone: str | None = None
    ignore: Ignore = field(default_factory=Ignore)
    listen: str = DEFAULT_LISTEN
    listen_chosen: bool = False
    page_password_file: str = ""
    spool: SpoolLimits = field(default_factory=SpoolLimits)
    retention: Keep = field(default_factory=Keep)
    log: Log = field(default_factory=Log)

    @property
    def state_directory(self) -> Path:
        """Return where the spool and the embedded monitor keep their data.

        Raises:
            StateError: none was asked for, and this user has no home directory.
        """
        return state_directory(self.state)

    @property
    def monitor_directory(self) -> Path:
        """Return where the embedded monitor keeps its keys and results.

        Raises:
            StateError: as `state_directory`.
        """
        return self.state_directory / "monitor"


def load(path: str | None = None) -> Config:
    """Return the configuration in *path*; without one, that of the usual place, if it is there.

    Raises:
        DocumentError: mistakes in the file, all of them, with their places.
        SetupError: the file cannot be read.
    """
    name = path or DEFAULT_PATH
    try:
        data = Path(name).read_bytes()
    except FileNotFoundError:
        if path is None:
            return Config()
        raise SetupError(f"the configuration file {name} does not exist") from None
    except OSError as error:
        raise SetupError(f"cannot read the configuration file {name}: {error.strerror}") from None
    from logwatch_monitis.config_file import parse  # YAML is imported where a file needs it

    return parse(data, name)
