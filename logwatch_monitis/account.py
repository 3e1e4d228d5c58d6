"""What the agent says about itself: to the person who started it, to ``status``, to a probe."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from typing import Any

from logwatch_monitis._version import VERSION
from logwatch_monitis.access import permission_hint
from logwatch_monitis.agent import Agent
from logwatch_monitis.config import Config
from logwatch_monitis.delivery import DeliveryStatus
from logwatch_monitis.grammar.load import RulesHolder
from logwatch_monitis.sending import Sender
from logwatch_monitis.sources.tail import SourceStatus
from logwatch_monitis.spool import Spool, Summary

__all__ = ["Account", "about"]


def about(sources: Sequence[SourceStatus]) -> Iterator[str]:
    """Yield a line about each log, and what to do where one cannot be read."""
    for source in sources:
        if source.state == "waiting":
            yield f"Waiting for {_named(source.log)} yet"
        elif source.state == "unreadable":
            yield f"Cannot read {source.log}: {source.detail}{_remedy(source)}"
        elif source.state == "shared":
            yield f"Watching {source.log}, the same file as {source.detail}"
        else:
            yield f"Watching {source.log}"
    if sources and all(source.state == "waiting" for source in sources):
        yield (
            "None of these files exists: they are written by a syslog daemon such as rsyslog;"
            " the journal is not read by this version. Name other files with --log PATH"
        )


def _named(log: str) -> str:
    if glob.has_magic(log):
        return f"files like {log}, none exists"
    return f"{log}, which does not exist"


def _remedy(source: SourceStatus) -> str:
    if "ermission denied" in source.detail:
        return f"; {permission_hint(source.log)}"
    return f"; name its files, as {source.log}/*.log" if "directory" in source.detail else ""


class Account:
    """Puts together what the parts of a running agent know.

    Attributes:
        agent: the reading half.
        sender: the sending half; None before it has started.
        failed_reloads: how often mistakes in pattern files kept the former ones in force.
        page: the embedded monitor's address, without its key; empty if there is none.
    """

    def __init__(self, config: Config, holder: RulesHolder, spool: Spool, since: float) -> None:
        """Account for an agent that has run since *since* (seconds UTC)."""
        self._config = config
        self._spool = spool
        self._since = since
        self._holder = holder
        self.failed_reloads = 0
        self.agent: Agent
        self.sender: Sender | None = None
        self.page = ""

    def ready(self) -> tuple[bool, str]:
        """Return whether everything is read and delivered, and if not, why."""
        delivery = self._delivery()
        denied = [row["log"] for row in self.agent.sources() if row["state"] == "unreadable"]
        if self.agent.paused:
            return False, "reading pauses: the spool takes nothing"
        if delivery.state != "ok":
            return False, delivery.error
        if denied:
            return False, f"cannot read {', '.join(denied)}"
        return True, "reading and delivering"

    def status(self) -> dict[str, Any]:
        """Return everything ``status`` shows; no secrets."""
        spool = self._spool.summary()
        good, why = self.ready()
        return {
            "state": "ok" if good else "not ok",
            "reason": why,
            "pid": os.getpid(),
            "since": self._since,
            "version": VERSION,
            "sources": self.agent.sources(),
            "events": dict(self.agent.events_by_rule),
            "spool": _waiting(spool),
            "delivery": self._sending(spool),
            "monitor": {"url": self._config.monitor.url, "page": self.page},
            "patterns": self._patterns(),
        }

    def _delivery(self) -> DeliveryStatus:
        return self.sender.status if self.sender else DeliveryStatus()

    def _patterns(self) -> dict[str, Any]:
        files = self._holder.rules.files
        return {
            "rules": sum(len(file.rules) for file in files if file.state == "in force"),
            "failures": self.failed_reloads,
            "error": self._holder.error,
        }

    def _sending(self, spool: Summary) -> dict[str, Any]:
        delivery, stored = self._delivery(), spool.last_delivery_us
        return {
            "state": delivery.state,
            "last_delivery": delivery.last_delivery or (stored / 1e6 if stored else None),
            "last_error": delivery.error,
            "next_try": delivery.next_try,
        }


def _waiting(spool: Summary) -> dict[str, int]:
    return {
        "depth": spool.depth,
        "live": spool.live,
        "history": spool.history,
        "dead": spool.dead,
        "sent": spool.sent,
        "dropped": spool.dropped,
        "ignored": spool.ignored,
        "bytes": spool.disk_bytes,
    }
