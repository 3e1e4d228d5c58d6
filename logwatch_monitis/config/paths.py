"""Where the state and the cache of this program live."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from logwatch_monitis.errors import StateError

__all__ = ["SOCKET_NAME", "cache_directory", "state_directory"]

_NAME = "logwatch-monitis"


def state_directory(
    configured: str | None = None,
    environment: Mapping[str, str] = os.environ,
    user: int | None = None,
) -> Path:
    """Return the directory for the spool, the locks and the embedded monitor's data.

    The first of: the configuration's ``state_directory``; ``$STATE_DIRECTORY``, which systemd sets
    for ``StateDirectory=`` (the first, if it names several); ``/var/lib/logwatch-monitis`` for
    root; ``$XDG_STATE_HOME/logwatch-monitis``, by default in ``~/.local/state``, for others.

    Args:
        configured: what the configuration says, if anything; ``~`` is the home directory.
        environment: the process's environment.
        user: effective user id; None asks the system.

    Raises:
        StateError: a plain user has no home directory.
    """
    if configured:
        return Path(configured).expanduser()
    return _default("STATE_DIRECTORY", "/var/lib", ".local/state", environment, user)


def cache_directory(environment: Mapping[str, str] = os.environ, user: int | None = None) -> Path:
    """Return the directory for what can be made again.

    The first of: ``$CACHE_DIRECTORY``, which systemd sets; ``/var/cache/logwatch-monitis`` for
    root; ``$XDG_CACHE_HOME/logwatch-monitis``, by default in ``~/.cache``, for others.

    Raises:
        StateError: a plain user has no home directory.
    """
    return _default("CACHE_DIRECTORY", "/var/cache", ".cache", environment, user)


def _default(
    variable: str, system: str, below_home: str, environment: Mapping[str, str], user: int | None
) -> Path:
    given = environment.get(variable, "").split(":")[0]
    if given:
        return Path(given)
    if (os.geteuid() if user is None else user) == 0:
        return Path(system, _NAME)
    # A relative path here is invalid, says the XDG base directory specification.
    chosen = Path(environment.get(f"XDG_{variable.split('_', maxsplit=1)[0]}_HOME", ""))
    return (chosen if chosen.is_absolute() else _home(environment) / below_home) / _NAME


def _home(environment: Mapping[str, str]) -> Path:
    home = Path(environment.get("HOME", ""))
    if home.is_absolute():
        return home
    try:
        return Path.home()
    except RuntimeError as error:
        raise StateError(
            "this user has no home directory for the state", "name a state_directory"
        ) from error


SOCKET_NAME = "agent.sock"
