"""Runs the monitor until it is told to stop. Needs the packages of the extra ``monitor``."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from logwatch_monitis.config.keys import KEYS_FILE, Keys
from logwatch_monitis.config.listen import Address, address_of, bind, parse_listen
from logwatch_monitis.config.signals import release
from logwatch_monitis.errors import MissingExtraError, SetupError
from logwatch_monitis.interfaces import SystemClock
from logwatch_monitis.server.api.accounts import Accounts
from logwatch_monitis.server.api.authentication import DEFAULT_DEMANDS, Demands
from logwatch_monitis.server.store.retention import KEEP_ALL, Retention
from logwatch_monitis.server.web.asgi import App
from logwatch_monitis.server.web.budget import Budget
from logwatch_monitis.server.web.places import Places, places_left
from logwatch_monitis.server.web.tls import Tls

try:
    import uvicorn

    from logwatch_monitis.server.web.app import Options, make_app
    from logwatch_monitis.server.web.timeouts import MAX_HEAD, TimedProtocol
except ImportError as _error:
    _package = (_error.name or "").partition(".")[0]
    raise MissingExtraError(f"the embedded monitor ({_package})", "monitor") from None

__all__ = ["Server", "Started", "serve"]

logger = logging.getLogger(__name__)

KEEP_ALIVE = 75
GRACE = 2


class Started(NamedTuple):
    """What can be said once the monitor listens.

    Attributes:
        address: where it really listens.
        keys: what opens it.
        keys_file: where the keys are kept.
        scheme: ``http`` or ``https``.
        others: the accounts beside the first: name, address of the page, file of the keys.
    """

    address: Address
    keys: Keys
    keys_file: Path
    scheme: str = "http"
    others: Sequence[tuple[str, str, Path]] = ()

    @property
    def url(self) -> str:
        """The address for agents."""
        return self.address.link(self.scheme)

    @property
    def page(self) -> str:
        """The address of the page, with its key."""
        return self.address.page(self.keys.page_key, self.scheme)


class Server(uvicorn.Server):
    """uvicorn, asleep while nothing happens: its own main loop wakes ten times a second."""

    def __init__(
        self, config: uvicorn.Config, accounts: Accounts, started: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._accounts = accounts
        self._started = started
        self._stop = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End as planned on SIGTERM and SIGINT, both; uvicorn would raise them again at the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        yield

    async def main_loop(self) -> None:
        """Wait; take no looks at a clock."""
        self._started()
        await self._stop.wait()

    def parent_wrote(self, descriptor: int) -> None:
        """End the server at the end of the parent's pipe; what the parent writes means nothing."""
        if not os.read(descriptor, 1024):
            asyncio.get_running_loop().remove_reader(descriptor)
            self.stop()

    def renew(self, tls: Tls | None) -> None:
        """Use the certificate that stands in the files now; a bad one leaves the former in use."""
        if tls is None:
            return
        try:
            tls.check()
        except SetupError as error:
            logger.error("%s", error.render())  # noqa: TRY400 - one line
        else:
            assert self.config.ssl is not None
            tls.load(self.config.ssl)

    def stop(self) -> None:
        """End the server, from within its loop; streams first, as uvicorn waits for them."""
        for account in self._accounts:
            account.live.close()
        self._stop.set()


def serve(
    listen: str | socket.socket,
    data_directory: Path,
    *,
    ready: Callable[[Started], None],
    api_key: str = "",
    secret_key: str = "",
    accounts: Sequence[str] = (),
    retention: Retention = KEEP_ALL,
    demands: Demands = DEFAULT_DEMANDS,
    tls: Tls | None = None,
    proxies: Sequence[str] = (),
    connections: int | None = None,
    place: str = "",
    page_password: str = "",
    names: Collection[str] = (),
    lonely: bool = True,
    agent_socket: Path | None = None,
    parent: int | None = None,
    tries: int = 1,
    patience: float = 0.0,
) -> None:
    """Run the monitor in this thread, the main one, until SIGTERM or SIGINT.

    Args:
        listen: ``HOST:PORT``, or a socket that listens already.
        data_directory: for results and keys; made if it is missing.
        ready: called once when clients can connect.
        api_key: in place of the kept one.
        secret_key: in place of the kept one.
        accounts: names of further accounts, which are made; those that exist are served anyway.
        retention: how much is kept.
        demands: what requests have to show.
        tls: the certificate; without one it speaks plain HTTP.
        proxies: addresses of proxies whose word on a client's address and scheme counts.
        connections: how many there may be; None for 20,000 or what the limit on open files allows.
        place: the name in the page's heading; the machine's if it is empty.
        page_password: opens the first account's page, as its key does; empty for none.
        names: host names by which the page may be called, beside addresses and the machine's own.
        lonely: no agent runs beside it; an empty page then says how to start one.
        agent_socket: Unix socket of an agent that answers for ``/healthz`` and the like.
        parent: a descriptor whose end means that the parent process is gone: then it ends too.
        tries: how many ports to try, from that of *listen* on.
        patience: seconds to wait for another process to let go of *data_directory*.

    Raises:
        SetupError: the address cannot be used, the keys cannot, or so many *connections* cannot be.
        LockHeldError: another monitor works on *data_directory*.
        StateError: *data_directory* cannot be used.
    """
    if tls:
        tls.check()
    places = Places(places_left(connections), proxies)
    held = Accounts.open(
        data_directory,
        SystemClock(),
        names=accounts,
        api_key=api_key,
        secret_key=secret_key,
        retention=retention,
        demands=demands,
        patience=patience,
    )
    try:
        taken = (
            listen
            if isinstance(listen, socket.socket)
            else bind(*parse_listen(listen), tries=tries)
        )
        address = address_of(taken)
        options = Options(
            address.port, place or socket.gethostname(), lonely, names, agent_socket, page_password
        )
        started = _started(address, held, "https" if tls else "http")
        budget = Budget(account.keys.api_key for account in held)
        connection = partial(TimedProtocol, places, budget)
        config = _config(make_app(held, options), connection, tls, proxies)
        server = Server(config, held, lambda: ready(started))
        asyncio.run(_run(server, taken, tls, parent))
    finally:
        held.close()


def _started(address: Address, accounts: Accounts, scheme: str) -> Started:
    first, *others = accounts
    named = [
        (
            account.name,
            address.page(account.keys.page_key, scheme),
            account.directory / KEYS_FILE,
        )
        for account in others
    ]
    return Started(address, first.keys, first.directory / KEYS_FILE, scheme, named)


def _config(
    app: App, connection: Callable[..., TimedProtocol], tls: Tls | None, proxies: Sequence[str]
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=connection,  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=[form for proxy in proxies for form in _forms(proxy)],
        h11_max_incomplete_event_size=MAX_HEAD,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )


def _forms(proxy: str) -> list[str]:
    """Return how a socket names an address: one for IPv6 has a form of its own for IPv4."""
    return [proxy] if ":" in proxy else [proxy, f"::ffff:{proxy}"]


async def _run(server: Server, taken: socket.socket, tls: Tls | None, parent: int | None) -> None:
    loop = asyncio.get_running_loop()
    if parent is not None:
        loop.add_reader(parent, server.parent_wrote, parent)
    loop.add_signal_handler(signal.SIGHUP, server.renew, tls)
    release()
    await server.serve([taken])
