"""Shells complete commands, options, choices and files."""

import os
import shutil
import subprocess
import sys

import pytest
from commands import run

ASK = """
source <(logwatch-monitis completion bash)
COMP_WORDS=({words}) COMP_CWORD={at}
compopt() {{ echo "compopt $1 $2"; }}
_logwatch_monitis_completion logwatch-monitis
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(*words):
    """Return what bash offers for the last of *words*."""
    quoted = " ".join(f"'{word}'" for word in ("logwatch-monitis", *words))
    script = ASK.format(words=quoted, at=len(words))
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


def test_bash_completes_commands_options_and_choices():
    """What can stand there is offered: commands, commands below them, options, their values."""
    assert completed("sc") == ["scan"]
    assert {"list", "create", "push"} <= set(completed("monitor", ""))
    assert completed("scan", "--unt") == ["--until"]
    assert completed("scan", "--format", "js") == ["json", "jsonl"]


def test_bash_completes_files():
    """Where a file is expected, bash is told to offer files."""
    assert "compopt -o default" in completed("run", "-c", "ex")
    assert "compopt -o default" in completed("scan", "ex")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_takes_its_script(shell):
    """The shell reads its script without complaint."""
    done = run("completion", shell)
    assert done.code == 0
    if shutil.which(shell) is None and not os.environ.get("CI"):
        pytest.skip(f"{shell} is not installed")
    checked = subprocess.run(
        [shell, "-n"], input=done.out, capture_output=True, text=True, check=False, timeout=60
    )
    assert (checked.returncode, checked.stderr) == (0, "")
