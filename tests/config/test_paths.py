"""Where state and cache live, for services, root and plain users."""

from pathlib import Path

import pytest

from logwatch_monitis.config.paths import cache_directory, state_directory

HOME = {"HOME": "/home/ann"}


@pytest.mark.parametrize(
    ("configured", "environment", "user", "expected"),
    [
        ("/srv/state", {"STATE_DIRECTORY": "/var/lib/x"}, 0, "/srv/state"),
        (None, {"STATE_DIRECTORY": "/var/lib/x:/var/lib/y"}, 7, "/var/lib/x"),
        (None, {"XDG_STATE_HOME": "/x"}, 0, "/var/lib/logwatch-monitis"),
        (None, {**HOME, "XDG_STATE_HOME": "/x"}, 7, "/x/logwatch-monitis"),
        (None, {**HOME, "XDG_STATE_HOME": "x"}, 7, "/home/ann/.local/state/logwatch-monitis"),
        (None, {**HOME, "STATE_DIRECTORY": ""}, 7, "/home/ann/.local/state/logwatch-monitis"),
        ("", HOME, 7, "/home/ann/.local/state/logwatch-monitis"),
    ],
)
def test_the_state_directory_is_the_first_that_is_named(configured, environment, user, expected):
    """Configuration, then systemd, then the place that root's and others' state has by custom."""
    assert state_directory(configured, environment, user) == Path(expected)


def test_a_tilde_in_the_configuration_is_the_home_directory(monkeypatch):
    """People type paths as in a shell."""
    monkeypatch.setenv("HOME", "/home/ann")
    assert state_directory("~/state") == Path("/home/ann/state")


@pytest.mark.parametrize(
    ("environment", "user", "expected"),
    [
        ({"CACHE_DIRECTORY": "/var/cache/x"}, 7, "/var/cache/x"),
        ({}, 0, "/var/cache/logwatch-monitis"),
        ({**HOME, "XDG_CACHE_HOME": "/x"}, 7, "/x/logwatch-monitis"),
        (HOME, 7, "/home/ann/.cache/logwatch-monitis"),
    ],
)
def test_the_cache_directory_is_the_first_that_is_named(environment, user, expected):
    """As for the state, without a place in the configuration."""
    assert cache_directory(environment, user) == Path(expected)
