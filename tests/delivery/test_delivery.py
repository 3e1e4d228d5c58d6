"""The delivery from a real spool to a real server that fails in every way."""

import contextlib
import socket
import threading
import time

import pytest
from delivering import Room, slow_down
from fake_monitor import (
    FakeMonitor,
    answer,
    drip,
    hang,
    lost_reply,
    reset,
    truncated,
    web_page,
)
from spools import login_of

from logwatch_monitis.delivery import (
    DeadLettered,
    Delivered,
    DeliveryFailed,
    DeliveryResumed,
    DeliveryStillFailing,
    MonitorCreated,
    MonitorFound,
)
from logwatch_monitis.delivery.backoff import Backoff
from logwatch_monitis.delivery.concurrency import LANES
from logwatch_monitis.spool import SpoolFullError


@pytest.fixture(name="server")
def _server():
    """A plain server."""
    with FakeMonitor() as server:
        yield server


@pytest.fixture(name="ours")
def _ours():
    """Our own monitor, as far as the wire goes."""
    with FakeMonitor(ours=True) as server:
        yield server


@pytest.fixture(name="room")
def _room(server, tmp_path):
    """A spool before a plain server."""
    room = Room(tmp_path, server)
    yield room
    room.close()


@pytest.fixture(name="own_room")
def _own_room(ours, tmp_path):
    """A spool before our own monitor."""
    room = Room(tmp_path, ours)
    yield room
    room.close()


def test_first_delivery(server, room):
    """The monitor is looked for, created as the article did, and sent one request a login."""
    users = room.take(3)
    room.drain(room.process())

    assert ["getMonitors", "addMonitor", *["addResult"] * 3] == server.actions()
    assert server.monitors == {"305": ("Login Monitor", "loginMonitor")}
    assert users == server.users()
    assert server.results[0].values == {"user_login": "user0", "host": "192.0.2.7", "srv": "sshd"}
    assert server.results[1].checktime == 1_700_000_000_000
    assert server.unknown == []
    assert [MonitorCreated("305", "Login Monitor")] == room.seen(MonitorCreated)
    assert room.spool.summary().depth == 0


def test_our_own_monitor_gets_batches_and_more(ours, own_room):
    """Our own monitor gets batches that grow to 500, with id, machine, kind and the rest."""
    users = own_room.take(1600)
    own_room.drain(own_room.process())

    assert users == ours.users()
    assert len(ours.requests) == 2 + 1 + 8 + 3
    assert ours.results[9].additional == {
        "id": login_of(9).id,
        "machine": "web1",
        "kind": "login",
        "verified": False,
        "method": "publickey",
        "agent": "web1",
    }
    assert sum(event.count for event in own_room.seen(Delivered)) == 1600


def test_plain_server_in_place_of_ours(ours, own_room):
    """When a plain server answers after a failure, it is sent nothing that it does not know."""
    own_room.take(5)
    deliverer = own_room.process()
    own_room.drain(deliverer)
    ours.always(answer(503))
    own_room.take(5)
    deliverer.step()
    ours.always(None)
    ours.ours = False
    ours.unknown.clear()
    own_room.drain(deliverer)

    assert ours.unknown == []
    assert len(ours.results) == 10


def test_live_before_history(server, room):
    """A live login overtakes the history that waits."""
    history = room.take(2, history=True)
    live = room.take(2)
    room.drain(room.process())

    assert live + history == server.users()


def test_monitor_is_remembered(server, room):
    """A restart finds the same monitor again, also when it was given another name meanwhile."""
    room.take()
    room.drain(room.process())
    server.monitors = {"9": ("Login Monitor", "loginMonitor"), "305": ("New", "loginMonitor")}
    room.take()
    room.drain(room.process())

    assert [result.monitor_id for result in server.results] == ["305", "305"]
    assert server.actions().count("addMonitor") == 1


def test_monitor_of_that_tag_is_found(server, room):
    """An existing monitor is found by tag and name; one of another name is left alone."""
    server.monitors = {"7": ("Other", "loginMonitor"), "8": ("login monitor", "loginMonitor")}
    room.take()
    room.drain(room.process())

    assert [result.monitor_id for result in server.results] == ["8"]
    assert [MonitorFound("8", "Login Monitor")] == room.seen(MonitorFound)


def test_monitor_is_made_again(server, room):
    """When the monitor is gone it is made again at once, and nothing is lost."""
    room.take()
    deliverer = room.process()
    room.drain(deliverer)
    server.monitors.clear()
    room.take()
    room.drain(deliverer, seconds=0.1)

    assert [result.monitor_id for result in server.results] == ["305", "306"]
    assert deliverer.status.monitor_id == "306"


def test_monitor_that_never_lasts(server, room):
    """A server that forgets every monitor at once is not flooded with new ones."""
    server.always(answer(200, {"status": "Invalid monitorId"}), "addResult")
    room.take()
    deliverer = room.process()
    for _ in range(10):
        deliverer.step()

    assert server.actions().count("addMonitor") == 1
    assert server.actions().count("addResult") == 2
    assert deliverer.status.state == "waiting"


def test_name_with_another_tag(server, room):
    """A name that a monitor of another tag has is said with what to do."""
    server.monitors = {"7": ("Login Monitor", "other")}
    room.take()
    deliverer = room.process()
    deliverer.step()

    assert deliverer.status.state == "refused"
    assert "'Login Monitor' exists, but not with tag 'loginMonitor'" in deliverer.status.error
    assert "monitor.name or monitor.tag" in deliverer.status.error


def test_another_agent_creates_it_first(server, room):
    """Two agents that start together end up with one monitor."""

    def overtaken(exchange):
        server.monitors["99"] = ("Login Monitor", "loginMonitor")
        exchange.send(exchange.proper())

    server.program(overtaken, action="addMonitor")
    room.take()
    room.drain(room.process())

    assert [result.monitor_id for result in server.results] == ["99"]


FAULTS = {
    "HTTP 500": answer(500),
    "reset": reset(),
    "error in a 200": answer(200, {"status": "error"}),
    "captive portal": web_page(),
    "empty": answer(200, ""),
    "cut before": lambda exchange: exchange.cut(),
    "429": answer(429, {"error": "slow"}, Retry_After="7"),
    "expired": answer(200, {"error": "token expired"}),
    "wrong key": answer(403, {"error": "Invalid api key"}),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("own", [False, True], ids=["plain", "ours"])
def test_failures_lose_nothing(name, own, tmp_path):
    """Each kind of failure, of any request, loses nothing and repeats nothing."""
    with FakeMonitor(ours=own) as server:
        room = Room(tmp_path, server)
        server.program(*[FAULTS[name], None] * 2, None, None, FAULTS[name])
        users = room.take(40)
        deliverer = room.process()
        room.drain(deliverer)
        room.close()

        assert users == server.users()
        assert (deliverer.status.state, deliverer.status.error) == ("ok", "")
        assert room.seen(DeliveryResumed)


@pytest.mark.parametrize("fault", [lost_reply(), truncated()], ids=["cut", "half a body"])
def test_lost_reply(server, room, fault):
    """After a lost reply the same result is sent again, equal but for timestamp and signature."""
    users = room.take(3)
    server.program(None, fault, action="addResult")
    room.drain(room.process())

    assert [users[0], users[1], users[1], users[2]] == server.users()
    sent = [request.params for request in server.requests if "results" in request.params]
    for params in sent:
        del params["timestamp"], params["checksum"]
    assert sent[1] == sent[2]
    assert server.results[1] == server.results[2]


def test_lost_reply_of_a_batch(ours, own_room):
    """After the lost reply of a batch our own monitor has each login exactly once."""
    users = own_room.take(50)
    ours.program(None, lost_reply(), lost_reply(), action="addResults")
    own_room.drain(own_room.process())

    assert users == ours.users()


@pytest.mark.parametrize(
    ("fault", "state", "error"),
    [
        (answer(500), "waiting", "HTTP 500, the answer is empty"),
        (web_page(), "waiting", "a web page, as of a captive portal or a wrong address"),
        (hang(), "waiting", "127.0.0.1: no answer within 0.5 s"),
        (answer(200, {"error": "Invalid action"}), "refused", "the monitor says: Invalid action"),
        (
            answer(200, {"error": "Invalid api key"}),
            "refused",
            "the monitor says: Invalid api key (check the api key and the secret key)",
        ),
    ],
)
def test_status(server, room, fault, state, error):
    """Each failure gives one clear line, a state and the time of the next try, also on disk."""
    room.take()
    server.always(fault)
    deliverer = room.process()
    wait = deliverer.step()

    status = deliverer.status
    assert (state, error) == (status.state, status.error)
    assert room.clock.time + wait == status.next_try
    assert error == room.spool.summary().last_error
    assert [DeliveryFailed(error, wait)] == room.events
    server.always(None)
    room.drain(deliverer)
    assert (deliverer.status.state, deliverer.status.last_delivery) == ("ok", room.clock.time)


def test_back_off(server, room):
    """Waits double up to a minute, and begin anew after a success; one log line is enough."""
    server.always(answer(500))
    room.take(100)
    deliverer = room.process()
    waits = []
    for _ in range(9):
        waits.append(deliverer.step())
        assert waits[-1] == deliverer.step(), "woken too early"
        room.clock.time += waits[-1]

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert len(server.requests) == 9, "one request is the probe"
    assert len(room.seen(DeliveryFailed)) == 1
    assert len(room.seen(DeliveryStillFailing)) == 8
    server.always(None)
    room.drain(deliverer)
    server.always(answer(500))
    room.take()
    assert deliverer.step() == 1


def test_probe_is_one_result(ours, own_room):
    """While writes fail, one single result is the probe, and when it fails twice, another one."""
    own_room.take(7)
    deliverer = own_room.process()
    own_room.drain(deliverer)
    own_room.take(500)
    ours.always(answer(500), "addResults")
    ours.always(answer(500), "addResult")
    ours.requests.clear()
    for _ in range(3):
        own_room.clock.time += deliverer.step()

    assert ours.actions() == ["addResults", *["getMonitors", "addResult"] * 3]
    for _ in range(20):
        own_room.clock.time += deliverer.step()
    assert ours.actions().count("addResult") < 65


@pytest.mark.parametrize(
    ("header", "wait"),
    [("120", 121.0), ("Tue, 14 Nov 2023 22:14:00 GMT", 41.0), ("99999", 301.0), ("x", 1.0)],
)
def test_retry_after(server, room, header, wait):
    """Retry-After is honoured in both forms up to five minutes, with jitter behind it."""
    server.always(answer(429, {"error": "slow down"}, Retry_After=header))
    room.take()

    assert wait == room.process().step()


def test_full_jitter():
    """Waits are spread over the whole range, so that agents do not come back together."""
    chances = iter([0.0, 0.25, 0.5])
    backoff = Backoff(lambda: next(chances))

    assert [backoff.next() for _ in range(3)] == [0.0, 0.5, 2.0]


@pytest.mark.parametrize("own", [False, True], ids=["plain", "ours"])
@pytest.mark.parametrize(
    "refusal",
    [answer(400, {"error": "no"}), answer(422, {"status": "x"}), answer(200, {"status": "error"})],
    ids=["400", "422", "unclear"],
)
def test_poison(own, refusal, tmp_path):
    """One login that the server will not take becomes a dead letter; all others arrive in order."""

    def picky(exchange):
        if "user13;" in exchange.request.params["results"]:
            refusal(exchange)
        else:
            exchange.send(exchange.proper())

    with FakeMonitor(ours=own) as server:
        room = Room(tmp_path, server)
        server.always(picky, "addResult")
        server.always(picky, "addResults")
        users = room.take(40)
        room.drain(room.process())
        dead = room.spool.dead()
        events = room.seen(DeadLettered)
        room.close()

        users.remove("user13")
        assert sorted(users) == sorted(server.users())
        assert [letter.entry.user for letter in dead] == ["user13"]
        assert [login_of(13).id] == [event.login_id for event in events]


def test_server_that_refuses_everything(server, room):
    """A server that refuses each login costs not one of them, however long it does."""
    server.always(answer(400, {"status": "Invalid results"}), "addResult")
    users = room.take(100)
    deliverer = room.process()
    for _ in range(50):
        room.clock.time += deliverer.step()

    assert deliverer.status.state == "refused"
    assert (room.spool.summary().live, room.spool.summary().dead) == (100, 0)
    assert server.actions().count("addResult") < 150
    server.always(None, "addResult")
    room.drain(deliverer)
    assert users == server.users()


def test_server_that_always_says_error(server, room):
    """A server that is out of order, and says so in a 200, costs no login at all."""
    server.always(answer(200, {"status": "error"}), "addResult")
    users = room.take(20)
    deliverer = room.process()
    for _ in range(100):
        room.clock.time += deliverer.step()

    assert room.spool.summary().dead == 0
    server.always(None, "addResult")
    room.drain(deliverer)
    assert users == server.users()


def test_wrong_keys_are_asked_rarely(server, room):
    """With a wrong key, only a person can help: the server is asked every few minutes."""
    room.take()
    deliverer = room.process(api_key="WRONG")

    assert deliverer.step() == 300.0
    assert deliverer.status.state == "refused"


def test_token_mode(server, room):
    """Tokens that expire while logins flow are renewed; nothing is dropped or repeated."""
    users = room.take(60)
    deliverer = room.process(validation="token")
    for _ in range(3):
        deliverer.step()
        server.tokens.clear()
    room.drain(deliverer, seconds=0.1)

    assert users == server.users()
    assert server.actions().count("authToken") > 2


class FullDisk:
    """A spool on a disk that is full for a while."""

    def __init__(self, spool):
        self._spool = spool
        self.full = 0

    def __getattr__(self, name):
        return getattr(self._spool, name)

    def delivered(self, sent):
        """Fail, or do it."""
        if self.full:
            self.full -= 1
            raise SpoolFullError("no space left")
        return self._spool.delivered(sent)


@pytest.mark.parametrize("pace", [0.0, 0.02], ids=["in turn", "in threads"])
def test_disk_full(server, room, pace):
    """What was delivered and could not be marked is marked later, and not sent again."""
    full = FullDisk(room.spool)
    slow_down(server, room, pace)
    users = room.take(100)
    deliverer = room.process(spool=full)
    for _ in range(3):
        deliverer.step()
    full.full = 3
    room.drain(deliverer)

    assert sorted(users) == sorted(server.users())
    assert full.full == 0


def test_killed_before_marking(server, room, tmp_path):
    """What a killed process had sent and not marked is not sent again by the next one."""
    notes = tmp_path / "sent"
    full = FullDisk(room.spool)
    full.full = 10**6
    users = room.take(3)
    killed = room.process(spool=full, notes=notes)
    killed.step()

    assert server.users() == users[:1]
    room.drain(room.process(notes=notes))
    assert users == server.users()
    assert notes.stat().st_size == 0
    assert notes.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"x" * 7, b"\xff" * 2400], ids=["none", "half", "wrong"])
def test_damaged_notes(server, room, tmp_path, content):
    """Notes that fit no waiting login change nothing."""
    notes = tmp_path / "sent"
    notes.write_bytes(content)
    users = room.take(3)
    room.drain(room.process(notes=notes))

    assert users == server.users()


def test_notes_that_cannot_be_written(server, room, tmp_path):
    """Without notes each login is marked before the next is sent."""
    users = room.take(10)
    room.drain(room.process(notes=tmp_path))
    marked_alone = room.seen(Delivered)
    users += room.take(10)
    room.events.clear()
    room.drain(room.process(notes=tmp_path / "sent"))

    assert users == server.users()
    assert [event.count for event in marked_alone] == [1] * 10
    assert [event.count for event in room.seen(Delivered)] == [1, 2, 4, 3]


def test_slow_server_gets_several_requests_at_once(server, room):
    """Where answers take long, up to eight requests are under way, started in order."""
    under_way = slow_down(server, room, 0.02)
    users = room.take(100)
    room.drain(room.process())

    assert under_way[1] == LANES
    assert set(users) == set(server.users())
    assert len(server.results) == 100
    order = [int(user[4:]) for user in server.users()]
    assert all(abs(place - number) < 2 * LANES for place, number in enumerate(order))


def test_connections_are_decided_on_within_a_round(server, room):
    """A server that becomes slow, and fast again, is met with as many requests as pay at once."""
    deliverer = room.process(patience=20)
    room.take(130)
    room.drain(deliverer)
    under_way = slow_down(server, room, 0.02)
    room.take(60)
    deliverer.step()
    assert 1 < under_way[1] <= LANES


def test_fast_server_gets_one_request_at_a_time(server, room):
    """Where answers come at once, threads would only hinder each other; the order is strict."""
    under_way = slow_down(server, room, 0.0)
    users = room.take(100)
    room.drain(room.process())

    assert under_way[1] == 1
    assert users == server.users()


@contextlib.contextmanager
def running(deliverer):
    """Run the deliverer in a thread, as the agent does."""
    thread = threading.Thread(target=deliverer.run)
    thread.start()
    try:
        yield thread
    finally:
        deliverer.stop(grace=0.2)
        thread.join()


def eventually(fact):
    """Wait for what another thread does."""
    deadline = time.monotonic() + 10
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_run_is_woken(server, room):
    """A login is sent as soon as the waker says so, not when the poll comes round."""
    with running(room.process()):
        for _ in range(3):
            user = room.take()[-1]
            room.waker.wake()
            eventually(lambda user=user: user in server.users())


@pytest.mark.parametrize("fault", [hang(), drip(0.01)], ids=["hang", "drip"])
def test_stop_with_a_slow_server(server, room, fault):
    """Stopping ends a request that a slow server holds; nothing is lost."""
    room.take()
    server.program(None, None, fault)
    deliverer = room.process(patience=60)
    with running(deliverer) as thread:
        room.waker.wake()
        eventually(lambda: len(server.requests) == 3)
        began = time.monotonic()
        deliverer.stop(grace=0.1)
        thread.join()

    assert time.monotonic() - began < 2
    assert room.seen(DeliveryFailed) == []
    room.drain(room.process())
    assert server.users() == ["user0"]


def test_stop_before_run(room):
    """Stopping what does not run yet takes no time, and run then ends at once."""
    deliverer = room.process()
    began = time.monotonic()
    deliverer.stop(grace=10)
    deliverer.run()

    assert time.monotonic() - began < 5


def test_stop_lets_the_request_finish(server, room):
    """A request under way may finish within the grace, so it is not sent again."""
    release = threading.Event()

    def held(exchange):
        release.wait(5)
        exchange.send(exchange.proper())

    room.take()
    server.program(held, action="addResult")
    deliverer = room.process()
    with running(deliverer) as thread:
        eventually(lambda: "addResult" in server.actions())
        threading.Timer(0.1, release.set).start()
        deliverer.stop()
        thread.join()

    assert room.spool.summary().depth == 0


def test_unreachable(room):
    """A port where nobody listens is a state with a clear line, not an end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    room.take()
    deliverer = room.process(url=f"http://127.0.0.1:{port}")
    deliverer.step()

    assert deliverer.status.error == "127.0.0.1: connection refused"
