"""The generated code gives the reference's answers, for every line and every message."""

import random
import subprocess
import sys
from typing import ClassVar

from grammar_lines import all_texts, message, rules
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.grammar.compile import compile_rule, generate, load, runtime
from logwatch_monitis.grammar.interpret import match
from logwatch_monitis.grammar.notation import parse_line
from logwatch_monitis.grammar.static import searches
from logwatch_monitis.grammar.tree import MAX_MESSAGE, Rule


@given(rules, st.integers(0, 2**32))
def test_compiled_code_answers_like_the_reference(rule, seed):
    """Generated code and interpreter agree on 50 messages made of the rule's own texts."""
    rng = random.Random(seed)
    function = compile_rule(rule).match
    for _ in range(50):
        text = message(rule, rng)

        answer = match(rule, text, "m", "p")

        expected = answer and tuple(answer)[1:]
        assert expected == function(text, "m", "p"), text


class Counting(str):
    """A message that counts how many characters ``find`` looks at, reversed or not."""

    __slots__ = ()
    looked_at: ClassVar[int] = 0

    def find(self, text, start=0, end=None):
        """Find, and add the distance to what was found, or to the end of the search."""
        found = super().find(text, start, end)
        last = min(len(self), len(self) if end is None else end)
        Counting.looked_at += (last if found < 0 else found) - min(start, last)
        return found

    def __getitem__(self, key):
        """Return a part that counts too."""
        return Counting(super().__getitem__(key))


@given(rules, st.integers(0, 2**32))
def test_no_message_is_searched_more_often_than_the_static_cost_says(rule, seed):
    """Whatever a message holds, ``find`` sees it at most as often as the rule was counted for."""
    rng = random.Random(seed)
    function = compile_rule(rule).match
    allowed = sum(map(searches, rule.lines + rule.excepts))
    texts = [text for one in rule.lines + rule.excepts for text in all_texts(one.parts)]
    for _ in range(20):
        noise = rng.choices([*texts, "a", ":"], k=rng.randrange(1, 5))
        text = message(rule, rng) + "".join(rng.choices(noise, k=200)) + message(rule, rng)
        Counting.looked_at = 0

        function(Counting(text), "m", "p")

        assert Counting.looked_at <= allowed * len(text)


LINE = "Accepted {method} for {user:text} from {host:ip} port {port:int}{? {proto:ssh1|ssh2}}"


def test_the_source_depends_on_the_rule_alone():
    """The same rule gives the same text in two processes with other hash seeds."""
    rule = "from logwatch_monitis.grammar import compile, notation, tree\n"
    rule += f"line = notation.parse_line({LINE!r})\n"
    rule += "print(compile.generate(tree.Rule((line, line), (line,), {'x': '{machine}'})))"

    def run(seed):
        command = [sys.executable, "-c", rule]
        env = {"PYTHONHASHSEED": seed}
        return subprocess.run(command, env=env, capture_output=True, check=True).stdout

    assert b"def match(" in run("1")
    assert run("1") == run("2")


def test_source_from_a_cache_is_loaded_with_shared_memory_of_hosts():
    """Functions loaded with one runtime share the hosts that were checked."""
    names = runtime()
    function = load(generate(Rule((parse_line(LINE),))), names)

    function("Accepted password for a from ::ffff:192.0.2.7 port 1", "m", "p")

    expected = {"::ffff:192.0.2.7": "192.0.2.7"}
    assert expected == names["IPS"]


def test_a_message_over_the_limit_is_not_tried():
    """65,536 characters may match, one more may not; the reference agrees."""
    rule = Rule((parse_line("abc {r:rest}"),), (), {"user": "u", "host": "h"})
    longest = "abc " + "x" * (MAX_MESSAGE - 4)
    function = compile_rule(rule).match

    assert ("u", "h", None, {"r": longest[4:]}) == function(longest, "m", "p")
    assert function(longest + "x", "m", "p") is None
    assert match(rule, longest + "x", "m", "p") is None


def test_lines_that_begin_alike_are_read_once_up_to_where_they_differ():
    """The text that three lines share is searched for once in the source."""
    sources = [f"{{user}} : {{? }}{name}={{a:rest}}" for name in ("TTY", "PWD", "HOST")]

    source = generate(Rule(tuple(map(parse_line, sources)), (), {"host": "{machine}"}))

    expected = 1
    assert expected == source.count("m.find(' : '")


def test_many_lines_that_begin_alike_stay_within_what_python_allows():
    """Thirty lines, each beginning with the one before, compile and answer."""
    sources = [
        "abc {user}" + "".join(f" {c}{{}}" for c in "defghijklmnopqrstuvwxyz"[:n])
        for n in range(23)
    ]
    rule = Rule(tuple(map(parse_line, reversed(sources))), (), {"host": "h"})

    expected = ("bob", "h", None, {})
    assert expected == compile_rule(rule).match("abc bob dx ey", "m", "p")
