"""The monitor as a child process of an agent: ``python -m logwatch_monitis.server.web``.

For `logwatch_monitis.delivery.embedded` alone; people use ``logwatch-monitis serve``. Standard
input is a pipe from the parent, whose end ends the monitor, so that it never outlives a parent
that was killed.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

from logwatch_monitis.config.credentials import keep_memory_private, read_secret_file
from logwatch_monitis.errors import LogwatchError

PATIENCE = 2.0


def main() -> int:
    """Run the monitor; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m logwatch_monitis.server.web", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="directory for results and keys")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--listen", metavar="HOST:PORT")
    where.add_argument("--listen-fd", type=int, help="a socket that listens already")
    parser.add_argument("--ready-fd", type=int, help="gets the address, as one line")
    parser.add_argument("--agent-socket", type=Path, help="who answers /healthz and the like")
    parser.add_argument("--place", default="", help="the name in the page's heading")
    parser.add_argument("--keep-days", type=int, default=0, help="results of earlier days go")
    parser.add_argument("--keep-mebibytes", type=int, default=0, help="the oldest go above that")
    parser.add_argument("--page-password-file", help="holds what opens the page as its key does")
    parser.add_argument("--reads", default="proof", help="what reads have to show: key or proof")
    parser.add_argument("--timestamp-window", default="15m", help="15m, 27h or off")
    options = parser.parse_args()
    keep_memory_private()
    try:
        _serve(options)
    except LogwatchError as error:
        print(f"logwatch-monitis: {error.render()}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


def _serve(options: argparse.Namespace) -> None:
    from logwatch_monitis.server.api.authentication import Demands
    from logwatch_monitis.server.store.retention import Retention
    from logwatch_monitis.server.web.server import Started, serve

    name = options.page_password_file

    def ready(started: Started) -> None:
        if options.ready_fd is not None:
            os.write(options.ready_fd, f"{started.address}\n".encode())
            os.close(options.ready_fd)

    listen = options.listen or socket.socket(fileno=options.listen_fd)
    serve(
        listen,
        options.data,
        ready=ready,
        place=options.place,
        page_password=read_secret_file(name).reveal() if name else "",
        retention=Retention(options.keep_days, options.keep_mebibytes),
        demands=Demands(options.reads, options.timestamp_window),
        lonely=False,
        agent_socket=options.agent_socket,
        parent=sys.stdin.fileno(),
        patience=PATIENCE,
    )


if __name__ == "__main__":
    sys.exit(main())
