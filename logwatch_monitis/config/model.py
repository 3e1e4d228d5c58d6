"""The configuration: what can be chosen, and what holds where nothing is chosen."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, NamedTuple

from logwatch_monitis.config.credentials import Credential
from logwatch_monitis.config.paths import state_directory
from logwatch_monitis.login import Login

__all__ = [
    "DEFAULT_FILES",
    "DEFAULT_LISTEN",
    "DEFAULT_PATH",
    "EMBEDDED",
    "Config",
    "Ignore",
    "Keep",
    "LogConfig",
    "MonitorConfig",
    "ReadProof",
    "Reload",
    "Setting",
    "Sources",
    "SpoolLimits",
    "Window",
    "settings",
]

DEFAULT_PATH = "/etc/logwatch-monitis/config.yaml"
DEFAULT_FILES = ("/var/log/auth.log", "/var/log/secure", "/var/log/vsftpd.log")
DEFAULT_PATTERNS = Path("/etc/logwatch-monitis/patterns.d")
DEFAULT_LISTEN = "127.0.0.1:8460"
EMBEDDED = "embedded"

ReadProof = Literal["key", "proof"]
"""What a read of the monitor's API has to show: the public key, or a token or signature."""

Window = Literal["15m", "27h", "off"]
"""How far a signed request's timestamp may be from the monitor's clock; ``off``: anything goes."""

_API_KEY = Credential("api-key")
_SECRET_KEY = Credential("secret-key")


class Reload(Enum):
    """What it takes to put another value of a setting into force while the agent runs."""

    AT_ONCE = "at once"
    MONITOR = "the embedded monitor is started again"
    RESTART = "the agent is restarted"
    NO_KEY = "no key of the file sets it"


_AT_ONCE: Mapping[str, Any] = {"reload": Reload.AT_ONCE}
_MONITOR: Mapping[str, Any] = {"reload": Reload.MONITOR}
_RESTART: Mapping[str, Any] = {"reload": Reload.RESTART}
_NO_KEY: Mapping[str, Any] = {"reload": Reload.NO_KEY}


@dataclass(frozen=True, slots=True)
class MonitorConfig:
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

    url: str = field(default=EMBEDDED, metadata=_AT_ONCE)
    api_key: Credential = field(default=_API_KEY, metadata=_AT_ONCE)
    secret_key: Credential = field(
        default=_SECRET_KEY, metadata={**_AT_ONCE, "key": "monitor.secret_key_file"}
    )
    validation: Literal["hmac", "token"] = field(default="hmac", metadata=_AT_ONCE)
    name: str = field(default="Login Monitor", metadata=_AT_ONCE)
    tag: str = field(default="loginMonitor", metadata=_AT_ONCE)
    insecure: bool = field(default=False, metadata=_NO_KEY)


@dataclass(frozen=True, slots=True)
class Sources:
    """What is watched.

    Attributes:
        files: paths and globs; a missing file is waited for.
        journal: ``auto`` reads the journal only where no file of the list exists.
    """

    files: tuple[str, ...] = field(default=DEFAULT_FILES, metadata=_AT_ONCE)
    journal: Literal["auto", "yes", "no"] = field(default="auto", metadata=_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Ignore:
    """Whose logins are counted and not sent (monitoring accounts and the like)."""

    users: Collection[str] = field(default=frozenset(), metadata=_AT_ONCE)
    hosts: Collection[str] = field(default=frozenset(), metadata=_AT_ONCE)
    services: Collection[str] = field(default=frozenset(), metadata=_AT_ONCE)

    def __call__(self, login: Login) -> bool:
        """Return whether this login is one of theirs."""
        return (
            login.user_login in self.users or login.host in self.hosts or login.srv in self.services
        )


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """How much waits for a monitor that does not answer, and for how long ids are remembered.

    Attributes:
        max_entries: logins that may wait.
        keep: which of them stay when there are more, the ``newest`` or the ``oldest``.
        seen_days: days with logins for which a login is known again and not sent twice.
    """

    max_entries: int = field(default=1_000_000, metadata=_RESTART)
    keep: Literal["newest", "oldest"] = field(default="newest", metadata=_RESTART)
    seen_days: int = field(default=400, metadata=_RESTART)


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What the agent writes to standard error.

    Attributes:
        format: ``human``, or ``json`` for programs.
        level: what is less grave is left out.
    """

    format: Literal["human", "json"] = field(default="human", metadata=_AT_ONCE)
    level: Literal["debug", "info", "warning", "error"] = field(default="info", metadata=_AT_ONCE)

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

    days: int = field(default=0, metadata=_MONITOR)
    mebibytes: int = field(default=0, metadata=_MONITOR)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be configured, with its defaults.

    Each field, here and in the sections, says in its metadata what a reload does with it (`Reload`)
    and, where it is not called like the field, which key of the file sets it.

    Attributes:
        path: the file it comes from; empty if there is none.
        patterns: directories of pattern files, the later ones stronger.
        state: the directory asked for; empty for the usual one.
        machine: the name for lines that name no machine.
        timezone: of log lines without one; None for the machine's own.
        listen: address of page, API, health and metrics, as ``HOST:PORT``.
        listen_chosen: the address was asked for, so another one will not do.
        page_password_file: holds what opens the embedded monitor's page; empty for none.
        reads: what reads have to show; None is ``proof`` for the embedded monitor and ``key`` for
            `serve`.
        timestamp_window: how far signed requests may be from the monitor's clock.
    """

    path: str = field(default="", metadata=_NO_KEY)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    sources: Sources = field(default_factory=Sources)
    patterns: tuple[Path, ...] = field(
        default=(DEFAULT_PATTERNS,), metadata={**_AT_ONCE, "key": "patterns.directories"}
    )
    state: str = field(default="", metadata={**_RESTART, "key": "state_directory"})
    machine: str = field(default_factory=lambda: os.uname().nodename, metadata=_RESTART)
    timezone: str | None = field(default=None, metadata=_RESTART)
    ignore: Ignore = field(default_factory=Ignore)
    listen: str = field(default=DEFAULT_LISTEN, metadata=_RESTART)
    listen_chosen: bool = field(default=False, metadata={**_RESTART, "key": "listen"})
    page_password_file: str = field(default="", metadata=_MONITOR)
    reads: ReadProof | None = field(default=None, metadata=_MONITOR)
    timestamp_window: Window = field(default="15m", metadata=_MONITOR)
    spool: SpoolLimits = field(default_factory=SpoolLimits)
    retention: Keep = field(default_factory=Keep)
    log: LogConfig = field(default_factory=LogConfig)

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


class Setting(NamedTuple):
    """One value of a configuration.

    Attributes:
        key: its name in the file, as ``retention.days``.
        reload: what it takes to put another value into force.
        value: what it is.
    """

    key: str
    reload: Reload
    value: Any


def settings(section: Any, name: str = "") -> Iterator[Setting]:
    """Yield every setting of a configuration, or of the section *name* of one.

    Raises:
        KeyError: a field that is no section does not say what a reload does with it.
    """
    for place in fields(section):
        value = getattr(section, place.name)
        key = place.metadata.get("key", f"{name}.{place.name}" if name else place.name)
        if is_dataclass(value) and "reload" not in place.metadata:
            yield from settings(value, key)
        else:
            yield Setting(key, place.metadata["reload"], value)
