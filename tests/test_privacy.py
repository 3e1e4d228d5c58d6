"""Keys of a running agent stay in its memory, and its memory stays its own."""

import os
from pathlib import Path

import pytest
from fake_monitor import API_KEY, SECRET_KEY, FakeMonitor, answer
from running import Running, eventually

LINE = "2026-11-22T21:41:45+00:00 web1 sshd[7]: Accepted password for a from 192.0.2.7 port 5\n"


def test_no_key_leaves_the_process(tmp_path):
    """With debug on and deliveries refused: not in argv, log, status or state; no core files."""
    log, key = tmp_path / "auth.log", tmp_path / "secret-key"
    log.touch()
    key.write_text(SECRET_KEY)
    key.chmod(0o600)
    with FakeMonitor() as server:
        server.always(answer(500))
        config = (
            f"monitor: {{url: '{server.url}', api_key: {API_KEY}, secret_key_file: {key}}}\n"
            "log: {level: debug}\n"
        )
        before = ["env", "LOGWATCH_MONITIS_DEBUG=1"]
        with Running(tmp_path, [log], config, before=before).start() as run:
            log.write_text(LINE)
            assert eventually(lambda: run.status()["delivery"]["state"] != "ok")
            place = Path("/proc", str(run.process.pid))
            seen = run.text() + repr(run.status())
            seen += (place / "cmdline").read_text()
            if os.geteuid() == 0:
                seen += (place / "environ").read_text()
            else:
                with pytest.raises(PermissionError):
                    (place / "environ").read_text()
            limits = (place / "limits").read_text()
            held = [path.read_bytes() for path in run.state.rglob("*") if path.is_file()]

    for secret in (API_KEY, SECRET_KEY):
        assert secret not in seen
        assert not any(secret.encode() in data for data in held)
    assert "Max core file size        0                    0 " in limits
