"""The tutorial works when it is followed word by word, and shows what is really printed."""

import os
import re
import subprocess
import sys
from fnmatch import fnmatchcase

from commands import ROOT

PAGE = ROOT / "docs" / "tutorial.rst"
BLOCK = re.compile(r"^\.\. code-block:: console\n\n((?:   .*\n|\n)+)", re.MULTILINE)


def steps():
    """Return the commands of the page, each with the lines shown below it."""
    found = []
    for block in BLOCK.findall(PAGE.read_text("utf-8")):
        for line in block.rstrip("\n").splitlines():
            text = line.removeprefix("   ")
            if text.startswith("$ "):
                found.append((text[2:], []))
            elif text.startswith("> "):
                command, shown = found.pop()
                found.append((f"{command}\n{text[2:]}", shown))
            else:
                found[-1][1].append(text)
    return found


def fits(shown, printed):
    """Tell whether *printed* is what the page shows, where ``…`` stands for anything."""
    pattern = "\n".join(shown).replace("[", "[[]").replace("?", "[?]").replace("…", "*")
    return fnmatchcase("\n".join(printed), pattern)


def test_every_command_prints_what_the_page_shows(tmp_path):
    """The commands run one after the other in an empty directory."""
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "TZ": "UTC"}
    found = steps()
    assert len(found) > 6
    for command, shown in found:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        assert fits(shown, done.stdout.splitlines()), f"{command}\n{done.stdout}"
        assert done.returncode == ("explain" in command), command
