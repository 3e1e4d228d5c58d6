"""The password of the page, over real HTTP: who gets in with it, and who does not."""

import asyncio
import os
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest
from real_monitor import running_monitor

from logwatch_monitis.server.store.store import Store
from logwatch_monitis.server.web.access import Closed, Door, Guard
from logwatch_monitis.server.web.cookies import COOKIE_SECONDS, Cookies
from logwatch_monitis.server.web.password_form import AT_ONCE

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@contextmanager
def guarded(directory, password):
    """Run a monitor with that password."""
    path = directory / "password"
    path.write_text(f"{password}\n")
    path.chmod(0o600)
    with running_monitor(directory / "data", page_password_file=str(path)) as (_, caller):
        yield caller


@pytest.fixture
def monitor(tmp_path):
    """A monitor whose page has a password."""
    with guarded(tmp_path, "correct-horse") as caller:
        yield caller


def enter(caller, password, headers=()):
    """Send the form."""
    body = urlencode({"password": password})
    return caller.raw("POST", "/enter", body, FORM | dict(headers))


def cookie(answer):
    """Return the header with the cookie that came."""
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def test_the_password_opens_the_page(monitor):
    """Without it there is a form and nothing else; with it a strict cookie; the key does too."""
    closed = monitor.raw("GET", "/?user=alice")
    assert (403, True) == (closed.status, b'type="password"' in closed.body)
    assert b"api_key" not in closed.body
    answer = enter(monitor, "correct-horse", {"Origin": monitor.address.url})
    assert (303, "/") == (answer.status, answer.headers["location"])
    assert {"HttpOnly", "SameSite=Strict"} <= set(answer.headers["set-cookie"].split("; "))
    assert "Secure" not in answer.headers["set-cookie"]
    assert 200 == monitor.raw("GET", "/", headers=cookie(answer)).status
    assert 200 == monitor.page("/").status


def test_a_cookie_of_a_former_password_is_worthless(tmp_path):
    """Who had the old one has to enter the new one."""
    with guarded(tmp_path, "old") as caller:
        old = cookie(enter(caller, "old"))
        assert 200 == caller.raw("GET", "/", headers=old).status
    with guarded(tmp_path, "new") as caller:
        name = f"logwatch-monitis-{caller.address.port}"
        moved = {"Cookie": f"{name}={old['Cookie'].partition('=')[2]}"}
        assert 403 == caller.raw("GET", "/", headers=moved).status
        assert 403 == enter(caller, "old").status


def test_guessing_ends_soon(monitor):
    """After a few wrong ones even the right one has to wait; the page says for how long."""
    wrong = [enter(monitor, f"guess{n}") for n in range(AT_ONCE)]
    assert [403] * AT_ONCE == [answer.status for answer in wrong]
    assert b"That is not it." in wrong[0].body
    locked = enter(monitor, "correct-horse")
    assert 429 == locked.status
    assert 0 < int(locked.headers["retry-after"]) <= 60
    assert b"Too many wrong passwords" in locked.body


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_of_the_machine_locks_only_himself_out(monitor):
    """Over loopback guesses count for the local user who makes them."""
    port = monitor.address.port
    guess = f"""
import http.client
for number in range({AT_ONCE + 1}):
    connection = http.client.HTTPConnection("127.0.0.1", {port}, timeout=60)
    connection.request("POST", "/enter", f"password={{number}}")
    print(connection.getresponse().status)
"""
    stranger = ["setpriv", "--reuid", "65534", "--clear-groups", sys.executable, "-I", "-c", guess]
    said = subprocess.run(stranger, capture_output=True, check=True, text=True, cwd="/").stdout
    assert ["403"] * AT_ONCE + ["429"] == said.split()
    assert 303 == enter(monitor, "correct-horse").status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 303),
        ({"Host": "evil.example"}, 421),
    ],
)
def test_forms_of_other_sites_are_refused(monitor, headers, status):
    """Nobody can be made to log in, and a stranger's name leads nowhere."""
    assert status == enter(monitor, "correct-horse", headers).status


def test_a_long_form_is_refused(monitor):
    """A password is short."""
    assert 413 == enter(monitor, "x" * 5_000).status


def test_a_cookie_ends_with_leaving(tmp_path):
    """For whoever has it, after a restart as well; the one of another entry goes on."""
    with guarded(tmp_path, "correct-horse") as monitor:
        inside, other = [cookie(enter(monitor, "correct-horse")) for _ in range(2)]
        name = inside["Cookie"].partition("=")[0]
        by_key = monitor.cookie()
        assert len({str(one) for one in (inside, other, by_key)}) == 3
        assert b'action="/leave"' in monitor.raw("GET", "/", headers=inside).body
        foreign = {"Origin": "https://evil.example"}
        assert 403 == monitor.raw("POST", "/leave", headers=inside | foreign).status
        assert 200 == monitor.raw("GET", "/", headers=inside).status
        answer = monitor.raw("POST", "/leave", headers=inside)
        assert (303, "/") == (answer.status, answer.headers["location"])
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert 403 == monitor.raw("GET", "/", headers=inside).status
    with guarded(tmp_path, "correct-horse") as monitor:
        new = f"logwatch-monitis-{monitor.address.port}"
        sent = [{"Cookie": one["Cookie"].replace(name, new)} for one in (inside, other, by_key)]
        statuses = [monitor.raw("GET", "/", headers=one).status for one in sent]
    assert [403, 200, 200] == statuses


def test_a_cookie_ends_with_its_time(tmp_path):
    """After 30 days it is not taken any more, whatever the browser does; made-up ones never are."""
    now = [1_000_000.0]

    async def scenario():
        store = Store.open(tmp_path)
        cookies = Cookies("KEY", "", store, lambda: now[0])
        value = cookies.make()
        later = f"{int(now[0]) + 2 * COOKIE_SECONDS:x}" + value[value.index("-") :]
        held = [await cookies.holds(text) for text in (value, later, "", "-", "x-y-z", "é")]
        now[0] += COOKIE_SECONDS
        held.append(await cookies.holds(value))
        store.close()
        return held

    assert [True, *[False] * 6] == asyncio.run(scenario())


def test_without_a_password_there_is_no_form(tmp_path):
    """Nothing is posted to the page then."""
    with running_monitor(tmp_path / "data") as (_, caller):
        assert 405 == enter(caller, "").status
        assert b"<form" not in caller.raw("GET", "/").body


def test_under_tls_the_cookie_stays_there():
    """It is marked, so that no browser sends it over plain HTTP."""
    sent = []

    async def nothing(*_):
        raise AssertionError

    async def send(message):
        sent.append(message)

    def closed(_: Closed):
        return b""

    cookies = Cookies("KEY", "", None)
    guard = Guard(nothing, Door("KEY", "c", cookies, (), (), closed))
    scope = {"type": "http", "method": "GET", "path": "/", "scheme": "https"}
    scope |= {"query_string": b"key=KEY", "headers": [(b"host", b"localhost")]}
    asyncio.run(guard(scope, nothing, send))
    value = dict(sent[0]["headers"])[b"set-cookie"]
    assert b"; Secure" in value
    assert value.startswith(b"__Host-c=")
