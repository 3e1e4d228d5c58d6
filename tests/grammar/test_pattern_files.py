"""Pattern files: what is refused and how it is said, where they are found, whose are taken."""

import grp
import json
import os
import pwd
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.config.private_files import has_private_group
from logwatch_monitis.errors import DocumentError
from logwatch_monitis.grammar import load_rules
from logwatch_monitis.grammar.build import build
from logwatch_monitis.grammar.loader import RulesHolder, check_files
from logwatch_monitis.grammar.pattern_file import FILE_KEYS, MAX_RULES, RULE_KEYS
from logwatch_monitis.grammar.search_path import FoundFile, PatternFiles
from logwatch_monitis.grammar.tree import KINDS
from logwatch_monitis.grammar.trusted_file import owner_fault

ROOT = Path(__file__).parent.parent.parent
SCHEMA = json.loads((ROOT / "logwatch_monitis/grammar/pattern.schema.json").read_text())

LINE = """\
    line: |
      Door opened by {user} from {host:ip}
"""
SAMPLES = """\
      - {line: Door opened by ann from 192.0.2.7, user: ann, host: 192.0.2.7}
"""
RULE = "  - name: open\n" + LINE + "    accept:\n" + SAMPLES
BASE = "service: door\nprogram: [doord]\nrules:\n" + RULE
SLOW = "".join(f"      Door opened by {{user}} from {{host:ip}}, way {n}\n" for n in range(80))
MISTAKES = [
    (
        LINE,
        "    line: |\n" + SLOW,
        """\
f:4:11: error: a message could be searched 160 times over
    4 |   - name: open
      |           ^^^^ 128 are allowed: fewer lines, or fewer optional parts in a row
""",
    ),
    (
        "service:",
        "servcie:",
        """\
f:1:1: error: unknown key 'servcie'
    1 | servcie: door
      | ^^^^^^^ did you mean 'service'?
f:1:1: error: the key 'service' is missing
    1 | servcie: door
      | ^
""",
    ),
    (
        "rules:\n" + RULE,
        "",
        """\
f:1:1: error: the key 'rules' is missing
    1 | service: door
      | ^
""",
    ),
    (
        "rules:\n" + RULE,
        "rules: []\n",
        """\
f:3:8: error: 0 rules; 1 to 200 are allowed
    3 | rules: []
      |        ^
""",
    ),
    (
        "rules:\n" + RULE,
        "rules: [a]\n",
        """\
f:3:9: error: keys and values are needed here, this is a single value
    3 | rules: [a]
      |         ^
""",
    ),
    (
        BASE,
        "- door\n",
        """\
f:1:1: error: keys and values are needed here, this is a list
    1 | - door
      | ^
""",
    ),
    (
        "door\n",
        "front door\n",
        """\
f:1:10: error: 'front door' cannot be the name of a service
    1 | service: front door
      |          ^^^^^^^^^^
""",
    ),
    (
        "[doord]",
        '["doord[1]"]',
        """\
f:2:11: error: 'doord[1]' cannot be the name of a program
    2 | program: ["doord[1]"]
      |           ^^^^^^^^^^
""",
    ),
    (
        "[doord]",
        "doord",
        """\
f:2:10: error: a list is needed here
    2 | program: doord
      |          ^^^^^ write: [doord]
""",
    ),
    (
        "[doord]",
        "[]",
        """\
f:2:10: error: no program is named
    2 | program: []
      |          ^ name one, or write: any
""",
    ),
    (
        "[doord]",
        "",
        (
            "f:2:9: error: a list is needed here, this is nothing\n    2 | program: \n"
            """\
      |         ^
"""
        ),
    ),
    (
        "rules:",
        "header: [sylog]\nrules:",
        """\
f:3:10: error: 'sylog' is not possible here
    3 | header: [sylog]
      |          ^^^^^ did you mean 'syslog'?
""",
    ),
    (
        "rules:",
        "header: []\nrules:",
        """\
f:3:9: error: no header is named
    3 | header: []
      |         ^ known here: syslog, vsftpd
""",
    ),
    (
        "rules:",
        "kind: logins\nrules:",
        """\
f:3:7: error: 'logins' is not possible here
    3 | kind: logins
      |       ^^^^^^ did you mean 'login'?
""",
    ),
    (
        "rules:",
        "enabled: 0\nrules:",
        """\
f:3:10: error: this must be true or false
    3 | enabled: 0
      |          ^
""",
    ),
    (
        "rules:",
        "set: {machine: x, Door: y}\nrules:",
        """\
f:3:7: error: the name 'machine' is taken
    3 | set: {machine: x, Door: y}
      |       ^^^^^^^ every login has its machine
f:3:19: error: 'Door' is no name
    3 | set: {machine: x, Door: y}
      |                   ^^^^ a lower-case letter, then lower-case letters, digits and _
""",
    ),
    (
        "rules:",
        'set: {door: "{machine}!", host: a b}\nrules:',
        """\
f:3:13: error: '{machine}!' is not filled in
    3 | set: {door: "{machine}!", host: a b}
      |             ^^^^^^^^^^^^ a constant, or {machine} or {program} with nothing around it
f:3:33: error: 'a b' is no host
    3 | set: {door: "{machine}!", host: a b}
      |                                 ^^^ an address, a name, or {machine}
""",
    ),
    (
        "accept:",
        "acept:",
        """\
f:4:5: error: the key 'accept' is missing
    4 |   - name: open
      |     ^
f:7:5: error: unknown key 'acept'
    7 |     acept:
      |     ^^^^^ did you mean 'accept'?
""",
    ),
    (
        "open\n",
        "Open!\n",
        """\
f:4:11: error: 'Open!' cannot be the name of a rule
    4 |   - name: Open!
      |           ^^^^^ lower-case letters, digits and -
""",
    ),
    (
        "- name: open\n    line",
        "- line",
        """\
f:4:5: error: the key 'name' is missing
    4 |   - line: |
      |     ^
""",
    ),
    (
        "host: 192.0.2.7}\n",
        "host: 192.0.2.7}\n" + RULE,
        """\
f:9:11: error: a second rule is called 'open'
    9 |   - name: open
      |           ^^^^
""",
    ),
    (
        LINE,
        "",
        """\
f:4:11: error: a rule needs either 'line' or 'json'
    4 |   - name: open
      |           ^^^^
""",
    ),
    (
        "      Door opened by {user} from {host:ip}\n",
        "",
        """\
f:5:11: error: no line stands here
    5 |     line: |
      |           ^
""",
    ),
    (
        "accept:\n" + SAMPLES,
        "accept: []\n",
        """\
f:7:13: error: a rule needs a sample that it accepts
    7 |     accept: []
      |             ^
""",
    ),
    (
        "    accept",
        "    take: {user: u}\n    accept",
        """\
f:7:11: error: 'take' goes with 'json' only
    7 |     take: {user: u}
      |           ^
""",
    ),
    (
        LINE,
        "    json: {prefix: '@cee:', at: door}\n    except: Door\n",
        """\
f:4:11: error: nothing gives host
    4 |   - name: open
      |           ^^^^ take it, or, for local events, set: {host: "{machine}"}
f:5:11: error: nothing gives user
    5 |     json: {prefix: '@cee:', at: door}
      |           ^ name its member, take: {user: …}
f:6:13: error: 'except' does not go with 'json'
    6 |     except: Door
      |             ^^^^
""",
    ),
    (
        LINE,
        "    json: {prefix: '@'}\n    take: {user: u, host: h, pid: p}\n",
        """\
f:5:11: error: the key 'at' is missing
    5 |     json: {prefix: '@'}
      |           ^
f:5:20: error: the prefix is too short to search for
    5 |     json: {prefix: '@'}
      |                    ^^^ at least three characters, two of them not blank, such as '@cee:'
f:6:30: error: the name 'pid' is taken
    6 |     take: {user: u, host: h, pid: p}
      |                              ^^^ every login has its pid
""",
    ),
    (
        "host:ip}\n",
        "host:ipp}\n",
        """\
f:6:40: error: unknown kind 'ipp'
    6 |       Door opened by {user} from {host:ipp}
      |                                        ^^^ did you mean 'ip'?
""",
    ),
    (
        "|\n      Door opened by {user}",
        "'It''s open: {user:intt}'\n#",
        """\
f:5:30: error: unknown kind 'intt'
    5 |     line: 'It''s open: {user:intt}'
      |                              ^^^^ did you mean 'int'?
""",
    ),
    (
        "{user} from {host:ip}",
        "{user}{host:ip}",
        """\
f:6:22: error: nothing separates these two fields
    6 |       Door opened by {user}{host:ip}
      |                      ^^^^^^^^^^^^^^^ put the text that stands between them
""",
    ),
    (
        "|\n      Door opened by {user} from {host:ip}",
        "{user} from {host:ip}",
        """\
f:5:18: error: this is no YAML: did not find expected key
    5 |     line: {user} from {host:ip}
      |                  ^ quote text that begins with { or [, or holds ': ' or ' #'
""",
    ),
    (
        "|\n      Door opened by",
        "Door #1 opened by",
        """\
f:5:11: error: the text ends where ' #' begins a comment
    5 |     line: Door #1 opened by {user} from {host:ip}
      |           ^^^^ quote text that begins with { or [, or holds ': ' or ' #'
""",
    ),
    (
        "{user}",
        "{}",
        """\
f:6:7: error: nothing gives user
    6 |       Door opened by {} from {host:ip}
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ call a hole {user}, or set one: set: {user: ftp}
""",
    ),
    (
        "[doord]\nrules:\n  - name: open\n    line: |\n      Door",
        "any\nrules:\n  - name: open\n    line: |\n      {}",
        """\
f:6:7: error: a line for any program must begin with text
    6 |       {} opened by {user} from {host:ip}
      |       ^ name the programs, or begin with what the program always writes
""",
    ),
    (
        "user: ann",
        "usr: ann",
        """\
f:8:51: error: unknown key 'usr'
    8 |       - {line: Door opened by ann from 192.0.2.7, usr: ann, host: 192.0.2.7}
      |                                                   ^^^ did you mean 'user'?
""",
    ),
    (
        "user: ann",
        "user: anna",
        """\
f:8:57: error: user is 'ann', the sample says 'anna'
    8 |       - {line: Door opened by ann from 192.0.2.7, user: anna, host: 192.0.2.7}
      |                                                         ^^^^
""",
    ),
    (
        "user: ann",
        "user: yes",
        """\
f:8:57: error: YAML reads this as a yes or no, text is needed
    8 |       - {line: Door opened by ann from 192.0.2.7, user: yes, host: 192.0.2.7}
      |                                                         ^^^ put it in quotes
""",
    ),
    (
        "line: Door opened by ann from 192.0.2.7, ",
        "",
        """\
f:8:9: error: the key 'line' is missing
    8 |       - {user: ann, host: 192.0.2.7}
      |         ^
""",
    ),
    (
        SAMPLES,
        "      - Door opened\n",
        """\
f:8:9: error: keys and values are needed here, this is a single value
    8 |       - Door opened
      |         ^^^^^^^^^^^
""",
    ),
    (
        "from 192.0.2.7,",
        "from 192.0.2.777,",
        """\
f:8:40: error: this sample does not match
    8 |       - {line: Door opened by ann from 192.0.2.777, user: ann, host: 192.0.2.7}
      |                                        ^^^^^^^^^^^ {host:ip} is an IPv4 or IPv6 address
""",
    ),
    (
        "user: ann",
        "program: win, user: ann",
        """\
f:8:16: error: this rule is not for the program 'win'
    8 |       - {line: Door opened by ann from 192.0.2.7, program: win, user: ann, host: 192.0.2.7}
      |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ known here: doord
""",
    ),
    (
        "{host:ip}\n",
        "{host:ip}\n      Gate opened by {user} from {host:ip}\n",
        """\
f:7:7: error: no accept sample is answered by this line
    7 |       Gate opened by {user} from {host:ip}
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ add one
""",
    ),
    (
        "    accept",
        "    except: |\n      Door opened by nobody from {:ip}\n    accept",
        """\
f:8:7: error: no reject sample shows what this line is for
    8 |       Door opened by nobody from {:ip}
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ add one that would match without it
""",
    ),
    (
        "    accept",
        "    except: |\n      Door opened by {} from {:ip}\n    accept",
        """\
f:8:7: error: no reject sample shows what this line is for
    8 |       Door opened by {} from {:ip}
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ add one that would match without it
f:10:16: error: the 'except' line 8 takes this sample
   10 |       - {line: Door opened by ann from 192.0.2.7, user: ann, host: 192.0.2.7}
      |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
""",
    ),
    (
        "host: 192.0.2.7}\n",
        "host: 192.0.2.7}\n    reject:\n      - Door opened by eve from 192.0.2.9\n",
        """\
f:10:9: error: this is taken for a login of 'eve' from '192.0.2.9'
   10 |       - Door opened by eve from 192.0.2.9
      |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ make the line stricter, or add 'except'
""",
    ),
    (
        "host: 192.0.2.7}\n",
        "host: 192.0.2.7}\n" + RULE.replace("open", "again", 1),
        """\
f:13:16: error: the rule 'open' above takes this sample
   13 |       - {line: Door opened by ann from 192.0.2.7, user: ann, host: 192.0.2.7}
      |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
""",
    ),
    (
        "{host:ip}\n",
        "{host:ip}{? at {hour:int}}\n      Gate {gate:int} opened by {user} from {host:ip}\n",
        """\
f:7:7: error: no accept sample is answered by this line
    7 |       Gate {gate:int} opened by {user} from {host:ip}
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ add one
""",
    ),
]

#: Mistakes that need more than the document's shape to be seen.
MEANING = (
    "searched",
    *("this rule", "sample", "taken", "nothing gives", "separates", "kind 'i", "second rule"),
    *("begin with text", "unknown key 'usr'", "line is for", "this is no YAML", "ends where"),
)
SHAPES = [mistake for mistake in MISTAKES if not any(words in mistake[2] for words in MEANING)]


def problems(text: str) -> str:
    """Return what a user is told about a pattern file."""
    with pytest.raises(DocumentError) as caught:
        build(PatternFiles({"f": [FoundFile("f", "f", text.encode())]}, []))
    return caught.value.render()


@pytest.mark.parametrize(("old", "new", "expected"), MISTAKES)
def test_mistake(old, new, expected):
    """Every mistake is shown at its place, with what to do about it."""
    assert old in BASE
    assert expected == problems(BASE.replace(old, new, 1)) + "\n"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keep the rules of each test to itself."""
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    """Return a directory for pattern files."""
    path = tmp_path / "patterns.d"
    path.mkdir()
    return path


def load(*directories):
    """Return the package's rules and those of *directories*, nothing of this machine."""
    return load_rules(directories, system=[])


def door(rules):
    """Return the user that the door's line gives, None if it is no login."""
    match = rules.match("doord", "Door opened by ann from 192.0.2.7", "web1")
    return match and match.user


def test_too_many_rules():
    """A file has at most 200 rules."""
    rules = "".join(RULE.replace("open\n", f"open-{n}\n") for n in range(MAX_RULES + 1))
    assert "f:4:3: error: 201 rules; 1 to 200 are allowed" in problems(BASE.replace(RULE, rules))


def test_all_problems_of_all_files(folder):
    """Every problem of every file is shown at once, in the order of files and lines."""
    (folder / "b.yaml").write_text("service: [\n")
    (folder / "a.yaml").write_text(BASE.replace("user: ann", "user: eve").replace("[doord]", "x"))
    with pytest.raises(DocumentError) as caught:
        load(folder)
    found = [(Path(p.path).name, p.line, p.message) for p in caught.value.problems]
    assert found == [
        ("a.yaml", 2, "a list is needed here"),
        ("b.yaml", 2, "this is no YAML: did not find expected node content"),
    ]


def test_later_directories_win(folder, tmp_path):
    """The same name in a later directory replaces the whole file; the file in force says whom."""
    later = tmp_path / "later"
    later.mkdir()
    (folder / "door.yaml").write_text(BASE)
    (later / "door.yaml").write_text(BASE.replace("service: door", "service: gate"))
    rules = load(folder, later)
    assert rules.match("doord", "Door opened by ann from 192.0.2.7", "web1").service == "gate"
    (file,) = [file for file in rules.files if file.name == "door.yaml"]
    assert (file.path, file.replaces) == (str(later / "door.yaml"), (str(folder / "door.yaml"),))


@pytest.mark.parametrize("how", ["empty", "comment", "null", "disabled", "replaced"])
def test_switching_off(how, folder):
    """An empty file, a link to /dev/null and ``enabled: false`` switch a file off by its name.

    Its sessions stay echoes: who switches off sshd does not ask for its PAM sessions instead.
    """
    path = folder / "sshd.yaml"
    own = (ROOT / "patterns/sshd.yaml").read_text()
    if how == "null":
        path.symlink_to("/dev/null")
    else:
        texts = {"empty": "", "comment": "# off\n", "disabled": own + "enabled: false\n"}
        path.write_text(texts.get(how, BASE + "pam: [sshd]\n"))
    rules = load(folder)
    session = "pam_unix(sshd:session): session opened for user ann(uid=1) by (uid=0)"
    assert rules.match("sshd", "Accepted password for ann from 192.0.2.7 port 5 ssh2", "w") is None
    assert rules.match("sshd", session, "web1") is None
    states = {"disabled": "disabled", "replaced": "in force"}
    (file,) = [file for file in rules.files if file.name == "sshd.yaml"]
    assert states.get(how, "masked") == file.state


def test_other_files_in_a_directory(folder):
    """Only ``*.yaml`` is read; ``.yml`` is named in a warning, back-up copies are passed over."""
    (folder / "door.yml").write_text(BASE)
    for name in ("door.yaml~", ".door.yaml", "README"):
        (folder / name).write_text("[")
    (warning,) = load(folder).warnings
    assert warning.render() == (
        f"{folder / 'door.yml'}: warning: not read: its name does not end in .yaml (rename it)"
    )


def test_missing_directory(tmp_path):
    """A directory that is not there holds no files, and that is no problem."""
    assert load(tmp_path / "missing").warnings == ()


def refusal(folder):
    """Return why the file ``door.yaml`` in *folder* is refused."""
    with pytest.raises(DocumentError) as caught:
        load(folder)
    return caught.value.render().removeprefix(str(folder / "door.yaml"))


@pytest.mark.parametrize("mode", [0o602, 0o666])
def test_file_that_others_can_write(mode, folder):
    """A file that everybody may write could hide a login, so it is refused."""
    path = folder / "door.yaml"
    path.write_text(BASE)
    path.chmod(mode)
    assert refusal(folder) == f": error: may be written by others (mode {mode:04o}) (chmod go-w)"


ANN = ("ann", 1000, 1000)
BOB = ("bob", 1001, 1001)


@pytest.mark.parametrize(
    ("accounts", "group", "owner", "private"),
    [
        ([ANN, BOB], ("ann", 1000, []), 1000, True),
        ([ANN, BOB], ("ann", 1000, ["ann"]), 1000, True),
        ([ANN, BOB], ("ann", 1000, ["ann", "bob"]), 1000, False),
        ([ANN, ("bob", 1001, 1000)], ("ann", 1000, []), 1000, False),
        ([ANN, BOB], ("users", 1000, []), 1000, False),
        ([ANN, ("bob", 1001, 1000)], ("bob", 1001, []), 1000, False),
        ([BOB], ("ann", 1000, []), 1000, False),
        ([ANN], None, 1000, False),
    ],
)
def test_a_group_that_may_write(accounts, group, owner, private, monkeypatch):
    """A file's group may write to it if it is the owner's private one: nobody else is in it."""
    users = [pwd.struct_passwd((name, "x", u, g, "", "/", "sh")) for name, u, g in accounts]
    groups = [grp.struct_group((group[0], "x", *group[1:]))] if group else []
    monkeypatch.setattr(pwd, "getpwall", lambda: users)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {u.pw_uid: u for u in users}[uid])
    monkeypatch.setattr(grp, "getgrgid", lambda gid: {g.gr_gid: g for g in groups}[gid])
    monkeypatch.setattr(os, "geteuid", lambda: owner)
    number = group[1] if group else owner
    status = os.stat_result((0o100664, 0, 0, 1, owner, number, 0, 0, 0, 0))
    fault = "" if private else "may be written by others (mode 0664)"

    assert owner_fault(status) == fault


def test_files_made_with_the_umask_of_private_groups(folder):
    """With umask 0002 a user's new file and directory are taken, if his group is private."""
    before = os.umask(0o002)
    try:
        below = folder / "new"
        below.mkdir()
        (below / "door.yaml").write_text(BASE)
    finally:
        os.umask(before)
    status = below.stat()
    assert stat.S_IMODE(status.st_mode) == 0o775
    if not has_private_group(status):
        pytest.skip("the user running the tests has no private group")

    assert door(load(below)) == "ann"


def test_directory_that_others_can_write(folder):
    """Who can write the directory can replace the file."""
    (folder / "door.yaml").write_text(BASE)
    folder.chmod(0o777)
    expected = f": error: its directory {folder} may be written by others (mode 0777) (chmod go-w)"
    assert expected == refusal(folder)


def test_link_out_of_a_safe_directory(folder, tmp_path):
    """A link is followed, and the directory it leads to is looked at as well."""
    (folder / "door.yaml").symlink_to(tmp_path / "elsewhere" / "door.yaml")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "door.yaml").write_text(BASE)
    assert door(load(folder)) == "ann"
    (tmp_path / "elsewhere").chmod(0o777)
    assert f"its directory {tmp_path / 'elsewhere'} may be written by others" in refusal(folder)


def test_owner():
    """A file belongs to root or to the user running this."""
    stranger = os.geteuid() + 4711
    assert owner_fault(os.stat_result((0o100644, 0, 0, 1, os.geteuid(), 0, 0, 0, 0, 0))) == ""
    assert owner_fault(os.stat_result((0o100644, 0, 0, 1, stranger, 0, 0, 0, 0, 0))) == (
        f"belongs to user {stranger}, neither root nor the user running this"
    )


def test_what_is_no_file(folder):
    """A FIFO does not block, a directory and a dangling link are named."""
    os.mkfifo(folder / "door.yaml")
    assert refusal(folder) == ": error: is not a regular file"
    (folder / "door.yaml").unlink()
    (folder / "door.yaml").mkdir()
    assert refusal(folder) == ": error: is not a regular file"
    (folder / "door.yaml").rmdir()
    (folder / "door.yaml").symlink_to("nowhere")
    assert refusal(folder) == ": error: cannot be opened: No such file or directory"


def test_large_file(folder):
    """A file over 256 KiB is refused unread."""
    (folder / "door.yaml").write_text(BASE + "#" * 262_144)
    assert refusal(folder) == ": error: is larger than 262144 bytes"


def test_files_that_contradict_each_other(folder):
    """A sample that another file answers differently is a warning with both places."""
    (folder / "a.yaml").write_text(BASE)
    (folder / "b.yaml").write_text(BASE.replace("service: door", "service: gate"))
    first, second = load(folder).warnings
    assert first.render() == (
        f"{folder}/a.yaml:8:16: warning: "
        f"{folder}/b.yaml:4: rule 'open' answers this sample differently\n"
        "    8 |       - {line: Door opened by ann from 192.0.2.7, user: ann, host: 192.0.2.7}\n"
        f"      |                {'^' * 33} a login of 'ann' from '192.0.2.7'"
    )
    assert (second.path, second.line) == (f"{folder}/b.yaml", 8)


def test_a_file_that_takes_what_another_rejects(folder):
    """A file that makes a login of what another file rejects is named."""
    line = "Accepted google_authenticator for {user}"
    sample = "Accepted google_authenticator for alice"
    text = BASE.replace("[doord]", "[sshd]\nset: {host: '{machine}'}")
    text = text.replace("Door opened by {user} from {host:ip}", line)
    text = text.replace(
        "Door opened by ann from 192.0.2.7, user: ann, host: 192.0.2.7", f"{sample}, user: alice"
    )
    (folder / "otp.yaml").write_text(text)
    (warning,) = load(folder).warnings
    assert warning.message.endswith("otp.yaml:5: rule 'open' answers this sample differently")
    assert warning.text.strip() == f"- {sample}"


def test_reload_keeps_the_last_good_rules(folder):
    """A reload that fails leaves the rules in force and remembers why; a good one forgets it."""
    (folder / "door.yaml").write_text(BASE)
    holder = RulesHolder([folder], system=[])
    before = holder.rules
    (folder / "door.yaml").write_text(BASE.replace("user: ann", "user: eve"))
    assert (holder.reload(), holder.rules) == (False, before)
    assert "user is 'ann', the sample says 'eve'" in holder.error
    (folder / "door.yaml").write_text(BASE.replace("service: door", "service: gate"))
    assert (holder.reload(), holder.error) == (True, "")
    assert holder.rules.match("doord", "Door opened by ann from 192.0.2.7", "w").service == "gate"


def test_checking_files_by_path(folder):
    """Files named by path are checked whoever may write them, and none hides another."""
    (folder / "door.yaml").write_text(BASE)
    folder.chmod(0o777)
    other = folder / "more" / "door.yaml"
    other.parent.mkdir()
    other.write_text(BASE)
    assert [f.path for f in check_files([folder, other]).files] == [
        str(folder / "door.yaml"),
        str(other),
    ]


def valid(text):
    """Say whether the schema takes a document."""
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(yaml.safe_load(text))


@pytest.mark.parametrize("path", sorted((ROOT / "patterns").glob("*.yaml")), ids=lambda p: p.stem)
def test_schema_takes_shipped_files(path):
    """The schema for editors takes every file that the loader takes."""
    assert valid(path.read_text())


@pytest.mark.parametrize(("old", "new", "expected"), SHAPES)
def test_schema_refuses_what_the_loader_refuses(old, new, expected):
    """What is wrong with the shape of a document is seen in the editor already."""
    assert not valid(BASE.replace(old, new, 1))


def test_the_schema_knows_every_key():
    """Loader and schema list the same keys."""
    rule = SCHEMA["$defs"]["rule"]["properties"]
    assert (set(FILE_KEYS), set(RULE_KEYS)) == (set(SCHEMA["properties"]), set(rule))


SCRAPS = [*"{}[]:#'\"|-!&*~>\n\t", "{user}", "{?", "null", "any", "\u2028", "\\", "- ", "line: "]


@given(st.data())
def test_damaged_files(data):
    """Whatever is wrong with a file, the loader says it as problems that stand inside the file."""
    path = data.draw(st.sampled_from(sorted((ROOT / "patterns").glob("*.yaml"))))
    text = path.read_text()
    for scrap in data.draw(st.lists(st.sampled_from(SCRAPS), min_size=1, max_size=3)):
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + scrap + text[place + data.draw(st.integers(0, 20)) :]
    try:
        build(PatternFiles({"f": [FoundFile("f", "f", text.encode())]}, []))
    except DocumentError as error:
        lines = text.split("\n")
        for problem in error.problems:
            assert problem.length >= 1
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1


def test_package_in_a_zip_file(tmp_path):
    """The shipped patterns are found where the package lies in a zip file."""
    archive = tmp_path / "package.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in (ROOT / "logwatch_monitis").rglob("*.py"):
            file.write(path, path.relative_to(ROOT))
        for path in (ROOT / "patterns").iterdir():
            file.write(path, Path("logwatch_monitis/patterns", path.name))
    code = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "from logwatch_monitis.grammar import load_rules\n"
        "rules = load_rules(system=[])\n"
        "print(rules.match('su', '(to root) ann on pts/0', 'web1').user, rules.files[0].path)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"ann {archive}/logwatch_monitis/patterns/doas.yaml\n"


KIOSK = 'login of "ann lee" from 192.0.2.7 port 5022 ok (badge)'


def test_the_example_of_the_documentation():
    """The pattern file that the documentation shows works, and takes the line shown there."""
    text = (ROOT / "docs/patterns.rst").read_text()
    assert KIOSK in text
    assert ".. literalinclude:: ../examples/patterns/kiosk.yaml" in text
    rules = check_files([ROOT / "examples/patterns"])
    match = rules.match("kioskd", KIOSK, "web1")
    assert (match.service, match.user, match.host) == ("kiosk", "ann lee", "192.0.2.7")
    assert match.fields == {"port": "5022", "method": "badge"}


def test_the_documentation_names_every_key():
    """Each key of a file stands in the documentation, and each kind of hole."""
    text = (ROOT / "docs/patterns.rst").read_text()
    keys = set(FILE_KEYS) - {"title"} | set(RULE_KEYS)
    assert [key for key in sorted(keys) if f"``{key}" not in text] == []
    assert [kind for kind in KINDS if f":{kind}}}``" not in text and kind != "word"] == []
