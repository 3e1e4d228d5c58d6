"""Entries of the journal as lines: whoever reads an entry makes the same line of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journals import BEGIN_US, entry

from logwatch_monitis.sources.compression import ArchiveDamagedError
from logwatch_monitis.sources.journal.entry import from_json, gap_between, same_entry, seqnum
from logwatch_monitis.sources.journal.formats import MAX_FIELD, batches, form_of

HEAD = b"2026-11-23T09:20:23.000000+00:00 web1 sshd[1001]: "


def pieces_of(data, size):
    """Return what reads *data* in pieces of so many bytes."""
    found = [data[at : at + size] for at in range(0, len(data), size)]
    return lambda: found.pop(0) if found else b""


def lines_of(data, size=65_536):
    """Return the lines made of a stream that is read in pieces."""
    form, read = form_of(pieces_of(data, size))
    return b"".join(batch.data for batch in batches(read, form, "-")).split(b"\n")[:-1]


def line_of(**fields):
    """Return the line of one entry of sshd with other fields."""
    (line,) = lines_of(entry(1, **{"message": "hello", **fields}))
    return line


def test_the_line_of_an_entry_has_the_form_of_rsyslogs_files():
    """Time of sending in UTC, machine, program, process id, message."""
    assert line_of() == HEAD + b"hello"


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"_SOURCE_REALTIME_TIMESTAMP": None}, HEAD.replace(b".000000", b".000100") + b"hello"),
        ({"SYSLOG_PID": None}, HEAD + b"hello"),
        ({"SYSLOG_PID": "9" * 4000}, HEAD + b"hello"),
        ({"SYSLOG_PID": None, "_PID": None}, HEAD.replace(b"[1001]", b"") + b"hello"),
        ({"SYSLOG_IDENTIFIER": None, "_COMM": "su"}, HEAD.replace(b"sshd", b"su") + b"hello"),
        ({"_HOSTNAME": None}, HEAD.replace(b"web1 ", b"") + b"hello"),
        ({"SYSLOG_IDENTIFIER": "x sshd[7]: y"}, HEAD.replace(b"sshd", b"x_sshd_7___y") + b"hello"),
        ({"message": "a\nb\tc\x7f\n\n"}, HEAD + b"a#012b#011c#177"),
        ({"message": b"\xff\xe9"}, HEAD + b"\xff\xe9"),
    ],
)
def test_fields_that_are_missing_or_odd(fields, line):
    """Trusted fields stand in for missing ones, and nothing that was sent can leave its place."""
    assert line_of(**fields) == line


@pytest.mark.parametrize(
    "fields", [{"__REALTIME_TIMESTAMP": "x", "_SOURCE_REALTIME_TIMESTAMP": None}, {"message": ""}]
)
def test_an_entry_without_time_or_message_is_no_line(fields):
    """It cannot be a login."""
    assert lines_of(entry(1, **{"message": "x", **fields})) == []


def test_json_gives_the_same_line():
    """Text as a string, bytes as numbers, several values as a list, null for what is too long."""
    fields = dict(f.split(b"=", 1) for f in entry(1, "hello").splitlines() if f)
    record = {name.decode(): value.decode() for name, value in fields.items()}
    for message, expected in [
        ("hello", HEAD + b"hello"),
        ([0xFF, 0xE9], HEAD + b"\xff\xe9"),
        (["hello", "Accepted"], HEAD + b"hello"),
        ([[104, 105], "x"], HEAD + b"hi"),
    ]:
        found = from_json(json.dumps({**record, "MESSAGE": message}).encode())
        assert (found.line, found.time_us) == (expected, BEGIN_US + 1_000_000)
    assert from_json(json.dumps({**record, "MESSAGE": None}).encode()) is None


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"7", b'{"MESSAGE":"x"}', b'"\xff"'])
def test_json_that_is_no_entry(line):
    """It is passed over."""
    assert from_json(line) is None


MESSAGES = st.one_of(st.text(min_size=1), st.binary(min_size=1), st.just("x\n\nMESSAGE=y\n"))


@given(messages=st.lists(MESSAGES, min_size=1, max_size=5), size=st.integers(1, 400))
def test_however_a_stream_is_cut_its_entries_are_the_same(messages, size):
    """Binary and text fields in any order of pieces; no message passes for another entry."""
    data = b"".join(entry(n, message) for n, message in enumerate(messages))
    assert lines_of(data, size) == lines_of(data)
    assert len(lines_of(data)) == len(messages)


@pytest.mark.parametrize("kind", [str, bytes])
@pytest.mark.parametrize("size", [1000, 65_536])
def test_a_field_that_is_too_long_is_passed_over_with_flat_memory(kind, size):
    """The entry behind it is found."""
    long = "A" * (3 * MAX_FIELD)
    message = long if kind is str else long.encode()
    assert lines_of(entry(1, message) + entry(2, "x"), size)[-1].endswith(b": x")


@pytest.mark.parametrize(
    "tail",
    [b"hello\n", b"MESSAGE\n" + b"\xff" * 8, b"\0\0\0\n"],
    ids=["no field", "an impossible size", "zeros"],
)
def test_what_is_no_journal_any_more_is_told_after_what_is_readable(tail):
    """The entries before it are there, then the error with the place."""
    data = entry(1, "x")
    form, read = form_of(pieces_of(data + tail + b"\n", 65_536))
    found = batches(read, form, "file")
    assert len(next(found)) == 1
    with pytest.raises(ArchiveDamagedError, match=f"file: no journal entry after {len(data)}"):
        next(found)


def test_the_last_entry_may_lack_its_empty_line():
    """As in what was copied by hand; but one that lacks its message was cut off."""
    whole = entry(1, "x")
    assert lines_of(whole[:-1]) == lines_of(whole[:-2]) == lines_of(whole)
    with pytest.raises(ArchiveDamagedError, match="ends in a journal entry"):
        lines_of(whole[: whole.index(b"SYSLOG_PID")])


def test_cursors_tell_entries_apart():
    """A copied journal counts anew, its entries are the same."""
    one = "s=a;i=5;b=c;m=d;t=e;x=f"
    assert same_entry(one, one)
    assert same_entry(one, one.replace("s=a;i=5", "s=b;i=6"))
    assert not same_entry(one, one.replace("x=f", "x=e"))
    assert not same_entry("s=a;i=5", "s=a;i=6")
    assert not same_entry("t=zz", "t=yy")
    assert (seqnum(one), seqnum("x=1")) == (5, 0)
    assert gap_between(one, one.replace("i=5", "i=a")) == 4
    assert gap_between(one, one.replace("s=a", "s=b")) is None
