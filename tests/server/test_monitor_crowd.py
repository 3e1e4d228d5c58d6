"""Many connections and long requests at once: who gets a place and memory, and who does not."""

import asyncio
import contextlib
import http.client
import json
import resource
import signal
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest
from commands import spawn
from real_monitor import Caller
from running import eventually

from logwatch_monitis.config.keys import Keys
from logwatch_monitis.config.listen import Address
from logwatch_monitis.errors import SetupError
from logwatch_monitis.interfaces import SystemClock
from logwatch_monitis.protocol.wire import Result, checksum
from logwatch_monitis.server.api.accounts import Accounts
from logwatch_monitis.server.api.api import Api
from logwatch_monitis.server.store.store import Definition, Store
from logwatch_monitis.server.store.writer import MOST_RESULTS
from logwatch_monitis.server.web import places as module
from logwatch_monitis.server.web.asgi import TooLargeError
from logwatch_monitis.server.web.budget import MAX_UNNAMED, UNCOUNTED, Budget, BudgetError
from logwatch_monitis.server.web.places import Places, places_left

MIB = 1024 * 1024
CROWD = 2_000


@contextlib.contextmanager
def serving(directory, *options):
    """Run ``serve``; yields its process and a caller."""
    data = directory / "data"
    words = ("serve", "--listen", "127.0.0.1:0", "--data", data, *options)
    with spawn(*words) as started:
        try:
            url = started.stdout.readline().decode().split()[-1]
            address = Address("127.0.0.1", int(url.rpartition(":")[2]))
            yield started, Caller(address, Keys.load_or_make(data))
        finally:
            started.send_signal(signal.SIGTERM)


def connect(caller):
    """Return a connection that never waits."""
    sock = socket.create_connection(caller.address, timeout=20)
    sock.setblocking(False)
    return sock


def offer(sock, data):
    """Send what is taken at once."""
    with contextlib.suppress(BlockingIOError, ConnectionError):
        sock.send(data)


def is_closed(sock):
    """Say whether the other side has ended the connection."""
    try:
        return sock.recv(65_536) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@pytest.fixture(name="many_files")
def _many_files():
    """Enough descriptors for a crowd, on both sides."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CROWD + 1_000
    if soft < wanted:
        if hard < wanted:
            pytest.skip(f"the limit on open files is {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


HEAD = b"POST /customMonitorApi HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "beginning",
    [
        HEAD + b"X: y\r\n" * 10_000,
        HEAD + b"Content-Length: 4000000\r\n\r\naction=addResult&" + b"x" * 1_000_000,
    ],
    ids=["heads", "bodies"],
)
@pytest.mark.usefixtures("many_files")
def test_unfinished_requests_of_strangers_take_little_memory(tmp_path, beginning):
    """2,000 of them at once leave the monitor below 200 MiB, and it answers beside them."""
    with serving(tmp_path) as (started, caller):
        with contextlib.ExitStack() as stack:
            crowd = [stack.enter_context(connect(caller)) for _ in range(CROWD)]
            for _ in range(3):
                for sock in crowd:
                    offer(sock, beginning)
            monitor = caller.make_monitor("m")
            assert caller.add(monitor, 1, "user_login:" + "x" * 20_000).status == 200
        status = Path(f"/proc/{started.pid}/status").read_text()
        peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    assert peak < 200 * MIB


def test_a_request_grows_within_what_its_standing_allows():
    """Strangers stop first, then those with a known key, those who have proved themselves last."""
    budget = Budget(["PUBLIC"])
    piece = b"x" * (UNCOUNTED + 120 * 1024)

    def fill(first, *, proven):
        taken = 0
        with contextlib.suppress(BudgetError):
            while True:
                one = budget.held()
                one.add(first + piece, proven=proven)
                held.append(one)
                taken += 1
        return taken * len(piece) // MIB

    held = []
    amounts = [fill(b"", proven=False), fill(b"apikey=PUBLIC&", proven=False)]
    amounts.append(fill(b"", proven=True))
    assert [16, 32, 16] == pytest.approx(amounts, abs=2)
    for _ in range(1_000):
        budget.held().add(b"x" * UNCOUNTED)
    for one in held:
        one.release()
    assert fill(b"", proven=False) == pytest.approx(16, abs=1)


def test_a_long_request_has_to_name_a_known_key():
    """Wherever the key stands in the first 128 KiB, also across two pieces; else it is refused."""
    for key in ("PUBLIC", "a key&more"):
        held = Budget([key]).held()
        named = urlencode({"apikey": key}).encode()
        held.add(b"x" * 100_000 + named[:10])
        held.add(named[10:] + b"x" * 1_000_000)
    with pytest.raises(TooLargeError):
        Budget(["PUBLIC"]).held().add(b"x" * MAX_UNNAMED + b"PUBLI")


class Crowd:
    """Connections by name, and which of them were ended."""

    def __init__(self, most, proxies=()):
        self.places = Places(most, proxies)
        self.peers = {}
        self.ended = []

    def enter(self, name, address="192.0.2.1"):
        """Let one more in; say whether it got a place."""
        self.peers[name] = self.places.outside(lambda: self.ended.append(name))
        return self.places.enter(self.peers[name], address)


def test_one_address_has_half_of_the_places():
    """With more, its own connection that is idle longest ends; others and proven ones stay."""
    crowd = Crowd(8)
    assert crowd.enter("other", "192.0.2.2")
    assert all(crowd.enter(name) for name in "abcd")
    crowd.places.rest(crowd.peers["a"])
    crowd.peers["c"].prove()
    assert all(crowd.enter(name) for name in "ef")
    assert ["b"] == crowd.ended
    for name in "adef":
        crowd.places.work(crowd.peers[name])
    assert not crowd.enter("g"), "all of its places are being answered"
    assert crowd.enter("h", "192.0.2.3")
    assert (["b"], 7) == (crowd.ended, len(crowd.places))


def test_when_all_places_are_taken_the_longest_idle_ends():
    """A new connection gets its place; the ones that proved themselves come last."""
    crowd = Crowd(4)
    for number, name in enumerate("abcd"):
        crowd.enter(name, f"192.0.2.{number}")
    crowd.peers["a"].prove()
    crowd.places.work(crowd.peers["b"])
    for number, name in enumerate("efg", 10):
        assert crowd.enter(name, f"192.0.2.{number}")
    assert ["c", "d", "e"] == crowd.ended
    crowd.places.work(crowd.peers["f"])
    crowd.places.work(crowd.peers["g"])
    assert crowd.enter("h", "192.0.2.20")
    assert "a" == crowd.ended[-1]


def test_behind_a_proxy_the_forwarded_address_has_the_share():
    """The proxy's connections count for nobody until it names one, and prove nothing of another."""
    crowd = Crowd(8, ["127.0.0.1"])
    assert all(crowd.enter(name, "127.0.0.1") for name in "abcdef")
    for name in "abcd":
        assert crowd.peers[name].come_from("198.51.100.1")
    crowd.peers["a"].prove()
    assert crowd.peers["e"].come_from("198.51.100.1")
    assert not crowd.ended
    assert crowd.peers["f"].come_from("198.51.100.1")
    assert ["b"] == crowd.ended
    assert crowd.peers["a"].come_from("198.51.100.1")
    assert crowd.peers["a"].proven
    crowd.peers["a"].come_from("198.51.100.2")
    assert not crowd.peers["a"].proven
    assert crowd.enter("g", "::ffff:127.0.0.1")
    assert not crowd.peers["g"].address


def test_the_limit_on_open_files_decides(monkeypatch):
    """100 files stay for the store; more connections than files can be are refused with a hint."""
    asked = []
    monkeypatch.setattr(module.resource, "setrlimit", lambda _, limits: asked.append(limits))
    for limits, found in [((1_024, 4_096), 924), ((50_000, 50_000), 20_000), ((-1, -1), 20_000)]:
        monkeypatch.setattr(module.resource, "getrlimit", lambda _, limits=limits: limits)
        assert found == places_left()
    monkeypatch.setattr(module.resource, "getrlimit", lambda _: (1_024, 4_096))
    assert 3_000 == places_left(3_000)
    assert [(3_100, 4_096)] == asked
    with pytest.raises(SetupError, match="open files is 4096, 4100 are needed"):
        places_left(4_000)


def test_a_full_monitor_closes_idle_connections_and_answers_new_ones(tmp_path):
    """Strangers hold all places: agents get through, and a kept connection of one stays."""
    with serving(tmp_path, "--max-connections", "40") as (_, caller):
        monitor = caller.make_monitor("m")
        agent = http.client.HTTPConnection(*caller.address, timeout=20)
        with contextlib.ExitStack() as stack:
            idle = []
            for number in range(200):
                idle.append(stack.enter_context(connect(caller)))
                if number == 0:
                    assert push(agent, caller, monitor, 1) == 200
            first = agent.sock
            assert caller.add(monitor, 500, "user_login:new").status == 200
            assert push(agent, caller, monitor, 1_000) == 200
            assert agent.sock is first, "the agent's connection was kept"
            assert eventually(lambda: is_closed(idle[0]))
            assert not is_closed(idle[-1])
        agent.close()


def test_a_store_that_stalls_is_answered_503_and_loses_nothing(tmp_path):
    """With 20,000 results waiting the next is refused at once; those that wait are stored."""
    gate = threading.Event()

    async def scenario():
        accounts = Accounts.open(tmp_path, SystemClock())
        store, keys = accounts[0].store, accounts[0].keys
        monitor = await store.add_monitor(Definition("m", "m", "", {}))
        pairs = {"action": "addResult", "apikey": keys.api_key, "monitorId": str(monitor)}
        pairs |= {"checktime": "1", "results": "user_login:u", "version": "2"}
        pairs["timestamp"] = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        pairs["checksum"] = checksum(keys.secret_key, pairs)
        waiting = [asyncio.ensure_future(store._writer.write(lambda _: gate.wait(60)))]
        for number in range(MOST_RESULTS - 1):
            result = Result(number, {"user_login": "u"})
            waiting.append(asyncio.ensure_future(store.add_results(monitor, [result])))
        await asyncio.sleep(0)
        refused = await call(Api(accounts), pairs)
        gate.set()
        await asyncio.gather(*waiting)
        taken = await call(Api(accounts), pairs)
        count = "SELECT count(*) FROM results"
        (rows,) = await store.read(lambda found: found.execute(count).fetchone())
        accounts.close()
        return refused, taken, rows

    (status, headers, body), (later, _, _), rows = asyncio.run(scenario())
    assert (503, 200, MOST_RESULTS) == (status, later, rows)
    assert 1 <= int(headers[b"retry-after"]) <= 5
    assert list(json.loads(body)) == ["status"]


def test_long_answers_that_nobody_takes_are_few(tmp_path):
    """Of many at once those are given that hold 64 MiB; the next has 503, short ones always 200."""
    rows = [Result(number, {"user_login": "u" * 900}) for number in range(10_000)]

    async def fill():
        store = Store.open(tmp_path / "data")
        monitor = await store.add_monitor(Definition("m", "m", "", {}))
        for first in range(0, len(rows), 500):
            await store.add_results(monitor, rows[first : first + 500])
        store.close()
        return monitor

    monitor = asyncio.run(fill())
    with serving(tmp_path) as (_, caller), contextlib.ExitStack() as stack:
        asked = {"action": "getReport", "apikey": caller.keys.api_key, "monitorId": monitor}
        target = f"/api?{urlencode(asked | {'dateFrom': '0', 'dateTo': '253402300799999'})}"
        heads = []
        for _ in range(10):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            sock.settimeout(60)
            sock.connect(caller.address)
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            heads.append(sock.recv(400))
        busy = [head for head in heads if head.startswith(b"HTTP/1.1 503")]
        short = caller.get("getMonitors")
        stack.close()
        assert eventually(lambda: len(caller.raw("GET", target).body) > 9 * MIB)
    assert 3 <= len(busy) <= 5
    assert b"\r\nretry-after: " in busy[0]
    assert short.status == 200


async def call(app, pairs):
    """Send a form to the application itself; return status, headers and body."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": urlencode(pairs).encode()}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/api", "query_string": b"", "headers": []}
    await app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def push(connection, caller, monitor, checktime):
    """Add a result over a kept connection; return the status."""
    params = {"monitorId": monitor, "checktime": str(checktime), "results": "user_login:kept"}
    body = urlencode(caller.signed("addResult", **params))
    connection.request("POST", "/customMonitorApi", body)
    answer = connection.getresponse()
    assert json.loads(answer.read())["status"] == "ok"
    return answer.status
