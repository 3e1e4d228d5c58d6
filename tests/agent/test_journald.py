"""The whole path with the real systemd-journald, sshd and sudo: what it says of real entries.

journald runs in a mount namespace of its own, with its own /run and /dev, so that nothing of this
machine's is touched. There are no units without systemd, so executables have to prove all.
"""

import json
import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from journals import needs_journal_tools
from real_services import free_port

JOURNALD = "/lib/systemd/systemd-journald"
NEEDED = ("unshare", "sshd", "ssh", "ssh-keygen", "sudo", "su", "logger", "systemd-cat", "setpriv")
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def missing():
    """Return what keeps journald from being run here, or the empty text."""
    if os.geteuid() != 0:
        return "needs root: it makes a mount namespace"
    absent = [name for name in NEEDED if shutil.which(name, path=PATH) is None]
    absent += [] if Path(JOURNALD).exists() else [JOURNALD]
    return f"not installed: {', '.join(absent)}" if absent else ""


pytestmark = [
    pytest.mark.real,
    needs_journal_tools,
    pytest.mark.skipif(bool(missing()) and "CI" not in os.environ, reason=missing()),
]

NAMESPACE = """
set -e
mount --make-rprivate /
mkdir -p $ROOT/dev && mount --rbind /dev $ROOT/dev
mount -t tmpfs -o mode=755 tmpfs /dev
for name in null zero full random urandom tty ptmx; do
    touch /dev/$name && mount --bind $ROOT/dev/$name /dev/$name
done
mkdir /dev/pts /dev/shm
mount --bind $ROOT/dev/pts /dev/pts
ln -s /proc/self/fd /dev/fd
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal /run/sshd /run/sudoers.d /run/keys
[ -d /var/log/journal ] && mount -t tmpfs tmpfs /var/log/journal
[ -s /etc/machine-id ] || { printf '%032d\\n' 7 >/run/id; touch /etc/machine-id;
    mount --bind /run/id /etc/machine-id; }
echo 'games ALL=(ALL:ALL) NOPASSWD: ALL' >/run/sudoers.d/test
chmod 440 /run/sudoers.d/test
mount --bind /run/sudoers.d /etc/sudoers.d
ssh-keygen -q -t ed25519 -N '' -f /run/keys/host
ssh-keygen -q -t ed25519 -N '' -f /run/keys/user
/usr/sbin/sshd -f /dev/null -o Port=$PORT -o ListenAddress=127.0.0.1 -o HostKey=/run/keys/host \\
    -o AuthorizedKeysFile=/run/keys/user.pub -o StrictModes=no -o UsePAM=yes \\
    -o PidFile=/run/sshd.pid
set +e
journald() { $JOURNALD 2>/dev/null & RUNNING=$!; await test -S /run/systemd/journal/dev-log; }
await() { for _ in $(seq 300); do "$@" && return; sleep 0.05; done; echo "never: $*"; }
agent() { $PYTHON -m logwatch_monitis run -c $ROOT/config.yaml >>$ROOT/output 2>&1 & AGENT=$!; }
said() { grep -q "$1" $ROOT/output; }
stop() { kill $1; wait $1; }
as_games() { setpriv --reuid=games --regid=games --init-groups "$@"; }
login() { ssh -F none -i /run/keys/user -o StrictHostKeyChecking=no -o LogLevel=ERROR \\
    -o UserKnownHostsFile=/dev/null -p $PORT root@127.0.0.1 true; }
journald
ln -s /run/systemd/journal/dev-log /dev/log
logger waiting for readers
"""

LIFE = """
agent
await said 'The page is at'
login
as_games sudo -n true
as_games sudo -n su -s /bin/sh nobody -c true
as_games logger -t sshd -p auth.info "Accepted password for mallory from 192.0.2.66 port 1 ssh2"
as_games logger -t 'sshd[1]' "Accepted password for mallory from 192.0.2.66 port 2 ssh2"
as_games systemd-cat -t sshd echo "Accepted password for mallory from 192.0.2.66 port 3 ssh2"
logger -t sshd "Accepted password for mallory from 192.0.2.66 port 4 ssh2"
await said 'mallory\\|refused: '
journalctl -q --rotate
as_games sudo -n true
stop $RUNNING
rm /run/systemd/journal/dev-log
journald
sleep 0.5
as_games sudo -n true
sleep 1
stop $AGENT
as_games sudo -n true
journalctl -q --rotate
as_games sudo -n true
mv $ROOT/output $ROOT/before
agent
await said 'The page is at'
login
sleep 1
$PYTHON -m logwatch_monitis status -c $ROOT/config.yaml --format json
stop $AGENT
kill $(cat /run/sshd.pid) $RUNNING
"""


FORGED = """
printf 'auth sufficient pam_permit.so\\naccount sufficient pam_permit.so\\n' >/run/pam-su
echo 'session required pam_unix.so' >>/run/pam-su
mount --bind /run/pam-su /etc/pam.d/su
says() { for line in "$@"; do echo "$line"; sleep 0.2; done; sleep 1; }
disguised() { unshare --user --map-root-user --mount sh -c '
    test $(id -u) = 0 && mount --bind /usr/bin/logger $0 && exec $0 -t ${0##*/} -p auth.info' $1; }
export -f says disguised
agent
await said 'The page is at'
as_games sudo -n true
DEEP=/run/$(printf 'a%.0s' $(seq 250))
for _ in 1 2 3 4; do mkdir $DEEP; cd $DEEP; DEEP=$(printf 'a%.0s' $(seq 250)); done
as_games sudo -n true
cd /
as_games sudo -n -u nobody true
as_games su -s /bin/sh nobody -c true
as_games bash -c 'says "(to root) mallory on pts/0" \
    "pam_unix(su:session): session opened for user root(uid=0) by mallory(uid=5)" |
    disguised /usr/bin/su'
as_games bash -c 'says "mallory : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh" \
    "pam_unix(sudo:session): session opened for user root(uid=0) by mallory(uid=5)" |
    disguised /usr/bin/sudo'
says "(to root) mallory on pts/1" | as_games logger -t su
await said 'in the name of su is refused'
sleep 1
stop $AGENT
journalctl -q -o json >$ROOT/entries
kill $(cat /run/sshd.pid) $RUNNING
"""


def run_inside(tmp_path, script):
    """Run a script beside a journald of its own; return what it printed."""
    assert not missing()
    tmp_path.chmod(0o755)
    (tmp_path / "config.yaml").write_text(
        f"state_directory: {tmp_path}/state\nlisten: 127.0.0.1:0\n"
        f"sources: {{files: [{tmp_path}/none]}}\n"
    )
    path = tmp_path / "script"
    path.write_text(NAMESPACE + script)
    known = {"PYTHON": sys.executable, "ROOT": str(tmp_path), "JOURNALD": JOURNALD}
    known["PORT"] = str(free_port())
    done = subprocess.run(
        ["unshare", "--mount", "bash", str(path)],
        env={**os.environ, "PATH": PATH, **known},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr


def stored(tmp_path):
    """Return user, service and proof of every login that the monitor has, in order of arrival."""
    database = tmp_path / "state" / "monitor" / "monitor.sqlite"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reader:
        return reader.execute(
            "SELECT user_login, srv, verified FROM results ORDER BY seq"
        ).fetchall()


def test_real_logins_are_verified_and_forged_ones_refused(tmp_path):
    """Logins, sudo and su arrive once, over rotation, restarts of journald and of the agent."""
    printed = run_inside(tmp_path, LIFE)
    assert stored(tmp_path) == [
        ("root", "sshd", 1),
        ("games", "sudo", 1),
        ("games", "sudo", 1),
        ("root", "su", 1),
        *[("games", "sudo", 1)] * 4,
        ("root", "sshd", 1),
    ], printed
    assert "never:" not in printed
    assert "warning" not in (tmp_path / "output").read_text()


def test_a_program_bound_over_su_or_sudo_proves_nothing(tmp_path):
    """Everybody can have another program at that path; real su cannot be told from it, sudo can.

    What each of them sends is looked at too: only the group of sudo's session line is root's. One
    line of sudo is so long that it is cut.
    """
    printed = run_inside(tmp_path, FORGED)
    assert Counter(stored(tmp_path)) == Counter(
        [
            ("games", "sudo", 1),
            ("games", "sudo", 1),
            ("games", "sudo", 0),
            ("games", "su", 0),
            ("mallory", "su", 0),
            ("mallory", "sudo", 0),
        ]
    ), printed
    games = pwd.getpwnam("games")
    user, group = str(games.pw_uid), str(games.pw_gid)
    nobody = str(pwd.getpwnam("nobody").pw_gid)
    entries = map(json.loads, (tmp_path / "entries").read_text().splitlines())
    sent = [
        tuple(entry.get(name) for name in ("_EXE", "_UID", "_GID"))
        for entry in entries
        if entry.get("SYSLOG_IDENTIFIER") in ("su", "sudo")
        and ("session opened" in entry["MESSAGE"] or is_own(entry["MESSAGE"]))
        and "(command continued)" not in entry["MESSAGE"]
    ]
    sudo, su = "/usr/bin/sudo", "/usr/bin/su"
    assert sent[:-1] == [
        *[(sudo, user, group), (sudo, user, "0")] * 2,
        *[(sudo, user, group), (sudo, user, nobody)],
        *[(su, user, group)] * 2,
        *[(su, user, group)] * 2,
        *[(sudo, user, group)] * 2,
    ], printed


def is_own(message):
    """Tell whether it is the line by which su or sudo tells of its caller."""
    return "PWD=" in message or message.startswith("(to ")
