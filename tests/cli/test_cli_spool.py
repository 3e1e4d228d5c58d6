"""The command `spool`: dead letters by hand."""

import json

import pytest
from commands import run

from logwatch_monitis.interfaces import SystemClock
from logwatch_monitis.login import Login
from logwatch_monitis.spool import Spool

ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture(name="config")
def _config(tmp_path):
    """A configuration whose spool holds one dead letter."""
    path = tmp_path / "config.yaml"
    path.write_text(f"state_directory: {tmp_path}/state\n")
    login = Login(
        ID, 1_767_225_600_000_000, "alice", "192.0.2.7", "sshd", "login", "web1", "sshd", 7,
        "sshd/accepted", {}, "/var/log/auth.log", 0, b"line",
    )  # fmt: skip
    with Spool.open(tmp_path / "state", clock=SystemClock(), events=lambda event: None) as spool:
        spool.commit([login], {})
        spool.refuse(spool.due(1)[0], "Invalid results")
    return str(path)


def _letters(config: str) -> list[dict]:
    _, out, _ = run("spool", "list", "-c", config, "--format", "jsonl")
    return [json.loads(line) for line in out.splitlines()]


def test_list_says_whose_login_was_refused_and_why(config):
    """Each dead letter is shown with its reason."""
    (letter,) = _letters(config)

    assert (letter["id"], letter["user_login"], letter["reason"]) == (
        ID,
        "alice",
        "Invalid results",
    )


@pytest.mark.parametrize(("words", "done"), [((ID,), "1"), (("--all",), "1")])
@pytest.mark.parametrize(("verb", "said"), [("retry", "put back"), ("drop", "dropped")])
def test_retry_and_drop_empty_the_list(config, verb, said, words, done):
    """By id or all at once, a dead letter is sent again or forgotten."""
    code, _, err = run("spool", verb, "-c", config, *words)

    assert (code, err, _letters(config)) == (0, f"{done} {said}\n", [])


def test_an_unknown_id_is_answered_with_no(config):
    """Exit code 1 says that there is no such dead letter."""
    code, _, err = run("spool", "drop", "-c", config, "f" * 32)

    assert (code, err, len(_letters(config))) == (1, "0 dropped\n", 1)


@pytest.mark.parametrize("word", ["nosuch", "12", "0" * 33])
def test_what_is_no_id_is_wrong_usage(config, word):
    """A word that no id can be is answered with where ids are to be seen."""
    result = run("spool", "drop", "-c", config, word)
    assert (2, f"logwatch-monitis: '{word}' is no id ('spool list' shows them)\n") == (
        result.code,
        result.err,
    )


def test_nothing_is_dropped_without_being_named(config):
    """Neither ids nor --all is wrong usage."""
    code, _, err = run("spool", "drop", "-c", config)

    assert code == 2
    assert "--all" in err


def test_without_a_spool(tmp_path):
    """Where nothing ever ran, the answer is one line."""
    path = tmp_path / "config.yaml"
    path.write_text(f"state_directory: {tmp_path}/none\n")
    code, _, err = run("spool", "retry", "--all", "-c", str(path))

    assert code == 1
    assert err == (
        f"logwatch-monitis: there is no spool in {tmp_path}/none ('run' or 'backfill' makes one)\n"
    )
