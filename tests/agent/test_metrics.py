"""The agent's figures for Prometheus."""

import os
import shutil
import signal
import subprocess
from datetime import UTC, datetime

import pytest
from fake_monitor import API_KEY, SECRET_KEY, FakeMonitor, answer
from prometheus_client.parser import text_string_to_metric_families
from running import Running, eventually
from spools import SetClock

from logwatch_monitis.agent.control import ask
from logwatch_monitis.agent.counters import Counters, CountingTransport, Histogram
from logwatch_monitis.agent.metrics import FIGURES
from logwatch_monitis.agent.recent import RECENT, RecentLines
from logwatch_monitis.delivery import Delivered, DeliveryFailed
from logwatch_monitis.errors import UnreachableError
from logwatch_monitis.grammar import load_rules
from logwatch_monitis.interfaces import Reply
from logwatch_monitis.scanner.scanner import Scanner
from logwatch_monitis.sources.files.events import FileGap, FileReplaced, FileRotated, FileTruncated
from logwatch_monitis.syslog import Timeline


def _line(message, program="sshd"):
    return f"{datetime.now(UTC).isoformat(timespec='microseconds')} web1 {program}[7]: {message}\n"


LOGIN = "Accepted password for alice from 192.0.2.7 port 5 ssh2"


def samples(data):
    """Return the value of each sample by name and labels' values, sorted by the labels' names."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(data.decode())
        for sample in family.samples
    }


@pytest.fixture(name="scraped", scope="module")
def _scraped(tmp_path_factory):
    """Metrics of an agent that saw a login, a rotation, a refusal and a reload; and its log."""
    directory = tmp_path_factory.mktemp("agent")
    log = directory / "auth.log"
    log.touch()
    with FakeMonitor() as server:
        server.program(answer(500), action="addResult")
        config = f"monitor: {{url: '{server.url}', api_key: {API_KEY}}}\n"
        environment = [f"LOGWATCH_MONITIS_SECRET_KEY={SECRET_KEY}"]
        with Running(directory, [log], config, before=["env", *environment]).start() as run:
            log.write_text(_line("Failed password for root from 192.0.2.9 port 5 ssh2"))
            assert eventually(lambda: run.status()["unmatched"])
            log.rename(f"{log}.1")
            log.write_text(_line(LOGIN))
            assert eventually(lambda: server.results)
            run.process.send_signal(signal.SIGHUP)
            assert eventually(lambda: "configuration was read again" in run.text())
            assert eventually(lambda: run.status()["spool"]["sent"])
            _, text = ask(run.state, "/metrics")
    return text, str(log)


def test_what_happened_is_counted(scraped):
    """Reading, matching, rotation, delivery and its failures each have their figure."""
    text, log = scraped
    found = samples(text)

    assert {
        ("logwatch_lines_read_total", log): 2,
        ("logwatch_events_total", "sshd/accepted", "sshd"): 1,
        ("logwatch_lines_unmatched_total", "sshd"): 1,
        ("logwatch_file_rotations_total", log): 1,
        ("logwatch_file_lag_bytes", log): 0,
        ("logwatch_source_unreadable", log): 0,
        ("logwatch_event_lag_seconds_count",): 1,
        ("logwatch_spool_events", "live"): 0,
        ("logwatch_events_sent_total",): 1,
        ("logwatch_api_requests_total", "addResult", "500"): 1,
        ("logwatch_api_requests_total", "addResult", "200"): 1,
        ("logwatch_api_request_duration_seconds_count", "addResult"): 2,
        ("logwatch_api_retries_total", "busy"): 1,
        ("logwatch_delivery_ok",): 1,
        ("logwatch_ready",): 1,
        ("logwatch_config_reload_failures_total",): 0,
    }.items() <= found.items()
    assert found["logwatch_last_login_timestamp_seconds", log] > 1_700_000_000
    assert found["logwatch_patterns_loaded",] > 10


def test_every_metric_is_there_with_its_labels(scraped):
    """What the list of metrics promises is written; no label tells who logged in, or from where."""
    text, _ = scraped
    families = {family.name: family for family in text_string_to_metric_families(text.decode())}

    for figure in FIGURES:
        family = families[figure.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (figure.kind, figure.text)
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert labels <= set(figure.labels)
        assert labels == set(figure.labels) or not family.samples
    assert not {"user", "host", "user_login"} & {name for f in FIGURES for name in f.labels}
    assert b"alice" not in text
    assert b"192.0.2.7" not in text


@pytest.mark.real
@pytest.mark.skipif(
    not shutil.which("promtool") and "CI" not in os.environ, reason="promtool is not installed"
)
def test_prometheus_takes_it_and_has_nothing_to_complain_of(scraped):
    """Prometheus' own checker finds neither an error nor a name against the rules."""
    text, _ = scraped
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_histogram():
    """A figure counts for its own limit and for all above it."""
    histogram = Histogram((1.0, 10.0))
    for value in (0.5, 1.0, 5.0, 100.0):
        histogram.take(value)

    assert list(histogram.buckets()) == [("1.0", 2), ("10.0", 3), ("+Inf", 4)]
    assert histogram.sum == 106.5


def test_events_are_counted():
    """What may have lost lines, what is tried again, and how late live logins were."""
    clock = SetClock(1000.0)
    tally = Counters(clock)
    tally(FileRotated("a", ()))
    tally(FileReplaced("a"))
    tally(FileTruncated("a", 5, "", 5))
    tally(FileGap("a", "a.1", None))
    tally(DeliveryFailed("it is busy", 1.0, "NoSuchMonitorError"))
    tally(Delivered(2, (990_000_000, 1_200_000_000)))

    assert (tally.rotations, tally.losses) == ({"a": 3}, {"truncated": 1, "gap": 1})
    assert tally.retries == {"no_such_monitor": 1}
    assert (tally.lag.sum, list(tally.lag.buckets())[-1]) == (10.0, ("+Inf", 2))


def test_requests_are_counted_whatever_comes_of_them():
    """Each action has its statuses; a request without a whole answer counts as none."""

    class Line:
        def send(self, method, url, params):
            if method == "GET":
                raise UnreachableError("no")
            return Reply(200, {}, b"")

    clock = SetClock()
    tally = Counters(clock)
    transport = CountingTransport(Line(), tally, clock)
    transport.send("POST", "http://x", {"action": "addResult"})
    with pytest.raises(UnreachableError):
        transport.send("GET", "http://x", {"action": "getMonitors"})

    assert tally.requests == {("addResult", "200"): 1, ("getMonitors", "none"): 1}


class TestSightings:
    """What passed by."""

    def see(self, *lines):
        """Return sightings that have been shown these lines."""
        rules, clock = load_rules(), SetClock()
        sightings = RecentLines(rules)
        scanner = Scanner(rules, Timeline.live(UTC, clock), machine="web1", path="auth.log")
        data = "".join(lines).encode()
        sightings(data, scanner.feed(data))
        return sightings

    def test_lines_of_known_programs_that_are_no_logins(self):
        """Each service has its own count; unknown programs and logins do not count."""
        sightings = self.see(
            _line(LOGIN),
            _line("Connection closed by 192.0.2.7"),
            _line("Accepted something new for alice", "sshd-session"),
            _line("something", "CRON"),
            _line("pam_unix(sudo:auth): conversation failed", "sudo").replace("sudo[7]:", "sudo:"),
        )

        assert sightings.unmatched == {"sshd": 2, "sudo": 1}

    def test_the_last_logins_are_kept_and_no_more(self):
        """The newest stands first; neither lines nor commands are kept."""
        lines = [_line(LOGIN.replace("alice", f"u{n}")) for n in range(RECENT + 5)]
        sightings = self.see(*lines)
        recent = sightings.recent()

        assert [row["user_login"] for row in recent[:2]] == [f"u{RECENT + 4}", f"u{RECENT + 3}"]
        assert len(recent) == RECENT
        assert (recent[0]["host"], recent[0]["method"]) == ("192.0.2.7", "password")

    def test_a_long_name_is_cut(self):
        """Whatever stands in the logs, what is kept has a size."""
        recent = self.see(_line(LOGIN.replace("alice", "x" * 60_000))).recent()

        assert recent[0]["user_login"] == "x" * 200
