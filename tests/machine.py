"""A machine of its own with systemd as its first process, made of this one's /usr: systemd-nspawn.

It has an empty /etc and /var, the checkout under ``/opt/lw``, and this machine's network. `missing`
says what stands in the way; `.ci/run` installs all of it.
"""

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from commands import ROOT
from running import eventually

PROGRAMS = ("systemd-nspawn", "nsenter", "systemctl")
_NUMBERS = itertools.count()


def missing() -> str:
    """Return what keeps a machine from being booted here, or the empty text."""
    if os.geteuid() != 0:
        return "needs root: it boots a machine"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


class Machine:
    """The machine, while it runs."""

    def __init__(self, directory: Path) -> None:
        """Prepare in *directory*; entering the context boots it."""
        self.shared = directory / "lw"
        self._name = f"lw-test-{os.getpid()}-{next(_NUMBERS)}"
        self._output = directory / "console"
        self._leader = ""

    def __enter__(self) -> Self:
        self._share()
        binds = {
            self.shared: "/opt/lw",
            Path(sys.base_prefix): "/opt/python",
            Path(sysconfig.get_path("purelib")): "/opt/site",
        }
        words = ["systemd-nspawn", "--directory=/", "--volatile=yes", "--register=no"]
        words += ["--keep-unit", "--quiet", f"--machine={self._name}", "--console=pipe", "--boot"]
        words += [f"--bind-ro={ours}:{theirs}" for ours, theirs in binds.items()]
        # Nothing of what this machine has installed is started: its ports would be ours.
        words += ["systemd.unit=basic.target", "systemd.firstboot=no"]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        self._leader = eventually(self._find_leader)
        if not self._leader or not eventually(self._is_up, 60):
            self.__exit__()
            raise AssertionError(self._output.read_text())
        return self

    def __exit__(self, *_: object) -> None:
        if self._leader:
            os.kill(int(self._leader), signal.SIGKILL)  # its first process: all others go with it
        else:
            self._process.kill()
        self._process.wait(30)

    def run(self, *words: str, check: bool = True) -> str:
        """Run a command on the machine as root, and return all that it prints."""
        done = subprocess.run(
            ["nsenter", f"--target={self._leader}", "--all", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            text=True,
            env={"PATH": "/usr/bin:/usr/sbin:/opt/lw/bin", "LANG": "C.UTF-8"},
        )
        assert not check or done.returncode == 0, (words, done.stdout)
        return done.stdout

    def write(self, path: str, text: str, mode: str = "0644", group: str = "root") -> None:
        """Append to a file on the machine, whose directories are made."""
        script = f"umask 077; mkdir -p -m 755 $(dirname $1); cat >> $1; chgrp {group} $1"
        words = ["nsenter", f"--target={self._leader}", "--all", "sh", "-c"]
        words += [f"{script}; chmod {mode} $1", "sh", path]
        subprocess.run(words, input=text, text=True, check=True)

    def install_unit(self, source: Path, drop_ins: Sequence[Path] = ()) -> None:
        """Install our unit, changed in nothing but the place of the program."""
        text = source.read_text().replace("/usr/bin/", "/opt/lw/bin/")
        self.run("rm", "--force", f"/etc/systemd/system/{source.name}")
        self.write(f"/etc/systemd/system/{source.name}", text)
        for drop_in in drop_ins:
            self.write(f"/etc/systemd/system/{source.name}.d/{drop_in.name}", drop_in.read_text())
        self.run("systemctl", "daemon-reload")

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def _share(self) -> None:
        """Lay out the program: a copy, as a service sees neither home directories nor /tmp."""
        package = self.shared / "src" / "logwatch_monitis"
        ignored = shutil.ignore_patterns("__pycache__", "patterns")
        shutil.copytree(ROOT / "logwatch_monitis", package, ignore=ignored)
        shutil.copytree(ROOT / "patterns", package / "patterns", ignore=ignored)
        program = self.shared / "bin" / "logwatch-monitis"
        program.parent.mkdir()
        program.write_text(
            "#!/bin/sh\nexport PYTHONPATH=/opt/lw/src:/opt/site PYTHONDONTWRITEBYTECODE=1\n"
            "export LD_LIBRARY_PATH=/opt/python/lib\n"
            'exec /opt/python/bin/python3 -P -m logwatch_monitis "$@"\n'
        )
        program.chmod(0o755)
        for path in (self.shared, *self.shared.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path == program else 0o644)

    def _find_leader(self) -> str:
        """Return the child that is process 1 of a machine of its own; empty if it is not yet."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        for child in children.split():
            status = Path(f"/proc/{child}/status").read_text()
            if re.search(r"^NSpid:\t\d+\t1$", status, re.MULTILINE):
                return child
        return ""

    def _is_up(self) -> bool:
        return self.run("systemctl", "is-system-running", check=False).strip() in (
            "running",
            "degraded",
        )
