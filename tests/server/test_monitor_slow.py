"""Clients that send too slowly, or too much of a head, do not hold the monitor."""

import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState

from logwatch_monitis.server.web import timeouts as connection
from logwatch_monitis.server.web.budget import Budget
from logwatch_monitis.server.web.places import Places


async def echo(_scope, receive, send):
    """Read the body, answer with its length."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]}
    )
    await send({"type": "http.response.body", "body": b"%d" % (size % 10)})


def talk(*parts):
    """Send *parts* to a server with our connection, then wait for its last word."""

    async def run():
        config = uvicorn.Config(
            echo, log_config=None, lifespan="off", h11_max_incomplete_event_size=connection.MAX_HEAD
        )
        config.load()
        state, loop = ServerState(), asyncio.get_running_loop()
        places, budget = Places(16), Budget([])
        server = await loop.create_server(
            lambda: connection.TimedProtocol(places, budget, config, state, {}), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for part in parts:
            writer.write(part)
            await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        server.close()
        return answer

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """Patience of tests is short."""
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.2)


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-a: b\r\n"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", b"abc"),
    ],
)
def test_a_request_that_does_not_arrive_ends_with_408(parts):
    """Nothing, half a head or half a body: in time the connection is closed."""
    assert talk(*parts).startswith(b"HTTP/1.1 408 ")


def test_a_whole_request_is_answered_and_the_next_one_has_its_own_time():
    """An answer stops the clock; the half of a second request starts it again."""
    whole = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    answer = talk(whole, b"GET / HTTP/1.1\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\n\r\n3" in answer


def test_a_head_has_a_limit():
    """More than 64 KiB of headers is refused."""
    flood = b"GET / HTTP/1.1\r\n" + b"X-a: b\r\n" * 10_000
    assert talk(flood).startswith(b"HTTP/1.1 400 ")


def test_a_request_behind_another_has_to_arrive_as_well():
    """Sent together with a whole request, half of a second one does not stay for ever."""
    whole = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    answer = talk(whole + whole[:-1])
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"HTTP/1.1 408 " in answer
