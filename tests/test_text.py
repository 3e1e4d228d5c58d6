"""Names and values of strangers on a terminal and in a table: none of them does anything."""

import ast
import re

import pytest
from commands import ROOT, all_commands, run
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.errors import LogwatchError, Problem
from logwatch_monitis.text import cut, in_place, numbered, visible, width

EVIL = "e\x1b]0;x\x07\x9b2J\u202egnp"
PACKAGE = ROOT / "logwatch_monitis"
CONFIGURABLE = [
    words
    for words, command in all_commands()
    if any("--config" in parameter.opts for parameter in command.params)
]


@pytest.mark.parametrize("words", CONFIGURABLE, ids=" ".join)
def test_the_name_of_a_wrong_configuration_does_nothing(words, tmp_path):
    """Whichever command reads it, its name and what stands in it are shown, not obeyed."""
    wrong = tmp_path / f"{EVIL}.yaml"
    wrong.write_text("monitr: 'x\u2028\u202e'\n")
    done = run(*words, "--config", wrong)
    assert not re.search("[\x1b\x07\u202e\u2028]", done.out + done.err)


@pytest.mark.parametrize(
    "words",
    [
        ("scan",),
        ("backfill", "--dry-run"),
        ("patterns", "check"),
        ("patterns", "show"),
        ("setup", "--yes", "--offline", "--url", "http://localhost", "--api-key-file"),
        ("serve", "--secret-key-file"),
        ("monitor", "backup", "--data"),
        ("setup", "--yes", "--root"),
    ],
)
@pytest.mark.parametrize("there", [False, True])
def test_the_name_of_a_wrong_file_does_nothing(words, there, tmp_path):
    """Logs, patterns, keys and directories; also one that a line end would make two lines of."""
    path = tmp_path / f"{EVIL}\nx.yaml"
    if there:
        path.write_bytes(b"\x1b[2J: [\n")
    done = run(*words, path)
    assert "\x1b" not in done.out + done.err
    assert "\u202e" not in done.out + done.err
    assert not re.search(r"^x\.yaml", done.out + done.err, re.MULTILINE)


def test_lines_reach_the_terminal_in_one_place():
    """Whatever writes a line to the terminal goes through what makes it harmless."""
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "click.echo", "click.secho", "sys.stderr.write")
    }
    # The completion of a shell is our own text; the monitor's process knows no click.
    assert found == {"cli/options.py", "cli/completion.py", "server/web/__main__.py"}


def test_tables_are_made_in_one_place():
    """CSV is written where cells are made harmless."""
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom) and "csv" in ast.unparse(node).split()
    }
    assert found == {"text.py"}


@given(st.text(), st.integers(1, 20))
def test_what_comes_out_is_harmless_and_fits(text, columns):
    """Each way to show text leaves nothing to obey; what is cut is as wide as allowed."""
    for shown in (visible(text), numbered(text), in_place(text)):
        assert shown.isprintable()
        assert width(cut(shown, columns)) <= columns
        assert cut(shown, width(shown) + 1) == shown
    assert len(in_place(text)) == len(text)


def test_an_error_shows_itself_harmless():
    """An error is rendered as one line, a problem with an excerpt as three."""
    error = LogwatchError(EVIL, "a\nb")
    problem = Problem(f"{EVIL}\n", 1, 3, EVIL, f"\t{EVIL}", 2, EVIL)
    assert error.render().isprintable()
    assert all(part.isprintable() for part in re.split("[\n\t]", problem.render()))
    assert problem.render().count("\n") == 2
