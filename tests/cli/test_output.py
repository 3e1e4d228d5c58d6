"""Logins as text: exact JSON, aligned columns, nothing that does harm."""

import csv
import io
import json
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.cli.login_output import Terminal, writer
from logwatch_monitis.login import Login, json_line
from logwatch_monitis.text import csv_cell, visible, width

ALICE = Login(
    id="0" * 32,
    time=1_795_383_705_101_076,
    user_login="alice",
    host="192.0.2.7",
    srv="sshd",
    kind="login",
    machine="web1",
    program="sshd",
    pid=26899,
    rule="sshd/accepted",
    fields={"method": "publickey", "port": "57276"},
    path="/var/log/auth.log",
    offset=8123,
    line=b"Nov 22 21:41:45 web1 sshd[26899]: Accepted publickey for alice",
)
TEXTS = st.text(st.characters(codec=None), max_size=20)
VALUES = TEXTS | st.integers() | st.booleans() | st.none()
LOGINS = st.builds(
    Login,
    id=TEXTS,
    time=st.integers(-(10**15), 10**17),
    user_login=TEXTS,
    host=TEXTS,
    srv=TEXTS,
    kind=TEXTS,
    machine=TEXTS,
    program=TEXTS,
    pid=st.none() | st.integers(0),
    rule=TEXTS,
    fields=st.dictionaries(TEXTS, VALUES, max_size=4),
    path=TEXTS,
    offset=st.integers(0),
    line=st.binary(max_size=40),
)


def written(form, *batches, **options):
    """Return what the writer of *form* makes of the batches, as bytes."""
    sink = io.BytesIO()
    out = writer(form, sink, **options)
    for batch in batches:
        out.write(batch)
    out.close()
    return sink.getvalue()


class TestJson:
    """JSON lines and JSON."""

    @given(LOGINS)
    def test_the_fast_line_is_the_slow_line(self, login):
        """The fused line is byte for byte what json.dumps makes of the dictionary."""
        assert json.dumps(login.as_dict(), separators=(",", ":")) == json_line(login)

    def test_lines_follow_the_documented_order(self):
        """A line has the contract's keys in the contract's order."""
        expected = [
            *("id", "time", "user_login", "host", "srv", "kind", "machine", "program", "pid"),
            *("rule", "fields", "source", "line"),
        ]

        record = json.loads(written("jsonl", [ALICE]))

        assert expected == list(record)
        assert record["time"] == "2026-11-22T21:41:45.101076+00:00"
        assert record["source"] == {"path": "/var/log/auth.log", "offset": 8123}

    def test_bytes_that_are_no_text_stay_valid(self):
        """A file name and a line that are no UTF-8 still give ASCII that every reader takes."""
        login = ALICE._replace(path="/logs/\udcff", line=b"\xff\x1b[2J\xc2\x9b")

        record = json.loads(written("jsonl", [login]).decode("ascii"))

        assert record["line"] == "\\xff\x1b[2J\x9b"

    @pytest.mark.parametrize("batches", [(), ([],), ([ALICE],), ([ALICE], [], [ALICE, ALICE])])
    def test_json_is_one_array(self, batches):
        """However the logins come in, the json format is one array of them."""
        expected = [login.as_dict() for batch in batches for login in batch]

        assert expected == json.loads(written("json", *batches))


class TestCsv:
    """CSV, made for spreadsheets that trust it."""

    def test_rows_under_a_header(self):
        """A header names the columns, also when no login follows."""
        rows = list(csv.DictReader(io.StringIO(written("csv", [ALICE]).decode())))

        assert rows[0]["user_login"] == "alice"
        assert rows[0]["fields"] == '{"method":"publickey","port":"57276"}'
        assert rows[0]["offset"] == "8123"
        assert written("csv").startswith(b"id,time,user_login,host,srv,kind,machine,")

    @pytest.mark.parametrize(
        ("text", "cell"),
        [
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("  @SUM(1)", "  '@SUM(1)"),
            ("+1", "'+1"),
            ("-", "'-"),
            ("a;=1", "a;'=1"),
            ('a,"=1', "a,\"'=1"),
            ("\uff1dA1", "'\uff1dA1"),
            ("\t=1", "\\t=1"),
            ("a\r\n=1", "a\\r\\n=1"),
            ("a=b", "a=b"),
            (None, ""),
            (-5, "-5"),
        ],
    )
    def test_no_cell_begins_a_formula(self, text, cell):
        """What would begin a formula, here or behind a separator, gets a quote before it."""
        assert cell == csv_cell(text)

    def test_a_row_is_a_line(self):
        """Line ends inside values never start a new line of the file."""
        login = ALICE._replace(user_login="a\nb\rc\u2028d", line=b"\x0b\x85\r")

        assert len(written("csv", [login]).decode().splitlines()) == 2


class TestHuman:
    """The table for people."""

    def test_columns_are_aligned(self):
        """Values stand below their titles, wide characters included."""
        wide = ALICE._replace(user_login="日本語ユーザー", host="2001:db8::1")

        lines = written("human", [wide, ALICE]).decode().splitlines()

        columns = [width(line[: line.index(word)]) for line, word in
                   zip(lines, ("HOST", "2001", "192.0"), strict=True)]  # fmt: skip
        assert len(set(columns)) == 1

    def test_titles_come_once(self):
        """The titles stand above the first login, and nowhere if there is none."""
        assert written("human", [], [ALICE], [ALICE]).count(b"TIME") == 1
        assert written("human") == b""

    def test_nothing_reaches_the_terminal_raw(self):
        """Escape sequences and bidirectional controls are shown, not obeyed."""
        evil = ALICE._replace(user_login="\x1b]0;x\x07\u202e\x9b", fields={"tty": "\x1b[2J"})

        text = written("human", [evil], terminal=Terminal(interactive=True, columns=200)).decode()

        assert "\\x1b]0;x\\x07\\u202e\\x9b" in text
        assert text.replace("\n", "").isprintable()

    def test_a_narrow_terminal_keeps_what_matters(self):
        """With little room the details go; user and host stay whole."""
        text = written("human", [ALICE], terminal=Terminal(interactive=True, columns=40)).decode()

        assert "alice" in text
        assert "192.0.2.7" in text
        assert "publickey" not in text

    def test_details_end_at_the_edge(self):
        """Details that do not fit are cut with an ellipsis at the terminal's width."""
        terminal = Terminal(interactive=True, columns=100)
        login = ALICE._replace(fields={"command": "x" * 200})

        lines = written("human", [login], terminal=terminal).decode().splitlines()

        assert [line[-1] for line in lines] == ["E", "…"]
        assert max(map(width, lines)) <= 100

    def test_times_are_of_the_zone_asked_for(self):
        """People read the clock of their own zone, with its distance from UTC."""
        zone = timezone(timedelta(hours=1))

        assert b"2026-11-22 22:41:45+01:00  alice" in written("human", [ALICE], zone=zone)

    def test_an_encoding_too_small_is_no_error(self):
        """What the terminal's encoding cannot show is escaped."""
        login = ALICE._replace(user_login="josé✓")

        text = written("human", [login], terminal=Terminal(encoding="latin-1"))

        assert "josé\\u2713".encode("latin-1") in text


class FakeStream(io.StringIO):
    """A text stream that is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        """Return that it is one."""
        return True


class TestTerminal:
    """Who decides on colours."""

    @pytest.mark.parametrize(
        ("environ", "colour"),
        [
            ({"TERM": "xterm"}, True),
            ({"TERM": "xterm", "NO_COLOR": "1"}, False),
            ({"TERM": "xterm", "NO_COLOR": ""}, True),
            ({"TERM": "dumb"}, False),
            ({}, False),
        ],
    )
    def test_colour_needs_a_terminal_and_no_objection(self, environ, colour):
        """NO_COLOR, when it is not empty, and a dumb terminal switch colours off."""
        assert colour == Terminal.of(FakeStream(), environ).colour
        assert not Terminal.of(io.StringIO(), environ).colour

    def test_colour_is_on_the_kind_alone(self):
        """Only the kind and the titles are painted, and painting moves nothing."""
        terminal = Terminal(interactive=True, colour=True, columns=200)

        text = written("human", [ALICE], terminal=terminal).decode()

        assert "\x1b[32mlogin\x1b[0m  web1" in text


@given(TEXTS)
def test_visible_text_is_printable(text):
    """Whatever comes in, what comes out can be printed."""
    assert visible(text).isprintable()
