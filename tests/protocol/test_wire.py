"""The wire: signatures, the four inner encodings, batches, requests and replies."""

from urllib.parse import quote, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.protocol import wire

API_KEY = "FAKEAPIKEY0000000000000001"
SECRET_KEY = "FAKESECRETKEY0000000000001"
BASE = {"apikey": API_KEY, "timestamp": "2011-07-13 17:30:00", "version": "2"}
RESULT = BASE | {"action": "addResult", "monitorId": "305", "checktime": "1310578200000"}
LOGINS = "user_login:Login Name:logins:3;host:Host Address:hostaddress:3;srv:Service:service:3"
VECTORS = {
    "published by Python and Node": (
        "notReallyASecret",
        {"key1": "bar", "key2": "foo"},
        "ML1TdJ/wQc06CdIREtddB19wsKM=",
    ),
    "published by P2G, text": (
        "3MLLPEP6KB4F4NH0OCR0VN9RIV",
        {"Hello": " World"},
        "MvtCt7HhnJWR6P0GmvZb6uB25rk=",
    ),
    "published by P2G, addMonitor": (
        "3MLLPEP6KB4F4NH0OCR0VN9RIV",
        {
            "action": "addMonitor",
            "apikey": "5Q1UJD45IM5C21MVOJGIIIREIK",
            "monitorParams": "search_engine:Search Engine:www.google.com:3:False;",
            "name": "simple_custom_monitor",
            "resultParams": "position:Position:N/A:3;",
            "tag": "website position checkers",
            "timestamp": "2011-07-13 17:30:00",
            "version": "2",
        },
        "4K8FWZikUnHJtsbVb9FLXQFo16Q=",
    ),
    "addMonitor of the article": (
        SECRET_KEY,
        BASE
        | {
            "action": "addMonitor",
            "name": "login monitor",
            "tag": "loginMonitor",
            "resultParams": LOGINS,
        },
        "I4XWckeEIhjiZZTKW/4PAHqz/bg=",
    ),
    "addResult": (
        SECRET_KEY,
        RESULT | {"results": "user_login:alice;host:192.0.2.7;srv:sshd"},
        "wHcvllC0/X6Mht6+/WyvCgJ81jY=",
    ),
    "IPv6 raw": (
        SECRET_KEY,
        RESULT | {"results": "user_login:alice;host:2001:db8::1;srv:sshd"},
        "bIROu5y6gwFHozPkqfQtTElZxLc=",
    ),
    "IPv6 in an encoded cell": (
        SECRET_KEY,
        RESULT | {"results": "user_login:alice;host:2001%3Adb8%3A%3A1;srv:sshd"},
        "DLVghOtPvRI89sdxL1AJGeU20LU=",
    ),
    "IPv6 in an encoded cell of an encoded list": (
        SECRET_KEY,
        RESULT | {"results": "user_login%3Aalice%3Bhost%3A2001%253Adb8%253A%253A1%3Bsrv%3Asshd"},
        "uX0T8v4UbaMKMC6tghM9THaSQ1c=",
    ),
    "user name in UTF-8": (
        SECRET_KEY,
        RESULT | {"results": "user_login:josé;host:192.0.2.7;srv:sshd"},
        "f/VqvADIbmRcSEHWWHIW3aj5bw8=",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_checksum_vectors(name):
    """Every published or verified signature comes out to the letter."""
    secret, params, expected = VECTORS[name]
    assert expected == wire.checksum(secret, params)


@pytest.mark.parametrize("given", ["checksum with +", "checksum with blank"])
def test_verify(given):
    """A checksum counts also when its plus signs arrived as blanks; a wrong one never does."""
    params = VECTORS["addResult"][1]
    right = VECTORS["addResult"][2]
    sent = right if given == "checksum with +" else right.replace("+", " ")

    assert " " in right.replace("+", " ")
    assert wire.verify(SECRET_KEY, params | {"checksum": sent})
    assert not wire.verify(SECRET_KEY, params | {"checksum": sent.replace("j", "k")})
    assert not wire.verify("another", params | {"checksum": sent})
    assert not wire.verify(SECRET_KEY, params | {"checksum": "é"})
    assert not wire.verify(SECRET_KEY, params)


# What the server sees after one form decoding, as the clients' captures have it.
PLAIN = "user_login:alice;host:2001:db8::1;srv:sshd"
CELLS = "user_login:alice;host:2001%3Adb8%3A%3A1;srv:sshd"
PAIRS = "user_login%3Aalice;host%3A2001%3Adb8%3A%3A1;srv%3Asshd"
WHOLE = "user_login%3Aalice%3Bhost%3A2001%253Adb8%253A%253A1%3Bsrv%3Asshd"


@pytest.mark.parametrize(
    "text",
    [PLAIN, CELLS, PAIRS, WHOLE, f"{PLAIN};", f"{CELLS};", f"{WHOLE}%3B"],
    ids=["bash/perl/ruby/vbs", "php/node/ours", "python", "java/net", "p2g", "trailing", "java;"],
)
def test_decode_results_reads_every_client(text):
    """Results of all client families come out the same, with IPv6 and a semicolon at the end."""
    expected = {"user_login": "alice", "host": "2001:db8::1", "srv": "sshd"}
    assert expected == wire.decode_results(text)


DEFINITION = "user_login:Login Name:logins:3;host:Host Address::3"


@pytest.mark.parametrize(
    "text",
    [
        DEFINITION,
        f"{DEFINITION};",
        "user_login:Login+Name:logins:3:false;host:Host+Address::3:false",
        "user_login:Login%20Name:logins:3;host:Host%20Address::3",
        "user_login%3ALogin%2BName%3Alogins%3A3%3Bhost%3AHost%2BAddress%3A%3A3",
    ],
    ids=["plain", "p2g/perl/vbs", "php", "node/python/ours", "java/net"],
)
def test_decode_parameters_reads_every_client(text):
    """Definitions of all client families come out the same, their extra cells left out."""
    expected = (
        ("user_login", "Login Name", "logins", wire.DataType.STRING),
        ("host", "Host Address", "", wire.DataType.STRING),
    )
    assert expected == wire.decode_parameters(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("user:c++", "c++"),
        ("user:100%;host:a", "100%"),
        ("user:", ""),
        ("user%3Aa%252Bb", "a+b"),
        ("user%3Aa%2Bb", "a b"),
        ("user%3Aa%2Bb;host%3Ax", "a+b"),
    ],
    ids=["plus", "lone percent", "empty", "java plus", "one python pair", "python pairs"],
)
def test_decode_results_ambiguities(text, value):
    """What the forms leave open is decided as the module says."""
    assert value == wire.decode_results(text)["user"]


@pytest.mark.parametrize("text", ["user", "user;host", ":alice", "a:b;c"])
def test_decode_results_refuses(text):
    """A result without a name or without a value is refused."""
    with pytest.raises(ValueError, match="name:value"):
        wire.decode_results(text)


@pytest.mark.parametrize("text", ["user", ":Login::3", "user:Login:logins:9", "user:a:b:x"])
def test_decode_parameters_refuses(text):
    """A definition without a name, a second cell or a known data type is refused."""
    with pytest.raises(ValueError, match=r"definition|data type"):
        wire.decode_parameters(text)


texts = st.text(st.characters(codec="utf-8"))
names = st.text(st.characters(codec="utf-8"), min_size=1)


@given(st.dictionaries(names, texts, min_size=1))
def test_results_round_trip(values):
    """Whatever a stranger's user name holds, it arrives as it was: no value becomes two."""
    assert values == wire.decode_results(wire.encode_results(values))


@given(st.text(st.characters()))
def test_encode_cell(text):
    """A cell is encoded as the standard library does; no text at all makes it raise."""
    assert quote(text, safe="", errors="backslashreplace") == wire.encode_cell(text)


@given(st.lists(st.tuples(names, texts, texts, st.sampled_from(wire.DataType)), min_size=1))
def test_parameters_round_trip(rows):
    """Definitions arrive as they were."""
    assert tuple(rows) == wire.decode_parameters(wire.encode_parameters(map(_parameter, rows)))


def _parameter(row):
    return wire.Parameter(*row)


def test_login_parameters():
    """The login monitor is defined as the article did, its blanks percent-encoded."""
    assert LOGINS.replace(" ", "%20") == wire.encode_parameters(wire.LOGIN_PARAMETERS)


RESULTS = st.builds(
    wire.Result,
    st.integers(0, wire.MAX_CHECKTIME),
    st.dictionaries(names, texts, min_size=1),
    st.dictionaries(names, st.one_of(texts, st.booleans(), st.none(), st.integers())),
    others=st.just(()),
)


@given(st.lists(RESULTS, min_size=1, max_size=5))
def test_batch_round_trip(results):
    """A batch arrives as it was, in its order."""
    assert results == wire.decode_batch(wire.encode_batch(results))


def test_batch_form():
    """A batch is the compact JSON that the protocol's description gives."""
    result = wire.Result(1310578200000, {"host": "::1"}, {"id": "ab", "verified": True})
    expected = (
        '[{"checktime":1310578200000,"results":"host:%3A%3A1",'
        '"additionalResults":[{"id":"ab","verified":true}]}]'
    )
    assert expected == wire.encode_batch([result])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("{}", "array"),
        ("[]", "array"),
        (f"[{'1,' * 500}1]", "array"),
        ("[1]", "entry 0"),
        ('[{"checktime":true,"results":"a:b"}]', "entry 0"),
        ('[{"checktime":-1,"results":"a:b"}]', "entry 0"),
        ('[{"checktime":1e3,"results":"a:b"}]', "entry 0"),
        ('[{"checktime":9999999999999999,"results":"a:b"}]', "entry 0"),
        ('[{"checktime":1,"results":"a:b"},{"checktime":1,"results":"a"}]', "entry 1: results"),
        ('[{"checktime":1,"results":"a:b","additionalResults":[{"a":[]}]}]', "entry 0: additional"),
    ],
)
def test_batch_refuses(text, message):
    """A batch with anything wrong in it is refused as a whole, and the text names the entry."""
    with pytest.raises(ValueError, match=message):
        wire.decode_batch(text)


def test_additional():
    """Additional results are an array of flat objects, each kept; one alone needs no array."""
    assert wire.encode_additional({}) == "[]"
    assert wire.decode_additional(wire.encode_additional({"id": "x"})) == [{"id": "x"}]
    assert wire.decode_additional('[{"a":1},{"a":2,"b":3}]') == [{"a": 1}, {"a": 2, "b": 3}]
    assert wire.decode_additional('{"a":1}') == [{"a": 1}]
    assert wire.decode_additional("") == []


@pytest.mark.parametrize(
    "text", ["[NaN]", '[{"a":Infinity}]', '[{"a":1e999}]', "[1]", '[{"a":{}}]']
)
def test_additional_refuses(text):
    """What JSON does not have, and what is not flat, is refused."""
    with pytest.raises(ValueError, match="JSON"):
        wire.decode_additional(text)


def test_parse_params():
    """Query and body are merged; only & separates, the first of two counts, names stay as sent."""
    query = "action=addResult&apiKey=K&results=a%3Ab;c:d&results=later"
    body = b"name=x+y%2B&action=other&flag&=&\r\n"

    expected = {
        "action": "addResult",
        "apiKey": "K",
        "results": "a:b;c:d",
        "name": "x y+",
        "flag": "",
        "": "",
    }
    assert expected == wire.parse_params(query, body)
    assert wire.api_key(expected) == "K"


@given(st.text("%%%0aAfF25+=_ .\t\r\n\0é☃"))
def test_values_are_decoded_as_the_standard_library_does(text):
    """Whatever stands in a value, escapes that are none included, is read as by unquote_plus."""
    assert wire.parse_params(f"x={text}") == {"x": unquote_plus(text)}


def test_parse_params_bounds():
    """Thousands of parameters are refused, not parsed."""
    with pytest.raises(ValueError, match="more than 100"):
        wire.parse_params("a&" * 10_000)


@pytest.mark.parametrize(
    ("text", "expected"), [("1310578200000", 1310578200000), ("1310578200", 1310578200000)]
)
def test_parse_checktime(text, expected):
    """Milliseconds are taken as they are, seconds are recognised."""
    assert expected == wire.parse_checktime(text)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "٣", "9" * 15, "9" * 5000, "x"])
def test_parse_checktime_refuses(text):
    """What is no time within four-digit years is refused."""
    with pytest.raises(ValueError, match="checktime"):
        wire.parse_checktime(text)


def test_render_json():
    """JSON is compact, on one line, in the order given."""
    assert wire.render_json({"status": "ok", "data": 305}) == b'{"status":"ok","data":305}'


def test_render_xml():
    """XML has the protocol's elements, and no name or value can break out of them."""
    rows = [{"id": "56", "1 <x": "a\0&<b>", "on": True, "none": None, "items": [{"name": "n"}]}]

    expected = (
        "<monitors><monitor><id>56</id><_1__x>a\ufffd&amp;&lt;b&gt;</_1__x><on>true</on>"
        "<none></none><items><item><name>n</name></item></items></monitor></monitors>"
    )
    assert expected.encode() == wire.render_xml("monitors", rows, "monitor")


def test_xml_round_trip():
    """What the server renders, the client's reader gives back."""
    value = {"name": "Login Monitor", "resultParams": [{"name": "host"}, {"name": "srv"}]}
    assert value == wire.element_value(wire.parse_xml(wire.render_xml("monitor", value)))


BILLION = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'
READS_FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'


@pytest.mark.parametrize(
    "body",
    [
        BILLION.encode(),
        BILLION.encode("utf-16"),
        READS_FILE.encode(),
        b"<a>" * 10_000,
        b"<a>",
        b"",
        b"<a>" + b" " * wire.MAX_REPLY + b"</a>",
    ],
    ids=["entities", "utf-16", "file", "deep", "open", "empty", "long"],
)
def test_parse_xml_refuses(body):
    """XML with a document type, too deep, too long or broken is refused."""
    with pytest.raises(ValueError, match="answer"):
        wire.parse_xml(body)
