"""SIGHUP: configuration and pattern files are read again by the running agent."""

import json
import os
import signal
import stat
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime

import pytest
from fake_monitor import API_KEY, SECRET_KEY, FakeMonitor
from running import Running, eventually

from logwatch_monitis.config.model import Config, Reload, settings


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
        head = {"state_directory": self.run.state, "listen": "127.0.0.1:0"}
        lines = [f"{key}: {value}\n" for key, value in head.items() if f"{key}:" not in text]
        self.run.config.write_text("".join(lines) + text)
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
WAITS = "These keys need a restart to change"
"""Said after that, if there are such keys."""


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

    assert eventually(lambda: f"{WAITS}: machine" in agent.run.text())


OTHER = {
    "monitor.url": "monitor: {url: 'http://127.0.0.1:9', api_key: A, secret_key_file: SECRET}",
    "monitor.api_key": "monitor: {api_key: A}",
    "monitor.secret_key_file": "monitor: {secret_key_file: SECRET}",
    "monitor.validation": "monitor: {validation: token}",
    "monitor.name": "monitor: {name: Another}",
    "monitor.tag": "monitor: {tag: another}",
    "sources.files": "sources: {files: [/nowhere/auth.log]}",
    "sources.journal": "sources: {journal: no}",
    "patterns.directories": "patterns: {directories: [/nowhere/patterns.d]}",
    "state_directory": "state_directory: /nowhere/state",
    "machine": "machine: another",
    "timezone": "timezone: Europe/Berlin",
    "ignore.users": "ignore: {users: [one]}",
    "ignore.hosts": "ignore: {hosts: [192.0.2.9]}",
    "ignore.services": "ignore: {services: [vsftpd]}",
    "listen": "listen: 127.0.0.1:9",
    "page_password_file": "page_password_file: SECRET",
    "reads": "reads: key",
    "timestamp_window": "timestamp_window: 27h",
    "spool.max_entries": "spool: {max_entries: 5000}",
    "spool.keep": "spool: {keep: oldest}",
    "spool.seen_days": "spool: {seen_days: 30}",
    "retention.days": "retention: {days: 30}",
    "retention.mebibytes": "retention: {mebibytes: 30}",
    "log.format": "log: {format: json}",
    "log.level": "log: {level: debug}",
}
"""Each key with a value that is not its default; SECRET is a file with a word in it."""
KEYS = {place.key: place.reload for place in settings(Config())}


def test_every_key_says_what_a_reload_does_with_it():
    """A field that says nothing raises; each key that says something has its case here."""
    assert {key for key, reload in KEYS.items() if reload is not Reload.NO_KEY} == set(OTHER)


@pytest.fixture(name="reloaded", scope="module")
def _reloaded(tmp_path_factory):
    """What an agent says when one key is changed, for each key, and what waits then."""
    directory = tmp_path_factory.mktemp("reload")
    secret = directory / "secret"
    secret.write_text("WORD\n")
    secret.chmod(0o600)
    agent = Agent(directory)

    said = {}
    with agent.run:
        for key, other in OTHER.items():
            sources = "" if key.startswith("sources.") else agent.text()
            start = len(agent.run.text())
            last = WAITS if KEYS[key] is Reload.RESTART else LOADED
            agent.reload(f"{sources}{other.replace('SECRET', str(secret))}\n", last)
            needs = agent.run.status()["configuration"]["needs_restart"]
            said[key] = agent.run.text()[start:], needs
            if last == LOADED:  # what waits for a restart is not in force
                agent.reload(agent.text(), LOADED)
    return said


@pytest.mark.parametrize("key", sorted(OTHER))
def test_a_reload_does_with_each_key_what_is_declared(reloaded, key):
    """It is in force at once, or by another monitor process, or named as waiting for a restart."""
    text, needs = reloaded[key]
    loaded = text.partition(LOADED)[2].partition("\n")[0]

    if KEYS[key] is Reload.RESTART:
        assert f"{WAITS}: {key} (" in text
        assert needs == [key]
    else:
        assert key in loaded
        assert needs == []
    assert ("The embedded monitor listens" in text) == (KEYS[key] is Reload.MONITOR)


def test_another_password_in_the_same_file_opens_the_page(agent, tmp_path):
    """What the file of a password holds is looked at, not its name alone; the address stays."""
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text("one")
    more = f"page_password_file: {password}\n"
    agent.reload(agent.text(more=more), f"{LOADED}; changed: page_password_file")
    password.write_text("two")
    agent.reload(agent.text(more=more), f"{LOADED}; changed: page_password_file")
    agent.append("one")

    assert eventually(agent.users) == ["one"]
    assert opens(agent.run.page, "two")
    assert not opens(agent.run.page, "one")


def test_a_monitor_that_does_not_start_with_other_settings_goes_on_as_it_was(agent, tmp_path):
    """The former configuration stays in force, the ignore list included."""
    password = tmp_path / "password"
    more = f"page_password_file: {password}\nignore: {{users: [one]}}\n"
    agent.reload(agent.text(more=more), "the former one stays in force")
    agent.append("one")

    assert eventually(agent.users) == ["one"]


def opens(page, password):
    """Return whether a password opens the page."""
    address = page.partition("?")[0]
    data = urllib.parse.urlencode({"password": password}).encode()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    try:
        with opener.open(f"{address}enter", data) as reply:
            return reply.status == 200
    except urllib.error.HTTPError:
        return False


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
