"""What a rule costs: everyday messages against other engines, and the worst messages there are.

    python benchmarks/grammar_cost.py

Prints microseconds a message and the ratio to our own matcher, all in one run because
absolute figures move with the machine; then milliseconds for the most hostile rules and messages
that are allowed.
google-re2 is measured where it is installed.
"""

from __future__ import annotations

import random
import re
import time
import timeit
from collections.abc import Callable, Iterator

import pyparsing as pp

from logwatch_monitis.grammar.checks import MAX_SEARCHES, check, check_cost, searches
from logwatch_monitis.grammar.matcher import Matcher, RuleReader
from logwatch_monitis.grammar.parser import parse_line
from logwatch_monitis.grammar.plan import plan_rule
from logwatch_monitis.grammar.tree import MAX_LINE, MAX_MESSAGE, ParsedRule

LINE = (
    "Accepted {method} for {user:text} from {host:host} port {port:int}"
    " {? }{proto:ssh1|ssh2}{?: {key:rest}}"
)
PATTERN = (
    r"^Accepted (?P<method>\S+) for (?P<user>.*?) from (?P<host>[0-9A-Za-z_.:%-]+)"
    r" port (?P<port>[0-9]{1,20})  ?(?P<proto>ssh1|ssh2)(?:: (?P<key>.*))?$"
)
MESSAGES = {
    "hit": "Accepted publickey for alice from 192.0.2.7 port 57276 ssh2: ED25519 SHA256:k1kjAbc",
    "hit, no key": "Accepted password for root from 10.0.0.5 port 50022 ssh2",
    "miss": "Failed password for root from 10.0.0.5 port 50022 ssh2",
    "near miss": "Accepted google_authenticator for alice",
}
SHOWN = 12
FILLED = {"user": "u", "host": "h"}


def main() -> None:
    """Print both tables."""
    everyday()
    hostile()


def everyday() -> None:
    """Print microseconds a message for each engine."""
    engines = dict(all_engines())
    print(f"{'µs a message':16}" + "".join(f"{name:>20}" for name in engines))
    for kind, message in MESSAGES.items():
        costs = [microseconds(engine, message) for engine in engines.values()]
        cells = "".join(f"{cost:11.2f} {f'({cost / costs[0]:.1f} x)':>8}" for cost in costs)
        print(f"{kind:16}{cells}")


def all_engines() -> Iterator[tuple[str, Callable[[str], object]]]:
    """Yield each way to read the same message; ours comes first."""
    rule = ParsedRule((parse_line(LINE),))
    ours = Matcher(plan_rule(rule)).match
    yield "our matcher", lambda message: ours(message, "web1", "sshd")
    expression = re.compile(PATTERN).match
    yield "re", lambda message: (m := expression(message)) and m.groupdict()
    try:
        import re2
    except ImportError:
        pass
    else:
        linear = re2.compile(PATTERN).match
        yield "google-re2", lambda message: (m := linear(message)) and m.groupdict()
    yield "pyparsing", parser()


def parser() -> Callable[[str], object]:
    """Return the line as a pyparsing grammar, as one would write it."""
    word = pp.Regex(r"\S+")
    grammar = pp.Literal("Accepted") + word("method") + "for" + pp.SkipTo(" from ")("user") + "from"
    grammar += word("host") + "port" + pp.Word(pp.nums)("port") + pp.one_of("ssh1 ssh2")("proto")
    grammar += pp.Opt(":" + pp.rest_of_line("key"))

    def read(message: str) -> object:
        try:
            return grammar.parse_string(message, parse_all=True).as_dict()
        except pp.ParseException:
            return None

    return read


def microseconds(engine: Callable[[str], object], message: str) -> float:
    """Return the best time of five for one message."""
    timer = timeit.Timer(lambda: engine(message), timer=time.process_time)
    number, _ = timer.autorange()
    return min(timer.repeat(5, number)) / number * 1e6


def hostile() -> None:
    """Print the slowest rules, each with the message that it is slowest on."""
    results = []
    for name, sources in hostile_rules():
        lines = tuple(map(parse_line, sources))
        assert not any(map(check, lines)), (name, list(map(check, lines)))
        assert not check_cost(lines), (name, check_cost(lines))
        function = Matcher(plan_rule(ParsedRule(lines, (), FILLED))).match
        cost, text = max((milliseconds(function, text), text) for text in hostile_messages())
        results.append((cost, name, text))
    print(f"\nms, the {SHOWN} slowest of {len(results)} hostile rules")
    for cost, name, text in sorted(results, reverse=True)[:SHOWN]:
        print(f"{cost:8.2f}  {name:44} {len(text):6} {text[:24]!r}…")


def hostile_rules() -> Iterator[tuple[str, list[str]]]:
    """Yield rules that search as much as they are allowed to."""
    for name, source in hostile_lines():
        yield name, [source]
    for length in (2, 5, 9, 19, 39, 59, 79, 99):
        sources = [f"abc{{:text}}{text}" for text in needles(length, "a")]
        count = MAX_SEARCHES // searches(parse_line(sources[0]))
        yield f"lines that look for a text of {length}", sources[:count]


def hostile_lines() -> Iterator[tuple[str, str]]:
    """Yield lines of the greatest length that search as much as they can."""
    yield "one hole, one text", "abc{}" + "a" * 30 + "b"
    yield "as many holes as fit", "abc" + "{:text}ab" * 100
    yield "rest, long texts right of it", "abc{:rest}" + ("b" + "a" * 90 + "{:text}") * 9 + "qzy"
    for length in (2, 3, 4, 5, 6, 8, 10, 20, 50, 99):
        for first in "ab":
            texts = needles(length, first)
            yield f"optional parts of {length}, {first}…", chain("abc{:text}", texts, "")
            yield (
                f"optional parts of {length}, {first}…, rest",
                chain("abc{:text}", texts, "zzz{:rest}"),
            )
            right = chain("abc{:rest}zzz", [text[::-1] for text in texts], "{:text}qzy")
            yield f"right of a rest, optional parts of {length}", right
        filled = chain("abc{:text}", needles(length, "a"), "", "{:text}")
        yield f"optional parts of {length} with holes", filled


def needles(length: int, first: str) -> list[str]:
    """Return texts that nearly stand everywhere in one of the hostile messages."""
    rng = random.Random(length)
    odd = [chr(c) for c in range(0xA1, 0x100)] + list("cdefghijklmnopqrstuvwxyACDEFGHIJKLMN")
    made = []
    for mark in odd:
        place = rng.choice([0, length // 2, length - 1])
        body = (first + rng.choice(["", "", "b"])) * length
        made.append(body[:place] + mark + body[place + 1 : length])
    return made


def chain(head: str, texts: list[str], tail: str, hole: str = "") -> str:
    """Return a line with as many optional parts in a row as fit between *head* and *tail*."""
    line = head
    for text in texts[: (MAX_SEARCHES - 2) // (1 + len(texts[0]) // 20)]:
        part = f"{{?{text}{hole}}}"
        if len(line) + len(part) + len(tail) > MAX_LINE:
            break
        line += part
    return line + tail


def hostile_messages() -> Iterator[str]:
    """Yield messages of the greatest length in which searching is slowest."""
    for unit in ("a", "b", "ab", "aab", "aaaaaaaaaaaaaaaaaaab"):
        for end in ("", "zzz", "qzy", "zzzqzy"):
            for start in ("abc", "abczzz"):
                body = start + unit * MAX_MESSAGE
                yield body[: MAX_MESSAGE - len(end)] + end
                yield body[: 29_990 - len(end)] + end
    yield "abc" + "aĀ" * (MAX_MESSAGE // 2 - 2)
    yield "abc" + "\N{GRINNING FACE}a" * (MAX_MESSAGE // 2 - 2)


def milliseconds(function: RuleReader, text: str) -> float:
    """Return the best time of two, of the processor's time."""
    timer = timeit.Timer(lambda: function(text, "m", "p"), timer=time.process_time)
    return min(timer.repeat(2, 1)) * 1e3


if __name__ == "__main__":
    main()
