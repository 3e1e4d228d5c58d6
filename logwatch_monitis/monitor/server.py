"""Runs the monitor until it is told to stop. Needs the packages of the extra ``monitor``."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from logwatch_monitis.errors import MissingExtraError

from .asgi import App
from .keys import KEYS_FILE, Keys
from .listen import Address, address_of, bind, parse_listen
from .live import Live
from .store import Store

try:
    import uvicorn

    from .app import Options, make_app
except ImportError as _error:
    _package = (_error.name or "").partition(".")[0]
    raise MissingExtraError(f"the embedded monitor ({_package})", "monitor") from None

__all__ = ["Server", "Started", "serve"]

KEEP_ALIVE = 75
GRACE = 2


class Started(NamedTuple):
    """What can be said once the monitor listens.

    Attributes:
        address: where it really listens.
        keys: what opens it.
        keys_file: where the keys are kept.
    """

    address: Address
    keys: Keys
    keys_file: Path

    @property
    def page(self) -> str:
        """The address of the page, with its key."""
        return self.address.page(self.keys.page_key)


class Server(uvicorn.Server):
    """uvicorn, asleep while nothing happens: its own main loop wakes ten times a second."""

    def __init__(self, config: uvicorn.Config, live: Live, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._live = live
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

    def stop(self) -> None:
        """End the server, from within its loop; streams first, as uvicorn waits for them."""
        self._live.close()
        self._stop.set()


def serve(
    listen: str | socket.socket,
    data_directory: Path,
    *,
    ready: Callable[[Started], None],
    api_key: str = "",
    secret_key: str = "",
    place: str = "",
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
        place: the name in the page's heading; the machine's if it is empty.
        names: host names by which the page may be called, beside addresses and the machine's own.
        lonely: no agent runs beside it; an empty page then says how to start one.
        agent_socket: Unix socket of an agent that answers for ``/healthz`` and the like.
        parent: a descriptor whose end means that the parent process is gone: then it ends too.
        tries: how many ports to try, from that of *listen* on.
        patience: seconds to wait for another process to let go of *data_directory*.

    Raises:
        SetupError: the address cannot be used, or the keys cannot.
        LockHeldError: another monitor works on *data_directory*.
        StateError: *data_directory* cannot be used.
    """
    keys = Keys.load_or_make(data_directory, api_key=api_key, secret_key=secret_key)
    store = Store.open(data_directory, patience=patience)
    try:
        taken = (
            listen
            if isinstance(listen, socket.socket)
            else bind(*parse_listen(listen), tries=tries)
        )
        address = address_of(taken)
        options = Options(address.port, place or socket.gethostname(), lonely, names, agent_socket)
        started = Started(address, keys, data_directory / KEYS_FILE)
        live = Live()
        app = make_app(store, keys, live, options)
        asyncio.run(_run(app, taken, live, lambda: ready(started), parent))
    finally:
        store.close()


async def _run(
    app: App, taken: socket.socket, live: Live, started: Callable[[], None], parent: int | None
) -> None:
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
    )
    server = Server(config, live, started)
    if parent is not None:
        asyncio.get_running_loop().add_reader(parent, server.parent_wrote, parent)
    await server.serve([taken])
