"""What happens to log files, while the agent is dead and while it is frozen between two looks.

One agent watches a log for each case. Every login is written once; each must be stored once.
"""

import os
import shutil
import signal
from contextlib import ExitStack

import pytest
from chaos import Log, embedded, expected
from running import Running, eventually

FIRST = 40


def rotated_with_an_unread_tail(log):
    """Lines that were not read yet are in the rotated file, others in the new one."""
    log.append(3)
    log.rotate()
    log.append(3)
    yield


def removed_and_made_anew(log):
    """The new file may have the old one's inode, and is longer."""
    log.path.unlink()
    log.append(2 * FIRST)
    yield


def truncated_and_grown_past_the_position(log):
    """The file is longer than before when it is looked at."""
    log.path.write_text(log.text(2 * FIRST))
    yield


def rewritten_with_the_same_beginning(log):
    """The first lines are the old ones, which are known."""
    lines = log.path.read_text().splitlines(keepends=True)
    log.path.write_text("".join(lines[:20]) + log.text(2 * FIRST))
    yield


def rotated_five_times(log):
    """Each of five files has lines that were never seen in the live one."""
    for _ in range(5):
        log.append(4)
        log.rotate(keep=8)
    log.append(4)
    yield


def rotated_and_compressed(log):
    """The rotated file exists compressed only."""
    log.append(4)
    log.rotate(packed_from=1)
    log.append(4)
    yield


def written_late_after_the_rotation(log):
    """A writer goes on in the renamed file, while others use the new one."""
    with log.path.open("a") as late:
        log.rotate()
        log.append(3)
        late.write(log.text(3))
        late.flush()
        yield
        late.write(log.text(3))


def copied_and_truncated(log):
    """All unread lines are in the copy."""
    log.append(4)
    shutil.copy(log.path, f"{log.path}.1")
    os.truncate(log.path, 0)
    log.append(4)
    yield


def truncated_under_a_writer_that_does_not_append(log):
    """What it writes then stands behind a hole of NULs."""
    with log.path.open("r+") as writer:
        writer.seek(0, os.SEEK_END)
        os.truncate(log.path, 0)
        writer.write(log.text(3))
        writer.flush()
        yield
        writer.write(log.text(3))


def half_a_line(log):
    """It is completed later."""
    text = log.text(2)
    with log.path.open("a") as file:
        file.write(text[:-30])
        file.flush()
        yield
        file.write(text[-30:])
    log.append(2)


def half_a_line_then_rotated(log):
    """It is never completed, and is not glued to what the new file begins with."""
    with log.path.open("a") as file:
        file.write(log.text(1)[:-30])
    log.written.pop()
    log.rotate()
    log.append(3)
    yield


def edited(log):
    """Somebody has removed a line that was read; the file is another one now."""
    lines = log.path.read_text().splitlines(keepends=True)
    new = log.path.with_name("edited")
    new.write_text("".join(lines[:11] + lines[12:]) + log.text(3))
    new.rename(log.path)
    yield


def moved_away_and_back(log):
    """The same file is there again, with more in it."""
    elsewhere = log.path.parent / "elsewhere"
    log.path.rename(elsewhere)
    with elsewhere.open("a") as file:
        file.write(log.text(3))
    elsewhere.rename(log.path)
    yield


def bytes_that_are_no_text(log):
    """Lines around it are read."""
    with log.path.open("ab") as file:
        file.write(b"\xff\xfe\x00 not text\r\x0b\x0c\xc2\x85 at all\n")
    log.append(3)
    yield


CASES = [
    rotated_with_an_unread_tail,
    removed_and_made_anew,
    truncated_and_grown_past_the_position,
    rewritten_with_the_same_beginning,
    rotated_five_times,
    rotated_and_compressed,
    written_late_after_the_rotation,
    copied_and_truncated,
    truncated_under_a_writer_that_does_not_append,
    half_a_line,
    half_a_line_then_rotated,
    edited,
    moved_away_and_back,
    bytes_that_are_no_text,
]


@pytest.fixture(scope="module", name="outcomes", params=["dead", "frozen"])
def _outcomes(request, tmp_path_factory):
    """Let it all happen, and return each case's log and what was stored of it, by name."""
    top = tmp_path_factory.mktemp(request.param)
    logs = {}
    for number, case in enumerate(CASES):
        directory = top / case.__name__
        directory.mkdir()
        logs[case.__name__] = Log(directory / "auth.log", number * 1_000_000)
    with ExitStack() as stack:
        run = stack.push(Running(top, [log.path for log in logs.values()]))
        happen(run, [*logs.values()], frozen=request.param == "frozen")
        wanted = {number for log in logs.values() for number, _ in log.written}
        eventually(lambda: wanted <= {row.number for row in embedded(run)}, 20)
        rows = embedded(run)
    return {
        name: (log, [row for row in rows if row.number // 1_000_000 == number])
        for number, (name, log) in enumerate(logs.items())
    }


def happen(run, logs, *, frozen):
    """Do the first part of each case while nobody looks, and the second one afterwards."""
    run.start()
    for log in logs:
        log.append(FIRST)
    assert eventually(lambda: len(embedded(run)) == FIRST * len(logs))
    run.process.send_signal(signal.SIGSTOP if frozen else signal.SIGKILL)
    cases = [case(log) for case, log in zip(CASES, logs, strict=True)]
    for case in cases:
        next(case)
    if frozen:
        run.process.send_signal(signal.SIGCONT)
    else:
        run.process.wait(10)
        run.start()
    assert eventually(lambda: "rotated" in run.text())
    for case in cases:
        next(case, None)


@pytest.mark.parametrize("name", [case.__name__ for case in CASES])
def test_each_login_is_stored_once(outcomes, name):
    """Whatever has happened to its file, a login is stored, once, and as it was written."""
    log, rows = outcomes[name]
    assert [row.number for row in expected(log)] == sorted(row.number for row in rows)
    assert expected(log) == sorted(rows)
