"""The command line as a whole: help, errors in one line, exit codes, signals, pipes, colours."""

import importlib
import os
import pkgutil
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from commands import EXAMPLE_LOG, PROGRAM, all_commands, on_terminal, process, run, spawn

from logwatch_monitis import __version__, cli
from logwatch_monitis.cli.main import COMMANDS, _explain
from logwatch_monitis.errors import LockHeldError


def cpu_seconds(words):
    """Run a command and return what it cost; less shaken by other work than the clock."""
    started = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    assert started.returncode == 0
    return usage.ru_utime + usage.ru_stime


EVERY = [pytest.param(words, command, id=" ".join(words)) for words, command in all_commands()]


class TestHelp:
    """What --help shows."""

    @pytest.mark.parametrize(("words", "command"), EVERY)
    def test_each_command_has_help_with_an_example(self, words, command):
        """The help of every command says what it does and ends with an example of itself."""
        result = run(*words, "--help")

        assert result.code == 0
        assert result.err == ""
        assert (
            f"logwatch-monitis {' '.join(words)}".rstrip() in result.out.partition("Example:\n")[2]
        )
        assert result.out.rstrip().endswith(command.example)

    @pytest.mark.parametrize(("words", "command"), EVERY)
    def test_each_option_says_what_it_is_for(self, words, command):
        """No option stands in the help without a word, and none but groups lacks --config."""
        options = [p for p in command.params if isinstance(p, click.Option)]

        assert [option.name for option in options if not option.help] == []
        if not isinstance(command, click.Group):
            assert "--config" in {name for option in options for name in option.opts}

    @pytest.mark.parametrize(("words", "command"), EVERY)
    def test_data_comes_in_every_format(self, words, command):
        """A command that prints data offers all four formats."""
        offered = [list(p.type.choices) for p in command.params if p.name == "form"]

        assert offered in ([], [["human", "json", "jsonl", "csv"]])

    def test_the_overview_repeats_what_each_command_says_of_itself(self):
        """The overview's line is the first one of the command's own help."""
        firsts = {
            name: importlib.import_module(f"logwatch_monitis.cli.{name}").command.help
            for name in COMMANDS
        }

        assert {name: text.partition("\n")[0] for name, text in firsts.items()} == COMMANDS

    def test_help_starts_quickly(self):
        """--help costs less than three times as much as Python with three standard modules."""
        reference = [sys.executable, "-c", "import re, json, argparse"]
        ours, theirs = zip(
            *((cpu_seconds([*PROGRAM, "--help"]), cpu_seconds(reference)) for _ in range(9)),
            strict=True,
        )

        assert min(ours) < 3 * min(theirs)

    def test_version(self):
        """--version names program and version."""
        assert (0, f"logwatch-monitis {__version__}\n", "") == run("--version")


class TestMistakes:
    """Wrong usage."""

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("sacn", "no such command 'sacn' (did you mean 'scan'?)"),
            ("monitor lst", "no such command 'lst' (did you mean 'list'?)"),
            ("status --formt json", "no such option --formt (did you mean --format?); see"),
            ("status --format xml", "invalid value for '--format': 'xml' is not one of"),
            ("status more", "got unexpected extra argument (more); see"),
            ("", "missing command; see 'logwatch-monitis --help'"),
            ("monitor", "missing command; see 'logwatch-monitis monitor --help'"),
            (
                "monitor push",
                "missing option '--result'; see 'logwatch-monitis monitor push --help'",
            ),
            ("monitor push --result x", "--result 'x' is not NAME:VALUE"),
            ("run --listen x", "--listen: 'x' is no address to listen on (HOST:PORT is wanted"),
            ("run --format json", "--format needs --dry-run"),
        ],
    )
    def test_one_line_and_code_2(self, words, message):
        """A mistake gives one line on standard error, with what was meant, and exit code 2."""
        result = run(*words.split())

        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
        assert result.err.startswith(f"logwatch-monitis: {message}")

    def test_what_others_wrote_is_inert(self):
        """An escape sequence in a message is shown, not obeyed."""
        assert r"'\x1b[2J'" in run("\x1b[2J").err

    def test_errors_keep_their_codes(self):
        """An error's own exit code is that of the command, its hint stands in parentheses."""
        error = LockHeldError("busy", "wait")

        assert _explain(error) == ("logwatch-monitis: busy (wait)", 75)

    def test_our_own_mistakes_give_no_traceback(self):
        """A defect is named with its place, in one line, and asks for the debug variable."""
        try:
            int("HUSH")
        except ValueError as error:
            text, code = _explain(error)

        assert re.fullmatch(
            r"logwatch-monitis: internal error: ValueError in test_cli_main.py:\d+ "
            r"\(LOGWATCH_MONITIS_DEBUG=1 shows more\)",
            text,
        )
        assert code == 70

    @pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False), ("", False)])
    def test_a_traceback_only_on_request(self, monkeypatch, value, shown):
        """LOGWATCH_MONITIS_DEBUG=1, and nothing else, shows where an error came from."""
        monkeypatch.setenv("LOGWATCH_MONITIS_DEBUG", value)

        assert shown == ("Traceback" in run("sacn").err)

    def test_every_module_of_commands_is_a_command_or_shared(self):
        """Each module that holds a command is in the table of commands."""
        modules = [found.name for found in pkgutil.iter_modules(cli.__path__)]
        holding = [
            name
            for name in modules
            if hasattr(importlib.import_module(f"logwatch_monitis.cli.{name}"), "command")
        ]

        assert sorted(COMMANDS) == sorted(holding)


class TestProcess:
    """The command as a process among others."""

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_signals_end_a_command_quietly(self, number, code):
        """SIGINT and SIGTERM end a one-shot command with their usual codes and no words."""
        with spawn("scan", "--format", "jsonl", "-") as started:
            started.stdin.write(EXAMPLE_LOG.read_bytes())
            started.stdin.flush()
            started.stdout.readline()  # it is in the middle of its work
            started.send_signal(number)
            _, err = started.communicate(timeout=30)

        assert (code, b"") == (started.returncode, err)

    def test_a_closed_pipe_is_quiet(self, tmp_path):
        """When the reader has seen enough, the command stops without a word or an error."""
        log = tmp_path / "big.log"
        log.write_bytes(EXAMPLE_LOG.read_bytes() * 2000)
        with spawn("scan", "--format", "jsonl", log) as started:
            started.stdout.readline()
            started.stdout.close()
            err = started.stderr.read()
            code = started.wait(60)

        assert (code, err) == (0, b"")

    def test_a_full_disk_is_an_error(self):
        """Output that cannot be written gives an error and a code that is not 0."""
        with Path("/dev/full").open("wb") as full:
            result = process("scan", EXAMPLE_LOG, stdout=full)

        assert (result.code, result.err) == (
            1,
            "logwatch-monitis: No space left on device (free some space and run it again)\n",
        )

    def test_a_closed_output_is_an_error(self):
        """A program started without standard output says so."""
        words = f"{' '.join(PROGRAM)} scan {EXAMPLE_LOG} >&-"
        done = subprocess.run(["sh", "-c", words], stderr=subprocess.PIPE, check=False)

        assert (
            done.returncode,
            done.stderr,
        ) == (2, b"logwatch-monitis: there is no standard output to write to\n")

    def test_a_closed_input_is_an_empty_one(self):
        """Started with standard input closed, a command finds nothing there."""
        words = ["sh", "-c", '"$0" -m logwatch_monitis explain - <&-', sys.executable]
        done = subprocess.run(words, capture_output=True, text=True, check=False)

        assert (2, "logwatch-monitis: there is no line on standard input\n") == (
            done.returncode,
            done.stderr,
        )

    def test_people_get_colour_and_programs_do_not(self):
        """On a terminal the table is painted, with NO_COLOR and in a pipe it is not."""
        painted = on_terminal("scan", "--quiet", EXAMPLE_LOG).out
        plain = on_terminal("scan", "--quiet", EXAMPLE_LOG, environ={"NO_COLOR": "1"}).out

        assert "\x1b[32mlogin" in painted
        assert plain == re.sub(r"\x1b\[\d+m", "", painted)
        assert process("scan", EXAMPLE_LOG).out.startswith('{"id":')
