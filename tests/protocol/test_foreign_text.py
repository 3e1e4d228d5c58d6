"""Parsers of foreign text: whatever comes, nothing but the documented errors is raised."""

import contextlib
import gzip
import importlib
import inspect
import json
import re
import socket
import string
import threading
import tracemalloc
import zlib
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from spools import SetClock

from logwatch_monitis.cli.dates import parse_moment
from logwatch_monitis.config.file import parse as parse_config
from logwatch_monitis.config.listen import parse_listen
from logwatch_monitis.errors import (
    DocumentError,
    MonitorError,
    SetupError,
    UnreachableError,
    UsageError,
)
from logwatch_monitis.grammar import field_types as kinds
from logwatch_monitis.grammar.pattern_file import read_file
from logwatch_monitis.interfaces import Reply
from logwatch_monitis.protocol import encoding as lists
from logwatch_monitis.protocol import errors as faults
from logwatch_monitis.protocol import extensions as batch
from logwatch_monitis.protocol import rendering as replies
from logwatch_monitis.protocol import request_parsing as inbound
from logwatch_monitis.protocol import responses as answers
from logwatch_monitis.protocol import url as address
from logwatch_monitis.protocol.client import MonitisClient
from logwatch_monitis.protocol.rendering import MAX_REPLY, SizeBound
from logwatch_monitis.protocol.transport import RequestsTransport
from logwatch_monitis.protocol.wire import LOGIN_PARAMETERS, Result
from logwatch_monitis.server.api import aggregation as report
from logwatch_monitis.server.page import query as asked
from logwatch_monitis.server.store.writer import OperationRefused
from logwatch_monitis.syslog.headers import split
from logwatch_monitis.syslog.timestamps import read_stamp

NOW = 1_310_578_200.0
STATUSES = [200, 200, 400, 401, 403, 404, 413, 429, 500, 503]

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
WORDS = st.sampled_from(["status", "error", "data", "id", "name", "tag", "authToken", "item"])
VALUES = st.recursive(
    SCALARS | st.sampled_from(["ok", "Invalid monitorId", "\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
ZONES = st.sampled_from(["+9999", "-9999", "+0000", "GMT", "XYZ", "", "-2459"])
DATES = st.builds("Wed, {} Jul {} 17:{}:00 {}".format, st.integers(), st.integers(0), *[
    st.integers(0, 99), ZONES,
])  # fmt: skip
ELEMENTS = st.builds("<{0}>{1}</{0}>".format, WORDS, st.text(string.printable, max_size=20))
PIECES = ["&", "=", "%", "%f", "%C3", ";", ":", "\\u", "\ud800", "{", "[", '"', "7d", "<", "٣"]
TEXTS = st.one_of(
    st.text(max_size=60),
    DATES,
    VALUES.map(json.dumps),
    ELEMENTS,
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
)
BODIES = st.one_of(
    st.binary(max_size=80),
    VALUES.map(lambda value: json.dumps(value, ensure_ascii=True).encode()),
    TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")),
    TEXTS.map(lambda text: text.encode("utf-16", "surrogatepass")),
    st.builds('<?xml version="1.0" encoding="{}"?><a>x</a>'.format, st.text(max_size=9)).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    ),
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", batch.ANNOUNCE, "content-type"]), TEXTS, max_size=3
)
REPLIES = st.builds(Reply, st.sampled_from(STATUSES), HEADERS, BODIES)
PARAMS = st.dictionaries(
    st.sampled_from(["interval", "intervalType", "since", "until", "before", "limit", "output"]),
    TEXTS,
)


def _of_reply(reader):
    return lambda reply: reader(reply, NOW)


# What each parser reads, and what it raises for text that is none: nothing else may come out.
PARSERS = {
    answers.parse_date: (answers.parse_date, TEXTS, ()),
    answers.read_answer: (_of_reply(answers.read_answer), REPLIES, MonitorError),
    answers.read_data: (_of_reply(answers.read_data), REPLIES, MonitorError),
    answers.retry_after: (lambda headers: answers.retry_after(headers, NOW), HEADERS, ()),
    answers.server_words: (answers.server_words, BODIES, ()),
    address.base_url: (address.base_url, TEXTS, SetupError),
    address.is_loopback: (address.is_loopback, TEXTS, SetupError),
    address.is_open: (address.is_open, TEXTS, SetupError),
    address.refuse_clear_text: (address.refuse_clear_text, TEXTS, SetupError),
    batch.is_ours: (batch.is_ours, HEADERS, ()),
    batch.decode_additional: (batch.decode_additional, TEXTS, ValueError),
    batch.decode_batch: (batch.decode_batch, TEXTS, ValueError),
    batch.parse_value: (batch.parse_value, TEXTS, ValueError),
    faults.classify: (faults.classify, TEXTS, ()),
    faults.inert: (faults.inert, TEXTS, ()),
    inbound.api_key: (inbound.api_key, PARAMS, ()),
    inbound.parse_checktime: (inbound.parse_checktime, TEXTS, ValueError),
    inbound.parse_number: (inbound.parse_number, TEXTS, ()),
    inbound.parse_params: (inbound.parse_params, TEXTS, ValueError),
    inbound.wants_xml: (inbound.wants_xml, PARAMS, ()),
    lists.decode_list: (lists.decode_list, TEXTS, ()),
    lists.decode_parameters: (lists.decode_parameters, TEXTS, ValueError),
    lists.decode_results: (lists.decode_results, TEXTS, ValueError),
    replies.parse_json: (replies.parse_json, BODIES, ValueError),
    replies.parse_xml: (replies.parse_xml, BODIES, ValueError),
    asked.parse: (lambda params: asked.parse(params, NOW, UTC), PARAMS, ValueError),
    report.parse_span: (report.parse_span, PARAMS, OperationRefused),
    parse_config: (
        lambda data: parse_config(data, "config.yaml"),
        BODIES,
        DocumentError,
    ),
    parse_listen: (parse_listen, TEXTS, SetupError),
    parse_moment: (
        lambda text: parse_moment(text, UTC, datetime.fromtimestamp(NOW, UTC)),
        TEXTS,
        UsageError,
    ),
    read_file: (lambda data: read_file(data, "a.yaml"), BODIES, DocumentError),
    split: (split, TEXTS, ()),
    read_stamp: (read_stamp, TEXTS, ()),
    **{
        check: (check, TEXTS, ())
        for check in (kinds.is_word, kinds.is_int, kinds.is_ip, kinds.is_host, kinds.is_user)
    },
}
# These take what our own code made.
MAKERS = {
    batch.encode_additional, batch.encode_batch, batch.make_result, faults.may_lie_in_content,
    lists.encode_cell, lists.encode_list, lists.encode_parameters, lists.encode_results,
    replies.bound_of, replies.element_value, replies.render_json, replies.render_xml,
}  # fmt: skip


def test_every_parser_of_the_protocol_is_listed():
    """A new function of the protocol is either fuzzed here, or named as one that reads nothing."""
    modules = (address, answers, batch, faults, inbound, lists, replies)
    functions = {
        getattr(module, name)
        for module in map(importlib.import_module, [module.__name__ for module in modules])
        for name in module.__all__
        if inspect.isfunction(getattr(module, name))
    }
    assert functions <= PARSERS.keys() | MAKERS


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__qualname__)
@given(data=st.data())
def test_parsers_raise_what_they_say(parser, data):
    """Whatever text comes, a parser returns or raises its documented error."""
    call, texts, errors = PARSERS[parser]
    with contextlib.suppress(errors) if errors else contextlib.nullcontext():
        call(data.draw(texts))


@pytest.mark.parametrize(
    "text",
    [
        "Wed, 13 Jul 2011 17:31:00 +9999",
        "Wed, 13 Jul 2011 17:31:00 -9999",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Wed, 13 Jul 99999999999999999999 17:31:00 GMT",
        "Wed, 13 Jul 2011 17:99:00 GMT",
    ],
)
def test_dates_that_are_none(text):
    """A date that no calendar has counts as no header."""
    assert not answers.retry_after({"retry-after": text}, NOW)


class Canned:
    """A transport that brings the same answer to every request."""

    def __init__(self, reply):
        self.reply = reply

    def send(self, method, url, params):
        """Return the answer, as long as the transport would let it be."""
        return self.reply

    def close(self):
        """Do nothing."""


CALLS = [
    lambda client: client.monitors("tag"),
    lambda client: client.monitors("tag", output="xml"),
    lambda client: client.monitor_info("1"),
    lambda client: client.results("1", date(2026, 11, 22)),
    lambda client: client.report("1", 0, 1),
    lambda client: client.additional_results("1", 0),
    lambda client: client.add_monitor("a", "b", LOGIN_PARAMETERS),
    lambda client: client.edit_monitor("1", name="x"),
    lambda client: client.delete_monitor("1"),
    lambda client: client.suspend("1"),
    lambda client: client.forget_user("alice"),
    lambda client: client.add_additional("1", 0, [{"a": 1}]),
    lambda client: client.add_result("1", Result(0, {"user_login": "a"})),
    lambda client: client.auth_token(),
]


def client_of(reply):
    """Return a client whose every request gets this reply."""
    keys = ("key", "secret")
    return MonitisClient("http://[::1]", *keys, transport=Canned(reply), clock=SetClock(NOW))


@given(reply=REPLIES, data=VALUES)
@example(reply=Reply(200, {}, b""), data={"status": "ok", "data": "many"})
@example(reply=Reply(200, {}, b""), data={"status": "ok", "data": {"id": 1}})
@example(reply=Reply(200, {}, b""), data={"resultParams": [1, None]})
@example(reply=Reply(200, {}, b""), data=[{"id": {"a": 1}}])
def test_client_raises_monitor_errors_only(reply, data):
    """Whatever a server answers to any request, the client returns or raises a MonitorError."""
    made = Reply(200, {}, json.dumps(data).encode())
    for answer in (reply, made):
        for call in CALLS:
            with contextlib.suppress(MonitorError):
                call(client_of(answer))


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"{}," * (MAX_REPLY // 3 - 1) + b"{}]",
        b"[" + b'{"":0},' * (MAX_REPLY // 7 - 1) + b"{}]",
        b"[" * (MAX_REPLY // 2),
        b"[" + b'"",' * (MAX_REPLY // 3 - 1) + b'""]',
        b"<a>" + b"<b/>" * (MAX_REPLY // 4 - 3) + b"</a>",
        b'{"a":' + b"9" * (MAX_REPLY - 10) + b"}",
    ],
    ids=["objects", "members", "deep", "texts", "elements", "digits"],
)
def test_a_hostile_answer_is_bounded_before_it_is_parsed(body):
    """16 MiB of whatever costs most in memory are refused before anything is made of them."""
    client = client_of(Reply(200, {}, body))
    tracemalloc.start()
    try:
        for call in (CALLS[0], CALLS[3], CALLS[-2]):
            with pytest.raises(UnreachableError):
                call(client)
        assert tracemalloc.get_traced_memory()[1] < 2.5 * MAX_REPLY
    finally:
        tracemalloc.stop()


def test_a_long_day_is_still_read():
    """The bound leaves room for as many results as our own monitor hands out at once."""
    row = {"user_login": "alice", "host": "192.0.2.7", "srv": "sshd", "checkTimeInGMT": 1}
    body = json.dumps([row] * 100_000, separators=(",", ":")).encode()
    assert len(client_of(Reply(200, {}, body)).results("1", date(2026, 11, 22))) == 100_000


@pytest.mark.parametrize("name", ["status", "data"])
def test_a_name_that_stands_twice_is_no_yes(name):
    """Of two members of one name nobody knows which one counts, so the answer is broken."""
    body = b'{"status":"ok","%s":"no","status":"ok","data":1}' % name.encode()
    with pytest.raises(UnreachableError, match="broken"):
        client_of(Reply(200, {}, body)).delete_monitor("1")


def test_bounds():
    """Rows, members and bytes each have a limit of their own."""
    for bound in (SizeBound(size=10), SizeBound(rows=2), SizeBound(values=2)):
        with pytest.raises(ValueError, match="too long"):
            replies.parse_json(b"[{},{},1,2,3]", bound)


class RawServer:
    """Answers each connection with the same bytes, and closes it."""

    def __init__(self):
        self.answer = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    connection.settimeout(5)
                    with contextlib.suppress(OSError):
                        while b"\r\n\r\n" not in connection.recv(65_536):
                            pass
                        connection.sendall(self.answer)
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(65_536):
                            pass

    def close(self):
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture(name="raw", scope="module")
def _raw():
    """A server of raw bytes."""
    server = RawServer()
    yield server
    server.close()


LINES = st.sampled_from(
    [
        *("Content-Length: 5", "Content-Length: -1", "Content-Length: 5, 5", "Content-Length: ٣"),
        *("Content-Length: " + "9" * 5000, "Content-Length: 1_0", "Content-Length: x"),
        *("Transfer-Encoding: chunked", "Location: http://[", "Location: //u:p@h", "Location: "),
        *("Content-Encoding: gzip", "Content-Encoding: br", "Content-Encoding: ", "X", ": x"),
        *("Connection: keep-alive", "Set-Cookie: a=b", "\0", " folded", "Retry-After: -1"),
    ]
)
STARTS = st.sampled_from(
    [
        *("HTTP/1.1 200 OK", "HTTP/1.1 302 x", "HTTP/1.1 103 x", "HTTP/1.1 100 x", "HTTP/1.1"),
        *("HTTP/1.1 101 x", "HTTP/1.1 99999 x", "HTTP/9.9 200 x", "ICY 200", "HTTP/1.1 204 x"),
        *("HTTP/1.1 2٣0 x", "HTTP/1.0 200", "HTTP/1.1 -200 x", "\x16\x03\x01"),
    ]
)
CHUNKS = st.sampled_from(
    ["", "hello", "5\r\nhello\r\n0\r\n\r\n", "-5\r\nhello", "zz\r\n", "f" * 99 + "\r\n", "5;" * 50]
)
RAW = st.builds(
    lambda start, lines, body: "\r\n".join([start, *lines, "", body]).encode(),
    STARTS, st.lists(LINES, max_size=4), CHUNKS,
)  # fmt: skip


@pytest.fixture(name="line", scope="module")
def _line():
    """A transport with little patience."""
    transport = RequestsTransport(connect=5, read=5, total=10)
    yield transport
    transport.close()


def outcome(transport, url):
    """Return the body of an answer, or the words of the error that it ends with."""
    try:
        return transport.send("GET", f"{url}/api", {"action": "getMonitors"}).body
    except UnreachableError as error:
        return str(error)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(answer=RAW | st.binary(max_size=60))
def test_transport_raises_unreachable_only(raw, line, answer):
    """Whatever bytes come over the line, the transport returns them or says in words why not."""
    raw.answer = answer
    found = outcome(line, raw.url)
    assert isinstance(found, bytes) or not re.search(r"Error|Exception|Invalid[A-Z]|None", found)


def test_a_broken_header_writes_no_log_line(raw, line, caplog):
    """What the libraries log of a broken header is a traceback, and the address with the keys."""
    raw.answer = b"HTTP/1.1 200 OK\r\nX\r\n: x\r\n\r\n{}"
    with contextlib.suppress(UnreachableError):
        line.send("GET", f"{raw.url}/api", {"action": "authToken", "secretkey": "TOPSECRET"})

    assert caplog.text == ""


def deflated(data):
    """Return what servers mean by deflate: a zlib stream."""
    return zlib.compress(data)


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", deflated)],
)
def test_compression_that_nobody_asked_for_is_unpacked(raw, coding, pack):
    """A proxy that compresses whatever passes does not stop the delivery."""
    body = pack(b'{"status":"ok","data":null}')
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"
    raw.answer = head.encode() + body
    transport = RequestsTransport()
    reply = transport.send("POST", f"{raw.url}/customMonitorApi", {"action": "addResult"})
    transport.close()

    assert reply.body == b'{"status":"ok","data":null}'


def test_early_hints_are_passed_over(raw):
    """Interim answers before the real one are no failure; a server that sends nothing else is."""
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
    raw.answer = hint * 2 + b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody"
    transport = RequestsTransport()
    assert transport.send("POST", f"{raw.url}/api", {}).body == b"body"
    raw.answer = hint * 1000
    with pytest.raises(UnreachableError, match="not HTTP"):
        transport.send("POST", f"{raw.url}/api", {})
    transport.close()
