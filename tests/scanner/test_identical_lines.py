"""Lines of one second that are equal to the last byte: a login each, but for those read again.

Between the steps of a case the log is looked at, by the same agent or by one that was killed and
started again.
"""

import json

import pytest
from reading import Reader, login
from tail_bench import Bench

from logwatch_monitis.scanner.login_id import Numberings, Ordinals
from logwatch_monitis.sources.files.checkpoint import dump, load

A, B = login("a"), login("b")


def renamed(bench):
    """The log is rotated."""
    bench.write(A)
    yield
    bench.rotate()
    bench.write(A)
    yield
    bench.write(A)
    return 3


def renamed_unread(bench):
    """Neither side was read."""
    bench.write(A)
    bench.rotate()
    bench.write(A)
    yield
    return 2


def rotated_five_times(bench):
    """Each file has the line."""
    for _ in range(5):
        bench.write(A)
        bench.rotate()
    bench.write(A)
    yield
    return 6


def packed(bench):
    """Of what was read, a compressed copy is left."""
    bench.write(B, A)
    yield
    bench.rotate()
    bench.pack()
    bench.write(A)
    yield
    return 2


def copied_and_truncated(bench):
    """The copy is there."""
    bench.write(A)
    yield
    bench.copy()
    bench.replace(B, A, A)
    yield
    return 3


def written_late(bench):
    """A line comes to the renamed file after one to the new log."""
    bench.write(A)
    yield
    bench.rotate()
    bench.write(A)
    yield
    bench.write(A, name="auth.log.1")
    yield
    bench.write(A)
    return 4


def one_of_two_deleted(bench):
    """What is left was sent."""
    bench.write(A, A)
    yield
    bench.replace(A)
    yield
    bench.write(B)
    return 2


def one_more_in_a_rewritten_log(bench):
    """It is new, whatever was deleted before it."""
    bench.write(B, A)
    yield
    bench.write(A, A, name="new")
    (bench.directory / "new").rename(bench.path)
    yield
    bench.write(A)
    return 3


def older_for_a_while(bench):
    """The lines that a backup lacked come back."""
    bench.write(B, A, A)
    yield
    bench.replace(A)
    yield
    bench.write(A)
    return 2


def copy_rewritten(bench):
    """What is read again of the copy is not counted with the lines of the log."""
    bench.write(B, A)
    yield
    bench.rotate()
    bench.write(A)
    yield
    bench.replace(A, name="auth.log.1")
    yield
    bench.write(A)
    return 3


def away_and_back_without_a_line(bench):
    """While there was no log, what had been read was in no copy."""
    bench.write(B, A)
    yield
    bench.path.unlink()
    yield
    bench.write(A)
    yield
    return 1


def away_for_long(bench):
    """What had been read is given up before the log is there again, beside an older copy."""
    bench.write(B)
    yield
    bench.rotate()
    bench.write(login("c"), A)
    yield
    bench.path.unlink()
    yield
    bench.clock.time += 700
    yield
    bench.write(name="other")
    yield
    bench.write(A)
    return 1


def half_visible(bench):
    """The end of the rewritten log comes later, in the middle of a line."""
    bench.write(B, A, A)
    yield
    bench.replace(A, A[:30])
    yield
    bench.write(A[30:])
    return 2


CASES = [
    renamed,
    renamed_unread,
    rotated_five_times,
    packed,
    copied_and_truncated,
    written_late,
    one_of_two_deleted,
    one_more_in_a_rewritten_log,
    older_for_a_while,
    copy_rewritten,
    away_and_back_without_a_line,
    away_for_long,
    half_visible,
]


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_each_is_sent_as_often_as_it_was_logged(case, killed, tmp_path):
    """A rotation goes on counting, a rewrite counts what there is."""
    bench = Bench(tmp_path)
    bench.write()
    reader = Reader(bench)
    steps, expected = case(bench), 0
    while not expected:
        if killed:
            reader.kill()
        try:
            next(steps)
        except StopIteration as end:
            expected = end.value
        if killed:
            reader.start()
        reader.look()
    sent = reader.sent
    reader.close()

    assert expected == sent["a"]
    assert sent["b"] <= 1


@pytest.mark.parametrize("killed", [False, True])
def test_a_rewrite_while_reading_is_paused(killed, tmp_path):
    """What was read and could not be taken is taken once, and so is what comes then."""
    bench = Bench(tmp_path)
    bench.write(B, A)
    reader = Reader(bench)
    reader.spool.full = True
    bench.write(A)
    reader.look()
    bench.replace(A, A)
    reader.look()
    bench.write(A)
    if killed:
        reader.kill()
        reader.start()
    reader.look()
    reader.spool.full = False
    reader.look()
    reader.look()
    sent = reader.sent
    reader.close()

    assert sent == {"a": 3, "b": 1}


def test_a_state_of_version_0_1_goes_on_counting():
    """It knows one numbering, which has no name; and it reads what is written now."""
    ordinals = Ordinals()
    ordinals.next("a", 60)
    numberings = Numberings(ordinals.save())

    assert numberings.turn(0, {0}).next("a", 60) == 1
    assert Ordinals(numberings.save()).next("a", 60) == 2


def test_numberings_count_by_themselves_and_are_forgotten():
    """What counts in one does not in another; one that no line can come with any more is gone."""
    numberings = Numberings()
    numberings.turn(1, {1, 2}).next("a", 60)

    assert numberings.turn(2, {1, 2}).next("a", 60) == 0

    numberings = Numberings(numberings.save())

    assert numberings.turn(1, {1}).next("a", 60) == 1
    assert numberings.turn(2, {1, 2}).next("a", 60) == 0


def test_a_place_of_version_0_1_that_awaits_known_lines_has_a_numbering_of_its_own():
    """There its lines would have been counted anew as well."""
    place = [0, "", 0, "", 0]
    files = [["auth.log.1", 1, 2, 0, place, 0], ["auth.log", 1, 3, 0, place, 2]]
    state = load(json.dumps({"v": 1, "files": files, "live": True}))

    assert state.files[0].numbering == 0
    assert state.files[1].numbering == state.numbering != 0
    assert load(dump(state)) == state
