"""What the monitor writes when something inside it breaks."""

import re
import sqlite3

from real_monitor import running_monitor


def test_a_broken_database_is_told_in_one_line_a_request(tmp_path, capfd):
    """No traceback, no value, no key; page and API say so and go on."""
    with running_monitor(tmp_path / "data") as (_, caller):
        caller.make_monitor("Login Monitor")
        for path in (tmp_path / "data").rglob("*"):
            if path.is_file() and path.read_bytes()[:15] == b"SQLite format 3":
                break_schema(path)
        answers = [caller.page("/").status, caller.page("/logins.json?user=HUSH").status]
        answers += [caller.get("getMonitors", tag="HUSH").status, caller.page("/").status]
        assert caller.raw("GET", "/healthz").status == 200
        keys = caller.keys
    lines = capfd.readouterr().err.splitlines()

    assert answers == [500, 500, 503, 500]
    assert len(lines) == 4
    form = r"(a GET request|getMonitors) failed: (OperationalError in \w+\.py:\d+|no such table.*)"
    assert [line for line in lines if not re.fullmatch(form, line)] == []
    for secret in ("HUSH", keys.api_key, keys.secret_key, keys.page_key):
        assert secret not in "\n".join(lines)


def break_schema(path):
    """Take the tables away from under the monitor."""
    with sqlite3.connect(path) as store:
        store.execute("PRAGMA foreign_keys = OFF")
        names = store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            if not name.startswith("sqlite_"):
                store.execute(f'ALTER TABLE "{name}" RENAME TO "gone_{name}"')
    store.close()
