"""The page over real HTTP: who gets in, what is shown, and that all of it is inert."""

import csv
import io
import re
import socket
import socketserver
import threading
import urllib.request
from html import unescape
from urllib.parse import quote, urlencode

import pytest
from real_monitor import running_monitor

from logwatch_monitis.protocol.wire import Result, encode_batch
from logwatch_monitis.text import numbered

NOON = 1_795_348_800_000  # 2026-11-22 12:00:00 UTC
HOSTILE = "<script>alert(1)</script>\"'&\u202egnp.exe"


@pytest.fixture(scope="module")
def monitor(tmp_path_factory):
    """A monitor with 250 logins of three users, and one hostile."""
    with running_monitor(tmp_path_factory.mktemp("page") / "data", place="web1") as (_, caller):
        number = caller.make_monitor("Login Monitor")
        rows = [
            Result(
                NOON + n * 1000,
                {"user_login": ("alice", "bob", "carol")[n % 3], "host": "::1", "srv": "sshd"},
                {"id": str(n), "machine": "web1", "kind": "login", "verified": n % 2 == 0},
            )
            for n in range(250)
        ]
        facts = {"id": "=1", "machine": "@web", "kind": "<b>", "method": "\x1b]0;x"}
        rows.append(
            Result(NOON - 1, {"user_login": HOSTILE, "host": "x;=1+1", "srv": "' =1"}, facts)
        )
        caller.post("addResults", monitorId=number, results=encode_batch(rows))
        yield caller


def page(monitor, **query):
    """Fetch the page with a query; returns its HTML."""
    answer = monitor.page(f"/?{urlencode(query)}" if query else "/")
    assert 200 == answer.status
    return answer.body.decode()


def shown_users(html):
    """Return the users in the rows, newest first."""
    return re.findall(r'class="user"><a [^>]*><bdi>(.*?)</bdi>', html)


def test_the_key_buys_a_cookie_and_leaves_the_address(monitor):
    """The address with the key leads to the one without, filters kept; the cookie is strict."""
    answer = monitor.raw("GET", f"/?user=a%26b&key={monitor.keys.page_key}")
    assert (303, "/?user=a%26b") == (answer.status, answer.headers["location"])
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert f"logwatch-monitis-{monitor.address.port}" == name.partition("=")[0]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    assert monitor.keys.page_key not in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "path", ["/", "/logins.json", "/logins.xml", "/monitors", "/events", "/nothing"]
)
@pytest.mark.parametrize("query", ["", "?key=wrong", "?key="])
def test_without_the_key_there_is_one_plain_sentence(monitor, path, query):
    """No key, a wrong one, a forged cookie: 403, and where the address is printed."""
    forged = {"Cookie": f"logwatch-monitis-{monitor.address.port}={monitor.keys.page_key}"}
    for headers in ({}, forged):
        answer = monitor.raw("GET", path + query, headers=headers)
        assert 403 == answer.status
        assert b"logwatch-monitis printed when it started" in answer.body
        assert b"alice" not in answer.body


def test_a_wrong_key_does_not_pass_beside_a_right_cookie(monitor):
    """Who follows an old address is told so, also with a cookie."""
    assert 403 == monitor.page("/?key=wrong").status


def test_a_link_from_another_site_is_asked_once_more(monitor):
    """Browsers withhold the cookie then; the closed page loads itself again, once."""
    sites = {"cross-site": True, "same-origin": False, "none": False}
    for site, again in sites.items():
        closed = monitor.raw("GET", "/", headers={"Sec-Fetch-Site": site}).body
        assert again == (b'http-equiv="refresh"' in closed)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("evil.example:8460", 421),
        ("127.0.0.1.evil.example", 421),
        ("[::1].evil.example", 421),
        ("", 421),
        ("localhost:80@evil.example", 421),
        ("localhost:80@evil", 421),
        ("evil@localhost", 421),
        ("localhost:", 421),
        ("localhost:x", 421),
        ("localhost/x", 421),
        ("localhost:1", 200),
        ("127.0.0.1", 200),
        ("[::1]:8460", 200),
        (socket.gethostname(), 200),
    ],
)
def test_strangers_names_are_refused(monitor, host, status):
    """A foreign name that leads here (DNS rebinding) gets nothing, addresses and own names do."""
    assert status == monitor.page("/", {"Host": host}).status


@pytest.mark.parametrize("path", ["/a%0d%0aSet-Cookie:%20x=y", "/%ff%00?q=%0d%0a", "//x/%C3%A9%3f"])
def test_no_path_breaks_out_of_a_header(monitor, path):
    """What the key's address held stands escaped in the one it leads to."""
    mark = "&" if "?" in path else "?"
    answer = monitor.raw("GET", f"{path}{mark}key={monitor.keys.page_key}")
    assert 303 == answer.status
    assert re.fullmatch(r"/[\w%?=.:~/-]*", answer.headers["location"], re.ASCII)
    assert not answer.headers["location"].startswith("//")
    assert monitor.page(answer.headers["location"]).status in (200, 404)


@pytest.mark.parametrize("digits", ["9" * 4_400, "9" * 30, "٣", "1_0", "+1", "0x1"])
@pytest.mark.parametrize(
    "path", ["/monitors/{}", "/monitors/{}.csv", "/?limit={}", "/?before={0}-{0}", "/?since={}d"]
)
def test_numbers_of_any_form_are_answered(monitor, path, digits):
    """None of them is a server error, however long or strange it is."""
    assert monitor.page(path.format(quote(digits))).status in (400, 404)


@pytest.mark.parametrize("digits", ["9" * 4_400, "٣", "1_0", "0x1"])
@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("getMonitorInfo", "monitorId"),
        ("getMonitorResults", "year"),
        ("getMonitorResults", "timezone"),
        ("getReport", "dateFrom"),
        ("getReport", "interval"),
        ("getAdditionalResults", "checktime"),
    ],
)
def test_numbers_of_any_form_are_refused_by_the_protocol(monitor, action, name, digits):
    """Each parameter that is a number says so in the protocol's own words."""
    day = {"year": "2026", "month": "11", "day": "22"}
    span = {"dateFrom": "1", "dateTo": "2", "intervalType": "day"}
    listed = monitor.get("getMonitors").json
    params = {"monitorId": listed[0]["id"]} | day | span | {name: digits}
    answer = monitor.get(action, **params)
    assert (200, ["error"]) == (answer.status, list(answer.json))
    assert "limit" not in answer.json["error"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_the_page_is_only_read(monitor, method):
    """Nothing but GET and HEAD is answered, with or without a cookie."""
    answer = monitor.raw(method, "/", headers=monitor.cookie())
    assert (405, "GET, HEAD") == (answer.status, answer.headers["allow"])


@pytest.mark.parametrize("path", ["/", "/logins.json", "/nothing", "/static/nothing", "/healthz"])
def test_every_answer_has_strict_headers(monitor, path):
    """Nothing is kept, framed, sniffed, referred to, or loaded from elsewhere."""
    headers = monitor.page(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    wanted = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    wanted |= {"referrer-policy": "same-origin"}
    assert wanted == {name: headers[name] for name in wanted}
    assert "server" not in headers


def test_the_page_needs_nothing_from_elsewhere(monitor):
    """No inline script or style, no address of another server; what it names is there."""
    html = page(monitor)
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=)|javascript:|https?://", html)
    assets = re.findall(r'(?:href|src)="(/static/[^"]+)"', html)
    assert 4 == len(assets)
    for asset in assets:
        answer = monitor.raw("GET", asset)
        assert (200, True) == (answer.status, "immutable" in answer.headers["cache-control"])
        assert b"http://" not in answer.body.replace(b"http://www.w3.org/2000/svg", b"")


def test_newest_first_and_page_by_page(monitor):
    """Older leads through all logins, Newer back again; each is shown once."""
    html, seen = page(monitor), []
    while True:
        seen += shown_users(html)
        older = re.search(r'<a href="(/\?before=[^"]+)" rel="next">Older', html)
        if not older:
            break
        html = monitor.page(older[1]).body.decode()
    assert 251 == len(seen)
    assert ["alice", "carol", "bob"] == seen[:3]
    assert "&lt;script&gt;" in seen[-1]
    newer = re.search(r'<a href="(/\?after=[^"]+)" rel="prev">Newer', html)[1]
    assert seen[100:200] == shown_users(monitor.page(newer).body.decode())


def test_filters_stand_in_the_address(monitor):
    """Only what equals every filter is shown and counted; empty fields of the form vanish."""
    html = page(monitor, user="bob", host="::1", service="sshd", machine="web1")
    assert ["bob"] * 83 == shown_users(html)
    assert "<dt>Matching</dt><dd>83</dd>" in html
    sent = monitor.page("/?user=bob&host=&service=&machine=")
    assert (303, "/?user=bob") == (sent.status, sent.headers["location"])
    assert "No login matches" in page(monitor, user="Bob")


def test_times_are_readable_by_machines(monitor):
    """UTC, with milliseconds, and for the eye in the title."""
    html = page(monitor, user=HOSTILE)
    attributes = 'datetime="2026-11-22T11:59:59.999Z" title="2026-11-22 11:59:59 UTC"'
    assert f"<time {attributes}>" in html


def test_the_source_of_a_login_is_told(monitor):
    """Verified, from a text file, or unknown."""
    html = page(monitor)
    assert html.count('title="The source proves') == html.count('title="From a text file') == 50
    assert 'class="source"><span class="none">' in page(monitor, user=HOSTILE)


def test_what_a_log_says_is_inert_on_the_page(monitor):
    """Markup is text, and characters that deceive the eye are shown by their number."""
    html = page(monitor, user=HOSTILE)
    assert "<script>alert" not in html
    assert "<b>&lt;" not in html
    name = "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;⟨U+202E⟩gnp.exe"
    assert name in shown_users(html)
    assert "⟨U+001B⟩]0;x" in html
    assert not re.search("[\u202e\x1b]", html)
    (value,) = re.findall('name="user" value="([^"]*)"', html)
    assert shown_users(page(monitor, user=unescape(value))) == shown_users(html)


def test_csv_is_inert_in_a_spreadsheet(monitor):
    """No cell begins a formula or holds a control character."""
    answer = monitor.page(f"/logins.csv?{urlencode({'user': HOSTILE})}")
    assert "text/csv; charset=utf-8" == answer.headers["content-type"]
    header, row = csv.reader(io.StringIO(answer.body.decode()))
    assert dict(zip(header, row, strict=True)) == {
        "time": "2026-11-22T11:59:59.999000+00:00",
        "user_login": HOSTILE.replace("\u202e", r"\u202e"),
        "host": "x;'=1+1",
        "srv": "' '=1",
        "kind": "<b>",
        "machine": "'@web",
        "method": r"\x1b]0;x",
        "verified": "",
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain user-1", "plain user-1"),
        ("josé 北京 😀", "josé 北京 😀"),
        ("a\x00\x1b\x7f\x85", "a⟨U+0000⟩⟨U+001B⟩⟨U+007F⟩⟨U+0085⟩"),
        ("a\u200b\u2066\ufeff", "a⟨U+200B⟩⟨U+2066⟩⟨U+FEFF⟩"),
        ("a\u00a0b\u2028", "a⟨U+00A0⟩b⟨U+2028⟩"),
        ("\U000e0041\ue000", "⟨U+E0041⟩⟨U+E000⟩"),
    ],
)
def test_hidden_characters_are_shown_by_number(text, shown):
    """Letters of every script stay; controls, direction marks, odd blanks do not."""
    assert shown == numbered(text)


def test_json_has_the_names_of_the_interchange_format(monitor):
    """The list as shown, by the same filters, any number up to the limit."""
    answer = monitor.page("/logins.json?user=alice&limit=1")
    assert {
        "logins": [
            {
                "time": "2026-11-22T12:04:09.000000+00:00",
                "user_login": "alice",
                "host": "::1",
                "srv": "sshd",
                "kind": "login",
                "machine": "web1",
                "method": None,
                "verified": False,
            }
        ]
    } == answer.json
    assert 251 == len(monitor.page("/logins.json?limit=10000").json["logins"])


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "limit=x", "before=1", "after=1-x"])
def test_what_is_wrong_with_an_address_is_told(monitor, query):
    """One plain line in place of a guess."""
    answer = monitor.page(f"/?{query}")
    assert (400, 1) == (answer.status, len(answer.body.decode().splitlines()))


def test_an_empty_page_says_what_to_do_next(tmp_path):
    """Beside an agent: how to make a login appear; nothing to filter yet."""
    with running_monitor(tmp_path / "data") as (_, caller):
        html = page(caller)
    assert "No login yet" in html
    assert "sudo true" in html
    assert 'class="filters"' not in html


def test_open_pages_are_told_of_a_new_login(monitor):
    """The stream says something at once, and again when a result was stored."""
    connection = socket.create_connection(monitor.address, timeout=10)
    cookie = monitor.cookie()["Cookie"]
    host = f"Host: {monitor.address}\r\n"
    connection.sendall(f"GET /events HTTP/1.1\r\n{host}Cookie: {cookie}\r\n\r\n".encode())
    with connection, connection.makefile("rb") as stream:
        first = next(line for line in stream if line.startswith(b"data: "))
        number = monitor.make_monitor("Stream")
        monitor.add(number, NOON, "x:1")
        second = next(line for line in stream if line.startswith(b"data: "))
    assert int(first[6:]) < int(second[6:])


class Agent(socketserver.BaseRequestHandler):
    """Answers like an agent's health server."""

    def handle(self):
        """Answer one request."""
        path = self.request.recv(1000).split()[1]
        self.request.sendall(
            b"HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/x-test\r\n\r\nasked " + path
        )


def test_health_is_the_agents_answer(tmp_path):
    """With an agent its answers are passed on, status and type included; no key is needed."""
    path = tmp_path / "agent"
    with socketserver.UnixStreamServer(str(path), Agent) as agent:
        threading.Thread(target=agent.serve_forever, args=(0.01,)).start()
        with running_monitor(tmp_path / "data", agent_socket=path) as (_, caller):
            answer = caller.raw("GET", "/metrics")
            agent.shutdown()
            agent.server_close()
            path.unlink()
            assert 503 == caller.raw("GET", "/healthz").status
    assert (503, b"asked /metrics") == (answer.status, answer.body)
    assert answer.headers["content-type"].startswith("text/x-test")


def test_metrics_name_no_log_to_strangers(agent_of, tmp_path):
    """Without the key a log has a name that says nothing; with it, in either place, its path."""
    log = tmp_path / "auth.log"
    log.write_text("")
    with agent_of(log) as agent:
        base, _, query = agent.page.partition("?")
        key = query.removeprefix("key=")

        def metrics(mark="", **headers):
            request = urllib.request.Request(f"{base}metrics{mark}", headers=headers)
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.read().decode()

        closed = [metrics(), metrics("?key=wrong"), metrics(Authorization="Bearer wrong")]
        opened = [metrics(f"?key={key}"), metrics(Authorization=f"Bearer {key}")]
    assert not [text for text in closed if str(log) in text or "auth.log" in text]
    names = {*re.findall(r'source="([^"]*)"', "".join(closed))}
    assert len(names) == 1
    assert re.fullmatch("log-[0-9a-f]{12}", names.pop())
    assert [True, True] == [f'source="{log}"' in text for text in opened]
    assert re.sub("log-[0-9a-f]{12}", str(log), closed[0]).count("/") == opened[0].count("/")


def test_health_of_a_monitor_alone(monitor):
    """Without an agent it answers for itself, and has no metrics."""
    answers = [monitor.raw("GET", path) for path in ("/healthz", "/readyz", "/metrics")]
    assert [200, 200, 404] == [answer.status for answer in answers]
