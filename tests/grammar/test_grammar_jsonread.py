"""JSON messages: the same checks as for lines, and nothing that two programs read differently."""

import json

import pytest

from logwatch_monitis.grammar.json_matcher import JsonReader

SUDO = JsonReader(
    "@cee:",
    "sudo.accept",
    {"user": "submituser", "target": "runuser", "pid_of": "pid"},
    {"host": "{machine}"},
)


def message(**members):
    """Return what sudo writes."""
    return "@cee:" + json.dumps({"sudo": {"accept": {"submituser": "al", **members}}})


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (message(runuser="root", pid=12), {"target": "root", "pid_of": "12"}),
        (message(pid=1.50), {"pid_of": "1.5"}),
        (message(runuser="a\ud800b"), {"target": "a\\ud800b"}),
        (message(other=[{"x": None}], runargv=["a"]), {}),
        ('@cee: {"sudo":{"accept":{"submituser":"al","pid":1e400}}}\n', {"pid_of": "1e400"}),
        (message(x=[[[[[[[[[[[[["]"]]]]]]]]]]]]]), {}),
        (message(x="[" * 100 + '"{'), {}),
    ],
)
def test_members_are_taken_as_they_are_written(text, fields):
    """Strings and numbers become text, missing members are absent, others do not matter."""
    assert SUDO.match(text, "web1", "sudo") == ("al", "web1", None, fields)
    assert SUDO.trace(text) is None


@pytest.mark.parametrize(
    ("text", "miss"),
    [
        ("cee:{}", (0, 5, "expected '@cee:' here")),
        ("@cee:{", (6, 1, "this is no JSON: expecting property name enclosed in double quotes")),
        ("@cee:{} x", (8, 1, "this is no JSON: extra data")),
        ('@cee:{"a":NaN}', (5, 9, "NaN is no JSON")),
        ('@cee:{"a":{"b":1,"b":1}}', (5, 19, "the member 'b' stands there twice")),
        ('@cee:{"sudo":{"reject":{}}}', (5, 22, "no object 'sudo.accept' here")),
        ('@cee:{"sudo":[]}', (5, 11, "no object 'sudo.accept' here")),
        ("@cee:" + "[" * 17 + "]" * 17, (5, 34, "nested more than 16 deep")),
        ("@cee:" + "[" * 60_000, (5, 60_000, "nested more than 16 deep")),
        (message(x="x" * 65_536), (5, 65_587, "longer than 65536 characters")),
        (message(submituser=" "), (5, 41, "'submituser' is blank")),
        (message(runuser=None), (5, 59, "'runuser' is neither text nor a number")),
        (message(runuser=["root"]), (5, 63, "'runuser' is neither text nor a number")),
    ],
)
def test_a_message_that_is_not_as_described_is_refused(text, miss):
    """Nothing is taken from it, and the reason says what is wrong, and where."""
    assert SUDO.match(text, "web1", "sudo") is None
    assert miss == SUDO.trace(text)


def test_a_host_that_is_taken_is_checked_and_named_as_in_lines():
    """It must be a host, and loses ``::ffff:``."""
    reader = JsonReader("@cee:", "a", {"user": "u", "host": "h", "service": "s"})

    found = reader.match('@cee:{"a":{"u":"x","h":"::ffff:1.2.3.4","s":"ftp"}}', "m", "p")
    assert found == ("x", "1.2.3.4", "ftp", {})
    text = '@cee:{"a":{"u":"x","h":"a b"}}'
    assert reader.match(text, "m", "p") is None
    assert reader.trace(text).message == "'h' is no address and no host name"
    assert reader.match('@cee:{"a":{"u":"x"}}', "m", "p") is None
