"""Rules in force: which one reads a message, what a log is searched for, what a start costs."""

import json
import marshal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch_monitis.grammar import MAX_MESSAGE, cache, load_rules
from logwatch_monitis.grammar.cache import own_directory
from logwatch_monitis.grammar.literals import Need, choose
from logwatch_monitis.grammar.ruleset import BuiltSet

DOOR = """\
service: door
program: [doord, gated]
rules:
  - name: open
    line: |
      Door opened by {user:text} from {host:ip}{? port {port:int}}
    accept:
      - {line: Door opened by ann from 192.0.2.7, user: ann, host: 192.0.2.7}
"""
MESSAGE = "Door opened by ann from ::ffff:192.0.2.7 port 5"


@pytest.fixture
def folder(tmp_path):
    """Return a directory with one pattern file."""
    path = tmp_path / "patterns.d"
    path.mkdir()
    (path / "door.yaml").write_text(DOOR)
    return path


@pytest.fixture
def load(folder, tmp_path):
    """Return a function that loads the package's rules and the folder's."""

    def load(**options):
        options = {"system": [], "cache_directory": tmp_path / "cache", **options}
        return load_rules([folder], **options)

    return load


def test_match(load):
    """A match names the rule by its file, and all that the message says."""
    match = load().match("doord", MESSAGE, "web1")
    assert match == ("door/open", "door", "login", "ann", "192.0.2.7", {"port": "5"})


def test_dispatch(load):
    """A rule reads lines of its own programs, under the header forms of its file."""
    rules = load()
    assert rules.match("gated", MESSAGE, "web1").rule == "door/open"
    assert rules.match("doors", MESSAGE, "web1") is None
    assert rules.match("doord", MESSAGE, "web1", "vsftpd") is None
    assert rules.match("doord", MESSAGE, "web1", "unheard-of") is None
    assert {"doord", "gated", "sshd"} <= rules.programs


def test_first_file_by_name_answers(load, folder):
    """Two files that take one line are asked in the order of their names."""
    (folder / "10-gate.yaml").write_text(DOOR.replace("service: door", "service: gate"))
    assert load().match("doord", MESSAGE, "web1").rule == "10-gate/open"


def test_overlong_message(load):
    """A message of more than 65,536 characters is never matched, one of just these is."""
    rules = load()
    user = "a" * (MAX_MESSAGE - len("Door opened by  from 1.2.3.4"))
    assert rules.match("doord", f"Door opened by {user} from 1.2.3.4", "web1").user == user
    assert rules.match("doord", f"Door opened by {user}a from 1.2.3.4", "web1") is None


def test_local_machine_and_program(load, folder):
    """``{machine}`` and ``{program}`` stand for what the header says."""
    text = DOOR.replace("rules:", "set: {host: '{machine}', by: '{program}', site: north}\nrules:")
    text = text.replace("{host:ip}", "{:ip}").replace(
        "host: 192.0.2.7", "host: MACHINE, site: north"
    )
    (folder / "door.yaml").write_text(text)
    match = load().match("gated", MESSAGE, "web1")
    assert (match.host, match.fields) == ("web1", {"by": "gated", "site": "north", "port": "5"})


@pytest.mark.parametrize(
    ("services", "programs"),
    [
        (["door"], {"doord", "gated"}),
        (["sshd"], {"sshd", "sshd-session", "sshd-auth"}),
        (["cockpit"], {"gdm", "kdm", "xdm", "lightdm", "sddm", "gdm-password"}),
        ([], set()),
    ],
)
def test_wanted_services(services, programs, load):
    """Only rules that can have an event of a wanted service are loaded.

    A service that no file names can only be a PAM session's.
    """
    assert load(services=services).programs == programs


def test_literals_follow_the_wanted_services(load):
    """What a log is searched for is chosen for the wanted services alone."""
    assert load(services=["door"]).literals == (b"Door opened by ",)
    assert load(services=[]).literals == ()


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ([Need((), (("Login of ", " from "),))], (b"Login of ",)),
        ([Need(("doas", "doas-rs"), (("TTY=",), ("PWD=",), ("HOST=",)))], (b"doas",)),
        ([Need((), (("x opened", "by you"),)), Need((), (("by you", "y closed"),))], (b"by you",)),
        ([Need(("sshd",), (("Accepted ", " from "),))], (b"Accepted ",)),
        ([Need(("ab",), (("a very long text",),))], (b"a very long text",)),
        ([Need((), (("caf\u00e9 login",),))], ("caf\u00e9 login".encode(),)),
        ([], ()),
    ],
)
def test_choice_of_literals(needs, expected):
    """Texts that are rare and shared are chosen; a program's name where it saves several."""
    assert choose(needs) == expected


texts = st.lists(
    st.text("abc d", min_size=3, max_size=9).filter(lambda t: len(t.replace(" ", "")) > 2),
    min_size=1,
    max_size=3,
).map(tuple)
need_lists = st.lists(
    st.builds(Need, st.sampled_from([(), ("abcd",), ("abc", "bcda")]), st.tuples(texts, texts))
)


@given(need_lists)
def test_every_line_holds_a_literal(needs):
    """Whatever the rules, a line with one of their names and all texts of a line is found."""
    literals = [literal.decode() for literal in choose(needs)]
    for need in needs:
        for texts_of_line in need.lines:
            for name in need.programs or ("",):
                line = "|".join((name, *texts_of_line))
                assert any(literal in line for literal in literals)


@pytest.mark.parametrize(
    ("pattern", "sample", "raw"),
    [
        (r" came \xff in d from", r" came \xff in d from", b" came \xff in d from"),
        ("ffoo rooms from", "ffoo rooms from", b"\xffoo rooms from"),
    ],
)
def test_escaped_bytes_are_not_searched_for(pattern, sample, raw, load, folder):
    r"""Bytes that are no UTF-8 reach a rule as ``\xNN``; a log is not searched for such text."""
    text = DOOR.replace("Door opened by {user:text} from", "{user:text}" + pattern)
    text = text.replace("Door opened by ann from", "ann" + sample)
    (folder / "door.yaml").write_text(text)
    rules = load(services=["door"])
    line = b"doord[1]: ann" + raw + b" 192.0.2.7"
    message = line.decode(errors="backslashreplace").partition(": ")[2]
    assert rules.match("doord", message, "web1").user.startswith("ann")
    assert any(literal in line for literal in rules.literals)


def test_warm_start(load, tmp_path, monkeypatch):
    """The second load takes the rules from the cache, without reading YAML or the notation."""
    cold = load()
    monkeypatch.setitem(sys.modules, "logwatch_monitis.grammar.build", None)
    warm = load()
    assert warm.match("doord", MESSAGE, "web1") == cold.match("doord", MESSAGE, "web1")
    assert warm.built == cold.built
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_changed_file_is_built_anew(load, folder):
    """The cache holds for just these files."""
    load()
    (folder / "door.yaml").write_text(DOOR.replace("service: door", "service: gate"))
    assert load().match("doord", MESSAGE, "web1").service == "gate"


@pytest.fixture
def built(monkeypatch):
    """Return a list that grows whenever rules are built and kept."""
    times = []
    save = cache.save
    monkeypatch.setattr(cache, "save", lambda *words: times.append(cache.VERSION) or save(*words))
    return times


@pytest.mark.parametrize("damage", ["cut", "noise", "other", "empty", "marshal"])
def test_cache_that_is_damaged(damage, load, tmp_path, built):
    """Data without its seal is not used, whatever it holds; the rules are built and kept anew."""
    load()
    (kept,) = (tmp_path / "cache").iterdir()
    data = kept.read_bytes()
    forged = data.replace(b"Door opened by ", b"Door closed by ")
    changed = {"cut": data[:-9], "noise": b"x" + data, "other": forged, "empty": b""}
    kept.write_bytes({**changed, "marshal": data[:32] + marshal.dumps(((), ()))}[damage])
    assert load().match("doord", MESSAGE, "web1").user == "ann"
    assert (len(built), kept.read_bytes()) == (2, data)


@pytest.mark.parametrize("writable", ["file", "directory"])
def test_cache_that_others_could_have_written(writable, load, tmp_path, built):
    """Rules decide what is a login, so such a file is not used; nobody notices."""
    load()
    (kept,) = (tmp_path / "cache").iterdir()
    (kept if writable == "file" else kept.parent).chmod(0o777)
    assert load().match("doord", MESSAGE, "web1").user == "ann"
    assert len(built) == 2


def test_the_cache_holds_data_only(load, tmp_path):
    """Behind its seal there is JSON; code that a former version kept is not looked at."""
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    code = marshal.dumps(compile("raise SystemExit('run')", "", "exec"))
    for name in ("rules-0123456789abcdef.marshal", "rules-fedcba9876543210.marshal"):
        (folder / name).write_bytes(bytes(32) + code)
    load()
    assert load().match("doord", MESSAGE, "web1").user == "ann"
    (kept,) = folder.glob("*.json")
    assert set(json.loads(kept.read_bytes()[32:])) == set(BuiltSet._fields)


def test_unwritable_cache(load, tmp_path):
    """Where no cache can be written, rules are built at every start and nothing is said."""
    (tmp_path / "file").write_text("")
    rules = load(cache_directory=tmp_path / "file" / "cache")
    assert rules.match("doord", MESSAGE, "web1").user == "ann"


def test_place_of_the_cache(monkeypatch):
    """Root's rules are kept where no other user's environment leads."""
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/ann/.cache")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert str(own_directory()) == "/var/cache/logwatch-monitis"
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert str(own_directory()) == "/home/ann/.cache/logwatch-monitis"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/bob")
    assert str(own_directory()) == "/home/bob/.cache/logwatch-monitis"
    monkeypatch.setenv("CACHE_DIRECTORY", "/var/cache/ours:/var/cache/other")
    assert str(own_directory()) == "/var/cache/ours"


def test_versions_that_share_a_cache(load, tmp_path, monkeypatch, built):
    """Each keeps its rules, so that none builds them anew at every start; old ones go."""
    for version in ("1", "2", "1", "2"):
        monkeypatch.setattr(cache, "VERSION", version)
        load()
    assert built == ["1", "2"]
    for version in range(14):
        monkeypatch.setattr(cache, "VERSION", str(version))
        load()
    assert len(list((tmp_path / "cache").iterdir())) == 12


def test_import_is_light():
    """What a warm start imports loads neither YAML nor pyparsing."""
    code = (
        "import sys, logwatch_monitis.grammar.loader; "
        "print([m for m in ('yaml', 'pyparsing') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
