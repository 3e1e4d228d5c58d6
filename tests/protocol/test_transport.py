"""The transport against servers that misbehave: bounded in time, size and trust."""

import os
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
from fake_monitor import (
    FakeMonitor,
    answer,
    drip,
    endless,
    garbage,
    gzip_bomb,
    hang,
    redirect,
    reset,
    truncated,
)
from running import eventually

from logwatch_monitis.errors import UnreachableError
from logwatch_monitis.protocol.transport import RequestsTransport

SECRET = {"action": "authToken", "secretkey": "TOPSECRET"}


@pytest.fixture(name="server")
def _server():
    """A plain server."""
    with FakeMonitor() as server:
        yield server


@pytest.fixture(name="transport")
def _transport():
    """A transport with little patience."""
    transport = RequestsTransport(connect=1, read=0.5, total=1)
    yield transport
    transport.close()


def _failure(transport, url):
    """Return the text of the error that a GET with a secret ends with, and how long it took."""
    began = time.monotonic()
    with pytest.raises(UnreachableError) as caught:
        transport.send("GET", f"{url}/api", SECRET)
    assert caught.value.__context__ is None
    assert "TOPSECRET" not in repr(caught.value)
    return str(caught.value), time.monotonic() - began


def test_form_and_query(server, transport):
    """A GET has its parameters in the query, a POST in the form; blanks are %20 in both."""
    server.always(answer(200, {}))
    params = {"action": "x", "text": "a b+c;d&é"}
    for method in ("GET", "POST"):
        transport.send(method, f"{server.url}/api", params)

    assert [params, params] == [request.params for request in server.requests]
    assert [request.method for request in server.requests] == ["GET", "POST"]
    assert server.requests[1].headers["content-type"] == "application/x-www-form-urlencoded"


def test_reply(server, transport):
    """Status, header names in lower case, and the body come back; the connection is kept."""
    server.always(answer(503, {"a": 1}, X_Strange="Yes"))
    for _ in range(3):
        reply = transport.send("POST", f"{server.url}/api", {})

    assert (reply.status, reply.headers["x-strange"], reply.body) == (503, "Yes", b'{"a":1}')
    assert server.connections == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (hang(), "no answer within 0.5 s"),
        (drip(), "no whole answer within 1 s"),
        (reset(), "connection reset"),
        (truncated(), "the answer broke off"),
        (endless(), "the answer is longer than 65536 bytes"),
        (gzip_bomb(), "the answer is longer than 65536 bytes"),
        (garbage(), "the answer is not HTTP"),
        (lambda exchange: exchange.cut(), "connection closed before an answer came"),
        (
            redirect("http://user:pw@evil.example/x?y=z"),
            "redirects to 'http://evil.example', which is not followed",
        ),
        (redirect("/elsewhere", 307), "redirects to 'elsewhere', which is not followed"),
    ],
    ids=[
        *("hang", "drip", "reset", "truncated", "10 GB", "gzip bomb", "no HTTP", "cut"),
        *("redirect", "redirect on the same host"),
    ],
)
def test_hostile_server(server, transport, fault, reason):
    """Whatever a server does, it costs bounded time and memory, and gives one clear line."""
    server.program(fault)

    text, seconds = _failure(transport, server.url)

    assert f"127.0.0.1: {reason}" == text
    assert seconds < 3
    assert len(server.requests) == 1, "nothing is sent again, or to anybody else"


def test_a_server_that_writes_twice_is_not_waited_for(server, transport):
    """Header and body in two writes, with Nagle's algorithm on: no answer takes 40 ms."""

    def in_two(exchange):
        exchange.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        exchange.send_head(**{"Content-Length": "2"})
        exchange.socket.sendall(b"{}")

    server.always(in_two)
    seconds = []
    for _ in range(50):
        began = time.monotonic()
        transport.send("POST", f"{server.url}/api", {})
        seconds.append(time.monotonic() - began)
    assert sorted(seconds)[20] < 0.03


def test_works_after_a_fault(server, transport):
    """A connection that was cut off is not used again."""
    for fault in (drip(), endless(), truncated()):
        server.program(fault, answer(200, {}))
        _failure(transport, server.url)
        assert transport.send("GET", f"{server.url}/api", {}).body == b"{}"


def test_close_ends_a_request(server):
    """Closing from another thread ends the request under way at once."""
    transport = RequestsTransport(connect=60, read=60, total=60)
    server.program(
        lambda exchange: (threading.Thread(target=transport.close).start(), hang()(exchange))
    )

    text, seconds = _failure(transport, server.url)

    assert text == "127.0.0.1: stopped"
    assert seconds < 2
    assert _failure(transport, server.url)[0] == "127.0.0.1: stopped"


def test_close_ends_connecting():
    """Closing also ends the wait for a server that does not accept the connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        transport = RequestsTransport(connect=60, read=60, total=60)
        with socket.socket() as first, socket.socket() as second:
            for filler in (first, second):
                filler.setblocking(False)
                filler.connect_ex(address)
            timer = threading.Timer(0.3, transport.close)
            timer.start()

            text, seconds = _failure(transport, f"http://127.0.0.1:{address[1]}")

            timer.join()
    assert text == "127.0.0.1: stopped"
    assert seconds < 2


def test_refused_and_unknown_host(transport):
    """A closed port and an unknown name are told apart."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert _failure(transport, f"http://127.0.0.1:{port}")[0] == "127.0.0.1: connection refused"
    assert _failure(transport, "http://no.such.invalid")[0] == (
        "no.such.invalid: its name cannot be resolved"
    )


def test_the_reason_of_the_system_is_told(transport):
    """Where no connection can be made, the error holds the system's own words."""
    text, _ = _failure(transport, "http://255.255.255.255:9")
    assert text.removeprefix("255.255.255.255: ") in map(os.strerror, range(1, 134))


def test_environment_is_ignored(server, monkeypatch, tmp_path):
    """Neither proxies nor a netrc of the environment have a say."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password pw\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.always(answer(200, {}, Set_Cookie="a=b"))
    transport = RequestsTransport()
    for _ in range(2):
        transport.send("GET", f"{server.url}/api", {})
    transport.close()

    assert not {"authorization", "cookie"} & set(server.requests[1].headers)


def test_configured_proxy(server):
    """A proxy that is configured is used, with the full address."""
    server.always(answer(200, {}))
    transport = RequestsTransport(proxy=server.url)
    transport.send("GET", "http://monitor.invalid/api", {"a": "b"})
    transport.close()

    assert server.requests[0].headers["host"] == "monitor.invalid"


@pytest.fixture(name="certificate", scope="module")
def _certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1, and one that has expired."""
    directory = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run(
        [*command.split(), *names, *files], cwd=directory, check=True, capture_output=True
    )
    return directory


@pytest.fixture(name="secure")
def _secure(certificate):
    """A server that speaks TLS with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "certificate.pem", certificate / "key.pem")
    with FakeMonitor(tls=context) as server:
        yield server


def test_unknown_authority(secure, transport):
    """A certificate that nobody vouches for is not accepted, and no request is sent."""
    text, _ = _failure(transport, secure.url)

    assert text.startswith("127.0.0.1: its certificate is not trusted: self")
    assert secure.requests == []


def test_authority_of_the_system(secure, certificate, monkeypatch):
    """A certificate of an authority that the system knows is accepted; time-outs hold as well."""
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(certificate / "certificate.pem"))
    transport = RequestsTransport(total=1)
    secure.program(answer(200, {}), drip())

    assert transport.send("GET", f"{secure.url}/api", {}).status == 200
    assert _failure(transport, secure.url)[0] == "127.0.0.1: no whole answer within 1 s"
    transport.close()


def test_tls_to_a_plain_server(server, transport):
    """TLS with a server that does not speak it fails clearly."""
    text, _ = _failure(transport, server.url.replace("http:", "https:"))
    assert text.startswith("127.0.0.1: TLS failed")


def test_an_idle_connection_is_closed():
    """Nothing keeps a place at the server that is not used; the next request has a new one."""
    transport = RequestsTransport(idle=0.2)
    with FakeMonitor() as server:
        server.always(answer(200, {}))
        for number in range(1, 3):
            assert transport.send("POST", f"{server.url}/api", {}).status == 200
            assert transport.send("GET", f"{server.url}/api", {}).status == 200
            assert server.connections == number
            assert eventually(lambda: not open_to(server))
    transport.close()


def open_to(server):
    """Return the client's ends of connections to the server, from the kernel's table."""
    port = f":{int(server.url.rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return [row for row in rows if row[2].endswith(port) and row[3] == "01"]
