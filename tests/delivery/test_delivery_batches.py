"""Batches to our own monitor: how large, in which order, and how many at once."""

import threading

import pytest
from delivering import Room, slow_down
from fake_monitor import FakeMonitor, answer
from spools import login_of

from logwatch_monitis.delivery import DeadLettered, Delivered
from logwatch_monitis.delivery.deliverer import BATCHES_TOGETHER


@pytest.fixture(name="ours")
def _ours():
    """Our own monitor, as far as the wire goes."""
    with FakeMonitor(ours=True) as server:
        yield server


@pytest.fixture(name="room")
def _room(ours, tmp_path):
    """A spool before our own monitor."""
    room = Room(tmp_path, ours)
    yield room
    room.close()


def numbers(server):
    """Return the numbers of the logins that a server has, in their order."""
    return [int(user[4:]) for user in server.users()]


def test_history_is_sent_in_several_batches_at_once(ours, room):
    """Where answers take long, two to four are under way; all arrive, and are marked."""
    slow_down(ours, room, 0.02, "addResults")
    deliverer = room.process()
    room.take(2000, history=True)  # until they are stored, nobody knows how long it takes
    room.drain(deliverer)
    assert numbers(ours)[:510] == list(range(510))

    under_way = slow_down(ours, room, 0.02, "addResults", together=2)
    room.take(4000, history=True)
    room.drain(deliverer)

    assert 1 < under_way[1] <= BATCHES_TOGETHER
    assert sorted(numbers(ours)) == list(range(6000))
    assert sum(event.count for event in room.seen(Delivered)) == 6000


def test_live_logins_arrive_in_their_order(ours, room):
    """However long the answers take, one batch is under way at a time while live logins wait."""
    under_way = slow_down(ours, room, 0.02, "addResults")
    room.take(10, history=True)
    room.take(3000)
    room.drain(room.process())

    assert under_way[1] == 1
    assert numbers(ours) == [*range(10, 3010), *range(10)]


def test_a_live_login_overtakes_history(ours, room):
    """What happens while thousands of the past wait is sent before any more of them."""
    room.take(20_000, history=True)
    deliverer = room.process()
    while len(ours.results) < 1000:
        deliverer.step()
    room.take()
    before = len(ours.results)
    deliverer.step()

    assert before < 20_000
    assert numbers(ours)[before] == 20_000


def test_one_refused_login_among_several_batches(ours, room):
    """Halves lead to it; it is put aside, and each of the others arrives once."""
    unwanted = login_of(3210).id

    def refuse(exchange):
        if unwanted in str(exchange.request.params):
            exchange.send(b'{"status":"Invalid results"}')
        else:
            exchange.send(exchange.proper())

    slow_down(ours, room, 0.02, "addResults")
    room.take(1600, history=True)
    deliverer = room.process()
    room.drain(deliverer)
    ours.always(None, "addResults")
    ours.always(refuse)
    room.take(5000, history=True)
    room.drain(deliverer)

    assert [event.login_id for event in room.seen(DeadLettered)] == [unwanted]
    assert sorted(numbers(ours)) == [n for n in range(6600) if n != 3210]
    assert room.spool.summary().depth == 0


def test_a_server_that_fails_amid_several_batches(ours, room):
    """What was stored is marked, the rest follows after the pause; nothing comes twice."""
    slow_down(ours, room, 0.02, "addResults")
    room.take(1600, history=True)
    deliverer = room.process(patience=20)
    room.drain(deliverer)
    ours.requests.clear()
    ours.always(None, "addResults")
    gate = threading.Barrier(BATCHES_TOGETHER, timeout=10)

    def together(exchange):
        if gate.wait() == 0:
            answer(503)(exchange)
        else:
            exchange.send(exchange.proper())

    ours.program(*[together] * BATCHES_TOGETHER, action="addResults")
    room.take(5000, history=True)
    room.drain(deliverer)

    assert sorted(numbers(ours)) == list(range(6600))
    sent = sum(request.params["results"].count("checktime") for request in ours.requests
               if request.params["action"] == "addResults")  # fmt: skip
    alone = ours.actions().count("addResult")
    assert sent + alone == 5000 + 500
