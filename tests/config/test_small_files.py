"""Files that a user names: none without an end is read without an end."""

import ast
import resource

import pytest
from commands import ROOT, process, run

PACKAGE = ROOT / "logwatch_monitis"
OWN = {"grammar/search_path.py", "config/install.py", "server/page/routes.py"}
"""Read files of the package itself."""
SYSTEM = {"spool/machine_id.py", "sources/journal/journalctl.py", "sources/permissions.py"}
"""Read ``/etc/machine-id`` or ``/proc``."""


def _little_memory():
    resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/urandom"])
@pytest.mark.parametrize("words", [("check", "-c"), ("patterns", "check"), ("run", "-c")])
def test_an_endless_file_is_refused(words, name):
    """A device in the place of a configuration or pattern file is named, and costs no memory."""
    done = process(*words, name, preexec_fn=_little_memory)
    assert done.code == 78, done
    assert name in done.out + done.err


def test_an_endless_key_is_refused(tmp_path):
    """A key of zeros is none."""
    done = run("serve", "--data", tmp_path, "--secret-key-file", "/dev/zero")
    assert (done.code, "no key has" in done.err) == (78, True)


def test_files_are_read_up_to_a_limit():
    """Nothing in the package reads a whole file that it does not know."""
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("read_bytes", "read_text")
    }
    assert found == OWN | SYSTEM
