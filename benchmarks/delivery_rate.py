"""How fast logins leave: plain requests and batches, beside a bare http.client loop in one run.

Usage: python benchmarks/delivery_rate.py [LOGINS]

The server is another process that answers at once, or (*two writes*) sends header and body apart
with Nagle's algorithm on, as Python's http.server does: the *former* line is the same client, but
without the option that acknowledges at once. *client* is one signed addResult after the
other; *delivery* takes the logins from a real spool and marks them there; *batches* does so with
the batches of our own monitor.
"""

from __future__ import annotations

import http.client
import multiprocessing
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from pathlib import Path
from urllib.parse import urlencode

from logwatch_monitis.delivery import Deliverer
from logwatch_monitis.interfaces import Event, SystemClock, ThreadWaker
from logwatch_monitis.login import Login
from logwatch_monitis.protocol import transport as transport_module
from logwatch_monitis.protocol.client import MonitisClient
from logwatch_monitis.protocol.transport import RequestsTransport
from logwatch_monitis.protocol.wire import ANNOUNCE, Result, checksum
from logwatch_monitis.spool import Spool

API_KEY = "FAKEAPIKEY0000000000000001"
SECRET_KEY = "FAKESECRETKEY0000000000001"
MONITORS = b'[{"id":"305","name":"Login Monitor","tag":"loginMonitor"}]'
VALUES = {"user_login": "alice", "host": "2001:db8::1", "srv": "sshd"}


def serve(listener: socket.socket, header: bytes, *, apart: bool = False) -> None:
    """Answer every request of every connection with yes, header and body *apart* or together."""
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, not apart)
        words = (connection, header, apart)
        threading.Thread(target=answer, args=words, daemon=True).start()


def answer(connection: socket.socket, header: bytes, apart: bool) -> None:  # noqa: FBT001
    """Answer the requests of one connection."""
    data = b""
    while chunk := connection.recv(262_144):
        data += chunk
        while b"\r\n\r\n" in data:
            head, _, rest = data.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            if len(rest) < int(length or 0):
                break
            data = rest[int(length or 0) :]
            body = MONITORS if head.startswith(b"GET") else b'{"status":"ok","data":null}'
            size = b"Content-Length: %d\r\n" % len(body)
            head = b"HTTP/1.1 200 OK\r\n" + size + header + b"\r\n"
            for part in (head, body) if apart else (head + body,):
                connection.sendall(part)


def rate(name: str, count: int, work: Callable[[], None], bare: float = 0.0) -> float:
    """Time *work*, print how many a second, and return it."""
    began = time.perf_counter()
    work()
    found = count / (time.perf_counter() - began)
    share = f"  {found / bare:6.2f} of bare http.client" if bare else ""
    print(f"{name:12} {found:9,.0f} a second{share}")
    return found


def bare_loop(port: int, count: int) -> None:
    """Send signed requests with nothing but http.client; look at no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for number in range(count):
        params = {"action": "addResult", "apikey": API_KEY, "monitorId": "305", "version": "2"}
        params |= {"checktime": str(number), "results": "user_login:alice;host:::1;srv:sshd"}
        params |= {"checksum": checksum(SECRET_KEY, params)}
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/customMonitorApi", urlencode(params), form)
        connection.getresponse().read()
    connection.close()


def client_loop(client: MonitisClient, count: int) -> None:
    """Send results with the client."""
    for number in range(count):
        client.add_result("305", Result(number, VALUES))


def login(number: int) -> Login:
    """Return a login that differs from the others."""
    key = blake2b(str(number).encode(), digest_size=16).hexdigest()
    moment = 1_700_000_000_000_000 + number
    words = ("alice", "2001:db8::1", "sshd", "login", "web1", "sshd")
    fields = {"method": "publickey"}
    return Login(key, moment, *words, number, "sshd/accepted", fields, "a", 0, b"a line")


def deliver(client: MonitisClient, spool: Spool, notes: Path) -> None:
    """Drain the spool as the daemon does."""
    events: list[Event] = []
    tools = {"clock": SystemClock(), "waker": ThreadWaker(), "events": events.append}
    deliverer = Deliverer(spool, client, **tools, notes=notes)
    while not deliverer.step():
        pass
    deliverer.close()


def in_two_writes(count: int) -> None:
    """Send to a server that writes twice, as the client did formerly and as it does now."""
    listener = socket.create_server(("127.0.0.1", 0))
    work = partial(serve, listener, b"", apart=True)
    multiprocessing.Process(target=work, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    rates = []
    for name, quick in (("former", None), ("two writes", transport_module.QUICKACK)):
        transport_module.QUICKACK = quick
        transport = RequestsTransport()
        client = MonitisClient(url, API_KEY, SECRET_KEY, transport=transport, clock=SystemClock())
        number = count if quick else max(100, count // 20)
        rates.append(rate(name, number, partial(client_loop, client, number)))
        transport.close()
    print(f"{'ratio':12} {rates[1] / rates[0]:9.1f}")


def main() -> None:
    """Run all of them."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    in_two_writes(count)
    started = []
    for header in (b"", f"{ANNOUNCE}: 1\r\n".encode()):
        listener = socket.create_server(("127.0.0.1", 0))
        process = multiprocessing.Process(target=serve, args=(listener, header), daemon=True)
        process.start()
        started.append(f"http://127.0.0.1:{listener.getsockname()[1]}")
    plain, ours = started
    port = int(plain.rpartition(":")[2])
    bare_loop(port, 200)
    bare = rate("bare", count, lambda: bare_loop(port, count))
    for name, url, factor in (("client", plain, 0), ("delivery", plain, 1), ("batches", ours, 10)):
        transport = RequestsTransport()
        client = MonitisClient(url, API_KEY, SECRET_KEY, transport=transport, clock=SystemClock())
        if not factor:
            rate(name, count, partial(client_loop, client, count), bare)
        else:
            with tempfile.TemporaryDirectory() as directory:
                spool = Spool.open(Path(directory), clock=SystemClock(), events=lambda _: None)
                spool.commit([login(number) for number in range(count * factor)], {})
                notes = Path(directory) / "sent"
                work = partial(deliver, client, spool, notes)
                rate(name, count * factor, work, bare)
                if spool.summary().depth:
                    sys.exit(f"not all was delivered: {spool.summary().last_error}")
                spool.close()
        transport.close()


if __name__ == "__main__":
    main()
