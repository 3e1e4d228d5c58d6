"""What keeps a rotation from being followed, as `check` and `status` tell of it."""

import json
import os
import shutil
import subprocess

import pytest
from commands import PROGRAM, denied
from tail_bench import Bench, lines

from logwatch_monitis.sources.permissions import MOUNTED, mount_points

LINE = b"Nov 28 10:00:00 web sshd[7]: Accepted password for al from 192.0.2.7 port 5 ssh2\n"


def config_of(tmp_path, log):
    """Write a configuration that watches *log*; return its path."""
    config = tmp_path / "config.yaml"
    config.write_text(
        f"sources: {{files: [{log}], journal: no}}\nstate_directory: {tmp_path}/state\n"
    )
    return config


def told(out):
    """Return the messages about logs."""
    return [row["message"] for row in json.loads(out) if row["about"] == "log"]


def test_mount_points_are_read_with_their_blanks(tmp_path):
    """The kernel writes blanks in names as octal numbers."""
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "36 22 8:1 /a /var/log/a\\040b.log rw - ext4 /dev/sda1 rw\n"
    )

    assert {"/", "/var/log/a b.log"} == mount_points(str(table))
    assert frozenset() == mount_points(str(tmp_path / "none"))


def test_a_log_that_is_mounted_as_a_file(tmp_path):
    """Check says that no rotation of it will be seen."""
    log, other = tmp_path / "auth.log", tmp_path / "other.log"
    for path in (log, other):
        path.write_bytes(LINE)
    check = [*PROGRAM, "check", "-c", str(config_of(tmp_path, log)), "--format", "json"]
    script = f'mount --bind {other} {log} && exec "$@"'
    before = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are not permitted here")
    mounted = subprocess.run([*before, *check], capture_output=True, check=False).stdout
    plain = subprocess.run(check, capture_output=True, check=False).stdout

    assert f"{log}: {MOUNTED}" in told(mounted)
    assert f"{log}: {MOUNTED}" not in told(plain)


def test_status_names_a_mounted_log(tmp_path, monkeypatch):
    """It is read, and the detail says what will end that."""
    bench = Bench(tmp_path, "auth.log", "other.log")
    bench.write(*lines(1))
    bench.write(*lines(1), name="other.log")
    bench.start()
    points = frozenset([str(bench.path)])
    monkeypatch.setattr("logwatch_monitis.sources.files.tail.mount_points", lambda: points)

    assert [("reading", MOUNTED), ("reading", "")] == [
        (status.state, status.detail) for status in bench.tail.statuses()
    ]
    bench.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a directory away")
def test_a_directory_that_hides_its_copies(tmp_path):
    """With mode 0711 the log can be read and its rotated copies cannot be found."""
    directory = tmp_path / "log"
    directory.mkdir()
    log = directory / "auth.log"
    log.write_bytes(LINE)
    shutil.chown(directory, "nobody")
    config = config_of(tmp_path, log)
    directory.chmod(0o711)
    hidden = told(denied("check", "-c", config, "--format", "json").out)
    directory.chmod(0o755)
    shown = told(denied("check", "-c", config, "--format", "json").out)

    assert any(f"{directory} does not show" in message for message in hidden)
    assert not any("does not show" in message for message in shown)
