"""The agent's face on its Unix socket and on TCP."""

import stat
import urllib.request

import pytest

from logwatch_monitis.agent.control import Control, ask
from logwatch_monitis.config.paths import SOCKET_NAME


@pytest.fixture(name="control")
def _control():
    """A control that is not ready."""
    control = Control(
        status=lambda: {"state": "ok"},
        ready=lambda: (False, "spool full"),
        metrics=lambda: b"x 1\n",
    )
    yield control
    control.close()


@pytest.mark.parametrize(
    ("page", "answer"),
    [
        ("/status", (200, b'{"state": "ok"}')),
        ("/healthz", (200, b"ok\n")),
        ("/readyz", (503, b"spool full\n")),
        ("/metrics", (200, b"x 1\n")),
        ("/other", (404, b"not found\n")),
    ],
)
def test_answers_on_the_socket(control, tmp_path, page, answer):
    """Each page answers on the socket in the state directory, however long its name is."""
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    control.listen_unix(deep)

    assert ask(deep, page) == answer


def test_the_socket_is_private_and_goes_away(control, tmp_path):
    """Only the owner may ask; after a clean end nothing is left behind."""
    control.listen_unix(tmp_path)
    mode = stat.S_IMODE((tmp_path / SOCKET_NAME).stat().st_mode)
    control.close()

    assert (mode, list(tmp_path.iterdir())) == (0o600, [])


def test_a_killed_agents_socket_is_replaced(control, tmp_path):
    """A socket file without a listener does not keep the next agent from starting."""
    (tmp_path / SOCKET_NAME).touch()
    control.listen_unix(tmp_path)

    assert ask(tmp_path, "/healthz") == (200, b"ok\n")


def test_answers_on_tcp(control):
    """With a remote monitor the configured address gives the same answers."""
    host, port = control.listen_tcp("127.0.0.1", 0)

    with urllib.request.urlopen(f"http://{host}:{port}/metrics") as reply:
        assert reply.read() == b"x 1\n"


def test_nobody_answers(tmp_path):
    """Asking where no agent runs is an OSError, which `status` turns into its answer."""
    with pytest.raises(OSError, match="No such file"):
        ask(tmp_path, "/status")


def test_an_end_leaves_the_socket_of_the_next_agent(control, tmp_path):
    """An agent whose socket was replaced by another one's removes nothing when it ends."""
    control.listen_unix(tmp_path)
    following = Control(status=dict, ready=lambda: (True, "ready"), metrics=bytes)
    following.listen_unix(tmp_path)
    control.close()

    try:
        assert ask(tmp_path, "/healthz") == (200, b"ok\n")
    finally:
        following.close()
    assert list(tmp_path.iterdir()) == []
