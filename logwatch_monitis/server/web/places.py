"""Limits on connections: who may hold how many, and which one ends if there are too many."""

from __future__ import annotations

import resource
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection

from logwatch_monitis.errors import SetupError
from logwatch_monitis.server.web.rate_limit import network_of

__all__ = ["MOST_CONNECTIONS", "Peer", "Places", "places_left"]

MOST_CONNECTIONS = 20_000
SPARE_FILES = 100
FEWEST = 16


def places_left(wanted: int | None = None) -> int:
    """Return how many connections there may be, so that files are left for the store.

    The limit on open files is raised for *wanted* ones; without a wish it decides.

    Raises:
        SetupError: it cannot be raised that far.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if wanted is None:
        most = MOST_CONNECTIONS if soft == unlimited else soft - SPARE_FILES
        return max(min(most, MOST_CONNECTIONS), FEWEST)
    needed = wanted + SPARE_FILES
    if hard != unlimited and hard < needed:
        raise SetupError(
            f"--max-connections {wanted}: the limit on open files is {hard}, {needed} are needed",
            "raise it (LimitNOFILE= of the service, or ulimit -n), or allow fewer connections",
        )
    if soft != unlimited and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return wanted


class Peer:
    """One connection as `Places` knows it, for the application too.

    Attributes:
        address: whom it counts for, as `network_of` names it; empty while only a proxy is known.
        proven: its client has shown that it knows a secret: a signature, token, key or cookie.
    """

    def __init__(self, places: Places, end: Callable[[], None]) -> None:
        self.address = ""
        self.proven = False
        self.end = end
        self._places = places

    def prove(self) -> None:
        """Note that the client knows a secret."""
        if not self.proven:
            self._places.prove(self)

    def come_from(self, address: str) -> bool:
        """Count for *address* from now on, which a proxy named; say whether there is room."""
        return address == self.address or self._places.move(self, address)


class Places:
    """The connections that are open, at most so many.

    Connections that have shown no secret may hold half of all places for each address; with one
    more, that address's own which is idle longest ends. When all places are taken the connection
    idle longest ends, the proven ones last. A connection is idle but while it is being answered; a
    request that arrives in small pieces makes it no younger.
    """

    def __init__(self, most: int, proxies: Collection[str] = ()) -> None:
        """Allow *most* connections; those of *proxies* count for nobody until they name one."""
        self._most = most
        self._share = max(most // 2, 1)
        self._proxies = frozenset(map(network_of, proxies))
        self._peers: set[Peer] = set()
        self._unproven: Counter[str] = Counter()
        self._idle: dict[bool, OrderedDict[Peer, None]] = {
            False: OrderedDict(),
            True: OrderedDict(),
        }
        self._idle_from: dict[str, OrderedDict[Peer, None]] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def outside(self, end: Callable[[], None]) -> Peer:
        """Return a connection that has no place yet; *end* is called if it loses the later one."""
        return Peer(self, end)

    def enter(self, peer: Peer, address: str) -> bool:
        """Give a connection from *address* a place, or another's; say whether there was one."""
        peer.address = self._network(address)
        self._peers.add(peer)
        self._count(peer, 1)
        self.rest(peer)
        if not self._make_room(peer):
            self.leave(peer)
        return peer in self._peers

    def leave(self, peer: Peer) -> None:
        """Free the place; once is enough."""
        if peer in self._peers:
            self.work(peer)
            self._peers.discard(peer)
            self._count(peer, -1)

    def rest(self, peer: Peer) -> None:
        """Note that the connection waits for its client from now on."""
        if peer in self._peers:
            self.work(peer)
            self._idle[peer.proven][peer] = None
            if not peer.proven:
                self._idle_from.setdefault(peer.address, OrderedDict())[peer] = None

    def work(self, peer: Peer) -> None:
        """Note that the connection's client waits for us from now on."""
        self._idle[peer.proven].pop(peer, None)
        if own := self._idle_from.get(peer.address):
            own.pop(peer, None)
            if not own:
                del self._idle_from[peer.address]

    def prove(self, peer: Peer) -> None:
        """Take the connection out of its address's share."""
        self._change(peer, peer.address, proven=True)

    def move(self, peer: Peer, address: str) -> bool:
        """Let the connection count for *address*, its proof void; say whether there is room."""
        self._change(peer, self._network(address), proven=False)
        return self._make_room(peer)

    def _network(self, address: str) -> str:
        network = network_of(address)
        return "" if network in self._proxies else network

    def _change(self, peer: Peer, address: str, *, proven: bool) -> None:
        idle = peer in self._idle[peer.proven]
        known = peer in self._peers
        self.leave(peer)
        peer.address, peer.proven = address, proven
        if known:
            self._peers.add(peer)
            self._count(peer, 1)
        if idle:
            self.rest(peer)

    def _count(self, peer: Peer, change: int) -> None:
        if not peer.proven:
            self._unproven[peer.address] += change
            if not self._unproven[peer.address]:
                del self._unproven[peer.address]

    def _make_room(self, peer: Peer) -> bool:
        """End others until there is room for *peer*; say whether there is."""
        while peer.address and self._unproven[peer.address] > self._share:
            if not self._end_first(peer, self._idle_from.get(peer.address, ())):
                return False
        while len(self._peers) > self._most:
            if not any(self._end_first(peer, self._idle[proven]) for proven in (False, True)):
                return False
        return True

    def _end_first(self, spared: Peer, idle: Collection[Peer]) -> bool:
        """End the one of *idle* that is so longest; say whether there is one beside *spared*."""
        victim = next((peer for peer in idle if peer is not spared), None)
        if victim:
            self.leave(victim)
            victim.end()
        return victim is not None
