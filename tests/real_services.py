"""Debian's own rsyslogd, sshd, vsftpd and sudo on loopback, for tests of the whole path.

They need root and change the machine: test users are made and removed again. `missing` says what
stands in the way; `.ci/run` installs all of it.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from running import eventually

PROGRAMS = ["rsyslogd", "sshd", "vsftpd", "sudo", "ssh", "sshpass", "ssh-keygen", "useradd"]
PASSWORD = "correct-horse-7"
ALICE, BOB = "lwm-alice", "lwm-bob"


def missing() -> str:
    """Return what keeps the real services from being started here, or the empty text."""
    if os.geteuid() != 0:
        return "needs root: it starts rsyslogd and sshd and makes test users"
    absent = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    if Path("/dev/log").exists() and _answers("/dev/log"):
        return "another syslog daemon listens on /dev/log"
    return ""


def free_port(family: socket.AddressFamily = socket.AF_INET) -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket(family) as probe:
        probe.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Machine:
    """The running services, and the ways to log in to them."""

    root: Path
    ssh_port: int = field(default_factory=free_port)
    ftp_port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen] = field(default_factory=list)

    @property
    def auth_log(self) -> Path:
        """Where rsyslog writes auth and authpriv."""
        return self.root / "auth.log"

    @property
    def vsftpd_log(self) -> Path:
        """Vsftpd's own log."""
        return self.root / "vsftpd.log"

    def ssh(self, user: str, *command: str, password: str = "", host: str = "127.0.0.1") -> int:
        """Log in with ssh and return its exit code; with the key unless a password is given."""
        how = (
            ["-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1"]
            if password
            else ["-i", str(self.root / "key"), "-o", "BatchMode=yes"]
        )
        wrap = ["sshpass", "-p", password] if password else []
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        words = [word for option in options for word in ("-o", option)]
        line = [*wrap, "ssh", "-F", "none", *words, *how, "-p", str(self.ssh_port), "-l", user]
        return _run([*line, host, *(command or ("true",))])

    def sudo(self, user: str, *words: str) -> int:
        """Run sudo as *user* without a terminal and return its exit code."""
        return _run(
            ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "sudo", "-n", *words]
        )

    def sudo_on_terminal(self, user: str, command: str) -> int:
        """Run sudo as *user* on a pseudo terminal and return its exit code."""
        return _run(
            ["su", "-s", "/bin/sh", user, "-c", f"script -qec 'sudo -n {command}' /dev/null"]
        )


def _run(words: list[str]) -> int:
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    )
    return done.returncode


@contextlib.contextmanager
def machine(root: Path) -> Iterator[Machine]:
    """Start everything below *root*, and take it all down again."""
    root.chmod(0o755)
    made = Machine(root)
    try:
        _make_users(root)
        _start_rsyslog(made)
        _start_sshd(made)
        _start_vsftpd(made)
        yield made
    finally:
        for process in reversed(made.processes):
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)
        _remove_users()


def _make_users(root: Path) -> None:
    _remove_users()
    for user in (ALICE, BOB):
        subprocess.run(["useradd", "-m", "-s", "/bin/sh", "-d", str(root / user), user], check=True)
        subprocess.run(["chpasswd"], input=f"{user}:{PASSWORD}\n", text=True, check=True)
    sudoers = Path("/etc/sudoers.d/lwm-test")
    sudoers.write_text(f"{ALICE} ALL=(ALL:ALL) NOPASSWD: /usr/bin/id, /bin/true, /usr/bin/true\n")
    sudoers.chmod(0o440)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / "key"], check=True)
    for user in (ALICE, BOB):
        keys = root / user / ".ssh"
        keys.mkdir(mode=0o700)
        shutil.copy(root / "key.pub", keys / "authorized_keys")
        entry = pwd.getpwnam(user)
        for path in (keys, keys / "authorized_keys"):
            os.chown(path, entry.pw_uid, entry.pw_gid)


def _remove_users() -> None:
    Path("/etc/sudoers.d/lwm-test").unlink(missing_ok=True)
    for user in (ALICE, BOB):
        subprocess.run(["pkill", "-KILL", "-u", user], check=False, capture_output=True)
        subprocess.run(["userdel", "-f", "-r", user], check=False, capture_output=True)


def _start_rsyslog(made: Machine) -> None:
    config = made.root / "rsyslog.conf"
    config.write_text(
        'module(load="imuxsock")\n'
        f'global(workDirectory="{made.root}")\n'
        f'auth,authpriv.* action(type="omfile" file="{made.auth_log}" fileCreateMode="0640")\n'
        f'*.* action(type="omfile" file="{made.root}/syslog")\n'
    )
    pid = made.root / "rsyslogd.pid"
    _start(made, ["rsyslogd", "-n", "-f", str(config), "-i", str(pid)])
    assert eventually(lambda: Path("/dev/log").exists() and _answers("/dev/log"))


def _start_sshd(made: Machine) -> None:
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    key = made.root / "host_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    config = made.root / "sshd_config"
    config.write_text(
        f"Port {made.ssh_port}\nListenAddress 127.0.0.1\nListenAddress ::1\nHostKey {key}\n"
        "UsePAM yes\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\n"
        "PidFile none\nStrictModes no\nMaxStartups 100\n"
    )
    _start(made, [str(shutil.which("sshd", path=_path())), "-D", "-f", str(config)])
    assert eventually(lambda: _answers(("127.0.0.1", made.ssh_port)))


def _start_vsftpd(made: Machine) -> None:
    empty = made.root / "empty"
    empty.mkdir()
    config = made.root / "vsftpd.conf"
    config.write_text(
        f"listen=YES\nlisten_address=127.0.0.1\nlisten_port={made.ftp_port}\nbackground=NO\n"
        "anonymous_enable=YES\nlocal_enable=YES\nseccomp_sandbox=NO\npam_service_name=vsftpd\n"
        f"secure_chroot_dir={empty}\nvsftpd_log_file={made.vsftpd_log}\nxferlog_enable=YES\n"
        "xferlog_std_format=NO\ndual_log_enable=NO\n"
    )
    os.chown(config, 0, 0)
    _start(made, [str(shutil.which("vsftpd", path=_path())), str(config)])
    assert eventually(lambda: _answers(("127.0.0.1", made.ftp_port)))


def _start(made: Machine, words: list[str]) -> None:
    with (made.root / "services.err").open("ab") as errors:
        made.processes.append(
            subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        )


def _answers(address: str | tuple[str, int]) -> bool:
    unix = isinstance(address, str)
    family, kind = (
        (socket.AF_UNIX, socket.SOCK_DGRAM) if unix else (socket.AF_INET, socket.SOCK_STREAM)
    )
    with socket.socket(family, kind) as probe:
        return probe.connect_ex(address) == 0


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
