"""The Debian package: built with Debian's tools, installed, used and purged without a trace.

It is installed into this machine's own system as seen through an overlay that is thrown away.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from commands import EXAMPLE_LOG, ROOT

pytestmark = pytest.mark.skipif(
    "CI" not in os.environ and (os.geteuid() != 0 or shutil.which("dpkg-buildpackage") is None),
    reason="needs root, debhelper and dpkg-dev",
)

OURS = "logwatch-monitis"


class Machine:
    """This machine below a layer that takes all changes."""

    def __init__(self, directory):
        self.root = directory / "root"
        self.layer = directory / "layer"
        subprocess.run(["mount", "-t", "tmpfs", "layer", self._made(self.layer)], check=True)
        upper, work = self._made(self.layer / "upper"), self._made(self.layer / "work")
        options = f"lowerdir=/,upperdir={upper},workdir={work}"
        words = ["mount", "-t", "overlay", "machine", "-o", options, self._made(self.root)]
        subprocess.run(words, check=True)
        for name in ("proc", "dev", "sys"):
            subprocess.run(["mount", "--rbind", f"/{name}", self.root / name], check=True)
            subprocess.run(["mount", "--make-rslave", self.root / name], check=True)

    @staticmethod
    def _made(path):
        path.mkdir()
        return path

    def run(self, *words):
        """Run a command there; it must succeed."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
        return subprocess.run(
            ["chroot", self.root, *words],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )

    def traces(self):
        """Return what there is with our name and was written since, but for man's own cache."""
        upper = self.layer / "upper"
        paths = [path.relative_to(upper) for path in upper.rglob(f"*{OURS}*")]
        ours = (path for path in paths if path.parts[:3] != ("var", "cache", "man"))
        return sorted(str(path) for path in ours if os.path.lexists(self.root / path))

    def close(self):
        """Take the layer away."""
        for name in ("proc", "dev", "sys", ""):
            subprocess.run(["umount", "--recursive", "--lazy", self.root / name], check=True)
        subprocess.run(["umount", "--lazy", self.layer], check=True)


@pytest.fixture(name="package", scope="module")
def _package(tmp_path_factory):
    """The package, built from a copy of the sources with the one command for it."""
    copy = tmp_path_factory.mktemp("package")
    ignored = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, copy, dirs_exist_ok=True, ignore=ignored)
    subprocess.run(["git", "init", "--quiet", copy], check=True)
    command = [copy / "packaging" / "build-deb"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return Path(done.stdout.splitlines()[-1])


@pytest.fixture(name="machine")
def _machine(tmp_path):
    machine = Machine(tmp_path)
    yield machine
    machine.close()


def test_nobody_but_root_may_write_what_the_package_holds(package):
    """All is root's; no file or directory can be written by others or is set-user-id."""
    listed = ["dpkg-deb", "--contents", package]
    done = subprocess.run(listed, capture_output=True, text=True, check=True)
    lines = [line.split(maxsplit=5) for line in done.stdout.splitlines()]
    assert {owner for _, owner, *_ in lines} == {"root/root"}
    for mode, *_, name in lines:
        others = mode[4:] if mode[0] != "l" else ""
        assert not set(others) & set("wsStT"), (mode, name)
        assert "s" not in mode.lower(), (mode, name)


def test_installed_used_and_purged(package, machine):
    """It scans, serves its unit, its manual and its completion; purged, nothing of it is left."""
    shutil.copy(package, machine.root / "tmp" / "package.deb")
    shutil.copy(EXAMPLE_LOG, machine.root / "tmp" / "auth.log")
    machine.run("dpkg", "--install", "/tmp/package.deb")

    assert "13 logins" in machine.run(OURS, "scan", "/tmp/auth.log").stderr
    assert "13 logins" in machine.run(OURS, "backfill", "/tmp/auth.log").stderr
    assert (machine.root / "var/lib" / OURS).is_dir()
    machine.run(OURS, "patterns", "check")
    assert OURS in machine.run("man", "--where", OURS).stdout
    assert "_complete" in (machine.root / "usr/share/bash-completion/completions" / OURS).read_text(
        "utf-8"
    )
    machine.run("systemd-analyze", "verify", f"/lib/systemd/system/{OURS}.service")
    enabled = machine.root / "etc/systemd/system/multi-user.target.wants" / f"{OURS}.service"
    assert enabled.is_symlink()
    assert not list((machine.root / "usr/lib" / OURS).rglob("direct_url.json"))

    machine.run("dpkg", "--purge", OURS)
    assert machine.traces() == []
