"""Write a seeded, realistic log of logins among noise, and count what it holds.

    python benchmarks/generate.py --size 200M --share 0.6 --seed 1 OUT

The file is the same for the same options on every machine, and a shorter one is the beginning of a
longer one. What it holds goes to ``OUT.truth.json`` (lines, and logins per service) and to
``OUT.truth.tsv`` (time, service, user and host of each login, in order). Addresses are those
reserved for documentation (RFC 5737, RFC 3849).
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
USERS = [f"user{n}" for n in range(400)] + ["root", "deploy", "backup", "git", "EXAMPLE\\\\anna"]
METHODS = ["publickey"] * 6 + ["password"] * 3 + ["keyboard-interactive/pam"]
PROGRAMS = ["/usr/bin/apt update", "/bin/systemctl restart nginx", "/usr/bin/id", "list"]

IPV6_SHARE = 0.1

MACHINE = "web1"
BEGIN = datetime(2026, 1, 5, 3, 0, 0, tzinfo=UTC)


class Made(NamedTuple):
    """A message and who wrote it; a login also has a *user* and a *host*."""

    tag: str
    message: str
    has_pid: bool
    user: str = ""
    host: str = ""


class Truth(NamedTuple):
    """What must be found in a line."""

    service: str
    user: str
    host: str


class Line(NamedTuple):
    """A line of the log, the login it is, if it is one, and when."""

    text: str
    login: Truth | None
    when: datetime


def _address(rng: random.Random) -> str:
    if rng.random() < IPV6_SHARE:
        return f"2001:db8::{rng.randrange(65536):x}:{rng.randrange(1, 65536):x}"
    return f"{rng.choice(('192.0.2', '198.51.100', '203.0.113'))}.{rng.randrange(1, 255)}"


def _sshd(rng: random.Random) -> Made:
    method = rng.choice(METHODS)
    key = f": ED25519 SHA256:{rng.getrandbits(256):043x}" if method == "publickey" else ""
    port, user, host = rng.randrange(1024, 65536), rng.choice(USERS), _address(rng)
    message = f"Accepted {method} for {user} from {host} port {port} ssh2{key}"
    return Made("sshd", message, True, user, host)


def _vsftpd(rng: random.Random) -> Made:
    user, host = rng.choice(USERS), f"192.0.2.{rng.randrange(1, 255)}"
    return Made("vsftpd", f'[{user}] OK LOGIN: Client "::ffff:{host}"', True, user, host)


def _sudo(rng: random.Random) -> Made:
    user, pwd = rng.choice(USERS), rng.choice(["/root", "/home/user1", "/srv/www"])
    tty = f"TTY=pts/{rng.randrange(9)} ; "
    message = f"{user:>8} : {tty}PWD={pwd} ; USER=root ; COMMAND={rng.choice(PROGRAMS)}"
    return Made("sudo", message, False, user, MACHINE)


LOGINS = [*[_sshd] * 7, _vsftpd, *[_sudo] * 2]

NOISE: list[tuple[str, str, bool]] = [
    ("sshd", "Failed password for invalid user {name} from {ip} port {port} ssh2", True),
    ("sshd", "Failed password for root from {ip} port {port} ssh2", True),
    ("sshd", "Invalid user {name} from {ip} port {port}", True),
    ("sshd", "Connection closed by authenticating user root {ip} port {port} [preauth]", True),
    ("sshd", "Received disconnect from {ip} port {port}:11: Bye Bye [preauth]", True),
    ("sshd", "Disconnected from invalid user {name} {ip} port {port} [preauth]", True),
    (
        "sshd",
        (
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser="
            " rhost={ip}  user=root"
        ),
        True,
    ),
    ("sshd", "pam_unix(sshd:session): session opened for user {name}(uid=1000) by (uid=0)", True),
    ("sshd", "pam_unix(sshd:session): session closed for user {name}", True),
    ("CRON", "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)", True),
    ("CRON", "pam_unix(cron:session): session closed for user root", True),
    (
        "sudo",
        "pam_unix(sudo:session): session opened for user root(uid=0) by {name}(uid=1000)",
        False,
    ),
    ("sudo", "pam_unix(sudo:session): session closed for user root", False),
    ("systemd-logind", "New session {port} of user {name}.", True),
    ("systemd-logind", "Removed session {port}.", True),
    ("vsftpd", '[{name}] FAIL LOGIN: Client "::ffff:192.0.2.9"', True),
]
WEIGHTS = [12, 10, 8, 8, 8, 6, 6, 4, 4, 8, 8, 2, 2, 3, 3, 1]


def _noise(rng: random.Random) -> Made:
    tag, text, has_pid = rng.choices(NOISE, WEIGHTS)[0]
    values = {
        "name": f"test{rng.randrange(999)}",
        "ip": _address(rng),
        "port": rng.randrange(1024, 65536),
    }
    return Made(tag, text.format_map(values), has_pid)


def _stamp(form: str, when: datetime) -> str:
    if form == "iso":
        return when.isoformat(timespec="microseconds")
    return f"{MONTHS[when.month - 1]} {when.day:2d} {when:%H:%M:%S}"


def _pool(
    rng: random.Random, make: Callable[[], Made], size: int
) -> list[tuple[str, Truth | None]]:
    """Prepare line endings once; drawing from a pool is what makes a gigabyte affordable."""
    pool = []
    for _ in range(size):
        made = make()
        pid = f"[{rng.randrange(300, 99999)}]" if made.has_pid else ""
        login = Truth(made.tag, made.user, made.host) if made.user else None
        pool.append((f"{made.tag}{pid}: {made.message}\n", login))
    return pool


def lines(*, size: int, share: float, seed: int, form: str) -> Iterator[Line]:
    """Yield lines until *size* bytes are reached."""
    rng = random.Random(seed)
    logins = _pool(rng, lambda: rng.choice(LOGINS)(rng), 20_000)
    noise = _pool(rng, lambda: _noise(rng), 20_000)
    when = BEGIN
    written = 0
    while written < size:
        when += timedelta(microseconds=rng.randrange(1, 400_000))
        head = f"{_stamp(form, when)} {MACHINE} "
        for _ in range(8):
            rest, login = rng.choice(logins if rng.random() < share else noise)
            text = head + rest
            written += len(text)
            yield Line(text, login, when)


def write_log(path: Path, *, size: int, share: float, seed: int = 1, form: str = "rfc3164") -> None:
    """Write a log and its truth; the log's modification time is that of its last line."""
    truth: collections.Counter[str] = collections.Counter()
    with path.open("w", encoding="ascii") as log, Path(f"{path}.truth.tsv").open("w") as each:
        for text, login, when in lines(size=size, share=share, seed=seed, form=form):
            log.write(text)
            truth["lines"] += 1
            if login:
                shown = when if form == "iso" else when.replace(microsecond=0)
                moment = shown.isoformat(timespec="microseconds")
                each.write(f"{moment}\t{login.service}\t{login.user}\t{login.host}\n")
                truth[login.service] += 1
    Path(f"{path}.truth.json").write_text(json.dumps(truth, indent=1) + "\n")
    os.utime(path, (when.timestamp(), when.timestamp()))


def parse_size(text: str) -> int:
    """Return a number of bytes written with K, M or G (thousands)."""
    factor = {"K": 10**3, "M": 10**6, "G": 10**9}.get(text[-1].upper(), 1)
    return int(text.rstrip("kKmMgG")) * factor


def main() -> None:
    """Write the log and its truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--size", type=parse_size, default="200M", help="bytes, with K, M or G (default 200M)"
    )
    parser.add_argument(
        "--share", type=float, default=0.01, help="part of the lines that are logins"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--form", choices=["rfc3164", "iso"], default="rfc3164")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    write_log(
        options.out, size=options.size, share=options.share, seed=options.seed, form=options.form
    )


if __name__ == "__main__":
    main()
