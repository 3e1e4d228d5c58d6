"""Starts other programs, and this program's own Python, whatever the working directory holds.

A Python that is started with ``-m`` or ``-c`` imports from the working directory first, and from
the directories of ``$PYTHONPATH`` before its own; a search path with an empty or relative entry
finds programs in the working directory. Root may stand in a directory of a stranger. So all
programs are started here: found in absolute directories alone, in ``/``, with no variable that
Python looks at, and our own Python isolated, with the import path that this process has.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["environment", "find", "isolated", "python", "start"]

_PACKAGE = __name__.partition(".")[0]
_RUN = "import runpy, sys; sys.path.insert(0, {home!r}); import {package}; \
sys.path[:] = dict.fromkeys({paths!r} + sys.path[1:]); \
runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"


def python(module: str, *words: str) -> list[str]:
    """Return the command line that runs a *module* of this very package with our Python.

    The child takes the package from where this process has it, be that a checkout, an environment
    or a zip file, and other packages from the same places as this process. Relative file names
    among *words* would be looked for in ``/``.
    """
    home = _home()
    code = _RUN.format(home=home, package=_PACKAGE, paths=_kept(home), module=module)
    unwritten = ["-B"] if sys.dont_write_bytecode else []
    return isolated(*unwritten, "-c", code, *words)


def isolated(*words: str) -> list[str]:
    """Return the command line of our Python, deaf to working directory and environment."""
    return [sys.executable, "-I", *words]


def find(name: str) -> str | None:
    """Return the path of the program *name*, None if no absolute directory of ``$PATH`` has it."""
    for directory in _search_path(os.environ).split(os.pathsep):
        path = os.path.join(directory, name)  # noqa: PTH118 - the words of a command are texts
        if os.path.isfile(path) and os.access(path, os.X_OK):  # noqa: PTH113
            return path
    return None


def environment(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return *variables* without what changes how Python runs, and with a safe ``$PATH``."""
    kept = {name: text for name, text in variables.items() if not name.startswith("PYTHON")}
    return kept | {"PATH": _search_path(variables)}


def start(
    words: Sequence[str],
    *,
    env: Mapping[str, str] = os.environ,
    cwd: str | None = "/",
    **options: Any,
) -> subprocess.Popen[Any]:
    """Start a program; see `subprocess.Popen` for *options*.

    Args:
        words: its command line; a name without a slash is looked for with `find`.
        env: its variables, made safe by `environment`.
        cwd: its working directory; None for that of this process.
        options: handed on.

    Raises:
        OSError: there is no such program, or it cannot be started.
    """
    name, *others = words
    program = name if "/" in name else find(name)
    if program is None:
        raise FileNotFoundError(2, "No such program", name)
    return subprocess.Popen([program, *others], env=environment(env), cwd=cwd, **options)


def _home() -> str:
    """Return the directory or zip file that holds the package."""
    return str(Path(sys.modules[_PACKAGE].__file__ or "").absolute().parent.parent)


def _kept(home: str) -> list[str]:
    """Return where this process imports from, without its working directory."""
    here = ""
    with suppress(FileNotFoundError):  # it was removed
        here = str(Path.cwd())
    return [
        path
        for given in sys.path
        if (path := str(Path(here, given))) == home or (given.startswith("/") and path != here)
    ]


def _search_path(variables: Mapping[str, str]) -> str:
    entries = variables.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if entry.startswith("/")) or os.defpath
