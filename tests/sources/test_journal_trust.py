"""Who may speak for a program in the journal."""

import pytest

from logwatch_monitis.sources.journal.trust import (
    Judgement,
    Origin,
    Session,
    Verdict,
    judge,
    session_of,
)

SUDO = "/usr/bin/sudo"
OPENED = "pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)"


def origin(user="0", executable="", process="", unit="", **more):
    """Return what the journal noted of a sender."""
    known = {"transport": "syslog", "group": user, "pid": "7", **more}
    return Origin(user=user, executable=executable, process=process, unit=unit, **known)


@pytest.mark.parametrize(
    ("program", "sender"),
    [
        ("sshd", origin(executable="/usr/sbin/sshd", process="sshd", unit="ssh.service")),
        ("sshd", origin(executable="/usr/lib/openssh/sshd-session", unit="session-3.scope")),
        ("sshd-session", origin(executable="/usr/libexec/openssh/sshd-session")),
        ("sshd", origin(unit="sshd@7-192.0.2.1:22-192.0.2.2:5000.service")),
        ("sshd", origin(process="sshd")),
        ("sshd", origin(executable="/usr/sbin/sshd", transport="journal")),
        ("sudo", origin("0", "/usr/bin/sudo")),
        ("su", origin("0", "/usr/bin/su")),
        ("doas", origin("0", "/usr/bin/doas")),
        ("login", origin(executable="/usr/bin/login", unit="getty@tty1.service")),
        ("vsftpd", origin("65534", "/usr/sbin/vsftpd", "vsftpd", "vsftpd.service")),
        ("dovecot", origin("107", "/usr/lib/dovecot/imap-login", unit="dovecot.service")),
        ("mydoord", origin("998", "/usr/bin/python3.11", "python3", "mydoord.service")),
        ("mydoord", origin()),
        ("gdm-password]", origin(executable="/usr/libexec/gdm-session-worker")),
    ],
)
def test_proved(program, sender):
    """Root's entries of the right executable, a daemon's own unit."""
    assert judge(program, sender) == Judgement(Verdict.PROVED)


@pytest.mark.parametrize(
    ("program", "sender", "waits"),
    [
        ("sudo", origin("1000", SUDO, "sudo", "session-1.scope"), True),
        ("sudo", origin("1000", "/usr/lib/cargo/bin/sudo"), True),
        ("sudo", origin("1000", "", "sudo"), True),
        ("sudo", origin("1000", SUDO, group="0"), False),
        ("su", origin("1000", "/usr/bin/su", "su"), False),
        ("su", origin("1000", "", "su"), False),
        ("su", origin("", "/usr/bin/su"), False),
        ("doas", origin("1000", "/usr/bin/doas"), False),
        ("doas", origin("0", "/usr/bin/apt", "apt"), False),
        ("vsftpd", origin("1000", "/usr/sbin/vsftpd", "vsftpd", "vsftpd.service"), False),
        ("cron", origin("1000", "/home/mallory/x", "x", "cron.service"), False),
    ],
)
def test_not_proved_and_not_refused(program, sender, waits):
    """Whoever has the caller's number may be the program or a person who looks like it."""
    assert judge(program, sender) == Judgement(Verdict.UNPROVED, waits=waits)


@pytest.mark.parametrize(
    ("program", "sender"),
    [
        ("sshd", origin("1000", "/usr/bin/logger", "logger", "session-1.scope")),
        ("sshd", origin("1000", "/home/mallory/sshd", "sshd", "session-1.scope")),
        ("sshd", origin("1000", "/usr/sbin/sshd", "sshd", "ssh.service")),
        ("sshd", origin("0", "/usr/bin/logger", "logger")),
        ("sshd", origin("0", "", "logger")),
        ("sshd", origin("0", "/usr/bin/dockerd", "dockerd", "docker.service")),
        ("sshd", origin("0", "/usr/sbin/sshd", "sshd", transport="audit")),
        ("sshd", origin("0", "/usr/sbin/sshd", "sshd", transport="")),
        ("sshd", origin("")),
        ("sshd", origin()),
        ("sudo", origin("1000", "/home/mallory/bin/sudo", "sudo")),
        ("sudo", origin("1000", "/tmp/usr/bin/sudo", "sudo")),
        ("sudo", origin("1000", "/usr/bin/logger", "logger")),
        ("sudo", origin("1000")),
        ("su", origin("1000", "", "logger")),
        ("su", origin("0", "/usr/bin/logger")),
        ("doas", origin("1000", "/usr/bin/apt")),
        ("user", origin("1000", "/home/mallory/x", "x", "user@1000.service")),
        ("sudo", origin("1000", "/usr/bin/su", "su")),
        ("vsftpd", origin("1000", "/usr/sbin/vsftpd", "vsftpd", "user@1000.service")),
        ("vsftpd", origin("1000", "/usr/bin/logger", "logger", "vsftpd.service")),
        ("mydoord", origin("1000", "/usr/bin/logger", "mydoord", "user@1000.service")),
        ("mydoord", origin("1000", "", "", "mydoord.scope")),
        ("lightdm", origin("1000", "/usr/bin/systemd-cat")),
    ],
)
def test_refused(program, sender):
    """Whatever a plain user can send, and root's word for a program that did not say it."""
    assert judge(program, sender).verdict is Verdict.REFUSED


def test_the_reason_names_the_sender():
    """So that the person behind it can be found."""
    judgement = judge("sshd", origin("1000", "/usr/bin/logger"))
    assert judgement.reason == "/usr/bin/logger of user 1000 sent it"


@pytest.mark.parametrize(
    ("sender", "proves"),
    [
        (origin("1000", SUDO, group="0"), True),
        (origin("1000", "", "sudo", group="0"), True),
        (origin("1000", SUDO), False),
        (origin("1000", SUDO, group="1001"), False),
        (origin("1000", "/usr/bin/logger", group="0"), False),
        (origin("1000", SUDO, group="0", transport="audit"), False),
    ],
)
def test_a_session_line_of_sudo_proves_by_the_group_of_root(sender, proves):
    """The group cannot be chosen; a program can, in a namespace of one's own."""
    assert session_of("sudo", OPENED, sender) == Session("root", proves)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("su", OPENED),
        ("sudo", OPENED.replace("opened", "closed")),
        ("sudo", OPENED.replace("sudo:", "su:")),
        ("sudo", f"alice : {OPENED}"),
        ("sudo-rs", "alice : USER=root ; COMMAND=/bin/ls"),
    ],
)
def test_what_is_no_session_line(program, message):
    """Only sudo's own is asked, from its first character."""
    assert session_of(program, message, origin("1000", SUDO, group="0")) is None
