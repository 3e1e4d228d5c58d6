"""``status`` and ``check``."""

import json
import socket
from contextlib import contextmanager

import pytest
from commands import EXAMPLE_LOG, denied, on_terminal, run
from running import Running
from status_sample import STATUS

from logwatch_monitis.agent.control import Control


@pytest.fixture(name="config_file")
def _config_file(tmp_path):
    """A configuration whose state is in a directory of the test."""
    path = tmp_path / "config.yaml"
    path.write_text(f"state_directory: {tmp_path}/state\nsources: {{files: [{tmp_path}/*.log]}}\n")
    return path


@contextmanager
def agent(directory, *, ready=(True, "reading and delivering")):
    """Answer for an agent with the state in *directory*."""
    directory.mkdir(mode=0o700, exist_ok=True)
    control = Control(status=lambda: STATUS, ready=lambda: ready, metrics=bytes)
    control.listen_unix(directory)
    try:
        yield
    finally:
        control.close()


class TestStatus:
    """What the agent tells."""

    def test_people_see_every_log(self, config_file, tmp_path):
        """Each log has position, lag, last line and last login; silences are not the same."""
        with agent(tmp_path / "state"):
            result = run("status", "-c", config_file)

        row = next(line for line in result.lines if "auth.log" in line)
        assert result.code == 0
        assert "5 h ago" in row
        assert "2 d ago" in row
        assert "healthy: reading and delivering" in result.out
        assert "3 waiting, 1 refused by the monitor" in result.out
        assert "3 h ago" in result.out
        assert r"\x1b[2J" in result.out

    def test_programs_get_all_of_it(self, config_file, tmp_path):
        """JSON is what the agent said; CSV has its logs."""
        with agent(tmp_path / "state"):
            status = json.loads(run("status", "-c", config_file, "--format", "json").out)
            line = run("status", "-c", config_file, "--format", "jsonl").out
            table = run("status", "-c", config_file, "--format", "csv").lines

        assert STATUS == status == json.loads(line)
        assert table[:1] == ["log,state,position,size,lag,last_line,last_login"]
        assert len(table) == 3

    def test_not_healthy(self, config_file, tmp_path):
        """An agent that cannot do its work gives exit code 1, and its reason."""
        with agent(tmp_path / "state", ready=(False, "cannot read /var/log/auth.log")):
            result = run("status", "-c", config_file)
            painted = on_terminal("status", "-c", config_file)

        assert (result.code, painted.code) == (1, 1)
        assert "not healthy: cannot read /var/log/auth.log" in result.out
        assert "\x1b[31mnot healthy" in painted.out

    def test_no_agent(self, config_file, tmp_path):
        """Without an agent it is a no, in one line that names the state."""
        result = run("status", "-c", config_file)

        assert (result.code, result.out) == (1, "")
        assert f"no agent runs with the state in {tmp_path}/state" in result.err

    def test_an_agent_that_was_killed(self, config_file, tmp_path):
        """A socket that nobody answers is no agent."""
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "agent.sock").touch()

        assert run("status", "-c", config_file).code == 1


def findings(result):
    """Return state and message of each finding by what it is about; the worst of each."""
    order = ("ok", "note", "error")
    rows = [json.loads(line) for line in result.lines]
    return {row["about"]: row for row in sorted(rows, key=lambda row: order.index(row["state"]))}


class TestCheck:
    """What is said before the agent runs."""

    def test_the_port_that_was_asked_for_is_taken(self, config_file):
        """What `run` would refuse is an error here, with the same code; a default may give way."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "{}:{}".format(*taken.getsockname())
            with config_file.open("a") as file:
                file.write(f"listen: {address}\n")
            result = run("check", "-c", config_file, "--format", "jsonl")

        finding = findings(result)["listen"]
        assert (result.code, finding["state"]) == (78, "error")
        assert finding["message"] == f"listen: {address} is taken by another program"

    def test_the_port_of_the_agent_itself_is_no_fault(self, tmp_path):
        """A check beside the agent, as before a reload, finds the address in good hands."""
        log = tmp_path / "auth.log"
        log.touch()
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = "{}:{}".format(*free.getsockname())
        agent = Running(tmp_path, [log])
        agent.config.write_text(f"state_directory: {tmp_path}/state\nlisten: {address}\n")
        with agent.start():
            result = run("check", "-c", agent.config, "--format", "jsonl")

        assert findings(result)["listen"]["state"] == "ok"

    def test_everything_ready(self, config_file, tmp_path):
        """Configuration, patterns, logs, state and monitor are each looked at."""
        (tmp_path / "auth.log").write_bytes(EXAMPLE_LOG.read_bytes())

        result = run("check", "-c", config_file, "--format", "jsonl")

        found = {about: row["state"] for about, row in findings(result).items()}
        assert found.pop("listen") in {"ok", "note"}  # the usual port may be in use here
        assert found == dict.fromkeys(
            ("configuration", "patterns", "log", "state", "monitor"), "ok"
        )
        assert result.code == 0
        assert not (tmp_path / "state").exists()

    def test_quiet(self, config_file, tmp_path):
        """With --quiet nothing is said while nothing is wrong, as a unit's ExecStartPre wants."""
        assert run("check", "-q", "-c", config_file) == (0, "", "")

    def test_all_logs_denied(self, config_file, tmp_path):
        """If none of the logs that exist may be read the code is 77; the hint says what to do."""
        (tmp_path / "auth.log").touch(0)

        result = denied("check", "-c", config_file, "--format", "jsonl")

        assert result.code == 77
        assert "sudo" in findings(result)["log"]["hint"]

    def test_one_log_denied(self, config_file, tmp_path):
        """If one of several logs may not be read the code is 1."""
        (tmp_path / "auth.log").touch(0)
        (tmp_path / "other.log").touch()

        assert denied("check", "-q", "-c", config_file).code == 1

    def test_logs_that_do_not_exist_yet(self, config_file):
        """A missing log is waited for and no error."""
        result = run("check", "-c", config_file)

        assert (result.code, "(it is waited for)" in result.out) == (0, True)

    @pytest.mark.parametrize(
        ("text", "about", "message"),
        [
            ("monitr: {}", "configuration", "unknown key 'monitr'"),
            ("patterns: {directories: [DIR/patterns]}", "patterns", "rulez"),
            ("monitor: {url: 'https://x'}", "monitor", "api key is not known"),
            (
                "monitor: {url: 'https://x', api_key: A, secret_key_file: DIR/no}",
                "monitor",
                "DIR/no",
            ),
        ],
    )
    def test_what_must_be_put_right(self, tmp_path, text, about, message):
        """Each thing that must be put right is found, with code 78."""
        (tmp_path / "patterns").mkdir(mode=0o755)
        (tmp_path / "patterns" / "x.yaml").write_text("rulez: []\n")
        (tmp_path / "patterns" / "x.yaml").chmod(0o644)
        path = tmp_path / "config.yaml"
        where = "" if text.startswith("monitr") else f"\nstate_directory: {tmp_path}/state\n"
        path.write_text(text.replace("DIR", str(tmp_path)) + where)

        result = run("check", "-q", "-c", path, "--format", "jsonl")

        assert [about] == list(findings(result))
        assert message.replace("DIR", str(tmp_path)) in findings(result)[about]["message"]
        assert result.code == 78

    @pytest.mark.parametrize("mode", [0o500, 0])
    def test_a_state_that_cannot_be_made(self, tmp_path, mode):
        """A state directory out of reach is found before the agent needs it."""
        (tmp_path / "locked").mkdir(mode=mode)
        path = tmp_path / "config.yaml"
        path.write_text(f"state_directory: {tmp_path}/locked/more/state")

        result = denied("check", "-q", "-c", path)

        assert (result.code, "cannot be made" in result.out) == (1, True)
