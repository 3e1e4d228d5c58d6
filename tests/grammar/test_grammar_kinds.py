"""The kinds accept what the definition says, character by character."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.grammar.field_types import (
    hosts,
    is_host,
    is_int,
    is_ip,
    is_user,
    is_word,
    without_mapping,
)


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "1::",
        "fe80::1%eth0",
        "1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:1.2.3.4",
        "::ffff:1.2.3.4",
        "::1%" + "z" * 15,
        "::1%a:b",
        "A::f",
    ],
)
def test_addresses(text):
    """IPv4 without leading zeros, IPv6 in every spelling, a zone of up to 15 characters."""
    assert is_ip(text)
    assert is_host(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.2.3",
        "01.2.3.4",
        "1.2.3.256",
        "1.2.3.4%eth0",
        "::1%",
        "::1%" + "z" * 16,
        "::1%a b",
        "::1%a/b",
        "::1%a%b",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4::5:6:7:8",
        "::1::",
        ":::",
        ":1::",
        "1:",
        "1.2.3.4::",
        "12345::",
        "::1.2.3.04",
        "::g",
        "1.2.3.4 ",
        "\uff11.2.3.4",
        "0:0:0:0:0:0:0:1.2.3.4",
    ],
)
def test_what_only_looks_like_an_address(text):
    """None of these is an address."""
    assert not is_ip(text)


@pytest.mark.parametrize(
    "text",
    ["h", "_dmarc.x", "a-b.example.org", "UNKNOWN", "1a", "10-0-0-1", "x.", "x" * 253, "1.2.3.4a"],
)
def test_host_names(text):
    """A name of up to 253 characters, its last label not all digits."""
    assert is_host(text)


@pytest.mark.parametrize(
    "text", ["", "123", "a.1", "1.2.3.256", "-a", ".a", "a b", "a:b", "é", "x" * 254, "a/b", "a%b"]
)
def test_what_is_no_host(text):
    """Neither address nor name."""
    assert not is_host(text)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("0", True),
        ("9" * 20, True),
        ("9" * 21, False),
        ("", False),
        ("-1", False),
        ("²", False),
        ("٣", False),
        ("1 ", False),
    ],
)
def test_numbers(text, answer):
    """1 to 20 ASCII digits."""
    assert answer is is_int(text)


@pytest.mark.parametrize(
    ("text", "word", "user"),
    [
        ("a", True, True),
        ("", False, False),
        (" ", False, False),
        ("\t\n\v\f\r", False, False),
        ("a b", False, True),
        ("a\vb", False, True),
        ("\x85", True, True),
        ("\u00a0", True, True),
        ("\x1f", True, True),
    ],
)
def test_blanks_are_ascii_blanks(text, word, user):
    """Space, tab, line feed, vertical tab, form feed and return are blank, nothing else is."""
    assert (word, user) == (is_word(text), is_user(text))


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:192.0.2.7", "192.0.2.7"),
        ("::ffff:c000:207", "::ffff:c000:207"),
        ("::ffff:1.2.3.4%eth0", "::ffff:1.2.3.4%eth0"),
        ("h.example", "h.example"),
    ],
)
def test_a_mapped_address_is_named_as_ipv4(host, name):
    """``::ffff:`` is removed before an IPv4 address, and from nothing else."""
    assert name == without_mapping(host)


def test_the_memory_of_hosts_is_bounded():
    """It answers like the check, forgets before it grows large, and keeps no long text."""
    known = hosts()

    expected = ["1.2.3.4", "", ""]
    assert expected == [known["::ffff:1.2.3.4"], known["-"], known["x" * 300]]
    for n in range(10_000):
        assert known[f"h{n}"] == f"h{n}"
    assert len(known) <= 4096
    assert "x" * 300 not in known


groups = st.lists(
    st.sampled_from(["", "0", "1", "ffff", "12345", "1.2.3.4", "01.2.3.4", "g"]), max_size=9
)


@given(groups.map(":".join) | st.text("0123456789.:af", max_size=20))
def test_addresses_are_those_of_the_standard_library(text):
    """Python's ipaddress module accepts exactly the same texts, zones left aside."""
    try:
        ipaddress.ip_address(text)
        expected = True
    except ValueError:
        expected = False

    assert expected is is_ip(text)
