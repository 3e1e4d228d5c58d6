"""The delivery to our own monitor, the real one, in a process of its own."""

import os
import random
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime

from fake_monitor import API_KEY, SECRET_KEY, FakeMonitor, lost_reply, reset, truncated, web_page
from real_monitor import running_monitor
from spools import World, login_of

from logwatch_monitis.delivery import Deliverer
from logwatch_monitis.delivery.concurrency import LANES
from logwatch_monitis.delivery.deliverer import IDLE_SECONDS
from logwatch_monitis.interfaces import SystemClock, ThreadWaker
from logwatch_monitis.protocol.client import MonitisClient
from logwatch_monitis.protocol.transport import RequestsTransport

DAY = datetime.fromtimestamp(login_of(0).time / 1e6, UTC).date()


def test_every_login_arrives(tmp_path):
    """Logins with hostile names reach the real monitor unchanged, whatever the batch."""
    names = ["a;count:999", "a:1,b", "%0a", "c++", "josé", "x y", "=1+1", '"', "\x1b]0;", "\u202e"]
    logins = [login_of(n, user_login=names[n % 10], host="2001:db8::1") for n in range(1203)]
    world = World(tmp_path)
    spool = world.open()
    spool.commit(logins, {})
    transport = RequestsTransport()
    with running_monitor(tmp_path / "monitor") as (_, caller):
        host, port = caller.address
        keys = (caller.keys.api_key, caller.keys.secret_key)
        client = MonitisClient(
            f"http://{host}:{port}", *keys, transport=transport, clock=SystemClock()
        )
        tools = {"clock": SystemClock(), "waker": ThreadWaker(), "events": world.events.append}
        deliverer = Deliverer(spool, client, **tools, agent="web1")
        while deliverer.step() != IDLE_SECONDS:
            assert deliverer.status.error == ""
        rows = client.results(deliverer.status.monitor_id, DAY)
        transport.close()
    world.close()

    expected = [(n.user_login, n.host, n.srv, n.time // 1000) for n in logins]
    found = [(r["user_login"], r["host"], r["srv"], r["checkTimeInGMT"]) for r in rows]
    assert sorted(expected) == sorted(found)


VICTIM = """
    import sys
    from pathlib import Path
    from logwatch_monitis.delivery import Deliverer
    from logwatch_monitis.protocol.client import MonitisClient
    from logwatch_monitis.protocol.transport import RequestsTransport
    from logwatch_monitis.interfaces import SystemClock, ThreadWaker
    from logwatch_monitis.spool import Spool

    directory, url, api_key, secret_key = sys.argv[1:]
    clock = SystemClock()
    spool = Spool.open(Path(directory), clock=clock, events=print, identity="this machine")
    client = MonitisClient(
        url, api_key, secret_key, transport=RequestsTransport(), clock=clock
    )
    Deliverer(
        spool, client, clock=clock, waker=ThreadWaker(), events=lambda _: None,
        notes=Path(directory) / "sent", chance=lambda: 0.01,
    ).run()
"""


def test_kill_9_during_delivery(tmp_path):
    """Killed again and again, it loses nothing, and repeats to the letter what had no answer."""
    dice = random.Random(7)
    kills, count = (50, 2500) if os.environ.get("LOGWATCH_TEST_EFFORT") == "full" else (5, 300)
    unanswered = []

    def unheard(fault):
        return lambda exchange: (unanswered.append(exchange.request), fault(exchange))

    faults = [reset(), web_page(), unheard(truncated()), unheard(lost_reply())]
    world = World(tmp_path)
    spool = world.open()
    spool.commit([login_of(number) for number in range(count)], {})
    command = [sys.executable, "-c", textwrap.dedent(VICTIM), os.fspath(tmp_path)]
    with FakeMonitor() as server:
        for _ in range(kills):
            server.program(*[None] * dice.randrange(40), *dice.choices(faults, k=3))
            until = min(len(server.results) + dice.randrange(5, 60), count)
            victim = subprocess.Popen([*command, server.url, API_KEY, SECRET_KEY])
            while len(server.results) < until:
                assert victim.poll() is None
                time.sleep(0.001)
            victim.kill()
            victim.wait()
        server.program()
        deliver_rest(spool, server, tmp_path / "sent")
        stored = server.results
    world.close()

    assert {f"user{number}" for number in range(count)} == set(server.users())
    assert count == len({repr(result) for result in stored})
    assert len(stored) - count <= LANES * kills + len(unanswered)


def deliver_rest(spool, server, notes):
    """Deliver what is left, without faults."""
    transport = RequestsTransport()
    client = MonitisClient(
        server.url, API_KEY, SECRET_KEY, transport=transport, clock=SystemClock()
    )
    tools = {"clock": SystemClock(), "waker": ThreadWaker(), "events": lambda _: None}
    deliverer = Deliverer(spool, client, **tools, notes=notes, chance=lambda: 0.0)
    while deliverer.step() != IDLE_SECONDS:
        pass
    deliverer.close()
    transport.close()
