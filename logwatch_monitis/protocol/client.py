"""Speaks the protocol with any compatible server."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Literal, NamedTuple
from xml.etree.ElementTree import Element

from logwatch_monitis.errors import MonitorError, UnreachableError
from logwatch_monitis.interfaces import Clock, Event, Events, Reply, Transport
from logwatch_monitis.protocol.actions import escape_names
from logwatch_monitis.protocol.encoding import Parameter, encode_parameters, encode_results
from logwatch_monitis.protocol.errors import (
    BusyError,
    ProofMissingError,
    TokenExpiredError,
    UnclearError,
    WrongTimeError,
)
from logwatch_monitis.protocol.events import ClockDiffers, SignedInClear
from logwatch_monitis.protocol.extensions import (
    ADD_RESULTS,
    FORGET_USER,
    Result,
    encode_additional,
    encode_batch,
    is_ours,
)
from logwatch_monitis.protocol.rendering import SizeBound, bound_of
from logwatch_monitis.protocol.request_parsing import API_PATH, CUSTOM_PATH, REPEATED
from logwatch_monitis.protocol.responses import read_answer, read_data
from logwatch_monitis.protocol.signature import checksum
from logwatch_monitis.protocol.url import base_url, is_open, refuse_clear_text

__all__ = ["MonitisClient", "MonitorRow"]

TOKEN_SECONDS = 12 * 3600
LONGEST_ID = 100
VERSION = "2"
CLOCKS_DIFFER = 60.0
"""By how many seconds two clocks differ before it is worth another try."""
TRIES = 5
_LISTS = ("resultParams", "additionalResultParams", "monitorParams")

Reader = Callable[[Reply, float, tuple[str, ...], SizeBound], Any]


class MonitorRow(NamedTuple):
    """One row of getMonitors."""

    id: str
    name: str
    tag: str
    type: str


def _say_nothing(_event: Event, /) -> None:
    """Take an event that nobody wants to hear of."""


class MonitisClient:
    """One account at one server. Every method sends one request, or two when a token is needed.

    All of them may raise `MonitorError`, one of the tree in `faults`.

    Attributes:
        ours: the last answer came from our own monitor, which is then sent more than the protocol
            has; None before the first answer, and after a failure.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        secret_key: str,
        *,
        validation: Literal["hmac", "token"] = "hmac",
        insecure: bool = False,
        transport: Transport,
        clock: Clock,
        events: Events = _say_nothing,
    ) -> None:
        """Make a client; nothing is sent yet.

        Args:
            url: to which ``/customMonitorApi`` and ``/api`` are appended.
            api_key: the public key.
            secret_key: signs, or buys tokens; is sent only for a token.
            validation: how writes are proved.
            insecure: tokens may cross the network over plain HTTP.
            transport: carries the requests; `close` closes it.
            clock: for timestamps and the age of a token.
            events: takes `ClockDiffers` and `SignedInClear`.

        Raises:
            SetupError: the address cannot be used, or secrets would cross the network in clear.
        """
        self._url = base_url(url)
        self._api_key = api_key
        self._secret_key = secret_key
        self._token_mode = validation == "token"
        self._insecure = insecure
        self._transport = transport
        self._clock = clock
        self._token = ""
        self._token_until = 0.0
        self._events = events
        self._behind = 0.0
        self._prove_reads = False
        self.ours: bool | None = None
        if self._token_mode:
            refuse_clear_text(self._url, insecure=insecure)
        elif is_open(self._url) and not insecure:
            events(SignedInClear(self._url))

    @property
    def url(self) -> str:
        """The server's address, without the protocol's paths."""
        return self._url

    @property
    def api_key(self) -> str:
        """The public key."""
        return self._api_key

    def close(self) -> None:
        """Close the transport; a request under way ends with UnreachableError."""
        self._transport.close()

    def auth_token(self) -> str:
        """Return a token: the last one for twelve hours, half of its life, then a new one.

        Raises:
            SetupError: the secret key would cross the network in clear.
        """
        if not self._token or self._clock.monotonic() >= self._token_until:
            refuse_clear_text(self._url, insecure=self._insecure)
            params = {"action": "authToken", "secretkey": self._secret_key, "output": "JSON"}
            value = self._exchange("GET", API_PATH, self._common(params), read_answer)
            token = value.get("authToken") if isinstance(value, dict) else None
            if not token or not isinstance(token, str):
                raise BusyError("the answer holds no token")
            self._token = token
            self._token_until = self._clock.monotonic() + TOKEN_SECONDS
        return self._token

    def monitors(
        self, tag: str = "", *, output: Literal["json", "xml"] = "json", **filters: str
    ) -> list[MonitorRow]:
        """Return the monitors with *tag*, and other *filters* as ``type``; all of them for none."""
        params = {"action": "getMonitors", "output": output.upper()}
        wanted = {name: text for name, text in {"tag": tag, **filters}.items() if text}
        value = self._get(params | wanted)
        if isinstance(value, Element):
            rows: list[Any] = [{x.tag: x.text for x in row} for row in value.iter("monitor")]
        else:
            rows = _objects(value)
        for row in rows:
            row["id"] = _identifier(row["id"]) if row.get("id") else ""
        return [MonitorRow(*(str(row.get(x) or "") for x in MonitorRow._fields)) for row in rows]

    def monitor_info(self, monitor_id: str, *, hidden: bool = True) -> dict[str, Any]:
        """Return what getMonitorInfo says, names as in the protocol; *hidden* parameters too."""
        params = {"action": "getMonitorInfo", "monitorId": monitor_id}
        value = self._get(params | ({} if hidden else {"excludeHidden": "true"}))
        if not isinstance(value, dict):
            return {}
        _objects(value.get("resultParams") or [])
        return value

    def results(self, monitor_id: str, day: date, timezone: int = 0) -> list[dict[str, Any]]:
        """Return the results of one day, *timezone* minutes east of GMT."""
        params = {
            "action": "getMonitorResults",
            "monitorId": monitor_id,
            "year": str(day.year),
            "month": str(day.month),
            "day": str(day.day),
            "timezone": str(timezone),
        }
        return _objects(self._get(params))

    def report(self, monitor_id: str, start: int, end: int, **options: str) -> list[dict[str, Any]]:
        """Return getReport's rows from *start* to *end*, ms since the epoch.

        The *options* are parameters of the protocol: ``interval``, ``intervalType``, ``timezone``.
        """
        params = {"action": "getReport", "monitorId": monitor_id}
        params |= {"dateFrom": str(start), "dateTo": str(end)}
        return _objects(self._get(params | options))

    def additional_results(self, monitor_id: str, checktime: int) -> list[dict[str, Any]]:
        """Return the additional results of a moment, ms since the epoch."""
        params = {"action": "getAdditionalResults", "monitorId": monitor_id}
        return _objects(self._get(params | {"checktime": str(checktime)}))

    def add_monitor(self, name: str, tag: str, parameters: Sequence[Parameter], **more: str) -> str:
        """Create a monitor and return its id; *more* are optional parameters of the protocol."""
        params = {
            "action": "addMonitor",
            "name": name,
            "tag": tag,
            "resultParams": encode_parameters(parameters),
        }
        return _identifier(self._post_anew(params | _without_names(more)))

    def edit_monitor(self, monitor_id: str, **changes: str) -> None:
        """Change what is given, by the protocol's names such as ``name`` or ``tag``."""
        params = {"action": "editMonitor", "monitorId": monitor_id}
        self._post_anew(params | _without_names(changes))

    def delete_monitor(self, *monitor_ids: str) -> None:
        """Delete monitors with all their results, all of them or none."""
        self._post_anew({"action": "deleteMonitor", "monitorId": ",".join(monitor_ids)})

    def suspend(self, *monitor_ids: str, tag: str = "", suspended: bool = True) -> None:
        """Let monitors, by id or by tag, take no results, or take them again."""
        params = {"action": "suspendMonitors" if suspended else "activateMonitors"}
        given = {"monitorIds": ",".join(monitor_ids), "tag": tag}
        self._post_anew(params | {name: text for name, text in given.items() if text})

    def forget_user(self, user: str) -> int:
        """Erase all results of a person at our own monitor; return how many there were."""
        erased = self._post_anew({"action": FORGET_USER, "user": user}) or 0
        if not isinstance(erased, int):
            raise BusyError("the answer does not say how many results were erased")
        return erased

    def add_additional(
        self, monitor_id: str, checktime: int, objects: Sequence[Mapping[str, Any]]
    ) -> None:
        """Add flat objects to the results of a moment, ms since the epoch."""
        params = {"action": "addAdditionalResults", "monitorId": monitor_id}
        params |= {"checktime": str(checktime), "results": encode_additional(*objects)}
        self._post(params)

    def add_result(self, monitor_id: str, result: Result) -> None:
        """Store one result; its ``additional`` goes to our own monitor only, ``others`` to any."""
        params = {
            "action": "addResult",
            "monitorId": monitor_id,
            "checktime": str(result.checktime),
            "results": encode_results(result.values),
        }
        objects = [result.additional if self.ours else {}, *result.others]
        if any(objects):
            params["additionalResults"] = encode_additional(*objects)
        self._post(params)

    def add_results(self, monitor_id: str, results: Sequence[Result]) -> None:
        """Store up to `MAX_BATCH` results at our own monitor, all or none.

        Raises:
            ValueError: the last answer did not come from our own monitor.
        """
        if not self.ours:
            raise ValueError("batches go to our own monitor only")
        self._post(
            {"action": ADD_RESULTS, "monitorId": monitor_id, "results": encode_batch(results)}
        )

    def _get(self, params: Mapping[str, str]) -> Any:
        """Send a read; prove it from the first one on that is not answered without."""
        params = {"output": "JSON", **params}
        if not self._prove_reads:
            try:
                return self._exchange("GET", CUSTOM_PATH, self._common(params), read_answer)
            except ProofMissingError:
                self._prove_reads = True
        return self._prove("GET", params, read_answer)

    def _post(self, params: Mapping[str, str]) -> Any:
        return self._prove("POST", params, read_data)

    def _post_anew(self, params: Mapping[str, str]) -> Any:
        """Send a write that is meant once more if somebody sent the same one in this second.

        Signed in one second they are the same to our own monitor, which does it once and says so.
        """
        repeated = False

        def read(reply: Reply, now: float, secrets: tuple[str, ...], bound: SizeBound) -> Any:
            nonlocal repeated
            repeated = REPEATED in reply.headers
            return read_data(reply, now, secrets, bound)

        for later in range(TRIES):
            data = self._prove("POST", params, read, later)
            if not repeated:
                break
        return data

    def _prove(
        self, method: str, params: Mapping[str, str], read: Reader, later: float = 0.0
    ) -> Any:
        """Send a request with a token, or signed as if it were made so many seconds *later*."""
        if self._token_mode:
            return self._send_with_token(method, params, read)
        try:
            return self._send_signed(method, params, read, later)
        except WrongTimeError as error:
            if not self._follow(error.server_time):
                raise
        return self._send_signed(method, params, read, later)

    def _follow(self, server_time: float | None) -> bool:
        """Sign by the server's clock from now on; say whether that makes a difference."""
        if server_time is None:
            return False
        behind = server_time - self._clock.now()
        if abs(behind - self._behind) < CLOCKS_DIFFER:
            return False
        if not self._behind:
            self._events(ClockDiffers(round(behind)))
        self._behind = behind
        return True

    def _send_signed(
        self, method: str, params: Mapping[str, str], read: Reader, later: float
    ) -> Any:
        signed = self._stamped(params, later)
        signed["checksum"] = checksum(self._secret_key, signed)
        return self._exchange(method, CUSTOM_PATH, signed, read)

    def _send_with_token(self, method: str, params: Mapping[str, str], read: Reader) -> Any:
        """Send a request; a token that is not taken is renewed once."""
        params = self._stamped(params) | {"validation": "token"}
        try:
            with_token = {**params, "authToken": self.auth_token()}
            return self._exchange(method, CUSTOM_PATH, with_token, read)
        except TokenExpiredError:
            self._token = ""
        except UnclearError as error:
            if "invalid" not in str(error).lower():
                raise
            self._token = ""
        with_token = {**params, "authToken": self.auth_token()}
        return self._exchange(method, CUSTOM_PATH, with_token, read)

    def _stamped(self, params: Mapping[str, str], later: float = 0.0) -> dict[str, str]:
        moment = time.gmtime(self._clock.now() + self._behind + later)
        return self._common({"timestamp": time.strftime("%Y-%m-%d %H:%M:%S", moment), **params})

    def _common(self, params: Mapping[str, str]) -> dict[str, str]:
        return {"apikey": self._api_key, "version": VERSION, **params}

    def _exchange(self, method: str, path: str, params: Mapping[str, str], read: Reader) -> Any:
        try:
            reply = self._transport.send(method, self._url + path, params)
            self.ours = is_ours(reply.headers)
            secrets = (self._secret_key, self._api_key, self._token)
            bound = bound_of(method, params.get("action", ""))
            return read(reply, self._clock.now(), secrets, bound)
        except MonitorError as error:
            # Who answers next may be another server, and must not be sent what only ours knows.
            # A no without our header may come from something in between, and is no sign either.
            if isinstance(error, UnreachableError) or not self.ours:
                self.ours = None
            raise


def _without_names(params: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of a definition, no part of whose lists can be taken for another."""
    return {
        name: escape_names(text, "addMonitor") if name in _LISTS else text
        for name, text in params.items()
    }


def _objects(value: Any) -> list[dict[str, Any]]:
    """Return the rows of an answer that has to be an array of objects."""
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise BusyError("the answer is no list")
    return value


def _identifier(value: object) -> str:
    """Return the id of a monitor, which is sent back with every request."""
    usable = isinstance(value, int | str) and not isinstance(value, bool)
    if usable and 0 < len(text := str(value)) <= LONGEST_ID:
        return text
    raise BusyError("the answer holds no id of a monitor")
