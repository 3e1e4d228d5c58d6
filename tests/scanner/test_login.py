"""The login's id and the ordinals of byte-identical lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.login import Login, iso_time
from logwatch_monitis.scanner.login_id import JobStart, Ordinals, login_id

LINE = b"Mar  5 04:05:06 web1 sudo:    alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls"


class TestLoginId:
    """`login_id`."""

    def test_is_128_bits_and_stable(self):
        """The id never changes between versions: states and monitors hold it for years."""
        assert login_id(LINE, 2026, None, 0) == "a9867a95f144ec87b9817a52c8fe25f6"

    def test_each_part_counts(self):
        """Line, year, machine and ordinal all tell logins apart."""
        ids = {
            login_id(LINE, 2026, None, 0),
            login_id(LINE + b" ", 2026, None, 0),
            login_id(LINE, 2025, None, 0),
            login_id(LINE, None, None, 0),
            login_id(LINE, 2026, "web1", 0),
            login_id(LINE, 2026, None, 1),
        }

        assert len(ids) == 6

    @given(st.binary(max_size=4), st.text("0123456789", max_size=4), st.integers(0, 300))
    def test_parts_never_run_together(self, line, machine, ordinal):
        """Digits that move from one part to the next make another id."""
        moved = login_id(line + machine.encode(), None, None, ordinal)

        assert moved != login_id(line, None, machine or "0", ordinal)


class TestOrdinals:
    """`Ordinals`."""

    def test_counts_identical_lines_of_one_second(self):
        """The third copy of a line within its second has ordinal 2; other lines start at 0."""
        ordinals = Ordinals()

        assert [ordinals.next(name, 60) for name in "aabab"] == [0, 1, 0, 2, 1]

    def test_lines_slightly_out_of_order_are_still_counted(self):
        """A line of the next second in between does not make a copy look like the first."""
        ordinals = Ordinals()

        assert [ordinals.next("a", 60), ordinals.next("b", 61), ordinals.next("a", 60)] == [0, 0, 1]

    def test_state_stays_small(self):
        """Seconds that the log has left behind are forgotten."""
        ordinals = Ordinals()
        for second in range(10_000):
            ordinals.next(f"{second}", second)

        assert len(ordinals.save()) < 300

    def test_the_repeated_hour_is_one_hour(self):
        """An identical line an hour later, in autumn's second pass, is another login."""
        ordinals = Ordinals()
        first = ordinals.next("a", 7200, ambiguous=True)
        for second in range(7201, 10_800):
            ordinals.next(f"{second}", second, ambiguous=True)

        assert (first, ordinals.next("a", 7200, ambiguous=True)) == (0, 1)

    @given(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4), st.booleans())),
        st.integers(0, 50),
    )
    def test_saving_and_loading_changes_nothing(self, lines, cut):
        """A run that is interrupted anywhere counts like one that is not."""
        whole, parted = Ordinals(), Ordinals()
        expected = [whole.next(i, s, ambiguous=a) for i, s, a in lines]

        counted = []
        for index, (name, second, ambiguous) in enumerate(lines):
            if index == cut:
                parted = Ordinals(parted.save())
            counted.append(parted.next(name, second, ambiguous=ambiguous))

        assert counted == expected


class TestJobs:
    """Jobs that count on their own, and are compared with what was counted before them."""

    @given(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12), st.booleans())),
        st.integers(0, 30),
        st.integers(0, 30),
    )
    def test_a_job_that_may_be_followed_is_right(self, lines, first, second):
        """Its ordinals are those of one run, and so are all that come after it."""
        before, job, after = lines[:first], lines[first:][:second], lines[first:][second:]
        whole, state = Ordinals(), Ordinals()
        for name, when, ambiguous in before:
            whole.next(name, when, ambiguous=ambiguous)
            state.next(name, when, ambiguous=ambiguous)
        alone = Ordinals("", JobStart())

        found = [alone.next(i, s, ambiguous=a) for i, s, a in job]

        if state.follow(alone.opening):
            state = alone if alone.opening.left else state
            assert [whole.next(i, s, ambiguous=a) for i, s, a in job] == found
            expected = [whole.next(i, s, ambiguous=a) for i, s, a in after]
            assert [state.next(i, s, ambiguous=a) for i, s, a in after] == expected

    @pytest.mark.parametrize(
        ("before", "job", "followed"),
        [
            ([("a", 0)], [("b", 0), ("a", 1)], True),
            ([("a", 0)], [("b", 1), ("a", 0)], False),
            ([("a", 0)], [("b", 9), ("a", 0)], True),
            ([], [("a", 0), ("a", 0)], True),
        ],
    )
    def test_only_a_shared_line_is_in_the_way(self, before, job, followed):
        """A job is done again where both have counted one line of one second, and only there."""
        state, alone = Ordinals(), Ordinals("", JobStart())
        for name, second in before:
            state.next(name, second)
        for name, second in job:
            alone.next(name, second)

        assert state.follow(alone.opening) is followed

    def test_a_repeated_hour_is_counted_in_one_run(self):
        """Lines of a repeated hour are remembered for long, so a job after them is done again."""
        state, alone = Ordinals(), Ordinals("", JobStart())
        state.next("a", 5, ambiguous=True)
        alone.next("b", 100)

        assert state.follow(alone.opening) is False

    def test_loading_begins_anew(self):
        """What was counted before another state is loaded is no part of the opening."""
        ordinals = Ordinals("", JobStart())
        ordinals.next("a", 5)
        ordinals.load("")

        assert ordinals.opening.visits == []


def test_interchange_form():
    """The keys come in the documented order, the time in UTC with six digits."""
    login = Login(
        "00", 1_767_225_600_000_001, "alice", "192.0.2.7", "sshd", "login", "web1", "sshd", 7,
        "sshd/accepted", {"port": "22"}, "/var/log/auth.log", 12, b"\xff x",
    )  # fmt: skip

    assert login.as_dict() == {
        "id": "00",
        "time": "2026-01-01T00:00:00.000001+00:00",
        "user_login": "alice",
        "host": "192.0.2.7",
        "srv": "sshd",
        "kind": "login",
        "machine": "web1",
        "program": "sshd",
        "pid": 7,
        "rule": "sshd/accepted",
        "fields": {"port": "22"},
        "source": {"path": "/var/log/auth.log", "offset": 12},
        "line": "\\xff x",
    }


def test_time_always_has_six_digits():
    """A whole second is written with six zeros."""
    assert iso_time(0) == "1970-01-01T00:00:00.000000+00:00"
