"""What systemd is told: sd_notify, and a watchdog that is fed only while everything gets on."""

import os
import signal
import socket
import threading
from types import SimpleNamespace

import pytest
from fake_monitor import API_KEY, SECRET_KEY
from running import Running, eventually
from spools import SetClock

from logwatch_monitis.agent.daemon import _Daemon
from logwatch_monitis.agent.systemd import Notifier
from logwatch_monitis.config.model import Config
from logwatch_monitis.delivery.liveness import PATIENCE_S, Liveness, LivenessTransport
from logwatch_monitis.delivery.worker import DeliveryThread
from logwatch_monitis.errors import UnreachableError
from logwatch_monitis.login import Login
from logwatch_monitis.protocol.client import MonitisClient
from logwatch_monitis.spool import Spool


class Manager:
    """A service manager: its socket, and what it was told."""

    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1) if address[0] == "@" else address)
        self.socket.setblocking(False)
        self.messages = []

    def told(self):
        """Return every message so far."""
        try:
            while True:
                self.messages.append(self.socket.recv(4096).decode())
        except BlockingIOError:
            return self.messages

    def environment(self, **more):
        """Return what it puts into a service's environment."""
        return {"NOTIFY_SOCKET": self.address, **more}


@pytest.fixture(name="manager", params=["path", "abstract"])
def _manager(request, tmp_path):
    """A manager that listens at a path, or in the abstract namespace as in a user's session."""
    names = {"path": str(tmp_path / "notify"), "abstract": f"@logwatch-monitis/test/{os.getpid()}"}
    manager = Manager(names[request.param])
    yield manager
    manager.socket.close()


def test_the_protocol(manager):
    """Each state has its words; a status that is shown already is not sent again."""
    clock = SetClock(1234.5)
    notifier = Notifier(clock, manager.environment())
    notifier.ready()
    notifier.status("watching")
    notifier.status("watching")
    notifier.reloading()
    notifier.alive()
    notifier.stopping()

    assert manager.told() == [
        "READY=1",
        "STATUS=watching",
        "RELOADING=1\nMONOTONIC_USEC=1234500000",
        "STOPPING=1",
    ]
    assert notifier.rhythm is None


def test_the_watchdog_is_fed_in_time_and_not_all_the_time(manager):
    """Three times in its interval; a watchdog of another process is not ours."""
    clock = SetClock()
    notifier = Notifier(clock, manager.environment(WATCHDOG_USEC="60000000"))
    for _ in range(61):
        notifier.alive()
        clock.time += 1

    assert (notifier.rhythm, manager.told()) == (20.0, ["WATCHDOG=1"] * 4)
    others = manager.environment(WATCHDOG_USEC="60000000", WATCHDOG_PID="1")
    assert Notifier(clock, others).rhythm is None


def test_without_a_manager_or_with_one_that_is_gone(tmp_path):
    """Nothing happens, and nothing goes wrong."""
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1"}):
        notifier = Notifier(SetClock(), environment)
        notifier.ready()
        notifier.alive()


class HangingTransport:
    """A transport whose requests never come back until they are let go."""

    def __init__(self):
        self.entered = threading.Event()
        self.let_go = threading.Event()

    def send(self, method, url, params):
        """See `Transport.send`."""
        self.entered.set()
        self.let_go.wait(30)
        raise UnreachableError("let go")

    def close(self):
        """See `Transport.close`."""
        self.let_go.set()


@pytest.fixture(name="sender_of")
def _sender_of(tmp_path):
    """Make a sender over a transport, its clock and its pulse."""
    clock, started = SetClock(), []
    spool = Spool.open(tmp_path, clock=clock, events=lambda _event: None)

    def make(transport):
        pulse = Liveness(clock)
        client = MonitisClient(
            "http://127.0.0.1:9",
            API_KEY,
            SECRET_KEY,
            transport=LivenessTransport(transport, pulse),
            clock=clock,
        )
        config = Config(state=str(tmp_path))
        sender = DeliveryThread(config, spool, client, clock, lambda _event: None, pulse=pulse)
        sender.start()
        started.append(sender)
        return clock, spool, sender, pulse

    yield make
    for sender in started:
        sender.stop()
    spool.close()


def _login():
    fields = ("alice", "192.0.2.7", "sshd", "login", "web1", "sshd", 1, "sshd/accepted")
    return Login("0" * 32, 1_700_000_000_000_000, *fields, {}, "/var/log/auth.log", 0, b"")


def test_a_delivery_that_hangs_has_no_pulse(sender_of):
    """A request that does not come back is given time, and then the pulse is lost."""
    transport = HangingTransport()
    clock, spool, sender, pulse = sender_of(transport)
    spool.positions()
    spool.commit([_login()], {})
    sender.wake()
    assert transport.entered.wait(30)

    clock.time += PATIENCE_S - 1
    assert pulse.alive
    clock.time += 1
    assert not pulse.alive


def test_a_delivery_with_nothing_to_do_has_a_pulse(sender_of):
    """Idleness is no hanging: each look at the empty spool renews the pulse."""
    clock, _, sender, pulse = sender_of(HangingTransport())
    for _ in range(5):
        clock.time += PATIENCE_S + 100
        sender.wake()

        assert eventually(lambda: pulse.alive)


@pytest.mark.parametrize(("alive", "fed"), [(True, ["fed"]), (False, [])])
def test_the_watchdog_starves_when_the_delivery_hangs(alive, fed):
    """Reading that gets on is not enough."""
    told = []
    daemon = object.__new__(_Daemon)
    daemon._holder = SimpleNamespace(changed=lambda: False)
    daemon._link = SimpleNamespace(alive=alive)
    daemon._notifier = SimpleNamespace(alive=lambda: told.append("fed"), wants_status=False)
    daemon.keep_up()

    assert told == fed


def test_a_running_agent_tells_how_it_is_going(tmp_path, monkeypatch):
    """Ready when it watches, alive while it runs, reloading in between, stopping at the end."""
    manager = Manager(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    log = tmp_path / "auth.log"
    log.touch()
    with Running(tmp_path, [log]).start() as run:
        assert eventually(lambda: "WATCHDOG=1" in manager.told())
        assert "READY=1" in manager.told()
        run.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: manager.told().count("READY=1") == 2)
        run.stop()
    told = [message for message in manager.told() if message != "WATCHDOG=1"]
    manager.socket.close()

    status = "STATUS=watching 1 of 1 logs; 0 logins wait; last delivery never"
    assert [status, "READY=1", "STOPPING=1"] == [told[0], told[1], told[-1]]
    assert any(message.startswith("RELOADING=1\nMONOTONIC_USEC=") for message in told[2:-1])
