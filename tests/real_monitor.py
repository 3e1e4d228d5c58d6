"""Real monitors, with a clock of their own where that matters, and a little client for them."""

import asyncio
import http.client
import json
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import uvicorn

from logwatch_monitis.config.keys import Keys
from logwatch_monitis.config.listen import Address, address_of, bind
from logwatch_monitis.delivery.embedded import MonitorProcess
from logwatch_monitis.protocol.wire import checksum
from logwatch_monitis.server.api.accounts import Accounts
from logwatch_monitis.server.web.app import Options, make_app

RECORDED = datetime(2026, 11, 22, 21, 41, 45, tzinfo=UTC).timestamp()
LOGIN_PARAMS = (
    "user_login:Login Name:logins:3;host:Host Address:hostaddress:3;srv:Service:service:3"
)


def stamp(moment):
    """Return a timestamp as our client writes it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment))


class Answer(NamedTuple):
    """What came back, as it came."""

    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        """The body as JSON."""
        return json.loads(self.body)


class Caller:
    """Sends requests to one monitor; knows its keys and its clock.

    No two requests are signed in one second: what is the same to the letter is done once.
    """

    def __init__(self, address: Address, keys: Keys, clock=time.time):
        self.address = address
        self.keys = keys
        self.clock = clock
        self._calls = count()

    def raw(self, method, target, body=None, headers=()):
        """Send a request as it is; headers given here replace the usual ones."""
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, fields, answer.read())
        finally:
            connection.close()

    def get(self, action, path="/customMonitorApi", **params):
        """Send a reading action with the public key."""
        pairs = {"action": action, "apikey": self.keys.api_key} | params
        return self.raw("GET", f"{path}?{urlencode(pairs)}")

    def signed(self, action, **params):
        """Return the parameters of a writing action with its signature."""
        pairs = {"action": action, "apikey": self.keys.api_key, "version": "2"}
        moment = self.clock() + next(self._calls) % 1_600 - 800
        pairs |= {"timestamp": stamp(moment)} | params
        return pairs | {"checksum": checksum(self.keys.secret_key, pairs)}

    def post(self, action, path="/customMonitorApi", **params):
        """Send a signed writing action."""
        return self.form(self.signed(action, **params), path)

    def form(self, pairs, path="/customMonitorApi"):
        """Send parameters as a form."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.raw("POST", path, urlencode(pairs), kind)

    def make_monitor(self, name, params=LOGIN_PARAMS):
        """Make a monitor and return its id."""
        return str(self.post("addMonitor", name=name, tag=name, resultParams=params).json["data"])

    def add(self, monitor, checktime, results, **params):
        """Add one result."""
        return self.post(
            "addResult", monitorId=monitor, checktime=str(checktime), results=results, **params
        )

    def rows(self, monitor, day=(2026, 11, 22), **params):
        """Return the results of a day."""
        year, month, number = map(str, day)
        parts = {"monitorId": monitor, "year": year, "month": month, "day": number}
        return self.get("getMonitorResults", **parts, **params).json

    def cookie(self):
        """Return a header with the cookie that the page's key buys."""
        answer = self.raw("GET", f"/?key={self.keys.page_key}")
        return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}

    def page(self, target="/", headers=()):
        """Fetch something of the page."""
        return self.raw("GET", target, headers=self.cookie() | dict(headers))


@contextmanager
def running_monitor(directory: Path, listen="127.0.0.1:0", events=lambda _: None, **options):
    """Run a monitor; yields its process and a caller."""
    process = MonitorProcess(directory, listen, events, **{"reads": "key"} | options)
    address = process.start()
    try:
        yield process, Caller(address, Keys.load_or_make(directory))
    finally:
        process.stop()


@contextmanager
def monitor_at(directory: Path, clock, **options):
    """Run a monitor in this process whose clock is set by hand; yields a caller."""
    accounts = Accounts.open(directory, clock, **options)
    taken = bind("127.0.0.1", 0)
    address = address_of(taken)
    app = make_app(accounts, Options(address.port, "web1"), clock)
    config = uvicorn.Config(
        app, ws="none", lifespan="off", log_config=None, access_log=False, date_header=False
    )
    serving = uvicorn.Server(config)
    thread = threading.Thread(target=asyncio.run, args=(serving.serve([taken]),))
    thread.start()
    try:
        yield Caller(address, accounts[0].keys, clock.now)
    finally:
        serving.should_exit = True
        thread.join(30)
        accounts.close()
        taken.close()
