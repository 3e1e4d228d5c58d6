"""Logins that a server never takes: they block no other, and are judged by evidence alone."""

import random
import re

import pytest
from chaos import Log, embedded, plain_config, results_of, status_of, taken_by
from delivering import Room
from fake_monitor import FakeMonitor, answer, hang, reset
from fault_proxy import REFUSALS, Firewall
from real_monitor import running_monitor
from running import eventually
from spools import login_of

from logwatch_monitis.delivery import DeadLettered, LoginHeld
from logwatch_monitis.delivery.deliverer import IDLE_SECONDS
from logwatch_monitis.interfaces import SystemClock
from logwatch_monitis.spool import Spool

KINDS = {
    "400 empty": (answer(400), "HTTP 400, the answer is empty"),
    "403 page": (answer(403, "<html><b>Rule 17</b></html>"), "HTTP 403.*: Rule 17"),
    "413 page": (answer(413, "<html><b>Rule 18</b></html>"), "HTTP 413.*: Rule 18"),
    "500 text": (answer(500, "Internal error"), "HTTP 500.*: Internal error"),
    "500 JSON": (answer(500, {"error": "no such user"}), "HTTP 500, no such user"),
    "403 JSON": (answer(403, {"error": "Forbidden"}), "the monitor says: Forbidden"),
    "a clear no": (answer(200, {"status": "Invalid results"}), "says: Invalid results"),
    "an unclear no": (answer(200, {"status": "error"}), "says: error"),
    "reset": (reset(), "connection reset|broke off"),
    "cut": (lambda exchange: exchange.cut(), "connection closed before an answer came"),
}


@pytest.fixture(name="server")
def _server():
    """A plain server."""
    with FakeMonitor() as server:
        yield server


@pytest.fixture(name="room")
def _room(server, tmp_path):
    """A spool before a plain server."""
    room = Room(tmp_path, server)
    yield room
    room.close()


def refuse(server, fault, *numbers):
    """Let every request in which one of these logins stands meet *fault*."""
    signs = [f"user{number};" for number in numbers]

    def picky(exchange):
        if any(sign in exchange.request.params["results"] for sign in signs):
            fault(exchange)
        else:
            exchange.send(exchange.proper())

    for action in ("addResult", "addResults"):
        server.always(picky, action)


def steps(room, deliverer, seconds):
    """Let the deliverer work for so many seconds, the clock running ahead while it waits."""
    until = room.clock.time + seconds
    while room.clock.time < until:
        room.clock.time += deliverer.step()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("own", [False, True], ids=["plain", "ours"])
def test_logins_that_are_never_taken_block_no_other(own, kind, tmp_path):
    """Several at the head and one amid the others: those arrive once, these become dead letters."""
    fault, words = KINDS[kind]
    poisoned = {0, 1, 2, 50}
    with FakeMonitor(ours=own) as server:
        room = Room(tmp_path, server)
        refuse(server, fault, *poisoned)
        users = room.take(60)
        began = room.clock.time
        deliverer = room.process(patience=20)
        while len(server.results) < 56:
            room.clock.time += deliverer.step()
        assert room.clock.time - began < 60
        room.drain(deliverer)
        dead = room.spool.dead()
        letters, told = room.seen(DeadLettered), room.seen(LoginHeld)
        room.close()

    assert sorted(server.users()) == sorted(set(users) - {f"user{n}" for n in poisoned})
    assert {letter.entry.user for letter in dead} == {f"user{n}" for n in poisoned}
    assert all(re.search(words, letter.reason) for letter in dead), dead
    assert {event.login_id for event in letters} == {login_of(n).id for n in poisoned}
    assert {event.login_id for event in told} == {login_of(n).id for n in poisoned}


def test_alone_it_waits_until_another_is_taken(server, room):
    """Nobody knows whose fault it is before another login was taken; ``status`` says so."""
    refuse(server, KINDS["403 page"][0], 0)
    room.take()
    deliverer = room.process()
    steps(room, deliverer, 3600)

    (held,) = deliverer.status.held
    assert (held.id, held.judged) == (login_of(0).id, False)
    assert "Rule 17" in held.reason
    assert deliverer.status.state == "waiting"
    assert room.spool.summary().dead == 0
    room.take()
    room.waker.wake()
    room.drain(deliverer)
    assert server.users() == ["user1"]
    assert [letter.entry.user for letter in room.spool.dead()] == ["user0"]


@pytest.mark.parametrize(
    "fault",
    [
        answer(500), answer(502, "<html>Bad Gateway</html>"), answer(503), answer(400), reset(),
        answer(403, "<html>No</html>"), answer(403, {"error": "Forbidden"}),
        answer(200, {"status": "Invalid results"}), answer(200, {"status": "suspended"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("own", [False, True], ids=["plain", "ours"])
def test_a_server_that_takes_nothing_for_a_while_costs_no_login(own, fault, tmp_path):
    """Whatever it answers meanwhile: nothing is put aside, and all arrive, in their order."""
    with FakeMonitor(ours=own) as server:
        room = Room(tmp_path, server)
        users = room.take(5)
        deliverer = room.process(patience=20)
        room.drain(deliverer)
        for seconds in (2, 30, 900):
            refuse(server, fault, *range(1000))
            users += room.take(10)
            steps(room, deliverer, seconds)
            assert len(room.seen(LoginHeld)) == 0
            server.always(None, "addResult")
            server.always(None, "addResults")
            room.drain(deliverer)
        dead = room.spool.summary().dead
        room.close()

    assert dead == 0
    assert users == server.users()


@pytest.mark.parametrize(
    "fault",
    [
        answer(429), answer(503), answer(408), answer(500, "x", Retry_After="1"), answer(401),
        answer(200, {"error": "Invalid checksum"}), answer(403, {"error": "Invalid api key"}),
    ],
)  # fmt: skip
def test_rates_and_keys_are_no_fault_of_a_login(server, room, fault):
    """A server that asks for patience, or for other keys, never makes a dead letter."""
    refuse(server, fault, 3)
    room.take(10)
    deliverer = room.process()
    steps(room, deliverer, 3600)

    assert room.spool.summary().dead == 0
    server.always(None, "addResult")
    room.drain(deliverer)
    assert sorted(server.users()) == sorted(f"user{n}" for n in range(10))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_server_that_fails_by_chance_costs_no_login(server, room, share):
    """A login that is taken after all shows that refusals mean nothing at this server."""
    dice = random.Random(11)

    def flaky(exchange):
        answer(500)(exchange) if dice.random() < share else exchange.send(exchange.proper())

    server.always(flaky, "addResult")
    room.take(80)
    room.drain(room.process(patience=20), seconds=10**6)

    assert room.spool.summary().dead == 0
    assert len(set(server.users())) == len(server.users()) == 80


def test_two_servers_behind_one_address(server, room):
    """Where every second request fails, as with one broken server of two, nobody is judged."""
    turns = iter(range(10**9))

    def alternating(exchange):
        answer(502)(exchange) if next(turns) % 2 else exchange.send(exchange.proper())

    server.always(alternating, "addResult")
    room.take(60)
    room.drain(room.process(patience=20), seconds=10**6)

    assert room.spool.summary().dead == 0
    assert len(set(server.users())) == len(server.users()) == 60


def test_an_outage_while_one_is_held_judges_nobody(server, room):
    """Refusals count only while the server takes others, or answers a read."""
    refuse(server, answer(500), 0)
    room.take(2)
    deliverer = room.process()
    while len(server.results) < 1:
        room.clock.time += deliverer.step()
    server.always(answer(500))
    steps(room, deliverer, 600)

    assert room.spool.summary().dead == 0
    server.always(None)
    server.always(None, "addResult")
    room.drain(deliverer)
    assert server.users() == ["user1", "user0"]


def test_a_restart_in_between_learns_it_again(server, room):
    """A process that begins with what another one held delivers the rest, and judges anew."""
    refuse(server, answer(400), 0, 5)
    room.take(20)
    for _ in range(10):
        steps(room, room.process(), 3)
    assert len(server.results) == 18
    assert room.spool.dead() == []
    room.take(5)
    room.drain(room.process())
    assert {letter.entry.user for letter in room.spool.dead()} == {"user0", "user5"}
    assert len(set(server.users())) == len(server.users()) == 23


def test_live_before_history_although_one_is_held(server, room):
    """A held login of the past does not come before a live one, nor the other way round."""
    refuse(server, answer(400), 0, 10)
    room.take(10, history=True)
    room.take(10)
    deliverer = room.process()
    room.drain(deliverer)

    numbers = [int(user[4:]) for user in server.users()]
    assert numbers == [*range(11, 20), *range(1, 10)]


def test_an_answer_that_never_comes(server, room):
    """A login for which the answer times out is held at once; the others go past it."""
    refuse(server, hang(), 2)
    room.take(10)
    deliverer = room.process(patience=0.4)
    room.drain(deliverer)

    assert len(server.results) == 9
    (letter,) = room.spool.dead()
    assert "no answer within" in letter.reason


def test_a_held_login_that_leaves_the_spool_is_forgotten(server, room):
    """What is no longer in the outbox is not sent, and not told of."""
    refuse(server, answer(400), 0)
    room.take(3)
    deliverer = room.process()
    while not (deliverer.status.held and len(server.results) == 2):
        room.clock.time += deliverer.step()
    room.spool.refuse(room.spool.due(1)[0], "dropped by hand")
    sent = len(server.requests)
    while deliverer.step() != IDLE_SECONDS:
        pass

    assert len(server.requests) == sent
    assert deliverer.status.held == ()


USERS = [f"u{number}" for number in range(0, 1000, 110)]
POISONED = dict(zip(USERS, [*REFUSALS, *REFUSALS][: len(USERS)], strict=True))


def letters_of(run):
    """Return the dead letters of an agent, by user."""
    with Spool.look(run.state, clock=SystemClock(), events=lambda _: None) as spool:
        return {letter.entry.user: letter.reason for letter in spool.dead()}


@pytest.mark.parametrize("own", [False, True], ids=["plain", "ours"])
def test_ten_poisoned_logins_among_a_thousand(own, tmp_path, agent_of):
    """Behind a firewall that never lets ten of them through, 990 arrive within a minute."""
    log = Log(tmp_path / "auth.log")
    database = tmp_path / "data" / "monitor.sqlite"
    with FakeMonitor() as fake, running_monitor(tmp_path / "data") as (_, caller):
        keys = {"key": caller.keys.api_key, "secret": caller.keys.secret_key} if own else {}
        target = caller.address.url if own else fake.url
        with Firewall(target, POISONED) as wall:
            run = agent_of(log.path, config=plain_config(wall.url, tmp_path, **keys)).start()
            log.append(1000)

            def stored():
                return results_of(database) if own else taken_by(fake)

            assert eventually(lambda: len(stored()) == 990, 60)
            assert eventually(lambda: len(letters_of(run)) == 10, 90)
            code, text = status_of(run)
            letters, said = letters_of(run), run.text()
            assert run.stop() == 0

    wanted = set(range(1000)) - {int(user[1:]) for user in USERS}
    assert sorted(row.number for row in stored()) == sorted(wanted)
    assert letters.keys() == set(USERS)
    for user, name in POISONED.items():
        _, body = REFUSALS[name]
        assert letters[user].startswith(f"HTTP {name[:3]}, ")
        assert re.search(
            r"(?i)rule \d\d" if b"ule" in body else "empty|cannot store", letters[user]
        )
    assert code == 0
    assert "10 refused by the monitor" in text
    assert re.search("refused +last [0-9a-f]{32} .*HTTP ", text)
    assert len(re.findall("Put login [0-9a-f]{32} aside: HTTP", said)) == 10


def test_status_names_the_login_that_waits_alone(tmp_path, agent_of):
    """``status`` says which login waits, what the server says, and what it waits for."""
    log = Log(tmp_path / "auth.log")
    with FakeMonitor() as fake, Firewall(fake.url, {"u0": "403 page"}) as wall:
        run = agent_of(log.path, config=plain_config(wall.url, tmp_path)).start()
        log.append()
        assert eventually(lambda: run.status()["delivery"]["held"])
        code, text = status_of(run)
        assert run.stop() == 0

    assert code == 1
    assert re.search("held +[0-9a-f]{32}, refused .*until another login is taken.*Rule 17", text)
    assert embedded(run) == []
