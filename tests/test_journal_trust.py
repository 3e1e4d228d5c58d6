"""Who may speak for a program in the journal."""

import pytest

from logwatch_monitis.sources.journal_trust import Origin, doubt


def origin(user="0", executable="", process="", unit="", transport="syslog"):
    """Return what the journal noted of a sender."""
    return Origin(transport, user, executable, process, unit)


@pytest.mark.parametrize(
    ("program", "sender"),
    [
        ("sshd", origin(executable="/usr/sbin/sshd", process="sshd", unit="ssh.service")),
        ("sshd", origin(executable="/usr/lib/openssh/sshd-session", unit="session-3.scope")),
        ("sshd-session", origin(executable="/usr/libexec/openssh/sshd-session")),
        ("sshd", origin(unit="sshd@7-192.0.2.1:22-192.0.2.2:5000.service")),
        ("sshd", origin(process="sshd")),
        ("sshd", origin(executable="/usr/sbin/sshd", transport="journal")),
        ("sudo", origin("1000", "/usr/bin/sudo", "sudo", "session-1.scope")),
        ("sudo", origin("0", "/usr/bin/sudo")),
        ("sudo", origin("1000", "/usr/lib/cargo/bin/sudo")),
        ("su", origin("1000", "/usr/bin/su", "su")),
        ("doas", origin("1000", "/usr/bin/doas")),
        ("login", origin(executable="/usr/bin/login", unit="getty@tty1.service")),
        ("vsftpd", origin("65534", "/usr/sbin/vsftpd", "vsftpd", "vsftpd.service")),
        ("dovecot", origin("107", "/usr/lib/dovecot/imap-login", unit="dovecot.service")),
        ("mydoord", origin("998", "/usr/bin/python3.11", "python3", "mydoord.service")),
        ("mydoord", origin()),
        ("gdm-password]", origin(executable="/usr/libexec/gdm-session-worker")),
    ],
)
def test_taken(program, sender):
    """Root's entries of the right executable, setuid programs, a daemon's own unit."""
    assert doubt(program, sender) == ""


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
        ("sudo", origin("1000", "", "sudo")),
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
    assert doubt(program, sender)


def test_the_reason_names_the_sender():
    """So that the person behind it can be found."""
    reason = doubt("sshd", origin("1000", "/usr/bin/logger"))
    assert reason == "/usr/bin/logger of user 1000 sent it"
