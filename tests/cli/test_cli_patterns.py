"""``explain`` and ``patterns``."""

import csv
import io
import json
import os
import re
import textwrap

import pytest
from commands import ROOT, on_terminal, process, run

LOGIN = "Nov 22 21:41:45 web1 sshd[7]: Accepted password for alice from 192.0.2.7 port 57276 ssh2"
NO_LOGIN = LOGIN.replace("57276", "5x276")


@pytest.fixture(name="config_file")
def _config_file(tmp_path):
    """A configuration with one empty pattern directory."""
    (tmp_path / "patterns.d").mkdir(mode=0o755)
    path = tmp_path / "config.yaml"
    path.write_text(f"patterns: {{directories: [{tmp_path}/patterns.d]}}")
    return path


class TestExplain:
    """Why a line is a login, or is none."""

    def test_each_field_stands_below_its_place(self):
        """A login shows rule, values, and every field below its place in the message."""
        result = run("explain", LOGIN)

        message = next(i for i, line in enumerate(result.lines) if line.startswith("   | Accepted"))
        below = {
            line.split()[-1]: (line.index("^"), line.rindex("^") + 1)
            for line in result.lines[message + 1 :]
        }
        start, end = below["user"]
        assert result.code == 0
        assert result.lines[message][start:end] == "alice"
        assert "sshd/accepted" in result.out
        assert "user=alice host=192.0.2.7 service=sshd kind=login method=password" in result.out

    def test_a_miss_has_a_caret(self):
        """A line that nearly is a login shows how far the nearest rule got, and why."""
        result = run("explain", NO_LOGIN)
        lines = result.lines

        assert result.code == 1
        assert "no rule matches; sshd/accepted got furthest" in lines[0]
        assert lines[-1].index("^") == lines[-2].index("5x276")
        assert "digits only" in lines[-1]

    def test_the_same_for_programs(self):
        """As JSON all of it has names and positions."""
        hit, miss = (
            json.loads(run("explain", "--format", "json", line).out) for line in (LOGIN, NO_LOGIN)
        )

        user = next(span for span in hit["spans"] if span["name"] == "user")
        assert (hit["login"], hit["message"][user["start"] : user["end"]]) == (True, "alice")
        assert (
            miss["login"],
            miss["message"][miss["miss"]["position"] :][: miss["miss"]["length"]],
        ) == (False, "5x276")

    def test_a_row_for_each_line(self):
        """As CSV each line is a row with what it says, or why it is no login."""
        out = run("explain", "--format", "csv", stdin=f"{LOGIN}\nhello\n".encode()).out
        hit, miss = csv.DictReader(io.StringIO(out))

        assert ("true", "alice", "192.0.2.7") == (hit["login"], hit["user"], hit["host"])
        assert ("false", "", "hello") == (miss["login"], miss["user"], miss["line"])

    @pytest.mark.parametrize("word", ["-", None])
    def test_every_line_of_standard_input(self, word):
        """Without a line, and for -, all lines of standard input are explained."""
        text = f"{LOGIN}\n\n{NO_LOGIN}\n".encode()
        words = ["explain", "--format", "jsonl", *([word] if word else [])]

        result = run(*words, stdin=text)

        assert [json.loads(line)["login"] for line in result.lines] == [True, False]
        assert result.code == 1

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("hello", "the line has no header of syslog or vsftpd"),
            ("", "the line has no header"),
            (LOGIN.replace("sshd[7]", "nothing"), "no rule reads lines of the program 'nothing'"),
            (LOGIN.replace("Nov 22", "Feb 30"), "its time cannot be made out: 'Feb 30 21:41:45'"),
        ],
    )
    def test_what_else_keeps_a_line_from_being_a_login(self, line, reason):
        """Header, program and time are explained too, before any rule."""
        result = run("explain", line)

        assert result.code == 1
        assert reason in result.out

    def test_a_message_alone(self):
        """With --program the line is a message without header."""
        message = LOGIN.partition(": ")[2]

        assert (
            run("explain", message).code,
            run("explain", "--program=sshd", message).code,
        ) == (1, 0)

    def test_nothing_on_standard_input(self):
        """An empty input is wrong usage."""
        assert run("explain", "-", stdin=b"\n").code == 2

    def test_a_hostile_line_stays_text(self):
        """Escape sequences and broken UTF-8 of a line are shown, not obeyed."""
        result = process("explain", b"\x1b[2J\xff".decode("utf-8", "surrogateescape"))

        assert result.code == 1
        assert result.out.replace("\n", "").isprintable()

    def test_colour_on_a_terminal(self):
        """The answer is painted on a terminal."""
        assert "\x1b[32myes" in on_terminal("explain", LOGIN, columns=200).out


class TestList:
    """Which files are in force."""

    def test_where_each_comes_from_and_what_it_replaces(self, config_file, tmp_path):
        """A file of one's own is listed in place of the shipped one, which is named."""
        own = tmp_path / "patterns.d" / "sshd.yaml"
        own.write_bytes((ROOT / "patterns" / "sshd.yaml").read_bytes())
        own.chmod(0o644)
        words = ("patterns", "list", "-c", config_file, "--format", "json")

        rows = {row["name"]: row for row in json.loads(run(*words).out)}

        assert str(own) == rows["sshd"]["path"]
        assert rows["sshd"]["replaces"][0].endswith("patterns/sshd.yaml")
        assert rows["dovecot"]["state"] == "disabled"
        assert "sshd" in run("patterns", "list", "-c", config_file).out


class TestCheck:
    """Trying the samples."""

    def test_the_files_in_force_hold(self, config_file):
        """Without a path everything in force is tried."""
        result = run("patterns", "check", "-c", config_file)

        assert result.code == 0
        assert re.fullmatch(r"\d+ samples of \d+ rules in \d+ files hold\n", result.out)

    @pytest.mark.parametrize(
        ("old", "new", "code", "message"),
        [
            ("user: alice", "user: bob", 1, "user is 'alice', the sample says 'bob'"),
            ("{user}", "{user:wrd}", 78, "unknown kind 'wrd'"),
            ("rules:", "rulez:", 78, "unknown key 'rulez'"),
        ],
    )
    def test_what_is_wrong(self, tmp_path, old, new, code, message):
        """A failing sample is a no, a file that cannot be read is to be put right."""
        text = textwrap.dedent("""\
            service: x
            title: x
            program: [x]
            rules:
              - name: login
                line: |
                  in {user} from {host:ip}
                accept:
                  - {line: in alice from 192.0.2.7, user: alice, host: 192.0.2.7}
            """)
        path = tmp_path / "x.yaml"
        path.write_text(text)
        good = run("patterns", "check", path)
        path.write_text(text.replace(old, new))

        result = run("patterns", "check", path)

        assert (good.code, good.out) == (0, "1 sample of 1 rule in 1 file holds\n")
        assert (code, "") == (result.code, result.out)
        assert re.search(
            rf"{re.escape(str(path))}:\d+:\d+: error: {re.escape(message)}", result.err
        )

    def test_the_file_itself_is_wrong(self, config_file, tmp_path):
        """A file that is none, or that others may write, is no failing sample: 78, at once."""
        os.mkfifo(tmp_path / "patterns.d" / "x.yaml")
        pipe = run("patterns", "check", "-c", config_file)
        (tmp_path / "patterns.d" / "x.yaml").unlink()
        (tmp_path / "patterns.d" / "x.yaml").touch()
        (tmp_path / "patterns.d" / "x.yaml").chmod(0o666)
        loose = run("patterns", "check", "-c", config_file)

        assert (pipe.code, loose.code) == (78, 78)
        assert "x.yaml: error: is not a regular file" in pipe.err
        assert "x.yaml: error: may be written by others" in loose.err

    def test_a_path_that_is_not_there(self):
        """A missing path is an error."""
        assert run("patterns", "check", "/nowhere").code == 1


class TestReadme:
    """The half page on patterns."""

    def test_the_pattern_of_the_readme_works(self, tmp_path, config_file):
        """Its file checks, and its log line is a login by it."""
        text = (ROOT / "README.rst").read_text("utf-8")
        found = re.search(r"   # /etc/\S+/(\w+\.yaml)\n((?:   .*\n|\n)+)", text)
        path = tmp_path / "patterns.d" / found[1]
        path.write_text(textwrap.dedent(found[2]))
        path.chmod(0o644)
        line = re.search(r'logwatch-monitis explain "(.*)"', text)[1]

        assert run("patterns", "check", path).code == 0
        assert (
            "user=bob host=192.0.2.7 service=mydoor" in run("explain", "-c", config_file, line).out
        )


class TestShow:
    """Printing a file."""

    def test_the_file_in_force_as_it_is(self, config_file):
        """The text goes to standard output, its path to standard error."""
        result = run("patterns", "show", "vsftpd", "-c", config_file)

        assert (ROOT / "patterns" / "vsftpd.yaml").read_text("utf-8") == result.out
        assert result.err.endswith("vsftpd.yaml:\n")

    def test_an_unknown_name(self, config_file):
        """The nearest name is proposed."""
        result = run("patterns", "show", "sshdd", "-c", config_file)

        assert (result.code, "did you mean 'sshd'?" in result.err) == (1, True)


class TestNew:
    """Drafting."""

    LINE = "Nov 22 21:41:45 web1 mydoord[7]: door 7 opened for bob at 192.0.2.7"

    def test_a_draft_is_a_valid_file(self, tmp_path):
        """What is drafted from a line checks, and takes that line."""
        path = tmp_path / "mydoor.yaml"
        path.write_text(run("patterns", "new", "mydoor", "--user=bob", "--from", self.LINE).out)

        assert run("patterns", "check", path).code == 0

    def test_saving(self, config_file, tmp_path):
        """With --save it is in force at once, and is never written over."""
        words = ("patterns", "new", "mydoor", "--user=bob", "--save", "-c", config_file, "--from")
        first = run(*words, "-", stdin=self.LINE.encode())
        second = run(*words, self.LINE)

        assert (first.code, first.out) == (0, "")
        assert run("explain", "-c", config_file, self.LINE).code == 0
        assert (second.code, "exists already" in second.err) == (1, True)

    def test_without_a_user(self):
        """Nobody there to be asked: the error says what is missing."""
        result = run("patterns", "new", "mydoor", "--from", self.LINE)

        assert (result.code, "--user NAME" in result.err) == (2, True)

    def test_a_message_needs_a_program(self):
        """A line without header is refused with what to do."""
        assert "--program NAME" in run("patterns", "new", "x", "--user=a", "--from", "in a").err


class TestEdit:
    """Editing with one's own editor."""

    def edit(self, monkeypatch, config_file, editor):
        """Edit vsftpd.yaml with a shell command in place of an editor."""
        monkeypatch.setenv("VISUAL", editor)
        return process("patterns", "edit", "vsftpd", "-c", config_file)

    def test_a_changed_copy_comes_into_force(self, monkeypatch, config_file, tmp_path):
        """The copy replaces the shipped file, which stays as it is."""
        result = self.edit(monkeypatch, config_file, "sed -i 's/^title: .*/title: mine/'")

        copy = tmp_path / "patterns.d" / "vsftpd.yaml"
        assert (result.code, copy.stat().st_mode & 0o777) == (0, 0o644)
        assert "title: mine" in run("patterns", "show", "vsftpd", "-c", config_file).out

    @pytest.mark.parametrize(
        ("editor", "code", "message"),
        [
            ("true", 0, "Nothing was changed."),
            ("sed -i s/^rules:/rulez:/", 78, "unknown key 'rulez'"),
            ("false", 1, "'false' ended with 1; nothing was changed"),
            ("/nowhere/vi", 1, "cannot start '/nowhere/vi'"),
            ("vi '", 1, "cannot start 'vi '': No closing quotation (set EDITOR)"),
        ],
    )
    def test_nothing_wrong_comes_into_force(self, monkeypatch, config_file, editor, code, message):
        """An unchanged file, a wrong one and a failing editor leave everything as it was."""
        result = self.edit(monkeypatch, config_file, editor)

        assert code == result.code
        assert message in result.err
        assert list((config_file.parent / "patterns.d").iterdir()) == []
