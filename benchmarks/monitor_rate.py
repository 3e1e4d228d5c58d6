"""Measures the embedded monitor: durable results a second, and answers with a million results.

    python benchmarks/monitor_rate.py [--rows 1000000] [--seconds 5] [--clients 64]

The monitor is bound to one core, the clients to the others. Requests are signed beforehand. A bare
starlette application, which reads the form, stores nothing and answers the same bytes, runs through
the same load on the same core: its rate is what the server beneath allows.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from logwatch_monitis.config.keys import Keys
from logwatch_monitis.config.listen import Address
from logwatch_monitis.delivery.embedded import MonitorProcess
from logwatch_monitis.protocol.wire import (
    LOGIN_PARAMETERS,
    MAX_BATCH,
    Result,
    checksum,
    encode_batch,
    encode_parameters,
    encode_results,
)
from logwatch_monitis.server.store.store import Definition, Store

BUSY_DAY = 10_000
DAY_MS = 86_400_000
USERS = [f"user{n}" for n in range(200)]
HOSTS = [f"192.0.2.{n}" for n in range(250)] + [f"2001:db8::{n:x}" for n in range(2_000)]


def main() -> None:
    """Run all measurements and print a line for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--clients", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        started = time.perf_counter()
        day, rare = asyncio.run(fill(directory, options.rows))
        size = (directory / "monitor.sqlite").stat().st_size / 2**20
        took = time.perf_counter() - started
        print(f"{options.rows:,} results stored in {took:.0f} s, {size:,.0f} MiB")
        core = min(os.sched_getaffinity(0))
        process = MonitorProcess(directory, "127.0.0.1:0", lambda _: None, reads="key")
        address = process.start()
        bind_to_cores(process.pid)
        try:
            asyncio.run(
                measure(
                    Bench(address, Keys.load_or_make(directory), process.pid), options, day, rare
                )
            )
            print(f"resident memory of the monitor: {resident(process.pid):.0f} MiB")
        finally:
            process.stop()
        measure_peer(options, Keys.load_or_make(directory), core)


PEER = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

async def answer(request):
    await request.body()
    return Response(b'{"status":"ok","data":null}', media_type="application/json")

app = Starlette(routes=[Route("/customMonitorApi", answer, methods=["POST"])])
uvicorn.run(app, port=int(sys.argv[1]), http="h11", log_level="error", access_log=False, ws="none")
"""


def measure_peer(options: argparse.Namespace, keys: Keys, core: int) -> None:
    """Put the load of addResult on the bare application."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = Address(*free.getsockname())
    with subprocess.Popen([sys.executable, "-c", PEER, str(address.port)]) as process:
        os.sched_setaffinity(process.pid, [core])
        until_open(address)
        bench = Bench(address, keys, process.pid)
        supply = [one(bench, number) for number in range(int(6000 * options.seconds))]
        what = f"bare starlette, {options.clients} clients"
        asyncio.run(load(what, bench, options.clients, options.seconds, supply))
        process.terminate()


def until_open(address: Address) -> None:
    """Wait until something listens."""
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(address):
            return
        time.sleep(0.05)


def bind_to_cores(pid: int | None) -> None:
    """Give the first core to the monitor, the others to us."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(pid or 0, cores[:1])
    os.sched_setaffinity(0, cores[1:] or cores)


def resident(pid: int | None) -> float:
    """Return resident memory in MiB."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def fill(directory: Path, rows: int) -> tuple[str, str]:
    """Store *rows* results of the last year; return the busy day and a host that is rare."""
    choice = random.Random(7)  # the same data every time
    now = int(time.time() * 1000)
    busy = now - now % DAY_MS - 30 * DAY_MS
    parameters = [[*row[:3], str(int(row.data_type))] for row in LOGIN_PARAMETERS]
    store = Store.open(directory)
    monitor = await store.add_monitor(
        Definition("bench", "bench", "", {"resultParams": parameters})
    )
    for first in range(0, rows, 10_000):
        batch = []
        for number in range(first, min(first + 10_000, rows)):
            dense = number < BUSY_DAY
            span = DAY_MS if dense else 365 * DAY_MS
            age = number / rows  # oldest first, as a backfill sends them
            moment = busy + choice.randrange(span) if dense else now - span + int(span * age)
            host = "192.0.2.254" if number % (rows // 20 or 1) == 0 else choice.choice(HOSTS)
            batch.append(login(f"{number:032x}", choice.choice(USERS), host, moment))
        await store.add_results(monitor, batch)
    store.close()
    return time.strftime("%Y-%m-%d", time.gmtime(busy / 1000)), "192.0.2.254"


def login(number: str, user: str, host: str, moment: int) -> Result:
    """Return a login as the agent sends it."""
    facts = {"id": number, "machine": "web1", "kind": "login", "verified": False}
    facts |= {"method": "publickey", "agent": "web1"}
    return Result(moment, {"user_login": user, "host": host, "srv": "sshd"}, facts)


class Bench:
    """Prepares requests as bytes and sends them over connections that stay open."""

    def __init__(self, address: Address, keys: Keys, pid: int | None) -> None:
        self.address = address
        self.keys = keys
        self.pid = pid

    def post(self, **params: str) -> bytes:
        """Return a signed POST."""
        now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        params |= {"apikey": self.keys.api_key, "version": "2", "timestamp": now}
        body = urlencode(params | {"checksum": checksum(self.keys.secret_key, params)}).encode()
        head = f"POST /customMonitorApi HTTP/1.1\r\nHost: {self.address}\r\n"
        head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}"
        return f"{head}\r\n\r\n".encode() + body

    def get(self, target: str, cookie: str = "") -> bytes:
        """Return a GET."""
        return f"GET {target} HTTP/1.1\r\nHost: {self.address}\r\nCookie: {cookie}\r\n\r\n".encode()

    async def ask(self, request: bytes) -> tuple[str, bytes]:
        """Send one request on a connection of its own; return head and body."""
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(request)
        answer = await read_answer(reader)
        writer.close()
        return answer

    async def load(self, clients: int, seconds: float, supply: list[bytes]) -> list[float]:
        """Send what is in *supply* from *clients* connections; return how long each one took."""
        supplies = [supply[client::clients] for client in range(clients)]
        end = time.perf_counter() + seconds
        runs = [self._client(supply, end) for supply in supplies]
        return [took for run in await asyncio.gather(*runs) for took in run]

    async def _client(self, requests: list[bytes], end: float) -> list[float]:
        reader, writer = await asyncio.open_connection(*self.address)
        times = []
        for request in requests:
            started = time.perf_counter()
            if started > end:
                break
            writer.write(request)
            _, body = await read_answer(reader)
            assert body.startswith(b'{"status":"ok"'), body
            times.append(time.perf_counter() - started)
        writer.close()
        return times


async def read_answer(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Read one answer with a Content-Length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length: ")[2].split("\r\n")[0])
    return head, await reader.readexactly(length)


async def measure(bench: Bench, options: argparse.Namespace, day: str, rare: str) -> None:
    """Measure reads, then writes."""
    key = bench.keys.page_key
    head, _ = await bench.ask(bench.get(f"/?key={key}"))
    cookie = head.partition("set-cookie: ")[2].split(";")[0]
    year, month, number = day.split("-")
    results = f"/customMonitorApi?action=getMonitorResults&monitorId=1&apikey={bench.keys.api_key}"
    results += f"&year={year}&month={month}&day={number}"
    targets = {
        "page": "/",
        "page of a user": "/?user=user7",
        "page of the only machine": "/?machine=web1",
        "page of a rare host of a machine": f"/?machine=web1&host={rare}",
        "page of nobody": "/?user=nobody&machine=web1",
        "getMonitorResults of a busy day": results,
    }
    for what, target in targets.items():
        used = processor_time(bench.pid)
        times = [await timed(bench, bench.get(target, cookie)) for _ in range(10)]
        used = (processor_time(bench.pid) - used) * 100
        middle = statistics.median(times)
        print(f"{what}: first {times[0]:.0f} ms, median {middle:.0f} ms, processor {used:.0f} ms")
    made = bench.post(
        action="addMonitor", name="n", tag="t", resultParams=encode_parameters(LOGIN_PARAMETERS)
    )
    await bench.ask(made)
    numbers = count()
    for clients in (options.clients, 1):
        supply = [one(bench, next(numbers)) for _ in range(int(6000 * options.seconds))]
        await load(f"addResult, {clients} clients", bench, clients, options.seconds, supply)
    supply = [many(bench, numbers) for _ in range(int(100 * options.seconds))]
    await load(f"addResults of {MAX_BATCH}, 4 clients", bench, 4, options.seconds, supply)


def count() -> Iterator[int]:
    """Count the logins of this run."""
    yield from range(10**9)


async def timed(bench: Bench, request: bytes) -> float:
    """Return how many ms an answer takes."""
    started = time.perf_counter()
    head, _ = await bench.ask(request)
    assert head.startswith("http/1.1 200"), head
    return (time.perf_counter() - started) * 1000


def one(bench: Bench, number: int) -> bytes:
    """Return an addResult as it is sent to any server."""
    results = encode_results({"user_login": f"u{number}", "host": "192.0.2.7", "srv": "sshd"})
    moment = str(int(time.time() * 1000))
    return bench.post(action="addResult", monitorId="2", checktime=moment, results=results)


def many(bench: Bench, numbers: Iterator[int]) -> bytes:
    """Return an addResults as the agent sends it."""
    moment = int(time.time() * 1000)
    random_id = random.Random(next(numbers))
    logins = [
        login(f"{random_id.getrandbits(128):032x}", f"u{next(numbers)}", "192.0.2.7", moment)
        for _ in range(MAX_BATCH)
    ]
    return bench.post(action="addResults", monitorId="2", results=encode_batch(logins))


async def load(what: str, bench: Bench, clients: int, seconds: float, supply: list[bytes]) -> None:
    """Put load on the monitor and print rate, latencies and the processor time of a result."""
    each = MAX_BATCH if "addResults" in what else 1
    started, used = time.perf_counter(), processor_time(bench.pid)
    times = sorted(await bench.load(clients, seconds, supply))
    took, used = time.perf_counter() - started, processor_time(bench.pid) - used
    results = len(times) * each
    late, middle = times[int(len(times) * 0.99)] * 1000, statistics.median(times) * 1000
    print(
        f"{what}: {results / took:,.0f} results/s, median {middle:.1f} ms, 99 % < {late:.1f} ms,"
        f" {used / results * 1e6:.0f} µs of processor each"
    )


def processor_time(pid: int | None) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
