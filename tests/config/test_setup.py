"""``setup``: writes a machine's files below a tree, twice, around edits, and takes them away."""

import os
import pty
import stat
import subprocess
from pathlib import Path

import pytest
from commands import PROGRAM, process, run
from real_monitor import running_monitor

from logwatch_monitis.config import install as installing
from logwatch_monitis.config.file import load
from logwatch_monitis.errors import LogwatchError

ETC = "etc/logwatch-monitis"
UNIT = "etc/systemd/system/logwatch-monitis.service"


@pytest.fixture(name="setup")
def _setup(tmp_path):
    """Run ``setup`` on a tree."""
    return lambda *words: run("setup", "--root", tmp_path / "tree", *words)


@pytest.fixture(name="monitor", scope="module")
def _monitor(tmp_path_factory):
    """A monitor elsewhere: its address and the options that name its keys."""
    with running_monitor(tmp_path_factory.mktemp("monitor")) as (_, caller):
        keys, files = caller.keys, tmp_path_factory.mktemp("keys")
        for name, key in (("api-key", keys.api_key), ("secret-key", keys.secret_key)):
            (files / name).write_text(key)
            (files / name).chmod(0o600)
        yield f"http://127.0.0.1:{caller.address.port}", files


def told(url, files):
    """Return the options for a monitor elsewhere."""
    keys = ("--api-key-file", files / "api-key", "--secret-key-file", files / "secret-key")
    return ("--yes", "--url", url, *keys)


def files_below(tree):
    """Return the files of a tree with their modes."""
    found = (path for path in tree.rglob("*") if path.is_file())
    return {str(path.relative_to(tree)): stat.S_IMODE(path.stat().st_mode) for path in found}


def test_it_writes_what_is_needed_and_nothing_twice(setup, monitor, tmp_path):
    """Configuration, keys for their owner alone, and unit; a second run changes nothing."""
    done = setup(*told(*monitor), "--log", "/var/log/auth.log")
    tree = tmp_path / "tree"
    before = {path: (tree / path).stat().st_mtime_ns for path in files_below(tree)}
    again = setup(*told(*monitor), "--log", "/var/log/auth.log")

    assert (done.code, again.code, again.lines[0]) == (0, 0, "nothing to change")
    assert files_below(tree) == {
        f"{ETC}/config.yaml": 0o644,
        f"{ETC}/api-key": 0o600,
        f"{ETC}/secret-key": 0o600,
        f"{ETC}/.setup.json": 0o600,
        UNIT: 0o644,
    }
    assert before == {path: (tree / path).stat().st_mtime_ns for path in before}
    written = load(str(tree / ETC / "config.yaml"))
    assert (written.monitor.url, written.sources.files) == (monitor[0], ("/var/log/auth.log",))
    assert f"ExecStart={installing.own_program(hidden=True)} run\n" in (tree / UNIT).read_text()


def test_what_a_person_edited_stays(setup, tmp_path):
    """An edited file is named and left, by a later setup and by removal; purging takes it."""
    setup("--yes")
    edited = tmp_path / "tree" / ETC / "config.yaml"
    edited.write_text("machine: mine\n")

    later = setup("--yes", "--log", "/var/log/other.log")
    removed = setup("--remove")

    assert (later.code, removed.code) == (1, 1)
    assert str(edited) in later.err
    assert str(edited) in removed.err
    assert list(files_below(tmp_path / "tree")) == [f"{ETC}/config.yaml"]
    assert edited.read_text() == "machine: mine\n"
    assert setup("--remove", "--purge").code == 0
    assert files_below(tmp_path / "tree") == {}


def test_removed_without_a_trace(setup, tmp_path):
    """What was written and not edited goes, the directory of patterns too."""
    setup("--yes")
    assert setup("--remove").code == 0
    assert files_below(tmp_path / "tree") == {}
    assert not (tmp_path / "tree" / ETC).exists()


def test_wrong_keys_write_nothing(setup, monitor, tmp_path):
    """The keys are tried first."""
    url, files = monitor
    (tmp_path / "api-key").write_text("WRONG")
    (tmp_path / "secret-key").write_text((files / "secret-key").read_text())
    for path in tmp_path.iterdir():
        path.chmod(0o600)

    done = setup(*told(url, tmp_path))

    assert done.code != 0
    assert "key" in done.err
    assert not (tmp_path / "tree").exists()


def test_a_monitor_that_is_away(setup, monitor, tmp_path):
    """Its exit code is 69, and it is said how to write the files anyway."""
    done = setup(*told("http://127.0.0.1:9", monitor[1]))
    assert (done.code, "--offline" in done.err) == (69, True)
    assert not (tmp_path / "tree").exists()
    assert setup(*told("http://127.0.0.1:9", monitor[1]), "--offline").code == 0


def test_the_package_brings_its_own_unit(setup, tmp_path):
    """Where the Debian package has put a unit, no second one is written."""
    packaged = tmp_path / "tree/lib/systemd/system/logwatch-monitis.service"
    packaged.parent.mkdir(parents=True)
    packaged.touch()
    assert setup("--yes").code == 0
    assert not (tmp_path / "tree" / UNIT).exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "give --url, or --yes"),
        (("--purge",), "--purge goes with --remove"),
        (("--yes", "--url", "https://monitor.example"), "--api-key-file is missing"),
    ],
)
def test_usage(setup, words, text):
    """What is missing is named."""
    done = setup(*words)
    assert (done.code, text in done.err) == (2, True)


def test_only_root_sets_this_machine_up():
    """Somebody else gets 77 and the line to type."""
    before = ["setpriv", "--reuid", "65534", "--clear-groups"] if os.geteuid() == 0 else []
    done = process("setup", "--yes", before=before)
    assert (done.code, "sudo " in done.err) == (77, True)


@pytest.mark.parametrize("place", ["etc", ETC, f"{ETC}/patterns.d", "etc/systemd/system"])
def test_no_link_leads_out_of_the_tree(place, setup, tmp_path):
    """A directory of the tree that is a link is refused; behind it nothing changes."""
    outside, link = tmp_path / "outside", tmp_path / "tree" / place
    (outside / "logwatch-monitis").mkdir(parents=True)
    kept = [outside / name for name in ("config.yaml", "secret-key", "logwatch-monitis/api-key")]
    for path in kept:
        path.write_text("kept")
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    before = sorted(outside.rglob("*"))

    for words in (("--yes",), ("--remove", "--purge")):
        done = setup(*words)
        assert (done.code, f"{link.name} is a link" in done.err) in [(78, True), (0, False)]
    assert sorted(outside.rglob("*")) == before
    assert {path.read_text() for path in kept} == {"kept"}


def test_a_link_in_the_place_of_a_file_is_a_persons(setup, tmp_path):
    """It is named and left; removing everything takes the link away, not what it leads to."""
    outside = tmp_path / "outside"
    outside.write_text("kept")
    (tmp_path / "tree" / ETC).mkdir(parents=True)
    (tmp_path / "tree" / ETC / "config.yaml").symlink_to(outside)
    assert setup("--yes").code == 1
    assert setup("--remove", "--purge").code == 0
    assert (outside.read_text(), files_below(tmp_path / "tree")) == ("kept", {})


@pytest.mark.parametrize(
    "record",
    [
        '{"../outside": "x"}',
        '{"/etc/logwatch-monitis/../../../outside": "x"}',
        "[]",
        "nonsense",
        "{",
    ],
)
def test_the_record_names_only_what_setup_writes(record, setup, tmp_path):
    """A record that names anything else removes nothing, and it is said what to do."""
    outside = tmp_path / "outside"
    outside.write_text("kept")
    setup("--yes")
    (tmp_path / "tree" / ETC / ".setup.json").write_text(record)
    for words in (("--yes", "--log", "/x"), ("--remove",), ("--remove", "--purge")):
        done = setup(*words)
        assert (done.code, ".setup.json is damaged" in done.err) == (78, True)
    assert outside.read_text() == "kept"


def test_it_asks_on_a_terminal(tmp_path):
    """Answers typed are what is written; an empty one is the default."""
    ours, theirs = pty.openpty()
    words = [*PROGRAM, "setup", "--root", str(tmp_path / "tree")]
    with subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as asked:
        os.write(ours, b"embedded\n/var/log/messages\n")
        assert asked.wait(60) == 0
    os.close(ours)
    os.close(theirs)
    written = load(str(tmp_path / "tree" / ETC / "config.yaml"))
    assert (written.monitor.url, written.sources.files) == ("embedded", ("/var/log/messages",))


@pytest.fixture(name="systemctl")
def _systemctl(tmp_path, monkeypatch):
    """A stand-in for systemctl that notes its words: a manager does not run everywhere."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/words\n[ "$1" != restart ] || exit 3\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return lambda: Path(tmp_path / "words").read_text().splitlines()


def test_the_unit_is_enabled_and_started(systemctl):
    """Systemd looks at its units first; what systemctl refuses is an error with its words."""
    installing.start(again=False)
    assert systemctl() == [
        "daemon-reload",
        "enable logwatch-monitis",
        "start logwatch-monitis",
    ]
    with pytest.raises(LogwatchError, match="restart logwatch-monitis: exit code 3"):
        installing.start(again=True)


def test_a_unit_is_stopped_and_disabled(systemctl):
    """Removal stops what runs."""
    installing.stop()
    assert systemctl()[-1] == "disable --now logwatch-monitis"
