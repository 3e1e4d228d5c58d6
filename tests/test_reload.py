"""SIGHUP: configuration and pattern files are read again by the running agent."""

import json
import os
import signal
import stat
from datetime import UTC, datetime

import pytest
from fake_monitor import API_KEY, SECRET_KEY, FakeMonitor
from running import Running, eventually


def _line(user: str) -> str:
    stamp = datetime.now(UTC).isoformat(timespec="microseconds")
    return f"{stamp} web1 sshd[7]: Accepted password for {user} from 192.0.2.7 port 5 ssh2\n"


class Agent:
    """A running agent and its configuration, which the tests change."""

    def __init__(self, directory):
        self.directory = directory
        self.log = directory / "auth.log"
        self.log.touch()
        self.run = Running(directory, [], self.text())
        self.run.start()

    def text(self, files=("auth.log",), more=""):
        """Return a configuration that watches these files."""
        paths = json.dumps([str(self.directory / name) for name in files])
        return f"sources: {{files: {paths}}}\n{more}"

    def reload(self, text, until):
        """Write another configuration, ask for it, and wait until that is said."""
        head = f"state_directory: {self.run.state}\nlisten: 127.0.0.1:0\n"
        self.run.config.write_text(head + text)
        said = self.run.text().count(until)
        self.run.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: self.run.text().count(until) > said), self.run.text()

    def append(self, user, name="auth.log"):
        """Let somebody log in."""
        with (self.directory / name).open("a") as file:
            file.write(_line(user))

    def users(self):
        """Return who is on the page, in the order in which they came."""
        return [row["user_login"] for row in reversed(self.run.logins())]


@pytest.fixture(name="agent")
def _agent(tmp_path):
    """An agent that watches auth.log and has the embedded monitor."""
    agent = Agent(tmp_path)
    with agent.run:
        yield agent


LOADED = "The configuration was read again"


def test_sources_change_and_what_stays_is_not_touched(agent):
    """Another log is watched from its end, no line of the first is lost, nothing restarts."""
    agent.append("before", "other.log")
    monitor = agent.run.status()["monitor"]
    agent.append("one")
    agent.reload(agent.text(["auth.log", "other.log"]), f"{LOADED}; changed: sources")
    agent.append("two")
    agent.append("three", "other.log")
    found = eventually(lambda: len(found := agent.users()) == 3 and found)

    assert sorted(found) == ["one", "three", "two"]
    assert agent.run.status()["monitor"] == monitor
    assert agent.run.text().count("The embedded monitor listens") == 1


def test_a_mistake_keeps_everything(agent):
    """The mistake is told with its place, in status and metrics, until a reload works again."""
    agent.reload(agent.text(more="ignore: {user: [x]}\n"), "the former one stays in force")
    broken = agent.run.status()
    agent.append("one")
    found = eventually(agent.users)
    agent.reload(agent.text(), f"{LOADED}; nothing changed in it")
    mended = agent.run.status()

    assert found == ["one"]
    assert f"{agent.run.config}:4:" in agent.run.text()
    assert (broken["configuration"]["failures"], mended["configuration"]["failures"]) == (1, 1)
    assert "unknown key 'user'" in broken["configuration"]["error"]
    assert mended["configuration"]["error"] == ""


def test_mistakes_in_pattern_files_keep_the_configuration_too(agent, tmp_path):
    """Nothing of a reload is in force if a part of it cannot be."""
    patterns = tmp_path / "patterns.d"
    patterns.mkdir(mode=0o755)
    (patterns / "x.yaml").write_text("rulez: []\n")
    more = f"patterns: {{directories: [{patterns}]}}\nignore: {{users: [one]}}\n"
    agent.reload(agent.text(more=more), "former ones stay in force")
    agent.append("one")

    assert eventually(agent.users) == ["one"]
    assert agent.run.status()["patterns"]["failures"] == 1


def test_ignore_lists_and_pattern_directories(agent, tmp_path):
    """What is ignored from now on is counted and not sent."""
    agent.append("one")
    eventually(agent.users)
    agent.reload(agent.text(more="ignore: {users: [one]}\n"), f"{LOADED}; changed: ignore")
    agent.append("one")
    agent.append("two")
    found = eventually(lambda: len(found := agent.users()) == 2 and found)

    assert (found, agent.run.status()["spool"]["ignored"]) == (["one", "two"], 1)


def test_what_only_a_restart_changes_is_named(agent, tmp_path):
    """The rest is in force all the same."""
    agent.reload(agent.text(more="machine: other\nignore: {users: [one]}\n"), LOADED)

    assert eventually(lambda: "These keys need a restart to change: machine" in agent.run.text())


def _remote(server, directory, secret=SECRET_KEY):
    key = directory / "secret-key"
    key.write_text(secret)
    key.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return (
        f"monitor: {{url: '{server.url}', api_key: {API_KEY},"
        f" secret_key_file: {directory}/secret-key}}\n"
    )


def test_the_monitor_changes_and_back(agent, tmp_path):
    """Logins go to the other server from now on, health is told by the agent, and back again."""
    agent.append("one")
    eventually(agent.users)
    with FakeMonitor() as server:
        remote = agent.text(more=_remote(server, tmp_path))
        agent.reload(remote, f"{LOADED}; changed: monitor")
        agent.append("two")
        assert eventually(lambda: server.results)
        stored = [result.values["user_login"] for result in server.results]
    agent.reload(agent.text(), f"{LOADED}; changed: monitor")
    page = agent.run.status()["monitor"]["page"]
    agent.append("three")
    delivered = eventually(lambda: agent.run.status()["spool"]["sent"] == 3)

    assert stored == ["two"]
    assert (delivered, page.startswith("http://127.0.0.1:")) == (True, True)


def test_another_key_in_the_same_file(tmp_path):
    """A key that was exchanged on the disk is used after a reload; nothing that waited is lost."""
    log = tmp_path / "auth.log"
    log.touch()
    with FakeMonitor() as server:
        config = _remote(server, tmp_path, "WRONGKEY")
        with Running(tmp_path, [log], config).start() as run:
            with log.open("a") as file:
                file.write(_line("one"))
            assert eventually(lambda: run.status()["delivery"]["state"] == "refused")
            (tmp_path / "secret-key").write_text(SECRET_KEY)
            run.process.send_signal(signal.SIGHUP)

            assert eventually(lambda: server.results)


def test_a_monitor_whose_key_is_missing_is_refused(agent, tmp_path):
    """The embedded monitor stays, and logins go on to it."""
    remote = "monitor: {url: 'https://monitor.example.org', api_key: A}\n"
    agent.reload(agent.text(more=remote), "the former one stays in force")
    agent.append("one")

    assert eventually(agent.users) == ["one"]
    assert os.waitpid(agent.run.process.pid, os.WNOHANG) == (0, 0)
