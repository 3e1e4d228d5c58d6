"""``serve`` over TLS and behind a proxy, as real processes."""

import http.client
import json
import signal
import ssl
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import run, spawn
from running import eventually

WRONG = "/customMonitorApi?action=apikey&userName=eve&password=wrong"


def certify(directory, name):
    """Put a certificate for *name* and its key into *directory*; return the options for them."""
    files = directory / "cert.pem", directory / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    subprocess.run(
        [*command.split(), "-subj", f"/CN={name}", "-out", files[0], "-keyout", files[1]],
        check=True,
        capture_output=True,
    )
    files[1].chmod(0o600)
    return ("--tls-certificate", files[0], "--tls-key", files[1])


@contextmanager
def serving(directory, *options):
    """Run ``serve``; yields its process, port, and page key."""
    words = ("serve", "--listen", "127.0.0.1:0", "--data", directory / "data", *options)
    with spawn(*words) as started:
        try:
            url, _, keys = [started.stdout.readline().decode().split()[-1] for _ in range(3)]
            key = json.loads(Path(keys).read_text())["page_key"]
            yield started, int(url.rpartition(":")[2]), key
        finally:
            started.send_signal(signal.SIGTERM)


def ask(port, target, headers=None, *, tls=False):
    """Return the answer's status and headers."""
    context = ssl._create_unverified_context()
    kind = http.client.HTTPSConnection if tls else http.client.HTTPConnection
    connection = kind("127.0.0.1", port, timeout=20, **({"context": context} if tls else {}))
    connection.request("GET", target, headers=headers or {})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders())


def test_the_cookie_is_secure_and_a_renewed_certificate_is_taken(tmp_path):
    """Over TLS the cookie is marked; SIGHUP takes a new certificate, and passes over a bad one."""
    options = certify(tmp_path, "first")
    with serving(tmp_path, *options) as (process, port, key):

        def shown():
            return ssl.get_server_certificate(("127.0.0.1", port))

        status, headers = ask(port, f"/?key={key}", tls=True)
        before = shown()
        certify(tmp_path, "second")
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: shown() != before, 10)
        after = shown()
        options[1].write_text("nonsense")
        process.send_signal(signal.SIGHUP)
        told = process.stderr.readline().decode()
        assert after == shown()
    assert status == 303
    assert "; Secure" in headers["set-cookie"]
    assert "are no certificate and its key" in told


def test_files_that_will_not_do(tmp_path):
    """A key that others can read, a wrong file, none at all: 78, one line with its name."""
    options = certify(tmp_path, "x")
    words = ("serve", "--listen", "127.0.0.1:0", "--data", tmp_path / "data")
    options[3].chmod(0o644)
    open_key = run(*words, *options)
    options[3].chmod(0o600)
    options[1].write_text("nonsense")
    wrong = run(*words, *options)
    options[1].unlink()
    gone = run(*words, *options)

    assert [78] * 3 == [open_key.code, wrong.code, gone.code]
    assert str(options[3]) in open_key.err
    assert [1] * 3 == [len(result.err.splitlines()) for result in (open_key, wrong, gone)]
    assert not (tmp_path / "data").exists()
    assert run(*words, *options[:2]).code == 2


@pytest.mark.parametrize(("proxy", "counts"), [("127.0.0.1", True), ("192.0.2.9", False)])
def test_only_a_trusted_proxy_is_believed(tmp_path, proxy, counts):
    """Its word on scheme and address counts: guessing locks the client behind it, no other."""
    with serving(tmp_path, "--trust-proxy", proxy) as (_, port, key):
        _, headers = ask(port, f"/?key={key}", {"X-Forwarded-Proto": "https"})
        one = [ask(port, WRONG, {"X-Forwarded-For": "198.51.100.1"})[0] for _ in range(6)]
        other, _ = ask(port, WRONG, {"X-Forwarded-For": "198.51.100.2"})

    assert counts == ("; Secure" in headers["set-cookie"])
    assert one[-1] == 429
    assert (other == 200) == counts


def test_a_client_cannot_choose_whom_it_counts_for(tmp_path):
    """A chain of proxies is read from the right; IPv6 counts by network, junk as one address."""
    proxies = ("--trust-proxy", "127.0.0.1", "--trust-proxy", "192.0.2.7")

    def last(form):
        """Guess six times; return how the last one was answered."""
        return [ask(port, WRONG, {"X-Forwarded-For": form.format(n)})[0] for n in range(6)][-1]

    with serving(tmp_path, *proxies) as (_, port, _):
        locked = [
            last("203.0.113.{}, 198.51.100.1"),
            last("203.0.113.{}, 198.51.100.2, 192.0.2.7"),
            last("2001:db8::{}"),
            last("junk{}" + "x" * 9_000),
        ]
        fresh = ask(port, WRONG, {"X-Forwarded-For": "198.51.100.3:4711"})[0]
    assert [429] * 4 == locked
    assert fresh == 200
