"""``serve``: the embedded custom monitor alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from logwatch_monitis import config
from logwatch_monitis.cli.options import Command, config_option, listen_address
from logwatch_monitis.cli.tables import write
from logwatch_monitis.credentials import Credential, Secret, read_secret_file

if TYPE_CHECKING:
    from logwatch_monitis.monitor.server import Started

_API_KEY = Credential("api-key")
_SECRET_KEY = Credential("secret-key")
_FREE_PORTS = 20
"""How many ports are tried from the default one on."""


@click.command(
    cls=Command,
    example="logwatch-monitis serve --listen 127.0.0.1:0 --data /var/lib/logwatch-monitor",
)
@config_option
@click.option(
    "--listen", metavar="HOST:PORT", help="Where; port 0 picks one.  [default: as configured]"
)
@click.option(
    "--data", metavar="DIR", help="For results and keys.  [default: that of the embedded one]"
)
@click.option("--api-key", metavar="KEY", help="The public key, in place of the kept one.")
@click.option("--secret-key-file", metavar="FILE", help="The secret key, in place of the kept one.")
def command(
    config_path: str | None,
    listen: str | None,
    data: str | None,
    api_key: str | None,
    secret_key_file: str | None,
) -> None:
    """Run the embedded custom monitor for many agents until it is stopped.

    Without keys it makes a pair on its first start, readable for you alone, and prints where.
    """
    from logwatch_monitis.monitor.server import serve

    configuration = config.load(config_path)
    secret = read_secret_file(secret_key_file) if secret_key_file else _SECRET_KEY.find()
    public = Secret(api_key) if api_key else _API_KEY.find()
    serve(
        listen_address(listen) if listen else configuration.listen,
        Path(data) if data else configuration.monitor_directory,
        ready=_greet,
        api_key=public.reveal() if public else "",
        secret_key=secret.reveal() if secret else "",
        tries=1 if listen or configuration.listen_chosen else _FREE_PORTS,
    )


def _greet(started: Started) -> None:
    write(
        f"The monitor listens on {started.address.url}\n"
        f"Page: {started.page}\n"
        f"Keys: {started.keys_file}\n"
    )
