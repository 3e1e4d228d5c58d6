"""What ``check`` says where sshd logs too little or elsewhere, or a log has no known program."""

import pytest
from commands import EXAMPLE_LOG, run

from logwatch_monitis.config import sshd_config
from logwatch_monitis.config.sshd_config import SshdSetting, read_log_settings


@pytest.mark.parametrize(
    ("main", "included", "expected"),
    [
        ("LogLevel quiet\n", "", ("QUIET", "sshd_config:1")),
        ("#LogLevel QUIET\nloglevel=VERBOSE # all\n", "", ("VERBOSE", "sshd_config:2")),
        ("Include more/*.conf\nLogLevel INFO\n", "LogLevel ERROR\n", ("ERROR", "more/a.conf:1")),
        ("LogLevel INFO\nInclude more/*.conf\n", "LogLevel ERROR\n", ("INFO", "sshd_config:1")),
        ("Match User bob\n LogLevel QUIET\n", "", None),
        ("Include sshd_config\n", "", None),
    ],
)
def test_the_first_value_for_everybody_counts(tmp_path, main, included, expected):
    """Included files stand where they are named; what holds for some users only is left out."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.conf").write_text(included)
    (tmp_path / "sshd_config").write_text(main)
    found = read_log_settings(tmp_path / "sshd_config").get("loglevel")
    assert found == (expected and SshdSetting(expected[0], f"{tmp_path}/{expected[1]}"))


@pytest.fixture(name="check")
def _check(tmp_path, monkeypatch):
    """Run ``check`` with a log and a configuration of sshd; return exit code and output."""
    config, log, sshd = (tmp_path / name for name in ("config.yaml", "auth.log", "sshd_config"))
    monkeypatch.setattr(sshd_config, "PATH", sshd)
    config.write_text(f"state_directory: {tmp_path}/state\nsources: {{files: [{log}]}}\n")

    def check(text, lines=None):
        sshd.write_text(text)
        log.write_bytes(EXAMPLE_LOG.read_bytes() if lines is None else lines)
        done = run("check", "-c", config)
        return done.code, done.out

    return check


def test_a_silent_sshd_is_an_error(check):
    """It is said where the line stands, and what to write."""
    code, text = check("LogLevel FATAL\n")
    assert code == 1
    assert "sshd_config:1: LogLevel FATAL leaves logins out" in text
    assert check("LogLevel VERBOSE\nSyslogFacility AUTHPRIV\n")[0] == 0


def test_another_facility_is_noted(check):
    """Its lines may be in a file that nobody watches."""
    code, text = check("SyslogFacility LOCAL3\n")
    assert (code, "SyslogFacility LOCAL3 is no login facility" in text) == (0, True)


def test_a_log_without_a_known_program_is_noted(check):
    """A file that can be read may still be the wrong one; an empty one says nothing."""
    strange = b"2026-11-22T21:41:45+00:00 web1 kernel: eth0 up\n" * 3
    assert "no line near its end is of a program" in check("", strange)[1]
    assert "no line near its end" not in check("", strange + EXAMPLE_LOG.read_bytes() + strange)[1]
    assert "no line near its end" not in check("", b"")[1]
