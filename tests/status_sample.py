"""What a running agent answers to ``status``, as a sample for tests of those who ask it."""

import time

STATUS = {
    "state": "ok",
    "pid": 4711,
    "since": 1_795_383_705.0,
    "version": "0.2.0",
    "sources": [
        {
            "log": "/var/log/auth.log",
            "path": "/var/log/auth.log",
            "state": "live",
            "position": 8123,
            "size": 8200,
            "lag": 77,
            "last_line": time.time() - 5 * 3600 - 60,
            "last_login": time.time() - 2 * 86_400 - 60,
        },
        {
            "log": "/var/log/\x1b[2Jsecure",
            "path": None,
            "state": "missing",
            "position": 0,
            "size": 0,
            "lag": 0,
            "last_line": None,
            "last_login": None,
        },
    ],
    "spool": {"depth": 3, "dead": 1},
    "delivery": {"state": "ok", "last_delivery": time.time() - 3 * 3600 - 60, "last_error": ""},
    "monitor": {"url": "embedded", "page": "http://127.0.0.1:8460/"},
}
