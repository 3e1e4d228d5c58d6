"""Private files: made and checked in one place, deaf to what strangers have put beside them."""

import ast
import os
import stat
from contextlib import suppress

import pytest
from commands import EXAMPLE_LOG, ROOT, process

from logwatch_monitis.agent.control import Control
from logwatch_monitis.config.keys import Keys
from logwatch_monitis.config.private_files import (
    UnsafeFileError,
    has_private_group,
    make_directory,
    open_file,
    write_file,
)
from logwatch_monitis.delivery.sent_log import Notes
from logwatch_monitis.interfaces import SystemClock
from logwatch_monitis.server.api.passwords import PasswordLogin, save_login
from logwatch_monitis.server.store.schema import connect_writer
from logwatch_monitis.server.store.store import Store
from logwatch_monitis.spool import Locks, Spool

PACKAGE = ROOT / "logwatch_monitis"
STRANGER = 4711
PRIVATE_MODES = {0o600, 0o700}
MAKING = {"chmod", "fchmod", "chown", "fchown", "lchown", "mkdir", "makedirs", "umask"}
MAKING |= {"mkstemp", "NamedTemporaryFile", "write_text", "write_bytes", "touch"}

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")


def _makes_files(node):
    """Tell whether a piece of code makes a file or directory, or says how private it is."""
    if isinstance(node, ast.Constant):
        return type(node.value) is int and node.value in PRIVATE_MODES
    if isinstance(node, ast.Attribute):
        return node.attr in {"O_CREAT", "O_TMPFILE"}
    if not isinstance(node, ast.Call):
        return False
    name = ast.unparse(node.func).rpartition(".")[2]
    words = [one.value for one in node.args if isinstance(one, ast.Constant)]
    writes = name == "open" and any(
        isinstance(word, str) and set(word) <= set("rwaxb+t") and set(word) & set("wax")
        for word in words
    )
    return name in MAKING or writes


def test_private_files_are_made_in_one_place():
    """Nothing else in the package makes a file, or says who may read it."""
    found = {
        f"{path.relative_to(PACKAGE)}: {ast.unparse(node)}"
        for path in PACKAGE.rglob("*.py")
        if path != PACKAGE / "config" / "private_files.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if _makes_files(node)
    }
    assert found == set()


MAKERS = {
    "agent.sock": lambda place: Control(status=dict, ready=tuple, metrics=bytes).listen_unix(place),
    "delivery.notes": lambda place: Notes(place / "delivery.notes").close(),
    "keys.json": Keys.load_or_make,
    "login.json": lambda place: save_login(place, "old", "word"),
    "monitor.lock": lambda place: Store.open(place).close(),
    "monitor.sqlite": lambda place: Store.open(place).close(),
    "run.lock": lambda place: Locks(place, SystemClock()).take("run").release(),
    "spool.lock": lambda place: _open_spool(place).close(),
    "spool.sqlite3": lambda place: _open_spool(place).close(),
    "x.yaml": lambda place: write_file(place / "x.yaml", b"x"),
}
"""What makes each kind of private file in a directory."""


def _open_spool(place):
    return Spool.open(place, clock=SystemClock(), events=lambda _: None)


@needs_root
@pytest.mark.parametrize("name", MAKERS)
def test_what_root_makes_in_a_services_directory_is_the_services(name, tmp_path):
    """Files, databases and sockets belong to the directory's owner, mode 0600."""
    place = tmp_path / "state"
    place.mkdir(mode=0o700)
    os.chown(place, STRANGER, STRANGER)
    MAKERS[name](place)
    found = {path.name: path.lstat() for path in place.iterdir()}
    assert name in found
    assert {(one.st_uid, one.st_gid) for one in found.values()} == {(STRANGER, STRANGER)}
    assert {stat.S_IMODE(one.st_mode) for one in found.values()} == {0o600}


@pytest.mark.parametrize("name", MAKERS)
def test_links_are_not_followed(name, tmp_path):
    """A link in the place of a private file is refused or replaced; what it leads to stays."""
    place, target = tmp_path / "state", tmp_path / "target"
    place.mkdir(mode=0o700)
    target.write_text("mine")
    target.chmod(0o640)
    (place / name).symlink_to(target)
    with suppress(UnsafeFileError):
        MAKERS[name](place)
    assert (target.read_text(), stat.S_IMODE(target.stat().st_mode)) == ("mine", 0o640)
    (place / name).unlink()
    (place / name).symlink_to(tmp_path / "absent")
    with suppress(UnsafeFileError):
        MAKERS[name](place)
    assert not (tmp_path / "absent").exists()


@needs_root
@pytest.mark.parametrize("name", ["monitor.sqlite-wal", "monitor.sqlite-journal"])
def test_links_beside_a_database_are_not_followed(name, tmp_path):
    """SQLite would open them by name."""
    (tmp_path / name).symlink_to(tmp_path / "absent")
    with pytest.raises(UnsafeFileError, match=name):
        connect_writer(tmp_path / "monitor.sqlite")
    assert not (tmp_path / "absent").exists()


@needs_root
@pytest.mark.parametrize("where", [".", "data", "link"])
def test_root_serves_nothing_of_a_strangers(where, tmp_path):
    """A directory or link of somebody else is refused with 78, whichever way it is named."""
    home, target = tmp_path / "home", tmp_path / "target"
    home.mkdir(mode=0o755)
    (home / "data").mkdir(mode=0o755)
    target.mkdir(mode=0o755)
    (home / "link").symlink_to(target)
    for path in (home, *home.iterdir()):
        os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
    done = process("serve", "--listen", "127.0.0.1:0", "--data", where, cwd=home)
    assert (done.code, done.out) == (78, "")
    assert f"user {STRANGER}" in done.err
    assert (list(target.iterdir()), list((home / "data").iterdir())) == ([], [])


@needs_root
@pytest.mark.parametrize(
    ("owner", "mode", "text"),
    [(STRANGER, 0o600, f"belongs to user {STRANGER}"), (0, 0o666, "may be written by others")],
)
def test_keys_that_a_stranger_could_know_open_nothing(owner, mode, text, tmp_path):
    """Keys that are another user's, or that others may write, are refused with 78."""
    Keys.load_or_make(tmp_path)
    os.chown(tmp_path / "keys.json", owner, owner)
    (tmp_path / "keys.json").chmod(mode)
    done = process("serve", "--listen", "127.0.0.1:0", "--data", tmp_path)
    assert (done.code, text in done.err) == (78, True)


def test_a_login_that_others_may_write_opens_nothing(tmp_path):
    """What lets old clients fetch the keys is as private as the keys."""
    save_login(tmp_path, "old", "word").chmod(0o622)
    with pytest.raises(UnsafeFileError, match="may be written by others"):
        PasswordLogin.load(tmp_path)


@needs_root
def test_another_name_of_roots_file_is_refused(tmp_path):
    """A hard link in a service's directory leads to a file of root, and is not written to."""
    shadow, place = tmp_path / "shadow", tmp_path / "state"
    place.mkdir(mode=0o700)
    os.chown(place, STRANGER, STRANGER)
    shadow.write_text("root")
    os.link(shadow, place / "run.lock")
    with pytest.raises(UnsafeFileError, match="another name"):
        open_file(place / "run.lock")
    assert shadow.stat().st_uid == 0


@needs_root
def test_a_backfill_by_root_leaves_the_service_its_files(tmp_path):
    """All that it leaves in the service's directory, monitor included, belongs to the service."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, STRANGER, STRANGER)
    config = tmp_path / "config.yaml"
    config.write_text(f"state_directory: {state}\nlisten: 127.0.0.1:0\n")
    done = process("backfill", "--quiet", "--config", config, EXAMPLE_LOG)
    assert done.code == 0, done.err
    left = [path for path in state.rglob("*") if path.lstat().st_uid != STRANGER]
    assert left == []
    assert {"delivery.notes", "spool.sqlite3", "monitor"} <= {path.name for path in state.iterdir()}


def test_a_directory_that_a_private_group_may_write(tmp_path):
    """What others may write is refused; the mode that umask 0002 gives is not others."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(UnsafeFileError, match="may be written by others"):
        make_directory(tmp_path / "shared")
    (tmp_path / "own").mkdir()
    (tmp_path / "own").chmod(0o775)
    if has_private_group((tmp_path / "own").stat()):
        make_directory(tmp_path / "own")
