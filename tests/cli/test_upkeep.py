"""``monitor forget``, ``backup`` and ``password``: beside a running monitor and at rest."""

import json
import sqlite3
import stat
from contextlib import closing
from hashlib import sha256

import pytest
from commands import run
from real_monitor import running_monitor

from logwatch_monitis.server.store.store import DATABASE, Store

NOON = 1_795_348_800_000
VICTIM = "zacharias.q"


def fill(caller, monitor, people=(VICTIM, "alice"), count=3_000):
    """Store logins of *people* in turn, in batches, enough of them to be folded in."""
    rows = [
        {
            "checktime": NOON + 7 * number,
            "results": f"user_login:{people[number % len(people)]};host:192.0.2.7",
            "additionalResults": [{"id": str(number), "machine": "web1", "agent": "web1"}],
        }
        for number in range(count)
    ]
    for first in range(0, count, 500):
        answer = caller.post(
            "addResults", monitorId=monitor, results=json.dumps(rows[first : first + 500])
        )
        assert answer.json["status"] == "ok"


def held(directory):
    """Return the bytes of every file below *directory*."""
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


@pytest.fixture(name="data")
def _data(tmp_path):
    """A data directory at rest, with logins in its first account and in one more."""
    data = tmp_path / "data"
    (data / "accounts" / "other").mkdir(parents=True)
    with running_monitor(data) as (_, caller):
        fill(caller, caller.make_monitor("Logins"))
    with running_monitor(data / "accounts" / "other") as (_, caller):
        fill(caller, caller.make_monitor("Logins"), count=500)
    return data


@pytest.fixture(name="access")
def _access(tmp_path):
    """A function that returns the options with which a caller's monitor is reached."""

    def options(caller):
        secret = tmp_path / "secret"
        secret.write_text(caller.keys.secret_key)
        secret.chmod(0o600)
        url = ("--url", caller.address.url)
        return (*url, "--api-key", caller.keys.api_key, "--secret-key-file", secret)

    return options


def test_a_running_monitor_forgets(tmp_path, access):
    """The person is in no file, page or export, the write-ahead log included; others stay."""
    places = ("/", "/logins.csv?limit=10000", "/logins.json", "/monitors/1", f"/?user={VICTIM}")
    with running_monitor(tmp_path / "data") as (_, caller):
        fill(caller, caller.make_monitor("Logins"))
        before = [caller.page(place).body for place in places]
        done = run("monitor", "forget", VICTIM, "--yes", *access(caller))
        shown = b"".join(caller.page(place).body for place in places[:-1])
        on_disk = held(tmp_path / "data")
        left = len(caller.rows(1))
        again = run("monitor", "forget", VICTIM, "--yes", "--format", "json", *access(caller))

    assert all(VICTIM.encode() in body for body in before)
    assert (0, f"1,500 results of '{VICTIM}' erased\n") == (done.code, done.out)
    assert VICTIM.encode() not in shown + on_disk
    assert b"alice" in shown
    assert left == 1_500
    assert (0, {"user": VICTIM, "erased": 0}) == (again.code, json.loads(again.out))


def test_a_directory_at_rest_forgets_in_all_accounts(data):
    """With --data every account is gone through, without a server; the modes stay."""
    assert held(data).count(VICTIM.encode()) > 0
    done = run("monitor", "forget", VICTIM, "--yes", "--data", data)

    assert (0, f"1,750 results of '{VICTIM}' erased\n") == (done.code, done.out)
    assert VICTIM.encode() not in held(data)
    assert {0o600} == {stat.S_IMODE(x.stat().st_mode) for x in data.rglob("*") if x.is_file()}


def test_the_embedded_monitor_at_rest_forgets(data, tmp_path):
    """Without --data and without a running agent, the configured directory is worked on."""
    state = tmp_path / "state"
    state.mkdir()
    data.rename(state / "monitor")
    config = tmp_path / "config.yaml"
    config.write_text(f"state_directory: {state}\n")

    assert run("monitor", "forget", VICTIM, "--yes", "-c", config).out.startswith("1,750 ")
    assert VICTIM.encode() not in held(state)


def test_a_directory_in_use_is_left_alone(tmp_path):
    """--data beside a running monitor is refused with 75 and what to do; nothing is erased."""
    with running_monitor(tmp_path / "data") as (_, caller):
        number = caller.make_monitor("Logins")
        caller.add(number, NOON, f"user_login:{VICTIM}")
        done = run("monitor", "forget", VICTIM, "--yes", "--data", tmp_path / "data")
        assert (75, 1) == (done.code, len(caller.rows(number)))
    assert "another monitor works on this data (stop it, or reach it with --url" in done.err


@pytest.mark.parametrize("word", ["forget", "backup", "password"])
def test_no_data(tmp_path, word):
    """A directory that is not there is named, and not made."""
    more = {"forget": ["--yes"], "password": ["--generate"]}.get(word, [])
    done = run("monitor", word, tmp_path / "x", "--data", tmp_path / "none", *more)

    assert (1, False) == (done.code, (tmp_path / "none").exists())
    assert f"{tmp_path / 'none'}: no such directory" in done.err
    assert len(done.err.splitlines()) == 1


def test_a_backup_can_take_the_place_of_the_data(data, tmp_path):
    """Made at rest, it has every row, mode 0600, and a store works with it; no file is left."""
    copy = tmp_path / "safe" / "copy.sqlite"
    copy.parent.mkdir()
    done = run("monitor", "backup", copy, "--data", data, "--format", "json")
    mode = stat.S_IMODE(copy.stat().st_mode)
    beside = list(copy.parent.iterdir())
    restored = tmp_path / "restored"
    restored.mkdir()
    copy.rename(restored / DATABASE)
    Store.open(restored).close()
    with closing(sqlite3.connect(restored / DATABASE)) as database:
        (rows,) = database.execute("SELECT count(*) FROM results").fetchone()

    assert (0, 3_000) == (done.code, rows)
    assert json.loads(done.out)["file"] == str(copy)
    assert (0o600, [copy]) == (mode, beside)
    assert {0o600} == {stat.S_IMODE(x.stat().st_mode) for x in data.rglob("*") if x.is_file()}


def test_a_backup_of_an_account(data, tmp_path):
    """--account takes the data of that one; a wrong name is refused."""
    copy = tmp_path / "copy.sqlite"
    assert run("monitor", "backup", copy, "--data", data, "--account", "other").code == 0
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("SELECT count(*) FROM results").fetchone() == (500,)
    wrong = run("monitor", "backup", tmp_path / "x", "--data", data, "--account", "../..")
    assert (78, True) == (wrong.code, "is no name for an account" in wrong.err)


def test_a_backup_overwrites_nothing(data, tmp_path):
    """A file that is there, and a folder that is not, are named; nothing is left behind."""
    there = tmp_path / "there"
    there.write_text("mine")
    taken = run("monitor", "backup", there, "--data", data)
    nowhere = run("monitor", "backup", tmp_path / "no" / "copy", "--data", data)

    assert (1, 1) == (taken.code, nowhere.code)
    assert f"{there} is there already" in taken.err
    assert f"{tmp_path / 'no' / 'copy'}: No such file or directory" in nowhere.err
    assert (there.read_text(), {data, there}) == ("mine", set(tmp_path.iterdir()))


def test_a_password_opens_the_keys_at_once(tmp_path):
    """A running monitor takes it without a restart; the file is private and does not hold it."""
    word = tmp_path / "word"
    word.write_text("correct-horse\n")
    word.chmod(0o600)
    data = tmp_path / "data"
    with running_monitor(data) as (_, caller):
        digest = sha256(b"correct-horse").hexdigest()
        asked = {"userName": "old client", "password": digest}
        closed = caller.get("apikey", **asked).json
        words = ("old client", "--data", data, "--password-file", word)
        done = run("monitor", "password", *words)
        opened = caller.get("apikey", **asked).json

    login = data / "login.json"
    assert (0, "") == (done.code, done.out)
    assert f"{login} lets 'old client' fetch the keys" in done.err
    assert closed == {"error": "Invalid username or password"}
    assert caller.keys.secret_key in json.dumps(opened)
    assert stat.S_IMODE(login.stat().st_mode) == 0o600
    assert b"correct-horse" not in held(data)
    assert digest.encode() not in held(data)


def test_a_generated_password_is_printed_alone(data):
    """Each one is new, and two sources exclude each other."""
    words = ("monitor", "password", "someone", "--data", data, "--generate")
    first, second = run(*words), run(*words)

    assert (0, 0) == (first.code, second.code)
    assert len(first.out.strip()) >= 20
    assert first.out != second.out
    assert run(*words, "--password-file", "-").code == 2


def test_an_empty_password_is_refused(data):
    """Nothing is written for it."""
    done = run("monitor", "password", "u", "--data", data, "--password-file", "-", stdin=b"\n")

    assert (78, False) == (done.code, (data / "login.json").exists())
