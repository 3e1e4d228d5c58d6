"""``monitor``, ``serve`` and ``check --online`` against real monitors."""

import csv
import io
import json
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from commands import run, spawn
from fake_monitor import FakeMonitor, web_page
from real_monitor import Caller, running_monitor

from logwatch_monitis.agent.control import Control
from logwatch_monitis.config.keys import Keys
from logwatch_monitis.config.listen import Address


@pytest.fixture(name="caller", scope="module")
def _caller(tmp_path_factory):
    """A running monitor."""
    with running_monitor(tmp_path_factory.mktemp("monitor")) as (_, caller):
        yield caller


@pytest.fixture(name="monitor")
def _monitor(caller, tmp_path):
    """A function that runs ``monitor`` commands with the running monitor's keys."""
    secret = tmp_path / "secret"
    secret.write_text(caller.keys.secret_key)
    secret.chmod(0o600)
    path = tmp_path / "config.yaml"
    path.write_text(
        f"monitor: {{url: {caller.address.url}, api_key: {caller.keys.api_key},"
        f" secret_key_file: {secret}, tag: {tmp_path.name}, name: {tmp_path.name}}}"
    )
    return lambda word, *words: run("monitor", word, "-c", path, *words)


@pytest.fixture(name="monitor_id")
def _monitor_id(monitor):
    """The id of a monitor that was just made."""
    return monitor("create").out.strip()


class TestMonitor:
    """The monitor by hand."""

    def test_a_token_is_printed_alone(self, monitor):
        """The token printed as a shell can put it into a variable."""
        assert re.fullmatch(r"[0-9A-Z]{26}\n", monitor("token").out)
        assert list(json.loads(monitor("token", "--format", "json").out)) == ["authToken"]
        assert monitor("token", "--format", "csv").out.startswith("authToken\n")

    def test_create_prints_the_id(self, monitor, monitor_id, tmp_path):
        """The configured monitor is made, and list finds it by its tag."""
        found = json.loads(monitor("list", "--tag", tmp_path.name, "--format", "json").out)

        assert [(monitor_id, tmp_path.name)] == [(row["id"], row["name"]) for row in found]

    def test_a_name_that_is_taken(self, monitor, monitor_id):
        """A second monitor of the name is refused in the monitor's words."""
        result = monitor("create")

        assert result.code == 1
        assert "Monitor with that name already exists" in result.err

    def test_columns_of_ones_own(self, monitor, tmp_path):
        """Name, tag and result parameters can be given, as the original scripts had it."""
        name = f"{tmp_path.name} doors"
        words = ("--name", name, "--tag", "d", "--result-params", "door:Door:doors:3;n:N::2;")
        monitor_id = monitor("create", *words).out.strip()
        info = json.loads(monitor("show", monitor_id, "--format", "json").out)
        rows = csv.DictReader(io.StringIO(monitor("show", monitor_id, "--format", "csv").out))

        assert (name, "d") == (info["name"], info["tag"])
        assert [item["name"] for item in info["resultParams"]] == ["door", "n"]
        assert [row["name"] for row in rows] == ["door", "n"]
        assert "DISPLAYNAME" in monitor("show", monitor_id).out
        assert monitor("create", "--result-params", "x").code == 2

    def test_push_and_read_back(self, monitor, monitor_id):
        """A result comes back with its values and its time, an IPv6 address whole."""
        words = [f"--result={pair}" for pair in ("user_login:a;b", "host:2001:db8::7", "srv:sshd")]
        assert monitor("push", *words, "--time", "2026-11-22T21:41:45.101Z").code == 0
        assert monitor("push", *words, "--time", "1795383705102", monitor_id).code == 0

        day = ("--day", "2026-11-22")
        rows = json.loads(monitor("results", *day, "--format", "json").out)
        lines = monitor("results", *day).lines
        table = csv.DictReader(io.StringIO(monitor("results", *day, "--format", "csv").out))

        assert [row["checkTimeInGMT"] for row in rows] == [1795383705101, 1795383705102]
        assert rows == [json.loads(line) for line in lines]
        assert [row["host"] for row in table] == ["2001:db8::7"] * 2

    def test_an_unclear_tag(self, monitor, monitor_id, tmp_path):
        """A tag that no monitor has, or several, is refused with the ids that there are."""
        other = monitor("create", "--name", f"{tmp_path.name} 2").out.strip()

        none = monitor("show", "--tag", "nowhere")
        many = monitor("show")

        assert (none.code, many.code) == (1, 1)
        assert "no monitors have the tag 'nowhere'" in none.err
        assert f"one of {monitor_id}, {other}" in many.err

    def test_delete(self, monitor, monitor_id, tmp_path):
        """A deleted monitor is in no list, and an empty list is a no."""
        assert monitor("delete", monitor_id).code == 0

        result = monitor("list", "--tag", tmp_path.name)

        assert (result.code, result.out) == (1, "")
        assert result.err == f"No monitor has the tag '{tmp_path.name}'.\n"

    def test_wrong_keys(self, monitor, tmp_path):
        """A wrong secret is an answer, not a broken connection; the text shows no key."""
        wrong = tmp_path / "wrong"
        wrong.write_text("HUSH")
        wrong.chmod(0o600)

        result = monitor("push", "--result", "a:b", "1", "--secret-key-file", wrong)

        assert result.code == 1
        assert result.err.startswith("logwatch-monitis: the monitor says: Invalid checksum")
        assert "HUSH" not in result.err

    def test_nobody_there(self, monitor):
        """An unreachable monitor gives exit code 69."""
        assert monitor("list", "--url", "http://127.0.0.1:1").code == 69

    def test_somebody_else_there(self, monitor):
        """What answers like a captive portal is named with its address."""
        with FakeMonitor() as server:
            server.program(web_page())
            result = monitor("list", "--url", server.url)

        told = "a web page, as of a captive portal or a wrong address"
        assert (69, f"logwatch-monitis: {server.url}: {told}\n") == (result.code, result.err)

    def test_tokens_do_not_cross_the_network_in_clear(self, monitor):
        """A token over plain HTTP beyond this machine needs --insecure."""
        result = monitor("token", "--url", "http://192.0.2.1")

        assert result.code == 78
        assert "--insecure" in result.err

    def test_keys_that_are_nowhere(self, caller):
        """Without keys the error says where they can stand."""
        result = run("monitor", "list", "--url", caller.address.url)

        assert (result.code, "LOGWATCH_MONITIS_API_KEY" in result.err) == (78, True)


class TestEmbedded:
    """The embedded monitor of a running agent."""

    def test_it_is_found_through_the_agent(self, tmp_path):
        """With url: embedded the agent's socket tells the address and the state has the keys."""
        path = tmp_path / "config.yaml"
        path.write_text(f"state_directory: {tmp_path}")
        with running_monitor(tmp_path / "monitor", reads="proof") as (_, caller):
            status = {"monitor": {"url": "embedded", "page": f"{caller.address.url}/"}}
            control = Control(status=lambda: status, ready=lambda: (True, ""), metrics=bytes)
            control.listen_unix(tmp_path)
            created = run("monitor", "create", "-c", path)
            listed = run("monitor", "list", "-c", path, "--format", "json")
            shown = run("monitor", "show", "-c", path)
            rows = run("monitor", "results", "-c", path, "--validation", "token")
            unproven = caller.get("getMonitors").json
            checked = run("check", "--online", "--format", "jsonl", "-c", path)
            control.close()

        assert (created.code, created.out) == (0, "1\n")
        assert [row["id"] for row in json.loads(listed.out)] == ["1"]
        assert (shown.code, rows.code, "error" in unproven) == (0, 0, True)
        assert "the secret key fits the api key" in checked.out
        assert Keys.load_or_make(tmp_path / "monitor").secret_key not in checked.out

    def test_no_agent_no_monitor(self, tmp_path):
        """Without an agent the embedded monitor is unreachable."""
        path = tmp_path / "config.yaml"
        path.write_text(f"state_directory: {tmp_path}")

        assert run("monitor", "list", "-c", path).code == 69


class TestServe:
    """The monitor alone."""

    def test_it_tells_its_address_and_keys(self, tmp_path):
        """It prints address, page and keys file; the keys work; SIGTERM ends it with 0."""
        with spawn("serve", "--listen", "127.0.0.1:0", "--data", tmp_path / "data") as started:
            lines = [started.stdout.readline().decode().split()[-1] for _ in range(3)]
            url, page, keys_file = lines
            keys = json.loads(Path(keys_file).read_text())
            secret = tmp_path / "secret"
            secret.write_text(keys["secret_key"])
            secret.chmod(0o600)
            words = ("--url", url, "--api-key", keys["api_key"], "--secret-key-file", secret)
            created = run("monitor", "create", *words)
            started.send_signal(signal.SIGTERM)
            code = started.wait(30)

        assert (created.code, created.out) == (0, "1\n")
        assert page == f"{url}/?key={keys['page_key']}"
        assert code == 0

    def test_keys_of_ones_own(self, tmp_path):
        """Keys that are given count, and are written nowhere."""
        secret = tmp_path / "secret"
        secret.write_text("MYSECRET")
        secret.chmod(0o600)
        words = ("--listen", "127.0.0.1:0", "--data", tmp_path / "data")
        mine = ("--api-key", "MYKEY", "--secret-key-file", secret)
        with spawn("serve", *words, *mine) as started:
            url = started.stdout.readline().decode().split()[-1]
            started.stdout.readline()
            keys_file = started.stdout.readline().decode().split()[-1]
            result = run("monitor", "token", "--url", url, *mine)
            started.send_signal(signal.SIGINT)
            code = started.wait(30)

        assert (result.code, code) == (0, 0)
        assert "MYSECRET" not in Path(keys_file).read_text()

    def test_what_requests_have_to_show(self, tmp_path):
        """Reads need no proof and writes a time of now, unless it is told otherwise."""
        public = tmp_path / "public"
        public.write_text("MYKEY\n")
        public.chmod(0o600)
        words = ("--listen", "127.0.0.1:0", "--api-key-file", public)
        strict = ("--reads", "proof", "--timestamp-window", "off")
        old = {"tag": "x", "timestamp": "2020-11-22 12:00:00"}
        told = []
        for number, more in enumerate(((), strict)):
            data = tmp_path / str(number)
            with spawn("serve", *words, "--data", data, *more) as started:
                url = started.stdout.readline().decode().split()[-1]
                keys = replace(Keys.load_or_make(data), api_key="MYKEY")
                host, port = url.removeprefix("http://").split(":")
                caller = Caller(Address(host, int(port)), keys)
                told.append(caller.get("getMonitors").json)
                told.append(caller.post("suspendMonitors", **old).json["status"][:17])
                started.terminate()
        missing = {"error": "Missing checksum: this monitor answers reads only with a proof"}
        assert told == [[], "Invalid timestamp", missing, "ok"]
        both = run("serve", *words, "--api-key", "MYKEY", "--data", tmp_path / "2")
        assert (both.code, "exclude each other" in both.err) == (2, True)

    def test_no_address_to_listen_on(self, tmp_path):
        """An address that is none is wrong usage, as for run."""
        result = run("serve", "--listen", "everywhere", "--data", tmp_path)

        assert result.code == 2
        assert "--listen: 'everywhere' is no address to listen on" in result.err

    def test_a_taken_port(self, caller, tmp_path):
        """A port that was asked for and is taken is an error of the set-up."""
        result = run("serve", "--listen", caller.address, "--data", tmp_path)

        assert result.code == 78
        assert "is taken by another program" in result.err
