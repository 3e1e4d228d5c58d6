"""``serve``: the embedded custom monitor alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from logwatch_monitis.cli.options import PATH, Command, config_option, listen_address
from logwatch_monitis.cli.tables import write
from logwatch_monitis.config.credentials import Credential, Secret, read_secret_file
from logwatch_monitis.config.file import load
from logwatch_monitis.config.model import Config, Keep
from logwatch_monitis.config.private_files import make_directory
from logwatch_monitis.errors import UsageError

if TYPE_CHECKING:
    from logwatch_monitis.server.web.server import Started
    from logwatch_monitis.server.web.tls import Tls

_API_KEY = Credential("api-key")
_SECRET_KEY = Credential("secret-key")
_FREE_PORTS = 20
"""How many ports are tried from the default one on."""


@click.command(
    cls=Command,
    example="logwatch-monitis serve --listen 127.0.0.1:0 --data /var/lib/logwatch-monitor",
    daemon=True,
)
@config_option
@click.option(
    "--listen", metavar="HOST:PORT", help="Where; port 0 picks one.  [default: as configured]"
)
@click.option(
    "--data",
    metavar="DIR",
    type=PATH,
    help="For results and keys.  [default: that of the embedded one]",
)
@click.option("--api-key", metavar="KEY", help="The public key, in place of the kept one.")
@click.option(
    "--api-key-file",
    metavar="FILE",
    type=PATH,
    help="File with the public key: the list of processes shows what --api-key says.",
)
@click.option(
    "--secret-key-file", metavar="FILE", type=PATH, help="The secret key, in place of the kept one."
)
@click.option(
    "--reads",
    type=click.Choice(["key", "proof"]),
    help="What reads have to show: the public key, or a signature or token too."
    "  [default: as configured, or key]",
)
@click.option(
    "--timestamp-window",
    type=click.Choice(["15m", "27h", "off"]),
    help="How far the time of a signed request may be from the clock here.  [default: as"
    " configured, or 15m]",
)
@click.option(
    "--account",
    "accounts",
    metavar="NAME",
    multiple=True,
    help="One more account with keys and a page of its own; once made it stays.  Repeatable.",
)
@click.option(
    "--keep-days",
    type=click.IntRange(0, 36_500),
    help="Results of earlier days go; 0 keeps all.  [default: as configured, or 0]",
)
@click.option(
    "--keep-mebibytes",
    type=click.IntRange(0, 1_000_000_000),
    help="Above that the oldest results of an account go; 0 is no limit.  [default: as configured]",
)
@click.option(
    "--tls-certificate",
    metavar="FILE",
    type=PATH,
    help="Speak HTTPS with this certificate (PEM); SIGHUP reads a new one.",
)
@click.option("--tls-key", metavar="FILE", type=PATH, help="Its key, readable for its owner only.")
@click.option(
    "--page-password-file",
    metavar="FILE",
    type=PATH,
    help="Holds a password that opens the page as its key does.  [default: as configured]",
)
@click.option(
    "--max-connections",
    "connections",
    metavar="N",
    type=click.IntRange(16, 1_000_000),
    help="So many at once; with more, the one idle longest is closed."
    "  [default: 20000, or 100 below the limit on open files]",
)
@click.option(
    "--name",
    "names",
    metavar="HOST",
    multiple=True,
    help="A host name by which browsers may call the page.  Repeatable.",
)
@click.option(
    "--trust-proxy",
    "proxies",
    metavar="ADDRESS",
    multiple=True,
    help="A proxy whose X-Forwarded-For and -Proto count.  Repeatable.",
)
def command(
    config_path: str | None,
    *,
    listen: str | None,
    data: str | None,
    accounts: Sequence[str],
    names: Sequence[str],
    proxies: Sequence[str],
    **options: Any,
) -> None:
    """Run the embedded custom monitor for many agents until it is stopped.

    Without keys it makes a pair on its first start, readable for you alone, and prints where.
    """
    from logwatch_monitis.server.api.authentication import Demands
    from logwatch_monitis.server.store.retention import Retention
    from logwatch_monitis.server.web.server import serve

    configuration = load(config_path)
    public, secret = _keys(options)
    serve(
        listen_address(listen) if listen else configuration.listen,
        ready=_greet,
        api_key=public,
        secret_key=secret,
        accounts=accounts,
        retention=Retention(*_keep(configuration.retention, options)),
        demands=Demands(
            options["reads"] or configuration.reads or "key",
            options["timestamp_window"] or configuration.timestamp_window,
        ),
        tls=_tls(options["tls_certificate"], options["tls_key"]),
        proxies=[_address(text) for text in proxies],
        connections=options["connections"],
        page_password=_password(options["page_password_file"] or configuration.page_password_file),
        names=names,
        tries=1 if listen or configuration.listen_chosen else _FREE_PORTS,
        data_directory=_data(data, configuration),  # last: what fails before makes none
    )


def _data(path: str | None, configuration: Config) -> Path:
    if path is None:
        return configuration.monitor_directory
    make_directory(Path(path), "the data directory", "--data", own=True)
    return Path(path)


def _keys(options: dict[str, Any]) -> tuple[str, str]:
    api_key, api_key_file = options["api_key"], options["api_key_file"]
    if api_key and api_key_file:
        raise UsageError("--api-key and --api-key-file exclude each other")
    public = Secret(api_key) if api_key else _key(api_key_file, _API_KEY)
    secret = _key(options["secret_key_file"], _SECRET_KEY)
    return public.reveal() if public else "", secret.reveal() if secret else ""


def _key(path: str | None, credential: Credential) -> Secret | None:
    return read_secret_file(path) if path else credential.find()


def _keep(configured: Keep, options: dict[str, Any]) -> tuple[int, int]:
    days, mebibytes = options["keep_days"], options["keep_mebibytes"]
    return (
        configured.days if days is None else days,
        configured.mebibytes if mebibytes is None else mebibytes,
    )


def _password(path: str) -> str:
    return read_secret_file(path).reveal() if path else ""


def _tls(certificate: str | None, key: str | None) -> Tls | None:
    from logwatch_monitis.server.web.tls import Tls

    if not certificate and not key:
        return None
    if not certificate or not key:
        raise UsageError("--tls-certificate and --tls-key belong together")
    tls = Tls(Path(certificate), Path(key))
    tls.check()
    return tls


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise UsageError(f"--trust-proxy '{text}' is no address", "such as 127.0.0.1") from None


def _greet(started: Started) -> None:
    write(
        f"The monitor listens on {started.url}\nPage: {started.page}\nKeys: {started.keys_file}\n"
    )
    for name, page, keys_file in started.others:
        write(f"Account {name}: {page} with the keys in {keys_file}\n")
