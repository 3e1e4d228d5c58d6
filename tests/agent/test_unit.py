"""The unit file: how much it is exposed, and the agent at work under its restrictions."""

import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from commands import ROOT
from fake_monitor import API_KEY, SECRET_KEY, FakeMonitor
from machine import Machine, missing
from running import eventually

SYSTEMD = ROOT / "packaging" / "systemd"
UNIT = SYSTEMD / "logwatch-monitis.service"
DROP_IN = SYSTEMD / "root-only-log.conf"
NAME = "logwatch-monitis"
MISSING = missing()
IN_CI = bool(os.environ.get("CI"))

pytestmark = pytest.mark.real
needs_machine = pytest.mark.skipif(bool(MISSING) and not IN_CI, reason=MISSING)


def _line(user):
    stamp = datetime.now(UTC).isoformat(timespec="microseconds")
    return f"{stamp} web1 sshd[7]: Accepted password for {user} from 192.0.2.7 port 5 ssh2\n"


@pytest.mark.skipif(
    not shutil.which("systemd-analyze") and not IN_CI, reason="systemd-analyze is not installed"
)
@pytest.mark.parametrize("drop_ins", [(), (DROP_IN,)])
def test_exposure(tmp_path, drop_ins):
    """With and without the drop-in, systemd counts an exposure of at most 1.5 of 10."""
    shutil.copy(UNIT, tmp_path)
    for drop_in in drop_ins:
        (tmp_path / f"{UNIT.name}.d").mkdir()
        shutil.copy(drop_in, tmp_path / f"{UNIT.name}.d")
    words = ["systemd-analyze", "security", "--offline=true", str(tmp_path / UNIT.name)]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout

    assert float(re.search(r"exposure level for \S+: ([\d.]+)", told)[1]) <= 1.5


@pytest.fixture(name="machine", scope="module")
def _machine(tmp_path_factory):
    """A booted machine with our unit, which is not started."""
    with Machine(tmp_path_factory.mktemp("machine")) as machine:
        machine.install_unit(UNIT)
        yield machine


@pytest.fixture(name="service")
def _service(machine):
    """The machine; the service's state, configuration and logs are removed after each test."""
    yield machine
    machine.run("systemctl", "stop", NAME, check=False)
    machine.run("systemctl", "reset-failed", NAME, check=False)
    state = [f"/var/lib/private/{NAME}", f"/var/cache/private/{NAME}"]
    machine.run("sh", "-c", f"rm -rf /etc/{NAME} /var/log/auth.log* {' '.join(state)}")


def _status(service):
    return json.loads(service.run(NAME, "status", "--format", "json", check=False))


def _told(service):
    """Return what the service wrote, as journald kept it: priority and text."""
    lines = service.run("journalctl", "-u", NAME, "-o", "json", "--no-pager").splitlines()
    return [(row["PRIORITY"], row["MESSAGE"]) for row in map(json.loads, lines)]


@needs_machine
def test_the_agent_works_under_all_restrictions(service):
    """It starts, reads, delivers to its embedded monitor, is reloaded and stops, unprivileged."""
    service.write("/var/log/auth.log", "", "0640", "adm")
    service.run("systemctl", "start", NAME)
    pid = service.show(NAME, "MainPID")
    service.write("/var/log/auth.log", _line("alice"), "0640", "adm")

    assert eventually(lambda: _status(service)["spool"]["sent"] == 1)
    told = service.run("cat", f"/proc/{pid}/status")
    facts = dict(re.findall(r"^(\w+):\t(.*)$", told, re.MULTILINE))
    assert (facts["CapEff"], facts["NoNewPrivs"], facts["Seccomp"]) == ("0" * 16, "1", "2")
    assert facts["Uid"].split()[0] != "0"
    assert service.show(NAME, "ActiveState") == "active"
    assert eventually(lambda: "watching 1 of 3 logs" in service.show(NAME, "StatusText"))
    assert "No such file" in service.run("ls", f"/run/credentials/{NAME}.service/x", check=False)

    service.run("systemctl", "reload", NAME)
    assert eventually(lambda: any("configuration was read again" in m for _, m in _told(service)))
    service.run("systemctl", "stop", NAME)
    assert (service.show(NAME, "Result"), service.show(NAME, "ExecMainStatus")) == ("success", "0")
    assert ("6", "Watching /var/log/auth.log") in _told(service)


@needs_machine
def test_a_log_that_is_readable_for_root_alone(service):
    """Without the drop-in that is 77, told with what to do; with it the agent works."""
    service.write("/var/log/auth.log", "", "0600")
    service.run("systemctl", "start", NAME, check=False)
    assert "77" in service.show(NAME, "ExecMainStatus")
    service.run("systemctl", "stop", NAME)

    service.install_unit(UNIT, [DROP_IN])
    service.run("systemctl", "start", NAME)
    service.write("/var/log/auth.log", _line("alice"), "0600")
    sent = eventually(lambda: _status(service)["spool"]["sent"] == 1)
    service.run("rm", "-r", f"/etc/systemd/system/{UNIT.name}.d")
    service.run("systemctl", "daemon-reload")

    assert sent


@needs_machine
def test_keys_as_credentials(service):
    """Both keys come from files of root that the service cannot read itself."""
    with FakeMonitor() as server:
        service.write(f"/etc/{NAME}/config.yaml", f"monitor: {{url: '{server.url}'}}\n")
        service.write(f"/etc/{NAME}/api-key", API_KEY, "0600")
        service.write(f"/etc/{NAME}/secret-key", SECRET_KEY, "0600")
        service.write("/var/log/auth.log", "", "0640", "adm")
        service.run("systemctl", "start", NAME)
        service.write("/var/log/auth.log", _line("alice"), "0640", "adm")

        assert eventually(lambda: server.users() == ["alice"])
        assert server.unknown == []


@needs_machine
def test_a_mistake_in_the_configuration(service):
    """It is not tried again; a reload with one is refused at the prompt and changes nothing."""
    service.write("/var/log/auth.log", "", "0640", "adm")
    service.run("systemctl", "start", NAME)
    service.write(f"/etc/{NAME}/config.yaml", "monitr: {}\n")
    assert "failed" in service.run("systemctl", "reload", NAME, check=False)
    assert service.show(NAME, "ActiveState") == "active"
    service.run("systemctl", "stop", NAME)
    service.run("systemctl", "start", NAME, check=False)

    assert service.show(NAME, "ExecMainStatus") == "78"
    assert eventually(lambda: service.show(NAME, "ActiveState") == "failed")
    assert any("unknown key 'monitr'" in message for _, message in _told(service))


@needs_machine
def test_a_hung_agent_is_started_again(service):
    """The watchdog ends an agent that does nothing any more, and systemd starts the next."""
    service.write("/var/log/auth.log", "", "0640", "adm")
    fast = "[Service]\nWatchdogSec=2\nRestartSec=0\n"
    service.write(f"/etc/systemd/system/{UNIT.name}.d/fast.conf", fast)
    service.run("systemctl", "daemon-reload")
    service.run("systemctl", "start", NAME)
    moments = ("WatchdogTimestampMonotonic", "ExecMainStartTimestampMonotonic")
    fed, begun = (lambda name=name: int(service.show(NAME, name)) for name in moments)
    assert eventually(lambda: fed() - begun() > 5_000_000)  # more than two intervals
    first = service.show(NAME, "MainPID")
    assert service.show(NAME, "NRestarts") == "0"
    service.run("kill", "-STOP", first)
    again = eventually(lambda: service.show(NAME, "NRestarts") == "1")
    service.run("rm", "-r", f"/etc/systemd/system/{UNIT.name}.d")
    service.run("systemctl", "daemon-reload")

    assert again
    assert eventually(lambda: service.show(NAME, "ActiveState") == "active")
