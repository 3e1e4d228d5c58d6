"""Requests as the old clients put them on the wire, byte by byte, and the answers they cut up.

The encodings are those that were seen in captures of each client: what is signed is the text after
one form decoding.
"""

import json
import re
import socket
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha1
from hmac import digest
from urllib.parse import quote, quote_plus, urlencode

import pytest
from real_monitor import LOGIN_PARAMS, RECORDED, monitor_at
from spools import SetClock

NOON = 1_795_348_800_000  # 2026-11-22 12:00:00 UTC
IPV6 = "2001:db8::1"
TRICKY = "a;b:c%d+e&f=g h"


@pytest.fixture(scope="module")
def monitor(tmp_path_factory):
    """One monitor for all clients."""
    directory = tmp_path_factory.mktemp("clients") / "data"
    with monitor_at(directory, SetClock(RECORDED)) as caller:
        yield caller


def send(monitor, request):
    """Send raw bytes on a connection of their own; return the body of the answer."""
    with socket.create_connection(monitor.address, 20) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), answer
    return body


def post(body, target="/customMonitorApi", kind="application/x-www-form-urlencoded"):
    """Return a POST."""
    data = body if isinstance(body, bytes) else body.encode()
    head = f"POST {target} HTTP/1.1\r\nHost: www.monitis.com\r\nConnection: close\r\n"
    head += f"Content-Type: {kind}\r\n" if kind else ""
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


def sign(monitor, params):
    """Return the checksum of decoded parameters, by the published rule."""
    text = "".join(name + params[name] for name in sorted(params))
    return b64encode(digest(monitor.keys.secret_key.encode(), text.encode(), sha1)).decode()


def base(monitor, action, **params):
    """Return what every client sends with a write."""
    usual = {"action": action, "apikey": monitor.keys.api_key, "version": "2"}
    return usual | {"timestamp": "2026-11-22 21:41:45"} | params


def cells(pairs, quote_cell=lambda text: quote(text, safe="")):
    """Return name:value;name:value with each cell encoded."""
    return ";".join(f"{quote_cell(name)}:{quote_cell(value)}" for name, value in pairs)


def formed(params, encode=quote_plus):
    """Return a form."""
    return "&".join(f"{name}={encode(value)}" for name, value in params.items())


def stored(monitor, number):
    """Return the only result of the day."""
    (row,) = monitor.rows(number)
    return {name: row[name] for name in ("user_login", "host") if name in row}


PAIRS = [("user_login", "alice"), ("host", IPV6)]
HARD = [("user_login", TRICKY), ("host", IPV6)]
BY_ENCODING = {
    "SEED plain": (PAIRS, "user_login:alice;host:" + IPV6),
    "PHP3 cells, plus for blank": (PAIRS, cells(PAIRS, quote_plus)),
    "NODE cells": (HARD, cells(HARD)),
    "PY pairs as one unit": (
        HARD,
        ";".join(quote(f"{name}:{value}", safe="") for name, value in HARD),
    ),
    "JAVA cells, then all of it": (HARD, quote_plus(cells(HARD, quote_plus))),
    "PS encodes only what it must": (PAIRS, f"user_login:alice;host:{quote(IPV6, safe='')}"),
    "P2G with a semicolon at the end": (PAIRS, f"user_login:alice;host:{IPV6};"),
}


@pytest.mark.parametrize("client", BY_ENCODING)
def test_every_inner_encoding_brings_the_same_values(monitor, client):
    """IPv6 addresses and values with ; : % + & arrive whole, as far as the client's form can."""
    pairs, results = BY_ENCODING[client]
    number = monitor.make_monitor(client)
    params = base(monitor, "addResult", monitorId=number, checktime=str(NOON), results=results)
    params["checksum"] = sign(monitor, params)

    body = send(monitor, post(formed(params)))

    assert body == b'{"status":"ok","data":null}'
    assert stored(monitor, number) == dict(pairs)


@pytest.mark.parametrize(
    ("client", "params"),
    [
        ("SEED", LOGIN_PARAMS),
        ("PHP3", "user_login:Login+Name:logins:3:false;host:Host+Address:hostaddress:3:false"),
        ("NODE", "user_login:Login%20Name:logins:3;host:Host%20Address:hostaddress:3"),
        (
            "JAVA",
            "user_login%3ALogin%2BName%3Alogins%3A3%3Bhost%3AHost%2BAddress%3Ahostaddress%3A3",
        ),
    ],
)
def test_definitions_in_every_encoding(monitor, client, params):
    """Names and display names are the same, whichever way they came."""
    request = base(monitor, "addMonitor", name=f"Def {client}", tag="def", resultParams=params)
    request["checksum"] = sign(monitor, request)

    body = send(monitor, post(formed(request)))
    number = re.fullmatch(rb'\{"status":"ok","data":(\d+)\}', body)[1].decode()
    items = monitor.get("getMonitorInfo", monitorId=number).json["resultParams"]

    assert [
        ("user_login", "Login Name", "logins", 3),
        ("host", "Host Address", "hostaddress", 3),
    ] == [(item["name"], item["displayName"], item["uom"], item["dataType"]) for item in items[:2]]


def test_the_original_script(monitor):
    """The script sends raw blanks, semicolons and colons, and cuts the id from XML by its path."""
    made = base(monitor, "addMonitor", name="login monitor", tag="seed", resultParams=LOGIN_PARAMS)
    made["checksum"] = sign(monitor, made)
    text = "&".join(f"{name}={value}" for name, value in made.items() if name != "checksum")
    send(monitor, post(f"{text}&checksum={quote(made['checksum'], safe='')}"))
    target = (
        f"/customMonitorApi?action=getMonitors&apikey={monitor.keys.api_key}&tag=seed&output=xml"
    )
    listed = send(
        monitor, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    )

    number = re.search(rb"^<monitors><monitor><id>(\d+)</id>", listed)[1].decode()
    added = base(
        monitor,
        "addResult",
        monitorId=number,
        checktime=str(NOON),
        results="user_login:bob;host:2001:db8::1;srv:sshd",
    )
    raw = "&".join(f"{name}={value}" for name, value in added.items())
    body = send(monitor, post(f"{raw}&checksum={quote(sign(monitor, added), safe='')}"))

    assert body == b'{"status":"ok","data":null}'
    assert stored(monitor, number) == {"user_login": "bob", "host": "2001:db8::1"}


def test_java_posts_all_in_the_query_without_a_body(monitor):
    """Empty body, no Content-Type, name and tag encoded once more."""
    name = quote_plus("login monitor java")
    params = base(monitor, "addMonitor", name=name, tag="java", resultParams="a%3AA%3Au%3A3")
    params |= {"nocache": "1310578200000"}
    params["checksum"] = sign(monitor, params)

    body = send(monitor, post("", f"/customMonitorApi?{urlencode(params)}", ""))

    assert re.fullmatch(rb'\{"status":"ok","data":\d+\}', body)


def test_powershell_sends_a_token_apikey_in_camel_case_and_reads_xml(monitor):
    """The body is not form-encoded at all, version is left out, the answer is Result.Status."""
    number = monitor.make_monitor("ps")
    asked = monitor.get("authToken", secretkey=monitor.keys.secret_key).body.decode()
    token = asked[asked.index(":") + 2 : -2]  # as the script cuts it
    results = f"user_login:eve;host:{quote(IPV6, safe='')}"
    body = f"apiKey={monitor.keys.api_key}&authToken={token}&validation=token&output=xml"
    body += f"&action=addResult&monitorId={number}&checktime={NOON}&results={results}"

    answer = send(monitor, post(body))

    assert answer == b"<result><status>ok</status><data></data></result>"
    assert stored(monitor, number) == {"user_login": "eve", "host": IPV6}


def test_vbscript_cuts_the_id_from_behind_data(monitor):
    """What stands between "data": and } is the id."""
    made = monitor.post("addMonitor", name="vbs", tag="vbs", resultParams="a:A::3;").body.decode()
    start = made.index('"data":') + 7

    assert made[start : made.index("}", start)].isdigit()


def test_node_omits_the_version_and_signs_reads_too(monitor):
    """A checksum on a read that no version asks for is not looked at."""
    assert monitor.get("getMonitors", checksum="whatever", timestamp="now").status == 200
    assert isinstance(monitor.get("getMonitors", checksum="whatever").json, list)


def test_version_3_proves_reads_with_publickey(monitor):
    """The late PHP SDK signs or sends a token with reads; what is wrong is said."""
    params = {"action": "getMonitors", "publickey": monitor.keys.api_key, "version": "3"}
    params |= {"timestamp": "2026-11-22 21:41:45"}
    signed = params | {"checksum": sign(monitor, params)}
    target = "/customMonitorApi?" + urlencode(signed)

    assert isinstance(monitor.raw("GET", target).json, list)
    wrong = urlencode(params | {"checksum": "x" * 28})
    assert monitor.raw("GET", f"/api?{wrong}").json == {"error": "Invalid checksum"}
    token = urlencode(params | {"validation": "token", "authToken": "x" * 26})
    assert monitor.raw("GET", f"/api?{token}").json == {"error": "Invalid authentication token"}
    assert isinstance(monitor.raw("GET", f"/api?{urlencode(params)}").json, list)


def test_the_bash_sdk_puts_additional_results_among_the_results(monitor):
    """They are one more name:value, their JSON encoded once more."""
    number = monitor.make_monitor("sh")
    inner = quote('[{"disk":"sda","used":90}]', safe="")
    monitor.add(number, NOON, f"user_login:x;additionalResults:{inner}")

    given = monitor.get("getAdditionalResults", monitorId=number, checktime=str(NOON)).body

    assert given == b'[{"disk":"sda","used":90}]'
    assert stored(monitor, number) == {"user_login": "x"}


@pytest.mark.parametrize(
    ("secret", "params", "checksum"),
    [
        ("notReallyASecret", {"key1": "bar", "key2": "foo"}, "ML1TdJ/wQc06CdIREtddB19wsKM="),
        (
            "3MLLPEP6KB4F4NH0OCR0VN9RIV",
            {
                "action": "addMonitor",
                "name": "simple_custom_monitor",
                "tag": "website position checkers",
                "version": "2",
                "apikey": "5Q1UJD45IM5C21MVOJGIIIREIK",
                "timestamp": "2011-07-13 17:30:00",
                "monitorParams": "search_engine:Search Engine:www.google.com:3:False;",
                "resultParams": "position:Position:N/A:3;",
            },
            "4K8FWZikUnHJtsbVb9FLXQFo16Q=",
        ),
    ],
)
def test_published_vectors_are_taken_over_the_wire(tmp_path, secret, params, checksum):
    """A server with the published key pair takes the published signature, and no other."""
    params = {"action": "addMonitor", "apikey": "K", **params}
    known = "name" in params
    if not known:  # the shortest vector names no action; it is checked where signatures are
        from logwatch_monitis.protocol.wire import verify

        bare = {"key1": "bar", "key2": "foo", "checksum": checksum}
        assert verify(secret, bare)
        assert not verify(secret, bare | {"key2": "fop"})
        return
    (tmp_path / "keys.json").write_text(
        json.dumps({"api_key": params["apikey"], "secret_key": secret, "page_key": "P"})
    )
    published = datetime(2011, 7, 13, 17, 30, tzinfo=UTC).timestamp()
    with monitor_at(tmp_path, SetClock(published)) as caller:
        forged = caller.form(params | {"name": "other", "checksum": checksum}).body
        taken = caller.form(params | {"checksum": checksum}).body
    assert forged == b'{"status":"Invalid checksum"}'
    assert taken == b'{"status":"ok","data":1}'
