"""YAML whose every value knows its place."""

import pytest

from logwatch_monitis.config.yaml_document import MAX_BYTES, Document
from logwatch_monitis.errors import DocumentError

QUOTE = "quote text that begins with { or [, or holds ': ' or ' #'"


def problems(document: Document) -> str:
    """Return what the readers found, as a user would see it."""
    return "\n".join(problem.render() for problem in document.problems)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            b"a: &x 1\nb: *x\n",
            (
                "f:1:4: error: anchors and aliases (& and *) are not allowed\n"
                "    1 | a: &x 1\n"
                "      |    ^^^^ write it out"
            ),
        ),
        (
            b"a: !!python/object/apply:os.system [x]\n",
            (
                "f:1:4: error: tags (!) are not allowed\n"
                "    1 | a: !!python/object/apply:os.system [x]\n"
                "      |    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ put text that begins with ! in quotes"
            ),
        ),
        (
            b"key: 1\nkey: 2\n",
            (
                "f:2:1: error: the key 'key' stands here twice\n"
                "    2 | key: 2\n"
                "      | ^^^ the first one stands on line 1"
            ),
        ),
        (
            b"no: 1\n",
            "f:1:1: error: a key must be text\n    1 | no: 1\n      | ^^ put it in quotes",
        ),
        (
            b"? [a, b]\n: 1\n",
            "f:1:3: error: a key must be text\n    1 | ? [a, b]\n      |   ^ put it in quotes",
        ),
        (
            b"a:\n\tb: 1\n",
            "f:2:1: error: a tab in the indentation\n    2 | \tb: 1\n      | ^ use blanks",
        ),
        (
            b"\xef\xbb\xbfa: 1\n",
            "f:1:1: error: a byte order mark (U+FEFF) is not allowed (take it out)",
        ),
        (
            b"a: 1\nb: \x1b[0m",
            "f:2:4: error: a control character (U+001B) is not allowed (take it out)",
        ),
        (
            b"a: b\xc2\x85c",
            "f:1:5: error: a control character (U+0085) is not allowed (take it out)",
        ),
        (b"a: b\rc", "f:1:5: error: a control character (U+000D) is not allowed (take it out)"),
        (b"a: 1\nb: \xe4\n", "f:2:4: error: this byte is not UTF-8 (save the file as UTF-8)"),
        (
            b"a: 1\n---\nb: 2\n",
            (
                "f:2:1: error: a second document in one file\n"
                "    2 | ---\n"
                "      | ^^^ one file holds one document"
            ),
        ),
        (
            b"line: {user} from x\n",
            (
                "f:1:14: error: this is no YAML: did not find expected key\n"
                "    1 | line: {user} from x\n"
                f"      |              ^ {QUOTE}"
            ),
        ),
        (
            b"line: user: x\n",
            (
                "f:1:11: error: this is no YAML: mapping values are not allowed in this context\n"
                "    1 | line: user: x\n"
                f"      |           ^ {QUOTE}"
            ),
        ),
        (
            b"a: 'x",
            (
                "f:1:6: error: this is no YAML: found unexpected end of stream\n"
                f"    1 | a: 'x\n      |      ^ {QUOTE}"
            ),
        ),
        (
            b"[" * 40,
            (
                "f:1:18: error: nested deeper than 16 levels\n"
                "    1 | [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n"
                "      |                  ^"
            ),
        ),
        (b" " * (MAX_BYTES + 1), "f: error: larger than 1048576 bytes"),
    ],
)
def test_refused_yaml(data, expected):
    """What makes YAML dangerous or surprising is refused, and the message shows the place."""
    with pytest.raises(DocumentError) as caught:
        Document.load(data, "f")
    assert expected == caught.value.render()


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"---\n", b"~", b"\n\n"])
def test_empty_document(data):
    """A document without a value is an empty mapping, and says that it was empty."""
    document = Document.load(data, "f")
    assert (document.empty, document.mapping(document.root, ["a"])) == (True, {})
    document.check()


def test_values():
    """Every reader returns the value as it is meant, text as it is written."""
    source = b"t: yes\nf: Off\ni: -7\nl: [a, 007, 1.10]\nm: {a b: 2020-01-01}\nc: no\r\ns: 'null'\n"
    document = Document.load(source, "f")
    values = document.mapping(document.root)
    assert (
        document.boolean(values["t"]),
        document.boolean(values["f"]),
        document.integer(values["i"], -9, 9),
    ) == (True, False, -7)
    assert document.strings(values["l"]) == ["a", "007", "1.10"]
    assert document.string_map(values["m"]) == {"a b": "2020-01-01"}
    assert document.choice(values["c"], ["auto", "no"]) == "no"
    assert document.string(values["s"]) == "null"
    document.check()


def test_all_problems_are_collected():
    """The readers go on after a problem, so that one run shows all of them, in the file's order."""
    source = (
        b"sevrice: x\nb: maybe\ni: 0x10\nbig: 70\nl: x\ns: [a]\nn:\nw: on\nc: jes\n"
        b"m: {k: null}\nq: '1'\n"
    )
    document = Document.load(source, "f")
    values = document.mapping(document.root, ["service", "b", "i", "big", *"lsnwcmq"])
    document.string(values["s"])
    document.boolean(values["b"])
    document.integer(values["i"], 0, 9)
    document.integer(values["big"], 1, 65)
    document.strings(values["l"])
    document.boolean(values["n"])
    document.string(values["w"])
    document.choice(values["c"], ["yes", "no"])
    document.string_map(values["m"])
    document.integer(values["q"], 0, 9)
    with pytest.raises(DocumentError) as caught:
        document.check()
    assert caught.value.render().split("\n") == [
        "f:1:1: error: unknown key 'sevrice'",
        "    1 | sevrice: x",
        "      | ^^^^^^^ did you mean 'service'?",
        "f:2:4: error: this must be true or false",
        "    2 | b: maybe",
        "      |    ^^^^^",
        "f:3:4: error: this must be a whole number from 0 to 9",
        "    3 | i: 0x10",
        "      |    ^^^^",
        "f:4:6: error: this must be a whole number from 1 to 65",
        "    4 | big: 70",
        "      |      ^^",
        "f:5:4: error: a list is needed here, this is a single value",
        "    5 | l: x",
        "      |    ^",
        "f:6:4: error: a single value is needed here, this is a list",
        "    6 | s: [a]",
        f"      |    ^ {QUOTE}",
        "f:7:3: error: this must be true or false",
        "    7 | n:",
        "      |   ^",
        "f:8:4: error: YAML reads this as a yes or no, text is needed",
        "    8 | w: on",
        "      |    ^^ put it in quotes",
        "f:9:4: error: 'jes' is not possible here",
        "    9 | c: jes",
        "      |    ^^^ did you mean 'yes'?",
        "f:10:8: error: YAML reads this as nothing at all, text is needed",
        "   10 | m: {k: null}",
        "      |        ^^^^ put it in quotes",
        "f:11:4: error: this must be a whole number from 0 to 9",
        "   11 | q: '1'",
        "      |    ^^^",
    ]


def test_a_missing_list():
    """A key with nothing behind it is named as such where a list or mapping is needed."""
    document = Document.load(b"files:\n", "f")
    document.strings(document.mapping(document.root)["files"])
    assert problems(document) == (
        "f:1:7: error: a list is needed here, this is nothing\n    1 | files:\n      |       ^"
    )


def test_every_character_knows_its_column():
    """Each character of a text leads back to its place in the file, whatever the notation."""
    source = (
        "block: |  # why\n    abc d\n\n      e  \n"
        "single: 'it''s \u00e4 x'\n"
        'double: "a\\x41\\\\\\u00e4b\\n"\n'
        "plain: foo bar\n"
        "list:\n  - |2\n      deep\n"
    )
    document = Document.load(source.encode(), "f")
    values = document.mapping(document.root)
    nodes = [*list(values.values())[:-1], *document.items(values["list"])]
    found = [(t.value, t.line, list(t.columns)) for node in nodes for t in document.texts(node)]
    assert found == [
        ("abc d", 2, [5, 6, 7, 8, 9, 10]),
        ("  e  ", 4, [5, 6, 7, 8, 9, 10]),
        ("it's \u00e4 x", 5, [10, 11, 12, 14, 15, 16, 17, 18, 19]),
        ("aA\\\u00e4b\n", 6, [10, 11, 15, 17, 23, 24, 26]),
        ("foo bar", 7, [8, 9, 10, 11, 12, 13, 14, 15]),
        ("  deep", 10, [5, 6, 7, 8, 9, 10, 11]),
    ]
    document.check()


def test_a_problem_inside_a_text():
    """A problem at a character of a text is shown under that character, escapes counted."""
    document = Document.load(b"a: 'it''s bad'\n", "f")
    (text,) = document.texts(document.mapping(document.root)["a"])
    document.problem(text, "wrong word", "say good", start=5, length=3)
    assert problems(document) == (
        "f:1:11: error: wrong word\n    1 | a: 'it''s bad'\n      |           ^^^ say good"
    )


def test_texts_that_yaml_would_change():
    """Folded text and a comment that cuts plain text are problems; other kinds of node too."""
    source = b"folded: >\n  a\n  b\nwrapped: a\n  b\ncut: Login #1\nflow: {user}\n"
    document = Document.load(source, "f")
    assert [
        [text.value for text in document.texts(node)]
        for node in document.mapping(document.root).values()
    ] == [[], [], [], []]
    assert problems(document) == (
        "f:1:9: error: this text spans several lines\n"
        "    1 | folded: >\n"
        "      |         ^ write it under |, a line each\n"
        "f:4:10: error: this text spans several lines\n"
        "    4 | wrapped: a\n"
        "      |          ^ write it under |, a line each\n"
        "f:6:6: error: the text ends where ' #' begins a comment\n"
        "    6 | cut: Login #1\n"
        f"      |      ^^^^^ {QUOTE}\n"
        "f:7:7: error: a single value is needed here, this is keys and values\n"
        "    7 | flow: {user}\n"
        f"      |       ^ {QUOTE}"
    )
