"""Takes the pictures of the monitor's page that the documentation shows.

    python docs/screenshots.py [DIRECTORY]

Needs Debian's chromium and chromium-driver; with fonts-inter they look as they do here. The logins
are invented and the clock stands still, so the same page gives the same pictures.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

os.environ["TZ"] = "Europe/Berlin"
time.tzset()

import uvicorn  # noqa: E402 - the zone comes first
from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402

from logwatch_monitis.config.listen import address_of, bind  # noqa: E402
from logwatch_monitis.protocol.wire import LOGIN_PARAMETERS, Result  # noqa: E402
from logwatch_monitis.server.api.accounts import Accounts  # noqa: E402
from logwatch_monitis.server.store.store import Definition, Store  # noqa: E402
from logwatch_monitis.server.web.app import Options, make_app  # noqa: E402

NOW = datetime(2026, 11, 22, 20, 41, 45, tzinfo=UTC).timestamp()
DAY = 86_400
LOGINS = 11_000
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")
PEOPLE = ("alice", "bob", "carol", "dave", "erin", "deploy", "backup", "root")
OFTEN = (26, 17, 12, 8, 5, 18, 12, 2)
HOMES = ("192.0.2.17", "192.0.2.44", "198.51.100.23", "2001:db8:4::1f", "203.0.113.90")
MACHINES = ("web1", "web2", "db1", "mail", "bastion")
QUERIES = {
    "light": (1360, 1000, "light", "/"),
    "dark": (1360, 1000, "dark", "/?service=sshd&since=30d"),
    "phone": (390, 844, "light", "/"),
}


class StoppedClock:
    """Says always the same."""

    def now(self) -> float:
        """Return the moment of the pictures."""
        return NOW

    def monotonic(self) -> float:
        """Return the same."""
        return NOW


def invented() -> Iterator[Result]:
    """Yield logins of a year: more by day, fewer on weekends, and two that stand out."""
    choice = random.Random(22)
    moments = sorted(NOW - choice.random() ** 1.25 * 364 * DAY for _ in range(LOGINS))
    for number, moment in enumerate(moments):
        local = datetime.fromtimestamp(moment)  # noqa: DTZ006 - people keep local hours
        night = local.hour < 7 or local.hour > 20  # noqa: PLR2004
        idle = night or local.weekday() > 4  # noqa: PLR2004
        user = "backup" if night and choice.random() < 0.6 else choice.choices(PEOPLE, OFTEN)[0]  # noqa: PLR2004
        if idle and choice.random() < 0.72 and user not in ("backup", "deploy"):  # noqa: PLR2004
            continue
        yield login(number, moment, user, choice)
    facts = {"id": "new", "machine": "bastion", "kind": "login", "verified": True}
    facts |= {"method": "password", "agent": "bastion"}
    values = {"user_login": "carol", "host": "198.51.100.201", "srv": "sshd"}
    yield Result(int((NOW - 130) * 1000), values, facts)
    facts = {"id": "ahead", "machine": "mail", "kind": "login", "verified": False}
    facts |= {"method": "publickey", "agent": "mail"}
    values = {"user_login": "dave", "host": "192.0.2.44", "srv": "sshd"}
    yield Result(int((NOW + 1_260) * 1000), values, facts)


def login(number: int, moment: float, user: str, choice: random.Random) -> Result:
    """Return one login."""
    machine = choice.choices(MACHINES, (6, 5, 3, 2, 4))[0]
    srv, kind = choice.choices(
        (("sshd", "login"), ("sudo", "command"), ("su", "session"), ("vsftpd", "login")),
        (62, 27, 4, 7),
    )[0]
    home = HOMES[PEOPLE.index(user) % 5] if choice.random() < 0.8 else choice.choice(HOMES)  # noqa: PLR2004
    facts = {"id": str(number), "machine": machine, "kind": kind, "agent": machine}
    facts["verified"] = machine in ("web1", "bastion")
    if kind == "login":
        facts["method"] = "publickey" if srv == "sshd" else "password"
    host = machine if kind != "login" else home
    return Result(int(moment * 1000), {"user_login": user, "host": host, "srv": srv}, facts)


async def fill(store: Store) -> None:
    """Store what is invented, as if each had arrived a moment after it happened."""
    parameters = [[*row[:3], str(int(row.data_type))] for row in LOGIN_PARAMETERS]
    definition = Definition("Login Monitor", "loginMonitor", "", {"resultParams": parameters})
    monitor = await store.add_monitor(definition)
    results = [one for one in invented() if not _silent(one)]
    recent = next(n for n, one in enumerate(results) if one.checktime > (NOW - 9 * DAY) * 1000)
    parts = [results[n : min(n + 500, recent)] for n in range(0, recent, 500)]
    parts += [[one] for one in results[recent:]]
    real = time.time_ns
    for part in parts:
        stored = min(part[-1].checktime + 400, int(NOW * 1000) - 4_000)
        time.time_ns = lambda stored=stored: stored * 1_000_000  # type: ignore[misc]
        await store.add_results(monitor, part)
    time.time_ns = real


def _silent(one: Result) -> bool:
    """Leave out what an agent that fell silent did not send."""
    return one.additional["machine"] == "db1" and one.checktime > (NOW - 8 * DAY) * 1000


@contextmanager
def monitor(directory: Path, *, empty: bool) -> Iterator[str]:
    """Run a monitor in this process; yields the address of its page."""
    import asyncio

    clock = StoppedClock()
    accounts = Accounts.open(directory, clock)
    if not empty:
        asyncio.run(fill(accounts[0].store))
    listening = bind("127.0.0.1", 0)
    address = address_of(listening)
    app = make_app(accounts, Options(address.port, "web1"), clock)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield address.page(accounts[0].keys.page_key)
    finally:
        accounts[0].live.close()
        server.should_exit = True
        thread.join()
        accounts.close()


@contextmanager
def browser(directory: Path) -> Iterator[webdriver.Chrome]:
    """Run a browser whose clock is that of the pictures' zone."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={directory / 'profile'}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Europe/Berlin"})
    try:
        yield driver
    finally:
        driver.quit()


def take(driver: webdriver.Chrome, name: str, to: Path, width: int, height: int) -> None:
    """Save a picture."""
    import base64

    size = {"width": width, "height": height, "deviceScaleFactor": 1.25, "mobile": width < 500}  # noqa: PLR2004
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    time.sleep(0.7)  # until the page says that it is live
    picture = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    (to / f"page-{name}.png").write_bytes(base64.b64decode(picture["data"]))


def appearance(driver: webdriver.Chrome, scheme: str) -> None:
    """Choose light or dark; nothing moves in a picture."""
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def main() -> None:
    """Take all pictures."""
    to = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "pictures")
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, browser(Path(name)) as driver:
        with monitor(Path(name) / "full", empty=False) as page:
            driver.get(page)
            for picture, (width, height, scheme, target) in QUERIES.items():
                appearance(driver, scheme)
                driver.get(page.partition("/?")[0] + target)
                take(driver, picture, to, width, height)
        with monitor(Path(name) / "empty", empty=True) as page:
            appearance(driver, "light")
            driver.get(page)
            take(driver, "empty", to, 1120, 700)


if __name__ == "__main__":
    main()
