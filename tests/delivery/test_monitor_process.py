"""The monitor as a process: it keeps what it confirmed, and ends when it should."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPException
from pathlib import Path

import pytest
from real_monitor import Caller, running_monitor

from logwatch_monitis.config.keys import Keys
from logwatch_monitis.config.listen import Address, bind, parse_listen
from logwatch_monitis.delivery.embedded import MonitorDied, MonitorProcess, MonitorStarted
from logwatch_monitis.errors import LockHeldError, SetupError

NOON = 1_795_348_800_000


class SteppedClock:
    """A stopwatch that a test moves."""

    def __init__(self):
        self.time = 0.0

    def now(self):
        """Return the time that was set."""
        return self.time

    monotonic = now


def until(condition, patience=10.0):
    """Wait for another process; fails the test when it takes too long."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_what_was_confirmed_survives_kill_9(tmp_path):
    """Killed under load, it has every result whose reply arrived, and none twice."""
    confirmed = []

    def send(caller, number, thread):
        for count in range(10_000):
            name = f"{thread}-{count}"
            extra = json.dumps([{"id": name}])
            try:
                answer = caller.add(number, NOON, f"user_login:{name}", additionalResults=extra)
            except (OSError, HTTPException):
                return
            if answer.body == b'{"status":"ok","data":null}':
                confirmed.append(name)

    with running_monitor(tmp_path / "data") as (process, caller):
        number = caller.make_monitor("Kill")
        threads = [threading.Thread(target=send, args=(caller, number, n)) for n in range(8)]
        for thread in threads:
            thread.start()
        until(lambda: len(confirmed) > 100)
        os.kill(process.pid, signal.SIGKILL)
        process.stop()
        for thread in threads:
            thread.join()
    with running_monitor(tmp_path / "data") as (_, caller):
        stored = [row["user_login"] for row in caller.rows(number)]
    assert len(set(stored)) == len(stored)
    assert set(confirmed) <= set(stored)


def test_it_dies_with_a_killed_parent(tmp_path):
    """The agent may be killed with SIGKILL: its monitor ends, and the directory is free."""
    program = (
        "import sys, time; from pathlib import Path\n"
        "from logwatch_monitis.delivery.embedded import MonitorProcess\n"
        "p = MonitorProcess(Path(sys.argv[1]), '127.0.0.1:0', print); p.start()\n"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        parent.stdout.readline()
        child = int(parent.stdout.readline())
        parent.kill()
    until(lambda: not _runs(child))
    with running_monitor(tmp_path / "data"):
        pass


def _runs(pid):
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_it_is_started_again_where_it_was(tmp_path):
    """A monitor that died comes back after a delay that grows, at the same address."""
    events, clock = [], SteppedClock()
    with running_monitor(tmp_path / "data", events=events.append, clock=clock) as (process, caller):
        for delay in (1, 2):
            os.kill(process.pid, signal.SIGKILL)
            until(lambda: process.pid is None)
            process.check()
            clock.time += delay - 0.1
            process.check()
            assert process.pid is None
            clock.time += 0.1
            process.check()
            assert 200 == caller.raw("GET", "/healthz").status
        url = caller.address.url
    started = MonitorStarted(url)
    assert [started, MonitorDied(-9, 1), started, MonitorDied(-9, 2), started] == events


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: nobody else may look at it")
def test_it_does_not_inherit_keys(tmp_path, monkeypatch):
    """Keys of another monitor that stand in the agent's environment are not in the child's."""
    for name in ("API_KEY", "SECRET_KEY"):
        monkeypatch.setenv(f"LOGWATCH_MONITIS_{name}", "NOTFORYOU")
    with running_monitor(tmp_path / "data") as (process, _):
        inherited = Path(f"/proc/{process.pid}/environ").read_bytes()

    assert b"PATH=" in inherited
    assert b"NOTFORYOU" not in inherited


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_well_and_soon(tmp_path, number, capfd):
    """Exit status 0 within three seconds, without a word, also while a page is open."""
    ready, theirs = os.pipe()
    command = [sys.executable, "-m", "logwatch_monitis.server.web", "--data", str(tmp_path)]
    command += ["--listen", "127.0.0.1:0", "--ready-fd", str(theirs)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[theirs]) as process:
        os.close(theirs)
        with os.fdopen(ready) as line:
            address = parse_listen(line.readline().strip())
        cookie = Caller(address, Keys.load_or_make(tmp_path)).cookie()["Cookie"]
        with socket.create_connection(address) as page:
            request = f"GET /events HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n"
            page.sendall(request.encode())
            assert page.recv(100).startswith(b"HTTP/1.1 200")
            process.send_signal(number)
            assert 0 == process.wait(3)
    assert not capfd.readouterr().err


def test_an_idle_monitor_sleeps(tmp_path):
    """Nothing to do, nothing done: fewer than one wake-up a second."""

    def wakeups(pid):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(x for x in lines if x.startswith("voluntary")).split()[1])

    with running_monitor(tmp_path / "data") as (process, caller):
        caller.raw("GET", "/healthz")
        time.sleep(0.3)
        before = wakeups(process.pid)
        time.sleep(2)
        assert wakeups(process.pid) - before <= 2


def test_a_monitor_that_cannot_start_says_why(tmp_path, capfd):
    """What is wrong stands in one line on standard error, without a traceback."""
    (tmp_path / "keys.json").write_text("nonsense")
    process = MonitorProcess(tmp_path, "127.0.0.1:0", lambda _: None)
    with pytest.raises(SetupError, match=r"exit status 78"):
        process.start()
    lines = capfd.readouterr().err.splitlines()
    assert 1 == len(lines)
    assert "keys.json: no keys in it" in lines[0]


def test_without_its_packages_the_extra_is_named():
    """Without starlette, serve says what to install."""
    program = (
        "import sys; sys.modules['starlette'] = None\n"
        "from logwatch_monitis.errors import MissingExtraError\n"
        "try: import logwatch_monitis.server.web.server\n"
        "except MissingExtraError as error: print(error.exit_code, error.render())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("78 the embedded monitor (starlette) is not installed (pip")


def test_a_second_one_on_the_same_data_is_refused(tmp_path):
    """It waits a while for one that is just ending, then the agent is told as by exit code 75."""
    with running_monitor(tmp_path / "data"):
        second = MonitorProcess(tmp_path / "data", "127.0.0.1:0", lambda _: None)
        with pytest.raises(LockHeldError):
            second.start()


def test_a_taken_port_is_an_error_or_the_next_one_is_tried():
    """The caller says how many ports may be tried; with one, a taken port is named."""
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(SetupError, match=f"127.0.0.1:{port} is taken") as error:
            bind("127.0.0.1", port)
        assert 78 == error.value.exit_code
        with bind("127.0.0.1", port, tries=20) as second:
            assert port < second.getsockname()[1] < port + 20


def test_ipv6_addresses_have_brackets(tmp_path):
    """`[::1]:0` is listened on, and the address that is told can be opened."""
    with running_monitor(tmp_path / "data", "[::1]:0") as (_, caller):
        assert caller.address.url.startswith("http://[::1]:")
        assert 200 == caller.page("/").status


@pytest.mark.parametrize("text", ["127.0.0.1", "::1:8460", "host:", ":8460", "host:70000", "h:x"])
def test_what_is_no_address_is_refused(text):
    """Host and port, IPv6 in brackets; everything else is named with an example."""
    with pytest.raises(SetupError, match="no address to listen on") as error:
        parse_listen(text)
    assert "127.0.0.1:8460" in error.value.hint


def test_listening_everywhere_is_named_by_the_machine():
    """0.0.0.0 is no address to open: the machine's name stands in the printed one."""
    page = Address("0.0.0.0", 8460).page("KEY")
    assert f"http://{socket.gethostname()}:8460/?key=KEY" == page
