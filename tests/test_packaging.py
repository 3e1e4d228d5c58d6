"""The package: built, installed with run-time dependencies only, zipped, editable; its version."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from commands import EXAMPLE_LOG, ROOT

from logwatch_monitis import __version__

SOURCES = ("logwatch_monitis", "patterns", "setup.cfg", "pyproject.toml", "README.rst", "LICENSE")
LOGINS_OF_THE_EXAMPLE = 13


def pip(python, *words):
    """Run pip; without a network the test is skipped, but never where everything must run."""
    command = [python, "-m", "pip", "--disable-pip-version-check", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "CI" not in os.environ and "connection" in done.stderr.lower():
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr


@pytest.fixture(name="checkout", scope="module")
def _checkout(tmp_path_factory):
    """A copy of the sources, so that building leaves nothing in the real ones."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, copy / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(name="wheel", scope="module")
def _wheel(checkout, tmp_path_factory):
    """The wheel."""
    target = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--quiet", "--no-deps", "--wheel-dir", target, checkout)
    return next(target.glob("*.whl"))


@pytest.fixture(name="environment", scope="module")
def _environment(wheel, tmp_path_factory):
    """The programs of a fresh environment with the wheel and its run-time dependencies."""
    directory = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    pip(directory / "bin" / "python", "install", "--quiet", wheel)
    return directory / "bin"


def scan(*command, home, **variables):
    """Scan the example and return the logins."""
    clean = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CACHE_DIRECTORY": str(home),
        **variables,
    }
    words = [*map(str, command), "scan", "--quiet", "--format", "jsonl", str(EXAMPLE_LOG)]
    done = subprocess.run(words, capture_output=True, text=True, env=clean, cwd=home, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_wheel_holds_every_module_and_pattern(wheel):
    """All packages, patterns, templates and the marker for type checkers are inside."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        str(path.relative_to(ROOT)).replace("patterns/", "logwatch_monitis/patterns/", 1)
        for folder in ("logwatch_monitis", "patterns")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md"
    }

    assert set() == wanted - inside


def test_nobody_else_may_write_what_the_wheel_holds(wheel):
    """Files are plain ones that others can read at most: none runs, none is set-user-id."""
    modes = {one.filename: one.external_attr >> 16 for one in zipfile.ZipFile(wheel).infolist()}
    assert {name: oct(mode) for name, mode in modes.items() if not stat.S_ISREG(mode)} == {}
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o7113} == {}


def test_run_time_dependencies_are_enough(environment, tmp_path):
    """The installed program finds the logins of the example."""
    assert len(scan(environment / "logwatch-monitis", home=tmp_path)) == LOGINS_OF_THE_EXAMPLE


def test_a_missing_extra_is_named(environment, tmp_path):
    """Without the extra the embedded monitor's commands say what to install, and exit with 78."""
    for words in (["serve", "--data", "d"], ["run", "--log", str(EXAMPLE_LOG)]):
        clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "STATE_DIRECTORY": "state"}
        done = subprocess.run(
            [environment / "logwatch-monitis", *words],
            capture_output=True,
            text=True,
            env=clean,
            cwd=tmp_path,
            check=False,
        )

        assert done.returncode == 78, words
        assert "pip install 'logwatch-monitis[monitor]'" in done.stderr


def test_a_zipped_package_finds_its_patterns(environment, wheel, tmp_path):
    """Run from a zip file, the package reads its patterns out of it."""
    python, variables = environment / "python", {"PYTHONPATH": str(wheel)}
    words = [python, "-c", "import logwatch_monitis; print(logwatch_monitis.__file__)"]
    shown = subprocess.run(
        words, capture_output=True, text=True, env=variables, cwd=tmp_path, check=True
    )

    assert shown.stdout.startswith(str(wheel))
    logins = scan(python, "-m", "logwatch_monitis", home=tmp_path, **variables)
    assert len(logins) == LOGINS_OF_THE_EXAMPLE


def test_an_editable_installation_finds_its_patterns(environment, checkout, wheel, tmp_path):
    """Installed as a link to the sources, the package reads the patterns beside them."""
    python = environment / "python"
    pip(python, "install", "--quiet", "--no-deps", "--editable", checkout)
    try:
        logins = scan(python, "-m", "logwatch_monitis", home=tmp_path)
    finally:
        pip(python, "install", "--quiet", "--no-deps", "--force-reinstall", wheel)

    assert len(logins) == LOGINS_OF_THE_EXAMPLE


def test_the_newest_changelog_entry_is_this_version():
    """The first entry of the changelog is about the version at hand."""
    text = (ROOT / "CHANGELOG.rst").read_text("utf-8")

    assert __version__ == re.search(r"^(\d+\.\d+\.\d+) - ", text, re.MULTILINE)[1]


def test_every_target_of_the_makefile_explains_itself():
    """Each target that people type is in ``make help``."""
    text = (ROOT / "Makefile").read_text("utf-8")
    shown = subprocess.run(
        ["make", "--no-print-directory", "-C", ROOT, "help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    targets = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split()

    assert targets == [line.split()[1] for line in shown.splitlines()]


def test_examples_hold_documentation_addresses_only():
    """No example names an address or a host of somebody."""
    for path in Path(ROOT, "examples").rglob("*.*"):
        text = path.read_text("utf-8")
        addresses = set(re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", text)) - {"127.0.0.1"}

        assert set() == {address for address in addresses if not address.startswith("192.0.2.")}
