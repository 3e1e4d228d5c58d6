"""The comparison with other tools: it runs, reports everything, and notices a wrong result."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT

sys.path.append(str(ROOT / "benchmarks"))

from compare import Bench
from inputs import WrongResultError, check_rows, check_words, make
from report import GOALS, render_case
from tools import THREE, others, ours

COMPARE = [sys.executable, str(ROOT / "benchmarks" / "compare.py"), "--quick"]


def compare(directory):
    """Run the quick form; return the process and its report."""
    out = directory / "results.rst"
    words = [*COMPARE, "--data", str(directory), "--out", str(out)]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    return result, out.read_text() if out.exists() else ""


def test_the_quick_form_reports_every_tool_and_every_goal(tmp_path):
    """Whatever is installed finds what the logs hold, and each has its row in both tables."""
    result, report = compare(tmp_path)

    lines = report.splitlines()
    assert 0 == result.returncode, result.stderr
    assert f"written to {tmp_path / 'results.rst'}" == result.stdout.splitlines()[-1]
    for tool in others():
        row = re.compile(f"{re.escape(tool.name)} +{tool.gives} ")
        assert (0 if tool.missing else 2) == len(list(filter(row.match, lines))), tool.name
    for goal in GOALS:
        parts = (goal.case, goal.tool, goal.other)
        assert any(line.startswith(goal.case) and all(p in line for p in parts) for line in lines)


def test_what_is_not_installed_is_named_with_its_package(tmp_path, monkeypatch):
    """A missing tool has no row; the others are measured without it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    log = make(tmp_path, 1000, 0.6)

    case = Bench(tmp_path, 0).case("Few lines", log, 0.6, [ours(), *others()])

    assert [THREE] == list(case.measured)
    assert "Not installed: lognormalizer (Debian package liblognorm-utils).\n" in render_case(case)


def test_a_wrong_result_ends_the_comparison(tmp_path):
    """One login that is not what the log holds is named, and no table is written."""
    log = make(tmp_path, 1_000_000, 0.01)
    truth = Path(f"{log.log}.truth.tsv")
    truth.write_text(truth.read_text().replace("\tuser1\t", "\tuser2\t", 1))

    result, report = compare(tmp_path)

    assert (1, "") == (result.returncode, report)
    assert "compare: Sparse log: scan, three services: login " in result.stderr
    assert "user1\\t" in result.stderr


@pytest.fixture(name="small")
def _small(tmp_path):
    """Make a log of a few dozen logins."""
    return make(tmp_path, 5000, 0.6)


def rows(log):
    """Return the rows that a right scan prints."""
    names = ("time", "srv", "user_login", "host")
    return [dict(zip(names, login.split("\t"), strict=True)) for login in log.each()]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: rows.pop(),
        lambda rows: rows.append(rows[0]),
        lambda rows: rows.reverse(),
        lambda rows: rows[3].update(user_login="mallory"),
        lambda rows: rows[3].update(host="6.6.6.6"),
        lambda rows: rows[3].update(srv="ftpd"),
        lambda rows: rows[3].update(time="2025-01-05T03:00:00.000000+00:00"),
    ],
)
def test_our_rows_are_compared_one_by_one(small, tmp_path, spoil):
    """A login missing, added, moved or changed in any part is noticed, the right ones pass."""
    out, found = tmp_path / "out", rows(small)
    out.write_text("".join(json.dumps(row) + "\n" for row in found))
    check_rows(out, small)

    spoil(found)
    out.write_text("".join(json.dumps(row) + "\n" for row in found))

    with pytest.raises(WrongResultError, match=r"^(login|found) \d+ "):
        check_rows(out, small)


def test_lines_of_four_words_are_compared_as_well(small, tmp_path):
    """The time of a log without years is understood as the log means it."""
    out = tmp_path / "out"
    words = [(row["time"], row["srv"], row["user_login"], row["host"]) for row in rows(small)]
    text = "".join(f"Jan  5 {time[11:19]} {srv} {user} {host}\n" for time, srv, user, host in words)
    out.write_text(text)
    check_words(out, small)

    out.write_text(text.replace("Jan  5", "Jan 15", 1))

    with pytest.raises(WrongResultError, match=r"^login 1 is '2026-01-15T03:00:00"):
        check_words(out, small)
