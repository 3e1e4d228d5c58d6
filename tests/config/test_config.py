"""The configuration: every key, every mistake with its place, and keys that stay secret."""

import pickle
import re
from pathlib import Path

import pytest

from logwatch_monitis.config import file as config_file
from logwatch_monitis.config import model as config
from logwatch_monitis.config.credentials import Credential, Secret, read_secret_file
from logwatch_monitis.config.file import load
from logwatch_monitis.errors import DocumentError, SetupError

FULL = b"""\
monitor:
  url: https://monitor.example.org/
  api_key: KEY1
  secret_key_file: /etc/logwatch-monitis/secret-key
  validation: token
  name: My Monitor
  tag: mine
sources:
  files: [/var/log/a.log, '/srv/*/auth.log']
  journal: no
patterns:
  directories: [/etc/p, /srv/p]
state_directory: /srv/state
machine: web1
timezone: Europe/Berlin
ignore: {users: [nagios], hosts: ['2001:db8::9'], services: [vsftpd]}
listen: '[::1]:9000'
spool: {max_entries: 5000, keep: oldest, seen_days: 30}
log: {format: json, level: debug}
retention: {days: 365, mebibytes: 512}
reads: key
timestamp_window: off
"""


def problems(text):
    """Return the rendered problems of a configuration that is wrong."""
    with pytest.raises(DocumentError) as caught:
        config_file.parse(text.encode(), "c.yaml")
    return [problem.render() for problem in caught.value.problems]


class TestKeys:
    """What may be configured."""

    def test_every_key(self):
        """Each key of the contract arrives, with its type."""
        read = config_file.parse(FULL, "c.yaml")

        assert read == config.Config(
            path="c.yaml",
            monitor=config.MonitorConfig(
                url="https://monitor.example.org/",
                api_key=Credential("api-key", Secret("KEY1")),
                secret_key=Credential("secret-key", file="/etc/logwatch-monitis/secret-key"),
                validation="token",
                name="My Monitor",
                tag="mine",
            ),
            sources=config.Sources(("/var/log/a.log", "/srv/*/auth.log"), "no"),
            patterns=(Path("/etc/p"), Path("/srv/p")),
            state="/srv/state",
            machine="web1",
            timezone="Europe/Berlin",
            ignore=config.Ignore(
                frozenset({"nagios"}), frozenset({"2001:db8::9"}), frozenset({"vsftpd"})
            ),
            listen="[::1]:9000",
            listen_chosen=True,
            spool=config.SpoolLimits(5000, "oldest", 30),
            retention=config.Keep(365, 512),
            reads="key",
            timestamp_window="off",
            log=config.LogConfig("json", "debug"),
        )
        assert read.state_directory == Path("/srv/state")

    @pytest.mark.parametrize("text", [b"", b"# nothing\n", b"monitor:\nsources:\n  # files: []\n"])
    def test_everything_is_optional(self, text):
        """An empty file, and sections whose keys are commented out, give the defaults."""
        assert config.Config(path="c.yaml") == config_file.parse(text, "c.yaml")

    @pytest.mark.parametrize(
        ("word", "choice"), [("auto", "auto"), ("yes", "yes"), ("no", "no"), ("false", "no")]
    )
    def test_the_journal_takes_truth_values(self, word, choice):
        """Plain yes and no, which YAML takes for truth values, are choices here."""
        read = config_file.parse(f"sources: {{journal: {word}}}".encode(), "c.yaml")

        assert choice == read.sources.journal


class TestMistakes:
    """What is refused, and how it is said."""

    @pytest.mark.parametrize(
        ("text", "head"),
        [
            ("monitr: {}", "c.yaml:1:1: error: unknown key 'monitr'"),
            ("monitor:\n  urll: x", "c.yaml:2:3: error: unknown key 'urll'"),
            ("listen: 8460", "c.yaml:1:9: error: listen: '8460' is no address to listen on"),
            ("listen: [a]", "c.yaml:1:9: error: a single value is needed here, this is a list"),
            ("machine: a b", "c.yaml:1:10: error: this must be one word"),
            ("machine: yes", "c.yaml:1:10: error: YAML reads this as a yes or no, text is needed"),
            ("machine: a\nmachine: b", "c.yaml:2:1: error: the key 'machine' stands here twice"),
            ("state_directory: x", "c.yaml:1:18: error: this must be an absolute path"),
            ("timezone: Mars/Base", "c.yaml:1:11: error: "),
            ("monitor: {validation: md5}", "c.yaml:1:23: error: 'md5' is not possible here"),
            ("monitor: {name: ' '}", "c.yaml:1:17: error: this must not be empty"),
            ("monitor: {url: 'ftp://x'}", "c.yaml:1:16: error: the monitor's address is not"),
            (
                "monitor: {url: 'http://x:99999'}",
                "c.yaml:1:16: error: the monitor's address cannot",
            ),
            (
                "monitor: {url: 'http://a:b@x'}",
                "c.yaml:1:16: error: the address of the monitor x carries",
            ),
            ("sources: {files: /var/log/x}", "c.yaml:1:18: error: a list is needed here"),
            ("spool: {seen_days: 0}", "c.yaml:1:20: error: this must be a whole number from 1"),
            ("- a", "c.yaml:1:1: error: keys and values are needed here, this is a list"),
        ],
    )
    def test_each_mistake_has_its_place(self, text, head):
        """One mistake gives one problem that names file, line, column and what is wrong."""
        found = problems(text)

        assert len(found) == 1
        assert found[0].startswith(head)

    def test_all_mistakes_come_at_once(self):
        """Every mistake of a file is reported, in the order of the file."""
        found = problems("machin: x\nlisten: x\nmonitor: {tagg: x}\n")

        assert [int(text.split(":")[1]) for text in found] == [1, 2, 3]

    def test_an_unknown_key_is_suggested(self):
        """The nearest known key is proposed."""
        assert "did you mean 'secret_key_file'?" in problems("monitor:\n  secret_key: x")[0]

    def test_two_places_for_a_key(self):
        """The key in the file and the file of the key exclude each other."""
        text = "monitor: {api_key: A, api_key_file: /x}"

        assert "api_key and api_key_file exclude each other" in problems(text)[0]

    @pytest.mark.parametrize(
        "text",
        [
            "monitor:\n  secret_key: HUSH\n",
            "monitor:\n  api_key: HUSH HUSH\n",
            "monitor:\n  api_key: X\n  api_key: HUSH\n",
            "monitor:\n  'api_key': [HUSH]\n",
            "monitor:\n  api_key: &HUSH x\n",
            "token: HUSH\n",
            "monitor: {url: 'http://a:HUSH@x'}",
            "monitor: {api_key_file: /x, api_key: HUSH}\n",
            "monitor:\n  api_key:\n    HUSH x\n",
        ],
    )
    def test_no_error_shows_a_key(self, text):
        """Whatever is wrong around a key, the excerpt does not show it."""
        assert "HUSH" not in "".join(problems(text))


class TestFile:
    """Which file is read."""

    def test_a_missing_file_that_was_asked_for(self, tmp_path):
        """A file that was named must be there."""
        with pytest.raises(SetupError, match=re.escape("c.yaml does not exist")):
            load(str(tmp_path / "c.yaml"))

    def test_a_file_that_cannot_be_read(self, tmp_path):
        """What the system says is passed on."""
        with pytest.raises(SetupError, match="Is a directory"):
            load(str(tmp_path))


@pytest.fixture(name="key_file")
def _key_file(tmp_path):
    """A file with a key that only its owner can read."""
    path = tmp_path / "key"
    path.write_text("FROMFILE\n")
    path.chmod(0o600)
    return path


class TestCredentials:
    """Where keys come from."""

    def test_the_nearest_source_counts(self, key_file, tmp_path):
        """Environment before its file, before systemd's credentials, before the configuration."""
        (tmp_path / "api-key").write_text("FROMSYSTEMD")
        key = Credential("api-key", Secret("FROMCONFIG"))
        environ = {
            "LOGWATCH_MONITIS_API_KEY": "FROMENV",
            "LOGWATCH_MONITIS_API_KEY_FILE": str(key_file),
            "CREDENTIALS_DIRECTORY": str(tmp_path),
        }
        found = []
        while environ:
            found.append(key.find(environ).reveal())
            environ.pop(next(iter(environ)))

        assert [*found, key.find({}).reveal()] == [
            "FROMENV",
            "FROMFILE",
            "FROMSYSTEMD",
            "FROMCONFIG",
        ]

    def test_a_file_named_in_the_configuration(self, key_file):
        """The configuration's file is read when the key is needed."""
        assert Credential("secret-key", file=str(key_file)).need({}).reveal() == "FROMFILE"

    def test_a_missing_key_says_where_it_can_stand(self):
        """Without any source the error names the configuration's key and the variable."""
        with pytest.raises(SetupError) as caught:
            Credential("secret-key").need({})

        assert caught.value.render() == (
            "the monitor's secret key is not known "
            "(set monitor: secret_key_file in the configuration, "
            "or LOGWATCH_MONITIS_SECRET_KEY_FILE)"
        )

    @pytest.mark.parametrize("mode", [0o644, 0o604, 0o620, 0o660])
    def test_a_file_open_to_others_is_refused(self, key_file, mode):
        """A key that others can read or change is not used, and the error says what to do."""
        key_file.chmod(mode)

        with pytest.raises(SetupError, match="can be read by others") as caught:
            read_secret_file(str(key_file))
        assert caught.value.hint == f"chmod 600 {key_file}"

    @pytest.mark.parametrize(
        ("text", "message"), [("\n", "is empty"), ("A B", "more than one word"), ("é", "no key")]
    )
    def test_a_file_without_a_key(self, key_file, text, message):
        """An empty file and one with something else in it are refused."""
        key_file.write_text(text)

        with pytest.raises(SetupError, match=message):
            read_secret_file(str(key_file))

    def test_a_file_that_is_not_there(self, tmp_path):
        """A missing file is an error, not a missing key."""
        with pytest.raises(SetupError, match="No such file"):
            read_secret_file(str(tmp_path / "none"))

    def test_a_secret_does_not_show_itself(self):
        """Neither printing nor formatting nor storing a secret gives it away."""
        secret = Secret("HUSH")

        assert f"{secret} {secret!s} {secret!r} {Credential('api-key', secret)}".count("***") == 4
        with pytest.raises(TypeError):
            pickle.dumps(secret)
