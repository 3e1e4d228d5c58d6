"""``/healthz``, ``/readyz`` and ``/metrics``: the agent's answers, passed on; or our own."""

from __future__ import annotations

import asyncio
import hmac
import re
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request  # noqa: TC002 - of a public signature
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from logwatch_monitis.server.web.access import KNOWN

__all__ = ["PATHS", "Health"]

PATHS = ("/healthz", "/readyz", "/metrics")
PATIENCE = 5.0
MAX_ANSWER = 4 * 1024 * 1024

_LOG = re.compile(rb'(?<=[{,]source=")(?:[^"\\]|\\.)*/(?:[^"\\]|\\.)*(?=")')
"""The label of a source that is a path, in the text format of Prometheus."""


class _HealthAnswer(NamedTuple):
    status: int
    kind: str
    body: bytes


class Health:
    """Asks the agent that listens on a Unix socket, if there is one."""

    def __init__(self, agent_socket: Path | None, secret: str) -> None:
        """Take the agent's socket, and the page's key, with which names of logs are hidden."""
        self._agent = agent_socket
        self._secret = secret.encode()

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route(path, self._answer) for path in PATHS]

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        if self._agent is None:
            known = path != "/metrics"
            return PlainTextResponse("ok\n" if known else "Not Found\n", 200 if known else 404)
        try:
            status, kind, body = await asyncio.wait_for(_ask(self._agent, path), PATIENCE)
        except (OSError, ValueError, IndexError, EOFError, TimeoutError):
            return PlainTextResponse("the agent does not answer\n", 503)
        if not request.scope.get(KNOWN):
            body = _LOG.sub(self._hidden, body)
        return Response(body, status, media_type=kind)

    def _hidden(self, match: re.Match[bytes]) -> bytes:
        """Return the label of a log for those without the key: always the same, and no path."""
        return b"log-%s" % hmac.digest(self._secret, match[0], "sha256").hex()[:12].encode()


async def _ask(agent: Path, path: str) -> _HealthAnswer:
    reader, writer = await asyncio.open_unix_connection(agent)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        body = await reader.read(MAX_ANSWER)
        while len(body) < MAX_ANSWER and (more := await reader.read(MAX_ANSWER)):
            body += more
    finally:
        writer.close()
    fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
    return _HealthAnswer(int(head[0].split()[1]), fields.get("content-type", "text/plain"), body)
