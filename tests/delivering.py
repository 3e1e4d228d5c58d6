"""What the tests of the delivery share: a real spool, a server, and deliverers between them."""

import threading
import time

from fake_monitor import API_KEY, SECRET_KEY
from running import eventually
from spools import World, login_of

from logwatch_monitis.delivery import Deliverer
from logwatch_monitis.delivery.deliverer import IDLE_SECONDS
from logwatch_monitis.interfaces import ThreadWaker
from logwatch_monitis.protocol.client import MonitisClient
from logwatch_monitis.protocol.transport import RequestsTransport


class Room:
    """One spool, one server, and deliverers between them, as one process after the other."""

    def __init__(self, directory, server):
        self.world = World(directory)
        self.clock = self.world.clock
        self.server = server
        self.spool = self.world.open()
        self.events = []
        self.transports = []
        self.waker = ThreadWaker()
        self.taken = 0
        self.chance = 1.0

    def process(self, url="", spool=None, notes=None, patience=1, **options):
        """Start a deliverer with an empty memory."""
        transport = RequestsTransport(connect=1, read=patience / 2, total=patience)
        self.transports.append(transport)
        keys = {"api_key": API_KEY, "secret_key": SECRET_KEY}
        client = MonitisClient(
            url or self.server.url, **(keys | options), transport=transport, clock=self.clock
        )
        return Deliverer(
            spool or self.spool,
            client,
            clock=self.clock,
            waker=self.waker,
            events=self.events.append,
            agent="web1",
            notes=notes,
            chance=lambda: self.chance,
        )

    def take(self, count=1, **options):
        """Put that many more logins into the spool; return their users."""
        numbers = range(self.taken, self.taken + count)
        self.taken += count
        self.spool.commit([login_of(number) for number in numbers], {}, **options)
        return [f"user{number}" for number in numbers]

    def drain(self, deliverer, seconds=3600.0):
        """Let the deliverer work until it is idle, the clock running ahead while it waits."""
        until = self.clock.time + seconds
        while self.clock.time < until:
            wait = deliverer.step()
            status = deliverer.status
            if wait == IDLE_SECONDS and status.state == "ok" and not status.held:
                return
            self.clock.time += wait
        raise AssertionError(deliverer.status)

    def close(self):
        """End it all."""
        for transport in self.transports:
            transport.close()
        self.world.close()

    def seen(self, kind):
        """Return the events of exactly that kind."""
        return [event for event in self.events if type(event) is kind]


def slow_down(server, room, seconds, action="addResult", together=1):
    """Let each such request take so long, by the room's clock, and note how many were under way.

    The first ones are answered once so many are under way *together*, however busy the machine is.
    """
    under_way = [0, 0]
    lock = threading.Lock()

    def slow(exchange):
        with lock:
            under_way[0] += 1
            under_way[1] = max(under_way)
            room.clock.time += seconds
        time.sleep(seconds)
        eventually(lambda: under_way[1] >= together)
        with lock:
            under_way[0] -= 1
        exchange.send(exchange.proper())

    server.always(slow, action)
    return under_way
