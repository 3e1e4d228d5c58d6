"""The whole path with the real programs: who logs in is on the page, who fails is not."""

import contextlib
import ftplib
import os
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import real_services
from real_services import ALICE, BOB, PASSWORD
from running import Running, eventually

MISSING = real_services.missing()

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(MISSING) and not os.environ.get("CI"), reason=MISSING),
]


@pytest.fixture(name="machine", scope="module")
def _machine():
    """Rsyslogd, sshd and vsftpd, with users to log in as, who can reach their homes."""
    assert not MISSING, MISSING
    with (
        tempfile.TemporaryDirectory(prefix="lwm-") as root,
        real_services.machine(Path(root)) as machine,
    ):
        yield machine


@pytest.fixture(name="run")
def _run(machine, tmp_path):
    """Our own program, watching."""
    run = Running(tmp_path, [machine.auth_log, machine.vsftpd_log], "machine: web1\n")
    with run.start("--from-start"):
        yield run


def _ftp(machine, user: str, password: str) -> bool:
    with contextlib.suppress(ftplib.error_perm), ftplib.FTP() as client:
        client.connect("127.0.0.1", machine.ftp_port)
        client.login(user, password)
        return True
    return False


def _accepted(machine) -> Counter:
    """Log in every way there is, and return what the page has to show for it."""
    assert machine.ssh(ALICE) == 0
    assert machine.ssh(ALICE, password=PASSWORD) == 0
    assert machine.ssh(BOB, host="::1") == 0
    assert _ftp(machine, ALICE, PASSWORD)
    assert _ftp(machine, "anonymous", "guest@example.org")
    assert machine.sudo(ALICE, "id") == 0
    assert machine.sudo(ALICE, "-u", BOB, "id") == 0
    assert machine.sudo(ALICE, "-g", "adm", "id") == 0
    assert machine.sudo_on_terminal(ALICE, "id") == 0
    local = os.uname().nodename.partition(".")[0]
    return Counter(
        {
            (ALICE, "127.0.0.1", "sshd"): 2,
            (BOB, "::1", "sshd"): 1,
            (ALICE, "127.0.0.1", "vsftpd"): 1,
            ("ftp", "127.0.0.1", "vsftpd"): 1,
            (ALICE, local, "sudo"): 4,
            ("root", local, "su"): 1,  # how `sudo_on_terminal` gets there
        }
    )


def _refused(machine) -> None:
    assert machine.ssh(ALICE, password="wrong") != 0
    assert machine.ssh("nobody-here") != 0
    assert machine.ssh("root from 6.6.6.6 port 22 ssh2", password="wrong") != 0
    assert not _ftp(machine, ALICE, "wrong")
    assert not _ftp(machine, 'root] OK LOGIN: Client "6.6.6.6"', "wrong")
    assert machine.sudo(BOB, "id") != 0


def test_who_logs_in_is_on_the_page_and_nobody_else(machine, run):
    """Every accepted login of real programs is shown once, no refused one is."""
    _refused(machine)
    expected = _accepted(machine)

    def shown() -> Counter:
        return Counter((row["user_login"], row["host"], row["srv"]) for row in run.logins())

    eventually(lambda: shown() == expected)
    assert shown() == expected
    assert run.stop() == 0
