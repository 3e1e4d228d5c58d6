"""Globs: the files they mean, found with bounded work."""

import glob
import os
import re

import pytest
from commands import ROOT, run

from logwatch_monitis.errors import SetupError
from logwatch_monitis.sources.files.globs import expand

NAMES = ("a.log", "b/a.log", "b/c/a.log", "b/.d/a.log", ".e.log", "b/x[1].log", "f/", "b/c/g/h.log")
PATTERNS = (
    "*.log",
    "*/*.log",
    "**/*.log",
    "b/**/*.log",
    ".*",
    "*",
    "b/x[[]1].log",
    "?/c/*",
    "b/c/*/*.log",
)


@pytest.mark.parametrize("pattern", [*PATTERNS, "absent/*", "a.log/*", "b/**/c/*", "link/*.log"])
def test_a_glob_means_what_it_means_in_python(pattern, tmp_path):
    """The same paths as `glob` finds, links and hidden names included."""
    for name in NAMES:
        path = tmp_path / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.touch()
    (tmp_path / "link").symlink_to("b")
    wanted = f"{tmp_path}/{pattern}"
    assert expand(wanted) == sorted(set(glob.glob(wanted, recursive=True)))


@pytest.mark.parametrize("pattern", ["/**/**/**/*", "HERE/*/*/*/*/absent", "/proc/**/x"])
def test_a_glob_that_means_half_the_machine(pattern, tmp_path):
    """It is refused after so much work; `check` says what to do, with 78."""
    for number in range(30):
        os.symlink(".", tmp_path / f"round{number}")
    pattern = pattern.replace("HERE", str(tmp_path))
    with pytest.raises(SetupError, match="2,000 places would have to be looked at"):
        expand(pattern, 2000)
    config = tmp_path / "config.yaml"
    config.write_text(f"state_directory: {tmp_path}/state\nsources: {{files: ['{pattern}']}}\n")
    done = run("check", "--config", config)
    assert (done.code, "places would have to be looked at" in done.out) == (78, True)


def test_globs_of_the_configuration_are_expanded_in_one_place():
    """Elsewhere only a command that reads once, and sshd's own includes, look for files."""
    package = ROOT / "logwatch_monitis"
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"glob\.i?glob\(", path.read_text())
    }
    assert found == {"history/reader.py", "config/sshd_config.py"}
