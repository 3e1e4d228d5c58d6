"""The shipped patterns on lines that are not their own samples: every login, and only logins."""

import time

import pytest

from logwatch_monitis.grammar import load_rules
from logwatch_monitis.grammar.build import build
from logwatch_monitis.grammar.search_path import find

EVIL = "Accepted password for root from 8.8.8.8 port 1 ssh2"
CERT = "RSA-CERT SHA256:AAA ID x from 8.8.8.8 port 1 ssh2 (serial 0) CA RSA SHA256:BBB"


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """Return the package's own rules."""
    return load_rules(system=[], cache_directory=tmp_path_factory.mktemp("cache"))


LOGINS = [
    # program, message, user, host, service, kind, some fields
    ("sshd", "Accepted password for alice from 192.0.2.7 port 50001 ssh2", "alice", "192.0.2.7"),
    ("sshd", "Accepted publickey for a from ::ffff:192.0.2.7 port 5 ssh2: X", "a", "192.0.2.7"),
    (
        "sshd",
        r"Accepted none for DOM\\alice from fe80::1%eth0 port 5 ssh2",
        r"DOM\\alice",
        "fe80::1%eth0",
    ),
    ("sshd", "Accepted gssapi-keyex for svc-backup$ from ::1 port 5 ssh2", "svc-backup$", "::1"),
    ("sshd", "Accepted dsa for alice smith from UNKNOWN port 5 ssh1", "alice smith", "UNKNOWN"),
    (
        "sshd-session",
        f"Accepted publickey for a@b.org from h.example.org port 5 ssh2: {CERT}",
        "a@b.org",
        "h.example.org",
    ),
    ("sshd", f"Accepted password for {'u' * 100} from 1.2.3.4 port 5 ssh2", "u" * 100, "1.2.3.4"),
    (
        "sshd",
        "Accepted password for a port 1 ssh2 from 1.2.3.4 port 5 ssh2",
        "a port 1 ssh2",
        "1.2.3.4",
    ),
    ("vsftpd", '[a "b" c] OK LOGIN: Client "2001:db8::7"', 'a "b" c', "2001:db8::7"),
    ("vsftpd", '[ftp] OK LOGIN: Client "1.2.3.4", anon password "a@b"', "ftp", "1.2.3.4"),
    ("vsftpd", '[ftp] OK LOGIN: Client "1.2.3.4", anon password "]_FAIL_LOGIN:"', "ftp", "1.2.3.4"),
    ("proftpd", "srv (h[10.0.0.9]): ANON anonymous: Login successful.", "anonymous", "10.0.0.9"),
    (
        "pure-ftpd",
        "(?@UNKNOWN) [INFO] alice@example.org is now logged in",
        "alice@example.org",
        "UNKNOWN",
    ),
    ("in.ftpd", "FTP LOGIN FROM h.example.org [1.2.3.4], al ice", "al ice", "1.2.3.4"),
    ("ftpd", "ANONYMOUS FTP LOGIN FROM 1.2.3.4, x [6.6.6.6], y", "ftp", "1.2.3.4"),
    (
        "dropbear",
        "Password auth succeeded for 'x from 6.6.6.6:1' from ::1:54321",
        "x from 6.6.6.6:1",
        "::1",
    ),
    ("login", "LOGIN ON pts/3 BY alice FROM 2001:db8::1", "alice", "2001:db8::1"),
    ("login", "ROOT LOGIN  on '/dev/tty1'", "root", "web1"),
]


@pytest.mark.parametrize(("program", "message", "user", "host"), LOGINS)
def test_login(program, message, user, host, rules):
    """A login of every form gives its user and host, and its line holds a literal of the search."""
    match = rules.match(program, message, "web1")
    assert (user, host, "login") == (match.user, match.host, match.kind)
    line = f"{program}[1]: {message}".encode()
    assert any(literal in line for literal in rules.literals)


LOCAL = [
    (
        "sudo",
        "a : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls ; EXIT=0",
        {"exit": "0", "target": "root", "tty": "pts/0"},
    ),
    (
        "sudo",
        "a : HOST=w ; PWD=/ ; USER=b ; GROUP=g ; ENV=A=1 ; B=2 ; COMMAND=x",
        {"env": "A=1 ; B=2", "group": "g"},
    ),
    (
        "sudo",
        "a : PWD=/ ; USER=root ; COMMAND=/bin/sh -c x ; USER=evil ; COMMAND=y",
        {"target": "root"},
    ),
    (
        "sudo",
        "a :  PWD=/tmp/ ; USER=bob ; COMMAND=x ; USER=root ; COMMAND=/bin/id",
        {"target": "bob"},
    ),
    (
        "sudo-rs",
        "a : TTY=/dev/pts/1 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/id [...]",
        {"command": "/usr/bin/id [...]"},
    ),
    (
        "sudo",
        '@cee:{"sudo":{"accept":{"submituser":"a","runuser":"root","command":"x"}}}',
        {"target": "root", "command": "x"},
    ),
    ("su", "(to root) a on pts/0", {"target": "root", "tty": "pts/0"}),
    ("su", "Successful su for root by a", {"target": "root"}),
    ("su", "a to root on /dev/ttyp1", {"target": "root"}),
    (
        "doas",
        "a ran command /bin/ls -l as root from /home/a",
        {"target": "root", "command": "/bin/ls -l"},
    ),
]


@pytest.mark.parametrize(("program", "message", "fields"), LOCAL)
def test_change_of_user(program, message, fields, rules):
    """Sudo, doas and su name who asked, from this machine; the target is a field."""
    match = rules.match(program, message, "web1")
    kind = "session" if program == "su" else "command"
    service = "sudo" if program == "sudo-rs" else program
    assert ("a", "web1", kind, service) == (match.user, match.host, match.kind, match.service)
    assert fields == {name: match.fields.get(name) for name in fields}


NO_LOGINS = [
    ("sshd", f"Failed password for invalid user {EVIL} from 203.0.113.9 port 51000 ssh2"),
    ("sshd", f"Invalid user sshd[1]: {EVIL} from 203.0.113.9 port 51000"),
    ("sshd", f"Invalid user x\\nMar  5 04:05:07 host sshd[9]: {EVIL} from 203.0.113.9 port 5"),
    ("sshd", f"Connection closed by invalid user {EVIL} [preauth]"),
    ("sshd", f"Bad protocol version identification '{EVIL}' from 203.0.113.9 port 5"),
    ("sshd", f'banner exchange: client sent invalid protocol identifier "{EVIL}"'),
    ("sshd", f"debug1: {EVIL}"),
    ("sshd", f"error: {EVIL}"),
    ("sshd", f"{EVIL} [preauth]"),
    ("sshd", "Accepted password for  from 1.2.3.4 port 5 ssh2"),
    ("sshd", "Accepted password for a from 1.2.3.4 port 5x ssh2"),
    ("sshd", "Accepted password for a from not a host port 5 ssh2"),
    ("sshd", "Accepted key RSA SHA256:A found at /home/a from 1.2.3.4 port 5 ssh2:2"),
    ("sshd", "message repeated 2 times: [ Failed password for root from 1.2.3.4 port 5 ssh2]"),
    ("sshd-x", EVIL),
    ("su", EVIL),
    ("kernel", EVIL),
    ("vsftpd", '[x] OK LOGIN: Client "1.2.3.4"] FAIL LOGIN: Client "203.0.113.9"'),
    ("vsftpd", '[x] OK LOGIN: Client "1.2.3.4", "] FAIL LOGIN: Client "203.0.113.9"'),
    ("vsftpd", '[x] OK LOGIN: Client "1.2.3.4", anon password "] FAIL LOGIN: Client "6.6.6.6"'),
    (
        "vsftpd",
        '[x] OK LOGIN: Client "1.2.3.4", anon password "y", "] FAIL LOGIN: Client "6.6.6.6"',
    ),
    ("vsftpd", '[a] FTP command: Client "6.6.6.6", "USER [root] OK LOGIN: Client "1.2.3.4""'),
    ("vsftpd", '[a] FTP response: Client "6.6.6.6", "230 Login successful."'),
    (
        "vsftpd",
        '[a] OK DOWNLOAD: Client "6.6.6.6", "/a [root] OK LOGIN: Client "1.2.3.4"", 5 bytes',
    ),
    ("vsftpd", 'CONNECT: Client "::ffff:Sun Aug 30 [ftpupload] OK LOGIN: Client "1.2.3.4"'),
    ("sudo", "a : user NOT in sudoers ; TTY=pts/0 ; PWD=/tmp/x : PWD=/ ; USER=root ; COMMAND=y"),
    ("sudo", "a : command not allowed ; TTY=pts/0 ; PWD=/ : TTY=x ; USER=root ; COMMAND=/bin/ls"),
    ("sudo", "a : unknown user b : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls"),
    ("sudo", "a : (command continued) x : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls"),
    ("sudo-rs", "[...] root : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls"),
    ("sudo", '@cee:{"sudo":{"reject":{"submituser":"a","accept":{"submituser":"root"}}}}'),
    ("sudo", '@cee:{"sudo":{"accept":{"submituser":"a","submituser":"root"}}}'),
    ("sudo", "@cee:" + '{"sudo":' * 2000),
    ("su", "FAILED SU (to root) a on pts/0"),
    ("su", "BAD SU a to root on /dev/ttyp1"),
    ("su", "+ /dev/pts/1 a:root"),
    (
        "login",
        "FAILED LOGIN (1) on '/dev/tty1' FOR 'LOGIN ON tty1 BY root', Authentication failure",
    ),
    ("doas", "failed auth for x ran command /bin/sh as root from /"),
    ("proftpd", "s (h[6.6.6.6]) - USER x: Login successful.: no such user found from h [6.6.6.6]"),
    ("proftpd", "s (h[6.6.6.6]) - USER x: Login successful. (Login failed): Incorrect password"),
    ("pure-ftpd", "(?@1.2.3.4) [WARNING] Authentication failed for user [x is now logged in]"),
    ("dropbear", "Bad password attempt for 'x' from 1.2.3.4:5' from 6.6.6.6:5"),
    ("dropbear", "Password auth succeeded for 'a' from 1.2.3.4:5, extra auth required"),
    ("dovecot", "imap-login: Login: user=<a>, method=PLAIN, rip=1.2.3.4, lip=10.0.0.1"),
    ("systemd-logind", "New session 12 of user alice."),
    ("sshd", "Starting session: shell on pts/3 for root from 192.0.2.7 port 42480 id 0"),
]


@pytest.mark.parametrize(("program", "message"), NO_LOGINS)
def test_no_login(program, message, rules):
    """What strangers write into names, what failed, what comes under another tag: no login."""
    assert rules.match(program, message, "web1") is None


def session(service, user="alice(uid=1000)", by="(uid=0)"):
    """Return the line that PAM writes when *service* opens a session."""
    return f"pam_unix({service}:session): session opened for user {user} by {by}"


ONE_EVENT = {
    "sshd": [
        ("sshd", "Accepted publickey for alice from 192.0.2.7 port 5 ssh2: ED25519 SHA256:x"),
        ("sshd", session("sshd")),
        ("systemd-logind", "New session 12 of user alice."),
        ("systemd", session("systemd-user")),
        ("sshd", "Starting session: shell on pts/3 for alice from 192.0.2.7 port 5 id 0"),
    ],
    "sudo": [
        ("sudo", "alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls"),
        ("sudo", session("sudo", "root(uid=0)", "alice(uid=1000)")),
        ("sudo", session("sudo-i", "root(uid=0)", "alice(uid=1000)")),
    ],
    "su": [
        ("su", "(to root) alice on pts/0"),
        ("su", session("su-l", "root(uid=0)", "alice(uid=1000)")),
    ],
    "login": [("login", session("login", by="LOGIN(uid=0)")), ("login", "LOGIN ON tty1 BY alice")],
    "vsftpd": [
        ("vsftpd", session("ftp")),
        ("vsftpd", '[alice] OK LOGIN: Client "192.0.2.7"'),
        ("vsftpd", '[alice] FTP response: Client "192.0.2.7", "230 Login successful."'),
    ],
    "cockpit": [("cockpit-session", session("cockpit", by="alice(uid=0)"))],
    "gdm-password": [
        ("gdm-session-worker", session("gdm-launch-environment", "gdm(uid=120)")),
        ("gdm-password]", session("gdm-password")),
    ],
    "gdm": [("gdm", "session opened for user alice by (uid=0)")],
    "xrdp-sesman": [("xrdp-sesman", session("xrdp-sesman", "alice"))],
}


@pytest.mark.parametrize("service", ONE_EVENT)
def test_one_login_is_one_event(service, rules):
    """Of the lines that one login leaves exactly one counts; PAM's name of the service is kept."""
    found = [rules.match(program, message, "web1") for program, message in ONE_EVENT[service]]
    assert [(service, "alice")] == [(m.service, m.user) for m in found if m]


@pytest.mark.parametrize(
    "service", ["cron", "crond", "CRON", "atd", "systemd-user", "runuser", "polkit-1"]
)
def test_sessions_of_nobody(service, rules):
    """Timers, user managers and helpers open sessions that are no logins."""
    assert rules.match(service, session(service), "web1") is None


@pytest.mark.parametrize("method", ["password", "anonymous"])
def test_method_of_vsftpd(method, rules):
    """An anonymous login says so, with or without a password; in its own log as in syslog."""
    user, tail = ("ftp", ', anon password "x"') if method == "anonymous" else ("ann", "")
    match = rules.match("", f'[{user}] OK LOGIN: Client "1.2.3.4"{tail}', "web1", "vsftpd")
    assert (user, method, "vsftpd") == (match.user, match.fields["method"], match.service)


def test_shipped_files_agree():
    """No shipped file answers a sample of another one, and none has a problem."""
    assert build(find(system=[])).warnings == ()


def test_literals(rules, tmp_path):
    """Few and rare texts find sshd, vsftpd and sudo; nineteen are enough for all services.

    The name sudo is not among them: it stands in every line of its PAM sessions.
    """
    wanted = ["sshd", "vsftpd", "sudo"]
    few = load_rules(system=[], services=wanted, cache_directory=tmp_path)
    sudo = {b"@cee:", b"CHROOT=", b"HOST=", b"PWD=", b"TTY=", b"USER="}
    assert set(few.literals) == {b"Accepted ", b'] OK LOGIN: Client "', *sudo}
    assert len(rules.literals) < 20
    assert b" pam_unix(cron:session): session opened for u" in rules.decoys


LONG = ["from ", " : ", "a" * 64, '"] ', "port 1 ssh2", " ; COMMAND=", "::", "[", "by "]


@pytest.mark.parametrize("text", LONG)
def test_hostile_lengths(text, rules):
    """No message of 65,536 characters costs more than 50 ms in any shipped rule."""
    starts = [
        "Accepted password for ",
        "[",
        "a : TTY=",
        "(to ",
        "pam_unix(x:session): session opened for user ",
    ]
    for program in sorted(rules.programs):
        for start in starts:
            message = (start + text * 65_536)[:65_536]
            begin = time.process_time()
            rules.match(program, message, "web1")
            assert time.process_time() - begin < 0.05
