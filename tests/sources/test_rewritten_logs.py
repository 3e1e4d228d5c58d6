"""Logs that are rewritten with the usual tools send nothing twice and lose nothing.

One agent watches a log for each way of rewriting, while it is live and while it is stopped, with
the embedded monitor and with a plain server. All logins of a log lie within two seconds, so that
the numbers of byte-identical lines are still known when the log is read again.
"""

import os
import shutil
import subprocess
import time
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from chaos import Log as MovingLog
from chaos import embedded, expected, plain_config, taken_by
from fake_monitor import FakeMonitor
from running import Running, eventually

FIRST = 8
PAUSE_S = 0.15
"""Time for a live agent to look at what is only half done; nothing depends on it."""


class Log(MovingLog):
    """A log on a machine whose clock stands still."""

    START = datetime.now(UTC)

    def now(self):
        """Return the one time there is."""
        return self.START


def tool(log, *words, text=None):
    """Run a program beside the log."""
    subprocess.run([*words], cwd=log.path.parent, input=text, text=True, check=True, timeout=60)


def shell(log, script):
    """Run a shell script beside the log."""
    tool(log, "sh", "-ec", script)


def sed_deletes_lines(log):
    """The lines of cron are deleted; the file is another one."""
    tool(log, "sed", "-i", "/CRON/d", log.path.name)
    yield


def sed_deletes_the_first_login(log):
    """The file begins with another login."""
    tool(log, "sed", "-i", "1,2d", log.path.name)
    yield


def sed_keeps_a_backup(log):
    """What was read is still there, under a name that no rotation gives."""
    tool(log, "sed", "-i.bak", "1d", log.path.name)
    yield


def tail_and_mv(log):
    """The end of the log takes its place."""
    shell(log, f"tail -n +4 {log.path.name} > x; mv x {log.path.name}")
    yield


def line_put_before_all(log):
    """By a file that takes the log's place."""
    shell(log, f"(echo '# a note'; cat {log.path.name}) > x; mv x {log.path.name}")
    yield


def line_put_before_all_in_place(log):
    """The file stays the same one."""
    shell(log, f"(echo '# a note'; cat {log.path.name}) > x; cat x > {log.path.name}")
    yield


def saved_by_vi(log):
    """It renames the log, writes it anew, and removes what it renamed."""
    words = ["vi", "-u", "NONE", "-es", "-c", "set backupcopy=no writebackup", "-c", "1d"]
    tool(log, *words, "-c", "wq", log.path.name)
    yield


def saved_by_ed(log):
    """It writes in place."""
    tool(log, "ed", "-s", log.path.name, text="1d\nw\nq\n")
    yield


def copied_over(log):
    """The log is cut to nothing and filled."""
    shell(log, f"sed 1d {log.path.name} > x; cp x {log.path.name}")
    yield


def half_copied_over(log):
    """The agent sees the first half by itself."""
    lines = log.path.read_text().splitlines(keepends=True)[1:]
    with log.path.open("w") as file:
        file.write("".join(lines[:5])[:-20])
        file.flush()
        time.sleep(PAUSE_S)
        yield
        file.write("".join(lines[:5])[-20:] + "".join(lines[5:]))


def emptied_and_filled(log):
    """The log is empty for a moment."""
    shell(log, f"sed 1d {log.path.name} > x; : > {log.path.name}")
    time.sleep(PAUSE_S)
    shell(log, f"cat x >> {log.path.name}")
    yield


def away_for_a_moment(log):
    """There is no log between the old one and the new one."""
    shell(log, f"mv {log.path.name} x")
    time.sleep(PAUSE_S)
    shell(log, f"grep -v CRON x > y; rm x; mv y {log.path.name}")
    yield


def rsync_in_place(log):
    """An older copy, without the log's first line, is written over the log."""
    tool(log, "rsync", "--inplace", "--ignore-times", log.path.with_name("older"), log.path)
    yield


def rsync_twelve_times(log):
    """Another file takes the log's place again and again, with the same time."""
    for number in range(12):
        shell(log, f"sed '1s/^/{number} /' older > copy; touch -r older copy")
        tool(log, "rsync", "-t", "--ignore-times", log.path.with_name("copy"), log.path)
        time.sleep(PAUSE_S / 3)
    yield


def backup_put_back(log):
    """It lacks the last lines, which come back later, before new ones."""
    whole = log.path.read_bytes()
    tool(log, "cp", "-p", "older", log.path.name)
    yield
    log.path.write_bytes(whole)


def backup_put_back_and_grown_again(log):
    """The lines that were lost are appended again."""
    lost = "".join(log.path.read_text().splitlines(keepends=True)[-4:])
    shell(log, f"head -n -4 {log.path.name} > x; mv x {log.path.name}")
    yield
    with log.path.open("a") as file:
        file.write(lost)


def written_to_while_rewritten(log):
    """What a writer still adds to the old file is read by a live agent; see its own test."""
    shell(log, f"sed 1d {log.path.name} > x; mv x {log.path.name}")
    log.append(2)
    tool(log, "sed", "-i", "1d", log.path.name)
    yield


def copy_rewritten(log):
    """The log was just rotated, and lines are deleted from the copy."""
    log.rotate()
    time.sleep(PAUSE_S)
    tool(log, "sed", "-i", "1d", f"{log.path.name}.1")
    yield


def copy_rewritten_in_place(log):
    """Likewise, while the log goes on."""
    log.rotate()
    log.append(2)
    time.sleep(PAUSE_S)
    shell(log, f"sed 1d {log.path.name}.1 > x; cp x {log.path.name}.1")
    yield


def rewritten_and_rotated(log):
    """The copy is not what was read."""
    tool(log, "sed", "-i", "1d", log.path.name)
    log.rotate()
    log.append(1)
    yield


CASES = [
    sed_deletes_lines,
    sed_deletes_the_first_login,
    sed_keeps_a_backup,
    tail_and_mv,
    line_put_before_all,
    line_put_before_all_in_place,
    saved_by_vi,
    saved_by_ed,
    copied_over,
    half_copied_over,
    emptied_and_filled,
    away_for_a_moment,
    rsync_in_place,
    rsync_twelve_times,
    backup_put_back,
    backup_put_back_and_grown_again,
    written_to_while_rewritten,
    copy_rewritten,
    copy_rewritten_in_place,
    rewritten_and_rotated,
]
TOOLS = {saved_by_vi: "vi", saved_by_ed: "ed", rsync_in_place: "rsync", rsync_twelve_times: "rsync"}


def cases():
    """Return the cases whose tools are installed; continuous integration has all."""
    missing = {case for case, name in TOOLS.items() if not shutil.which(name)}
    return [case for case in CASES if case not in missing or "CI" in os.environ]


STATES = [(state, monitor) for state in ("live", "stopped") for monitor in ("embedded", "plain")]


@pytest.fixture(scope="module", name="outcomes", params=STATES, ids="-".join)
def _outcomes(request, tmp_path_factory):
    """Let it all happen, and return each case's log and what was stored of it, by name."""
    state, monitor = request.param
    top = tmp_path_factory.mktemp(state)
    logs = {}
    for number, case in enumerate(cases()):
        (top / case.__name__).mkdir()
        logs[case] = Log(top / case.__name__ / "auth.log", number * 1000)
    with ExitStack() as stack:
        server = stack.enter_context(FakeMonitor())
        config = plain_config(server, top) if monitor == "plain" else ""
        run = stack.push(Running(top, [log.path for log in logs.values()], config))
        stored = (lambda: taken_by(server)) if monitor == "plain" else (lambda: embedded(run))
        happen(run, logs, stored, stopped=state == "stopped")
        rows = stored()
    return {
        case.__name__: (log, sorted(row for row in rows if row.number // 1000 == number))
        for number, (case, log) in enumerate(logs.items())
    }


def happen(run, logs, stored, *, stopped):
    """Rewrite each log after its first logins were read, and log in some more afterwards."""
    run.start()
    for log in logs.values():
        log.append(FIRST)
        lines = log.path.read_text().splitlines(keepends=True)
        log.path.with_name("older").write_text("".join(lines[1:-4]))
    assert eventually(lambda: len(stored()) == FIRST * len(logs))
    if stopped:
        run.kill()
    begun = [case(log) for case, log in logs.items()]
    for case in begun:
        next(case)
    if stopped:
        run.start()
    time.sleep(PAUSE_S)
    for case in begun:
        next(case, None)
    time.sleep(PAUSE_S)
    for log in logs.values():
        log.append(2)
    wanted = {number for log in logs.values() for number, _ in log.written}
    eventually(lambda: wanted <= {row.number for row in stored()})
    assert run.stop() == 0


@pytest.mark.parametrize("name", [case.__name__ for case in cases()])
def test_each_login_is_sent_once(outcomes, name):
    """Whatever its log was rewritten with, a login is sent, once, and as it was written."""
    log, rows = outcomes[name]
    assert expected(log) == rows
