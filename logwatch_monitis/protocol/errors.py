"""Why a request was not taken, sorted by what there is to do.

::

    MonitorError
    ├── UnreachableError           try again: no connection, time-out, TLS
    │   ├── BusyError              try again: 5xx, 429, a web page, an empty or broken answer
    │   └── AnswerLostError        try again: it was connected, and no whole answer came
    ├── TokenExpiredError          ask for a new token
    ├── WrongTimeError             the clocks of both sides differ: sign by the server's
    ├── ProofMissingError          sign this read too
    ├── NoSuchMonitorError         find or create the monitor again
    ├── NameTakenError             a monitor of that name exists already
    ├── RefusedError               this request, not the others
    │   └── UnknownActionError     the server does not know what was asked
    ├── UnclearError               not taken, for a reason of the server's own
    └── DeniedError                stop and tell: keys, signature
        └── ForbiddenError         a 403 in words that do not name the keys

The texts hold the server's words, made inert and short; never a key, a token or a query.
"""

from __future__ import annotations

from logwatch_monitis.errors import MonitorError, UnreachableError
from logwatch_monitis.text import cut, visible

__all__ = [
    "AnswerLostError",
    "BusyError",
    "DeniedError",
    "ForbiddenError",
    "NameTakenError",
    "NoSuchMonitorError",
    "ProofMissingError",
    "RefusedError",
    "TokenExpiredError",
    "UnclearError",
    "UnknownActionError",
    "WrongTimeError",
    "classify",
    "inert",
    "may_lie_in_content",
]

_LONGEST = 200

# Of what these statuses complain is never what was sent: proof, time, rate, a network's own log-in.
_NOT_CONTENT = frozenset({401, 407, 408, 425, 429, 503, 511})


class BusyError(UnreachableError):
    """Raised when something answered, but not as a monitor that works.

    Attributes:
        retry_after: for how many seconds the server wants to be left alone; None if it is silent.
        status: of HTTP.
        words: what the body said, inert and short; empty where the message says it.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        retry_after: float | None = None,
        status: int = 200,
        words: str = "",
    ) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after
        self.status = status
        self.words = words


class AnswerLostError(UnreachableError):
    """Raised when a request went out and no answer came back that can be used."""


class TokenExpiredError(MonitorError):
    """Raised when the monitor does not take the token; a new one may help."""


class WrongTimeError(MonitorError):
    """Raised when the monitor does not take the time at which a request was signed.

    Attributes:
        server_time: what the answer says the time is, seconds since the epoch; None if nothing.
    """

    def __init__(self, message: str, server_time: float | None = None) -> None:
        super().__init__(
            message, "see that the clocks of this machine and of the monitor are right"
        )
        self.server_time = server_time


class ProofMissingError(MonitorError):
    """Raised when the monitor answers reads only with a signature or a token."""


class NoSuchMonitorError(MonitorError):
    """Raised when the monitor with that id is gone."""


class NameTakenError(MonitorError):
    """Raised when a monitor cannot be created because its name is in use."""


class RefusedError(MonitorError):
    """Raised when the monitor will not take this request, however often it is sent."""


class UnknownActionError(RefusedError):
    """Raised when the server does not know the action."""


class UnclearError(MonitorError):
    """Raised when the monitor said no in words that do not tell what is wrong."""


class DeniedError(MonitorError):
    """Raised when the monitor does not accept the keys; only the user can help."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "check the api key and the secret key")


class ForbiddenError(DeniedError):
    """Raised for a 403 in words that do not name the keys: a firewall may forbid one request."""


# The first row counts of which one text occurs. Only the texts of our own server and a few of the
# service's are known, so this looks for their essential words; anything else is unclear.
_MEANINGS: tuple[tuple[type[MonitorError], tuple[str, ...]], ...] = (
    (WrongTimeError, ("timestamp",)),
    (ProofMissingError, ("missing checksum",)),
    (TokenExpiredError, ("expire", "token")),
    (DeniedError, ("api key", "apikey", "authentication", "checksum", "signature", "permission")),
    (NoSuchMonitorError, ("monitorid", "monitor not found", "monitor does not exist")),
    (NoSuchMonitorError, ("no such monitor", "unknown monitor", "invalid monitor")),
    (NameTakenError, ("nameexist", "already exist", "exists")),
    (UnknownActionError, ("invalid action", "unknown action", "unsupported action")),
    (RefusedError, ("results", "checktime", "missing parameter", "invalid parameter")),
)


def classify(message: str) -> type[MonitorError]:
    """Return what the server's words mean."""
    text = message.lower()
    for kind, words in _MEANINGS:
        if any(word in text for word in words):
            return kind
    return UnclearError


def may_lie_in_content(error: Exception) -> bool:
    """Tell whether a request may have failed because of what is in it: another one may pass."""
    if isinstance(error, BusyError):
        return error.status not in _NOT_CONTENT and error.retry_after is None
    refusals = RefusedError | UnclearError | ForbiddenError | AnswerLostError
    return isinstance(error, refusals) and not isinstance(error, UnknownActionError)


def inert(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Return a stranger's text fit for a log line: short, printable, without our secrets."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return cut(visible(" ".join(text.split())), _LONGEST)
