"""``scan``: what is read, what is chosen, how it is written, and the exit codes."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import re
from pathlib import Path

import pytest
from commands import EXAMPLE_LOG, denied, on_terminal, run, spawn

EXAMPLE = EXAMPLE_LOG.read_bytes()
FOUND = [
    ("alice", "192.0.2.7", "sshd"),
    ("alice", "web1", "sudo"),
    ("bob", "2001:db8:17::5", "sshd"),
    ("anna", "192.0.2.89", "vsftpd"),
    ("ftp", "192.0.2.90", "vsftpd"),
    ("deploy", "192.0.2.20", "sshd"),
    ("deploy", "web1", "sudo"),
    ("carol", "192.0.2.31", "sshd"),
    ("carol", "web1", "sudo"),
    ("alice", "2001:db8:17::31", "sshd"),
    ("dora@EXAMPLE.ORG", "192.0.2.44", "sshd"),
    ("alice", "192.0.2.7", "sshd"),
    ("alice", "web1", "sudo"),
]
"""All logins of the example, and only logins."""


def logins(*words, **options):
    """Return the logins that scan prints as JSON lines."""
    result = run("scan", "--format", "jsonl", *words, **options)
    return [json.loads(line) for line in result.lines]


def who(found):
    """Return user, host and service of each login."""
    return [(login["user_login"], login["host"], login["srv"]) for login in found]


class TestReading:
    """What is read."""

    def test_the_example(self):
        """Every login of the example is found, and nothing that only looks like one."""
        assert who(logins(EXAMPLE_LOG)) == FOUND

    @pytest.mark.parametrize(
        ("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
    )
    def test_compressed_files(self, tmp_path, ending, pack):
        """A compressed copy holds the same logins with the same ids and places."""
        path = tmp_path / f"auth.log.1{ending}"
        path.write_bytes(pack(EXAMPLE))

        plain, packed = logins(EXAMPLE_LOG), logins(path)

        assert [login["id"] for login in plain] == [login["id"] for login in packed]
        assert [x["source"]["offset"] for x in plain] == [x["source"]["offset"] for x in packed]

    def test_standard_input(self):
        """A dash is standard input."""
        found = logins("-", stdin=EXAMPLE)

        assert who(found) == FOUND
        assert {"-"} == {login["source"]["path"] for login in found}

    def test_directories_and_globs(self, tmp_path):
        """A directory stands for its files, a glob for what it matches, each file once."""
        log = tmp_path / "auth.log"
        log.write_bytes(EXAMPLE)

        assert who(logins(tmp_path)) == FOUND
        assert who(logins(f"{tmp_path}/auth*", log)) == FOUND

    @pytest.mark.parametrize("pack", [bytes, gzip.compress])
    def test_a_pipe_with_a_name(self, tmp_path, pack):
        """A pipe, as ``<(ssh web1 cat auth.log)`` makes it, is read once and whole."""
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        with spawn("scan", "--format", "jsonl", pipe) as started:
            pipe.write_bytes(pack(EXAMPLE))
            out, _ = started.communicate(timeout=60)

        assert who(map(json.loads, out.splitlines())) == FOUND

    @pytest.mark.parametrize("pack", [bytes, gzip.compress])
    def test_a_file_without_a_time(self, tmp_path, pack):
        """Archives that keep no times leave files of 1970 behind; their logins are not so old."""
        log = tmp_path / "auth.log"
        log.write_bytes(pack(b"Jan  9 08:00:00 web1 su: (to root) alice on pts/0\n"))
        os.utime(log, (0, 0))

        assert logins(log)[0]["time"] > "2020"

    def test_rotated_copies_come_oldest_first(self, tmp_path):
        """The files of one log are read in the order in which they were written."""
        lines = EXAMPLE.splitlines(keepends=True)
        (tmp_path / "auth.log.2.gz").write_bytes(gzip.compress(b"".join(lines[:20])))
        (tmp_path / "auth.log.1").write_bytes(b"".join(lines[20:40]))
        (tmp_path / "auth.log").write_bytes(b"".join(lines[40:]))

        assert who(logins(f"{tmp_path}/*")) == FOUND

    def test_copies_of_the_same_second(self, tmp_path):
        """Where neither lines nor modification times tell the older copy, its name does."""
        names = ["auth.log.11", "auth.log.10.gz", "auth.log.2", "auth.log"]
        line = EXAMPLE.splitlines(keepends=True)[2]
        for name in names:
            (tmp_path / name).write_bytes(gzip.compress(line) if "gz" in name else line)
            os.utime(tmp_path / name, (1_795_300_000, 1_795_300_000))

        assert names == [Path(login["source"]["path"]).name for login in logins(tmp_path)]

    def test_a_log_without_years_and_zones(self, tmp_path):
        """--year, --timezone and --machine supply what the lines leave out."""
        log = tmp_path / "old.log"
        log.write_text(
            "Mar  9 08:00:00 sshd[7]: Accepted password for al from 192.0.2.7 port 1 ssh2\n"
        )
        words = (log, "--year", "2019", "--timezone", "Asia/Tokyo", "--machine", "old1")

        found = logins(*words)[0]

        assert (found["time"], found["machine"]) == ("2019-03-08T23:00:00.000000+00:00", "old1")


class TestChoosing:
    """Which logins are printed."""

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("--user bob", [2]),
            ("--user bob --user anna", [2, 3]),
            ("--service sudo --user alice", [1, 12]),
            ("--host 2001:db8:17::5", [2]),
            ("--from-machine web1 --service vsftpd", [3, 4]),
            ("--from-machine web2", []),
            ("--since 2026-11-21T15:00:00+01:00", [10, 11, 12]),
            ("--until 2026-11-21T07:58:12.004519+01:00", []),
            ("--until 2026-11-21T07:58:12.00452+01:00", [0]),
            ("--since 2026-11-21T23:00 --timezone Asia/Tokyo", [10, 11, 12]),
            ("--since 2026-11-22 --timezone Asia/Tokyo", [11, 12]),
            ("--since @1795297305", [11, 12]),
            ("--until yesterday", None),
        ],
    )
    def test_by_time_user_host_service_machine(self, words, expected):
        """Options of one kind add up, those of different kinds narrow; until is exclusive."""
        found = who(logins(EXAMPLE_LOG, *words.split()))

        if expected is not None:
            assert [FOUND[index] for index in expected] == found

    def test_the_ids_do_not_depend_on_the_choice(self, tmp_path):
        """A filter leaves ids alone, also those of lines that occur twice."""
        log = tmp_path / "auth.log"
        log.write_bytes(EXAMPLE.splitlines(keepends=True)[2] * 3)

        everything, chosen = logins(log), logins(log, "--service", "sshd", "--user", "alice")

        assert len({login["id"] for login in everything}) == 3
        assert everything == chosen

    @pytest.mark.parametrize(
        "words",
        [
            *("--since someday", "--since 2026-13-01", "--since ", "--until "),
            *("--timezone Mars/Base", "--timezone ", "--year 12", "--jobs 0"),
            *("--machine ", "--machine a\nb"),
        ],
    )
    def test_words_without_meaning(self, words):
        """A moment, a zone, a name or a number that is none is wrong usage, in one line."""
        result = run("scan", EXAMPLE_LOG, *words.split(" "))

        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)


class TestWriting:
    """How it is written."""

    def test_the_four_formats_agree(self):
        """JSON, JSON lines and CSV hold the same logins, the table as many lines and a head."""
        lines = logins(EXAMPLE_LOG)
        array = json.loads(run("scan", EXAMPLE_LOG, "--format", "json").out)
        rows = csv.DictReader(io.StringIO(run("scan", EXAMPLE_LOG, "--format", "csv").out))
        table = run("scan", EXAMPLE_LOG, "--format", "human").lines

        assert lines == array
        assert [login["id"] for login in lines] == [row["id"] for row in rows]
        assert len(lines) + 1 == len(table)

    def test_a_narrow_terminal(self):
        """On forty columns every user and host is still there, whole."""
        text = on_terminal("scan", EXAMPLE_LOG, columns=40, environ={"NO_COLOR": "1"}).out

        assert all(user in text and host in text for user, host, _ in FOUND)

    def test_the_summary(self):
        """At the end standard error tells logins by service, lines, files, time and rate."""
        loud, quiet = run("scan", EXAMPLE_LOG), run("scan", "--quiet", EXAMPLE_LOG)

        lines = EXAMPLE.count(b"\n")
        assert re.fullmatch(
            rf"13 logins \(sshd 7, sudo 4, vsftpd 2\), {lines} lines, 1 file, "
            r"\d+\.\d\d s, (\d\.\d|\d\d+) MB/s\n",
            loud.err,
        )
        assert quiet.err == ""


class TestTrouble:
    """What cannot be read."""

    def test_a_missing_file(self, tmp_path):
        """A file that is not there is named; the others are read; exit code 1."""
        result = run("scan", "-q", "--format", "jsonl", tmp_path / "none.log", EXAMPLE_LOG)

        assert (1, len(FOUND)) == (result.code, len(result.lines))
        assert f"logwatch-monitis: {tmp_path}/none.log: cannot be read: no such file" in result.err

    @pytest.mark.parametrize("name", ["", "*.none", "auth.log/x"])
    def test_a_name_that_means_nothing(self, tmp_path, monkeypatch, name):
        """An empty name, a glob that matches nothing, a path below a file: named, exit code 1."""
        monkeypatch.chdir(tmp_path)
        Path("auth.log").write_bytes(EXAMPLE)

        result = run("scan", "-q", "--format", "jsonl", name, "auth.log")

        assert (1, len(FOUND)) == (result.code, len(result.lines))
        assert f"logwatch-monitis: {name or repr('')}: cannot be read: no" in result.err

    def test_a_link_to_itself_in_a_directory(self, tmp_path):
        """What cannot be looked at in a directory is named, the other files are read."""
        (tmp_path / "auth.log").write_bytes(EXAMPLE)
        (tmp_path / "loop").symlink_to("loop")

        result = run("scan", "-q", "--format", "jsonl", tmp_path)

        assert (1, len(FOUND)) == (result.code, len(result.lines))
        assert f"{tmp_path}/loop: cannot be read: too many levels" in result.err

    def test_some_files_denied(self, tmp_path):
        """One file that may not be read among others gives 1, and says what to do."""
        log = tmp_path / "secret.log"
        log.write_bytes(EXAMPLE)
        log.chmod(0)

        result = denied("scan", "-q", log, EXAMPLE_LOG)

        assert (1, len(FOUND)) == (result.code, len(result.lines))
        assert "permission denied" in result.err
        assert "sudo" in result.err

    def test_all_files_denied(self, tmp_path):
        """If no file at all may be read the exit code is 77."""
        logs = [tmp_path / "a.log", tmp_path / "b.log"]
        for log in logs:
            log.touch()
            log.chmod(0)

        assert denied("scan", "-q", *logs).code == 77

    def test_a_damaged_archive(self, tmp_path):
        """What stands before the damage is printed, the damage is named, exit code 1."""
        log = tmp_path / "auth.log.1.gz"
        log.write_bytes(gzip.compress(EXAMPLE)[:-9])

        result = run("scan", "-q", "--format", "jsonl", log)

        assert result.code == 1
        assert str(log) in result.err
        assert FOUND[: len(result.lines)] == who(map(json.loads, result.lines))
        assert result.lines

    def test_hostile_file_names(self, tmp_path):
        """A file name with escape sequences or broken UTF-8 harms neither output nor messages."""
        log = os.fsencode(tmp_path) + b"/\x1b[2J\xff.log"
        Path(os.fsdecode(log)).write_bytes(EXAMPLE)

        result = run("scan", "--format", "jsonl", os.fsdecode(log), os.fsdecode(log) + "x")

        assert os.fsdecode(log) == json.loads(result.lines[0])["source"]["path"]
        assert "\\x1b[2J" in result.err
        assert "\x1b" not in result.err

    def test_no_file_named(self):
        """Without a file it is wrong usage."""
        assert run("scan").code == 2

    def test_a_wrong_pattern_file(self, tmp_path):
        """A pattern file with a mistake stops it with 78 and the place."""
        (tmp_path / "patterns.d").mkdir(mode=0o755)
        (tmp_path / "patterns.d" / "x.yaml").write_text("service: x\n")
        (tmp_path / "patterns.d" / "x.yaml").chmod(0o644)
        path = tmp_path / "config.yaml"
        path.write_text(f"patterns: {{directories: [{tmp_path}/patterns.d]}}")

        result = run("scan", "-c", path, EXAMPLE_LOG)

        assert (result.code, result.out) == (78, "")
        assert "x.yaml:1:1: error: " in result.err
