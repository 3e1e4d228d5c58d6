"""How commands reach a monitor: options, keys, and the address of the embedded one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import click

from logwatch_monitis.cli.options import PATH, config_option, say
from logwatch_monitis.cli.running_agent import ask_agent
from logwatch_monitis.config.credentials import Secret, read_secret_file
from logwatch_monitis.config.file import load
from logwatch_monitis.config.model import EMBEDDED, Config
from logwatch_monitis.errors import LogwatchError, UnreachableError, UsageError
from logwatch_monitis.interfaces import SystemClock
from logwatch_monitis.protocol.client import MonitisClient
from logwatch_monitis.protocol.errors import BusyError

__all__ = ["Access", "connect", "connection_options", "try_keys"]

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    config_option,
    click.option("--url", metavar="URL", help="The monitor's address, or 'embedded'."),
    click.option("--api-key", metavar="KEY", help="The public key."),
    click.option("--api-key-file", metavar="FILE", type=PATH, help="File with the public key."),
    click.option("--secret-key-file", metavar="FILE", type=PATH, help="File with the secret key."),
    click.option(
        "--validation", type=click.Choice(["hmac", "token"]), help="How writes are proved."
    ),
    click.option("--insecure", is_flag=True, help="Let tokens cross the network in clear text."),
)


def connection_options(function: F) -> F:
    """Add the options that say which monitor is meant; what they leave open is configured."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class Access:
    """What the options of `connection_options` said."""

    config_path: str | None = None
    url: str | None = None
    api_key: str | None = None
    api_key_file: str | None = None
    secret_key_file: str | None = None
    validation: Literal["hmac", "token"] | None = None
    insecure: bool = False

    def keys(self, configuration: Config) -> tuple[Secret, Secret]:
        """Return the two keys from the nearest place.

        Raises:
            SetupError: one of them is nowhere, or its file is not usable.
            UsageError: the public key is given twice.
        """
        if self.api_key and self.api_key_file:
            raise UsageError("--api-key and --api-key-file exclude each other")
        monitor = configuration.monitor
        public = Secret(self.api_key) if self.api_key else _file(self.api_key_file)
        secret = _file(self.secret_key_file)
        return public or monitor.api_key.need(), secret or monitor.secret_key.need()


def _file(path: str | None) -> Secret | None:
    return read_secret_file(path) if path else None


@contextmanager
def connect(access: Access, configuration: Config | None = None) -> Iterator[MonitisClient]:
    """Give a client for the monitor that is meant, and close it afterwards.

    Raises:
        SetupError: address or keys cannot be used.
        UnreachableError: the embedded monitor is meant and does not run; or what answers is no
            monitor that works.
    """
    configuration = configuration or load(access.config_path)
    url = access.url or configuration.monitor.url
    if url == EMBEDDED:
        url, public, secret = _embedded(configuration)
    else:
        public, secret = access.keys(configuration)
    with _client(url, (public, secret), access, configuration) as client:
        yield client


@contextmanager
def _client(
    url: str, keys: tuple[Secret, Secret], access: Access, configuration: Config
) -> Iterator[MonitisClient]:
    from logwatch_monitis.protocol.transport import RequestsTransport

    public, secret = keys
    client = MonitisClient(
        url,
        public.reveal(),
        secret.reveal(),
        validation=access.validation or configuration.monitor.validation,
        insecure=access.insecure,
        transport=RequestsTransport(),
        clock=SystemClock(),
        events=lambda event: say(str(event)),
    )
    try:
        yield client
    except BusyError as error:
        raise UnreachableError(f"{client.url}: {error.message}", error.hint) from None
    finally:
        client.close()


def try_keys(url: str, public: Secret, secret: Secret) -> bool:
    """Ask the monitor at *url* whether it takes the keys; False if the secret one is not tried.

    It is not tried where it would cross the network in clear text.

    Raises:
        MonitorError: the monitor refuses them, or cannot be reached.
        SetupError: the address cannot be used.
    """
    from logwatch_monitis.protocol.url import is_loopback

    with _client(url, (public, secret), Access(), Config()) as client:
        client.monitors(Config().monitor.tag)
        safe = client.url.startswith("https:") or is_loopback(client.url)
        if safe:
            client.auth_token()
        return safe


def _embedded(configuration: Config) -> tuple[str, Secret, Secret]:
    """Return the address of the monitor that the running agent has brought along, and its keys."""
    from logwatch_monitis.config.keys import Keys

    directory = configuration.state_directory
    try:
        url = ask_agent(directory, "status").status["monitor"]["page"].rstrip("/")
    except LogwatchError:
        url = ""
    if not url:
        raise UnreachableError(
            f"no embedded monitor runs with the state in {directory}",
            "start it with: logwatch-monitis run, or name another one with --url",
        )
    keys = Keys.load_or_make(configuration.monitor_directory)
    return url, Secret(keys.api_key), Secret(keys.secret_key)
