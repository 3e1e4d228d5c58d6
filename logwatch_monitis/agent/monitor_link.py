"""The sending side of a running agent: which monitor, how it is reached, who delivers."""

from __future__ import annotations

from contextlib import suppress

from logwatch_monitis.agent.control import Control
from logwatch_monitis.agent.counters import Counters, CountingTransport
from logwatch_monitis.agent.reload import changed_keys
from logwatch_monitis.config.credentials import Secret, read_secret_file
from logwatch_monitis.config.listen import parse_listen
from logwatch_monitis.config.model import EMBEDDED, Config, Reload
from logwatch_monitis.delivery import DeliveryStatus
from logwatch_monitis.delivery.embedded import PORTS_TRIED, Embedded
from logwatch_monitis.delivery.liveness import Liveness, LivenessTransport
from logwatch_monitis.delivery.worker import DeliveryThread, embedded_client, remote_client
from logwatch_monitis.errors import LogwatchError, SetupError
from logwatch_monitis.interfaces import Clock, Events, Transport
from logwatch_monitis.protocol.client import MonitisClient
from logwatch_monitis.spool import Spool

__all__ = ["MonitorLink"]

Secrets = dict[str, Secret]
"""What stands in files that the configuration names, by the key that names the file."""


class MonitorLink:
    """Delivers to one monitor, and from `change` on to another, while the agent reads on.

    With the embedded monitor the configured address is that one's; with any other, health and
    metrics are told there by the agent itself.
    """

    def __init__(
        self, spool: Spool, control: Control, clock: Clock, *, events: Events, tally: Counters
    ) -> None:
        """Prepare; `open` starts it."""
        self._spool = spool
        self._control = control
        self._clock = clock
        self._events = events
        self._tally = tally
        self._pulse = Liveness(clock)
        self._embedded: Embedded | None = None
        self._sender: DeliveryThread | None = None

    def open(self, config: Config) -> None:
        """Start what is needed and deliver.

        Raises:
            SetupError: a key is missing, or the address cannot be used.
            LockHeldError: another process works on the embedded monitor's data.
        """
        secrets = _secrets(config)
        self._begin(config, self._connect(config))
        self._config, self._in_use = config, secrets

    def change(self, config: Config) -> tuple[str, ...]:
        """Deliver to the monitor of *config*, with its keys and settings.

        Returns:
            The keys whose files hold something else than before.

        Raises:
            LogwatchError: that is not possible; what was before goes on.
        """
        secrets, former = _secrets(config), self._config
        renewed = tuple(
            key for key, secret in secrets.items() if self._in_use.get(key, secret) != secret
        )
        if (config.monitor.url == EMBEDDED) != (self._embedded is not None):
            self._begin(config, self._move(config))
        elif self._embedded:
            if renewed or changed_keys(former, config, {Reload.MONITOR}):
                self._embedded.renew(config)
            if config.monitor != former.monitor:
                self._replace(config)
        elif renewed or config.monitor != former.monitor:
            self._replace(config)
        self._config, self._in_use = config, secrets
        return renewed

    @staticmethod
    def check_keys(config: Config) -> None:
        """See whether the keys and the page's password that *config* needs are there.

        Raises:
            SetupError: they are not.
        """
        _secrets(config)

    def close(self) -> None:
        """Stop the delivery, then the embedded monitor."""
        self._stop_sending()
        self._leave()

    def check(self) -> None:
        """Start the embedded monitor again if it died."""
        if self._embedded:
            self._embedded.process.check()

    def wake(self) -> None:
        """Say that there is something to send."""
        if self._sender:
            self._sender.wake()

    @property
    def alive(self) -> bool:
        """Whether the delivery gets on; idle and waiting for the monitor count as getting on."""
        return self._pulse.alive

    @property
    def status(self) -> DeliveryStatus:
        """How the delivery is going; may be read from any thread."""
        return self._sender.status if self._sender else DeliveryStatus()

    @property
    def page(self) -> str:
        """The address of the embedded monitor's page, key included; empty if there is none."""
        return self._embedded.page if self._embedded else ""

    @property
    def url(self) -> str:
        """The embedded monitor's address; empty if there is none."""
        return self._embedded.url if self._embedded else ""

    def _begin(self, config: Config, client: MonitisClient) -> None:
        self._sender = DeliveryThread(
            config, self._spool, client, self._clock, self._events, pulse=self._pulse
        )
        self._sender.start()

    def _replace(self, config: Config) -> None:
        """Deliver as *config* says, over the same connection to the world."""
        client = self._client(config)
        self._stop_sending()
        self._begin(config, client)

    def _stop_sending(self) -> None:
        sender, self._sender = self._sender, None
        if sender:
            sender.stop()

    def _move(self, config: Config) -> MonitisClient:
        """Connect the other way; if that fails, go back."""
        former = self._config
        self._stop_sending()
        self._leave()
        try:
            return self._connect(config)
        except LogwatchError:
            with suppress(LogwatchError):  # the first error is the one to tell
                self._begin(former, self._connect(former))
            raise

    def _connect(self, config: Config) -> MonitisClient:
        if config.monitor.url == EMBEDDED:
            self._embedded = Embedded.start(config, config.listen, self._clock, self._events)
            return self._client(config)
        client = self._client(config)
        _listen(self._control, config)
        return client

    def _client(self, config: Config) -> MonitisClient:
        if self._embedded:
            return embedded_client(config, self._embedded, self._clock, self._events, self._around)
        return remote_client(config, self._clock, self._events, self._around)

    def _leave(self) -> None:
        """Let go of the configured address."""
        embedded, self._embedded = self._embedded, None
        if embedded:
            embedded.process.stop()
        self._control.close_tcp()

    def _around(self, transport: Transport) -> Transport:
        counted = CountingTransport(transport, self._tally, self._clock)
        return LivenessTransport(counted, self._pulse)


def _secrets(config: Config) -> Secrets:
    """Return what the files hold now; the embedded monitor's keys are its own affair.

    Raises:
        SetupError: one is missing, or open to others.
    """
    monitor, password = config.monitor, config.page_password_file
    if monitor.url == EMBEDDED:
        return {"page_password_file": read_secret_file(password)} if password else {}
    return {
        "monitor.api_key": monitor.api_key.need(),
        "monitor.secret_key_file": monitor.secret_key.need(),
    }


def _listen(control: Control, config: Config) -> None:
    """Answer for health and metrics on the configured address, or on the next free one."""
    address = parse_listen(config.listen)
    tries = 1 if config.listen_chosen else PORTS_TRIED
    for port in range(address.port, address.port + tries):
        try:
            control.listen_tcp(address.host, port)
        except OSError as error:
            reason = error.strerror
        else:
            return
    raise SetupError(
        f"cannot listen on {config.listen}: {reason}", "choose another 'listen' address"
    )
