"""What starts programs: no directory of a stranger, and no variable, says what they are."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from commands import EXAMPLE_LOG, ROOT
from running import Running

from logwatch_monitis.config import install as installing
from logwatch_monitis.sources import programs

PACKAGE = ROOT / "logwatch_monitis"
SOURCES = sorted(PACKAGE.rglob("*.py"))
STARTERS = {
    "subprocess": {"Popen", "run", "call", "check_call", "check_output", "getoutput"},
    "os": {"system", "popen", "posix_spawn", "posix_spawnp", "startfile"},
    "pty": {"spawn"},
    "shutil": {"which"},
    "sys": {"executable"},
    "concurrent.futures": {"ProcessPoolExecutor"},
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
}
FORKING = {"connection", "get_context"}


def _used(tree):
    """Yield what of `STARTERS` and the like a module uses, but for `Popen` as a type."""
    for module, name in _names(tree):
        if _starts(module, name) and name != "Popen":
            yield f"{module}.{name}"


def _popens(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Popen"):
            yield ast.unparse(node.func)


def _names(tree):
    """Yield each use of a module's name as (module, name), however it was imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module, name.name) for name in node.names)
        elif isinstance(node, ast.Import):
            yield from ((name.name, "") for name in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.value.id, node.attr


def _starts(module, name):
    if module == "os" and name.startswith(("exec", "spawn")):
        return True
    if module.partition(".")[0] == "multiprocessing":
        return name not in FORKING
    return name in STARTERS.get(module, ())


def _calls_of(function):
    """Yield (file, call) of every call of `programs.FUNCTION` in the package."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == f"programs.{function}":
                yield path, node


def test_programs_are_started_in_one_place():
    """Nothing else in the package starts a process that loads a program, or looks for one."""
    found = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in SOURCES
        if path != PACKAGE / "sources" / "programs.py"
        for name in (*_used(ast.parse(path.read_text())), *_popens(ast.parse(path.read_text())))
    }
    assert found == set()


def test_processes_that_share_the_work_are_forked():
    """A forked process loads nothing: there is no second interpreter to mislead."""
    contexts = {
        ast.unparse(node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("get_context")
    }
    assert contexts <= {"get_context('fork')"}


@pytest.fixture(name="trap")
def _trap(tmp_path):
    """A directory whose modules and programs leave a trace when they are loaded."""
    trap, caught = tmp_path / "trap", tmp_path / "caught"
    (trap / "logwatch_monitis" / "monitor").mkdir(parents=True)
    code = f"open({str(caught)!r}, 'a').write(__file__ + chr(10))\n"
    packages = ("starlette", "uvicorn", "yaml", "click", "requests", "jinja2")
    standard = (name for name in sys.stdlib_module_names if name not in sys.builtin_module_names)
    for name in ("sitecustomize", "usercustomize", *packages, *standard):
        (trap / f"{name}.py").write_text(code)
    for name in ("__init__", "__main__", "monitor/__init__", "monitor/__main__"):
        (trap / "logwatch_monitis" / f"{name}.py").write_text(code)
    for name in ("journalctl", "systemctl", "python3", "vi"):
        (trap / name).write_text(f"#!/bin/sh\necho $0 >> {caught}\n")
        (trap / name).chmod(0o755)
    return Trap(trap, caught)


class Trap:
    """A stranger's directory."""

    def __init__(self, directory, caught):
        self.directory = directory
        self.caught = caught

    @property
    def variables(self):
        """An environment that leads into it."""
        names = ("PYTHONPATH", "PYTHONSTARTUP", "PYTHONUSERBASE")
        paths = {name: str(self.directory) for name in names}
        return {**os.environ, **paths, "PATH": f":.:{os.environ['PATH']}:", "PWD": "."}

    def victims(self):
        """Return what was loaded from it."""
        with suppress(FileNotFoundError):
            return self.caught.read_text().splitlines()
        return []


def _run(words, trap, **options):
    return subprocess.run(
        words,
        cwd=trap.directory,
        env=trap.variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
        **options,
    )


def _modules():
    """Return the modules that the package starts with a Python of its own."""
    found = [ast.literal_eval(call.args[0]) for _, call in _calls_of("python")]
    assert found
    return sorted(set(found))


@pytest.mark.parametrize("module", _modules())
def test_our_own_python_loads_nothing_from_where_it_stands(module, trap, monkeypatch):
    """Each module that is started runs with its own packages, in `/`."""
    monkeypatch.chdir(trap.directory)
    monkeypatch.setattr(sys, "path", ["", str(trap.directory), ".", *sys.path])
    for name, text in trap.variables.items():
        monkeypatch.setenv(name, text)
    words = programs.python(module, "--help")
    with programs.start(words, stdout=subprocess.PIPE, text=True) as started:
        assert "usage:" in started.communicate(timeout=60)[0]
    assert trap.victims() == []


def test_an_agent_in_a_strangers_directory(trap, tmp_path, monkeypatch):
    """`run` with its monitor, and a scan with several processes, load nothing from there."""
    monkeypatch.chdir(trap.directory)
    for name, text in trap.variables.items():
        monkeypatch.setenv(name, text)
    (tmp_path / "auth.log").write_bytes(EXAMPLE_LOG.read_bytes())
    agent = Running(tmp_path, [tmp_path / "auth.log"], python=("-I",))
    with agent:
        assert agent.logins() == []
    words = [sys.executable, "-I", "-m", "logwatch_monitis", "scan", "--jobs", "2"]
    scanned = _run([*words, "--format", "jsonl", EXAMPLE_LOG, EXAMPLE_LOG], trap)

    assert scanned.returncode == 0, scanned.stderr
    assert trap.victims() == []


def test_the_unit_starts_nothing_of_a_strangers(trap):
    """Each command of the unit that `setup` writes is ours, wherever it is started."""
    unit = installing.unit_text(installing.own_program(hidden=True))
    lines = re.findall(r"^Exec\w+=-?(.*)$", unit, re.MULTILINE)
    ours = {line.partition(" run")[0] for line in lines if line.endswith(" run")}
    assert len(ours) == 1
    program = shlex.split(ours.pop())
    done = _run([*program, "patterns", "list"], trap)

    assert (done.returncode, trap.victims()) == (0, []), done.stderr
    others = [line for line in lines if "logwatch-monitis" in line]
    assert all(shlex.join(program) in line for line in others), others


@pytest.mark.parametrize("first", ["", ".", "..", "x/.."])
def test_programs_are_not_looked_for_in_the_working_directory(first, trap, monkeypatch):
    """An empty or relative entry of the search path counts for nothing, in a child too."""
    monkeypatch.chdir(trap.directory)
    monkeypatch.setenv("PATH", f"{first}:/usr/bin:/bin")
    assert programs.find("journalctl") in (None, "/usr/bin/journalctl", "/bin/journalctl")
    words = ["sh", "-c", "command -v journalctl; pwd"]
    with programs.start(words, stdout=subprocess.PIPE, text=True) as started:
        *found, where = started.communicate(timeout=60)[0].splitlines()
    assert (where, found) in [("/", []), ("/", ["/usr/bin/journalctl"]), ("/", ["/bin/journalctl"])]


@pytest.mark.parametrize("form", ["directory", "zip"])
def test_a_child_is_the_same_program_as_its_parent(form, tmp_path):
    """What was started from a copy, or from a zip file, starts that copy, not one installed."""
    copy = tmp_path / "copy"
    shutil.copytree(PACKAGE, copy / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / PACKAGE.name / "_version.py").write_text('VERSION = "9.9.9"\n')
    home = copy
    if form == "zip":
        home = tmp_path / "copy.pyz"
        with zipfile.ZipFile(home, "w") as packed:
            for path in copy.rglob("*"):
                packed.write(path, path.relative_to(copy))
    asked = "from logwatch_monitis.sources import programs as p; import sys; \
        sys.exit(p.start(p.python('logwatch_monitis', '--version')).wait())"
    for before in ([], ["-P"]):
        done = subprocess.run(
            [sys.executable, *before, "-c", asked],
            env={**os.environ, "PYTHONPATH": home.name},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == "logwatch-monitis 9.9.9\n", done.stderr


def test_python_m_forgets_the_working_directory(tmp_path):
    """What `python -m` puts first on the import path is gone before anything is imported."""
    Path(tmp_path, "yaml.py").write_text("raise SystemExit('a stranger')\n")
    words = [sys.executable, "-m", "logwatch_monitis", "check", "--help"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
