"""What the agent says about itself: to the person who started it, to ``status``, to a probe."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from logwatch_monitis._version import VERSION
from logwatch_monitis.agent.counters import Counters
from logwatch_monitis.agent.monitor_link import MonitorLink
from logwatch_monitis.agent.reader import LogReader
from logwatch_monitis.agent.recent import RecentLines
from logwatch_monitis.agent.reload import LoadState
from logwatch_monitis.config.model import Config
from logwatch_monitis.errors import NotPermittedError
from logwatch_monitis.grammar.loader import RulesHolder
from logwatch_monitis.sources.files.tail import SourceStatus
from logwatch_monitis.sources.journal.follower import LOG
from logwatch_monitis.sources.journal.journalctl import permission_error
from logwatch_monitis.sources.permissions import permission_hint
from logwatch_monitis.spool import Spool, Summary
from logwatch_monitis.text import visible

__all__ = ["Status", "about", "refuse_denied"]

_DENIED = "ermission denied"


def refuse_denied(sources: Sequence[SourceStatus], journal: str = "auto") -> None:
    """Refuse to begin where logs exist and none of them may be read.

    One that may be read, or will be made later, is reason enough to run; and once it runs, the
    agent waits for permissions to come back. The journal counts only where it was asked for
    (*journal* is ``yes``): without it, files may still come.

    Raises:
        NotPermittedError: none may be read.
    """
    logs = [source for source in sources if source.log != LOG or journal == "yes"]
    there = [source for source in logs if source.state != "waiting"]
    denied = [s for s in there if s.state == "unreadable" and _DENIED in s.detail]
    if denied and len(denied) == len(there):
        paths = ", ".join(source.log for source in denied)
        raise NotPermittedError(f"may not read {paths}", _permission_hint(denied[0].log))


def about(sources: Sequence[SourceStatus]) -> Iterator[str]:
    """Yield a line about each log, and what to do where one cannot be read."""
    for source in sources:
        if source.log == LOG:
            yield _about_journal(source)
        elif source.state == "waiting":
            yield f"Waiting for {_named(source.log)} yet"
        elif source.state == "unreadable":
            yield f"Cannot read {source.log}: {source.detail}{_remedy(source)}"
        elif source.state == "shared":
            yield f"Watching {source.log}, the same file as {source.detail}"
        else:
            yield f"Watching {source.log}"
    if sources and all(source.state == "waiting" for source in sources):
        yield (
            "None of these files exists: they are written by a syslog daemon such as rsyslog."
            " Name other files with --log PATH, or set 'journal: yes' to read the journal"
        )


def _about_journal(source: SourceStatus) -> str:
    if source.state == "unreadable":
        return f"Cannot read the journal: {source.detail.partition(': ')[2] or source.detail}"
    return "Watching the journal of systemd"


def _named(log: str) -> str:
    if glob.has_magic(log):
        return f"files like {log}, none exists"
    return f"{log}, which does not exist"


def _permission_hint(log: str) -> str:
    return permission_error().hint if log == LOG else permission_hint(log)


def _remedy(source: SourceStatus) -> str:
    if _DENIED in source.detail:
        return f"; {permission_hint(source.log)}"
    return f"; name its files, as {source.log}/*.log" if "directory" in source.detail else ""


class Status:
    """Puts together what the parts of a running agent know.

    Attributes:
        agent: the reading half.
        link: the sending half.
        sightings: what passed by.
        tally: what happened.
        config: what is in force.
        patterns: how the last reading of the pattern files went.
        configuration: how the last reading of the configuration went.
    """

    agent: LogReader
    link: MonitorLink
    sightings: RecentLines
    tally: Counters

    def __init__(
        self,
        config: Config,
        holder: RulesHolder,
        spool: Spool,
        *,
        patterns: LoadState,
        configuration: LoadState,
    ) -> None:
        """Account for an agent that has just read configuration and pattern files."""
        self.config = config
        self._spool = spool
        self._since = configuration.loaded
        self._holder = holder
        self.patterns = patterns
        self.configuration = configuration

    def ready(self) -> tuple[bool, str]:
        """Return whether everything is read and delivered, and if not, why."""
        delivery = self.link.status
        denied = [row["log"] for row in self.agent.sources() if row["state"] == "unreadable"]
        if self.agent.paused:
            return False, "reading pauses: the spool takes nothing"
        if delivery.state != "ok":
            return False, delivery.error
        if denied:
            return False, f"cannot read {', '.join(denied)}"
        return True, "reading and delivering"

    def headline(self) -> str:
        """Return one line for ``systemctl status``."""
        good, why = self.ready()
        sources, spool = self.agent.sources(), self._spool.summary()
        watched = sum(row["state"] == "reading" for row in sources)
        moment = self._sending(spool)["last_delivery"]
        last = f"{datetime.fromtimestamp(moment).astimezone():%H:%M:%S}" if moment else "never"
        facts = [
            f"watching {watched} of {len(sources)} logs",
            f"{spool.depth} logins wait",
            f"last delivery {last}",
        ]
        facts += [] if good else [f"not ready: {why}"]
        facts += [
            r.error.partition("\n")[0] for r in (self.configuration, self.patterns) if r.error
        ]
        return visible("; ".join(facts))

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
            "unmatched": dict(self.sightings.unmatched),
            "spool": {**_waiting(spool), "last_refused": self._last_refused()},
            "delivery": self._sending(spool),
            "requests": self._requests(),
            "monitor": self._monitor(),
            "patterns": {"rules": self._rules(), **self.patterns.told()},
            "configuration": {"path": self.config.path, **self.configuration.told()},
        }

    def _rules(self) -> int:
        files = self._holder.rules.files
        return sum(len(file.rules) for file in files if file.state == "in force")

    def _monitor(self) -> dict[str, Any]:
        died, code = self.tally.monitor_death or (None, None)
        return {
            "url": self.config.monitor.url,
            "page": self.link.url,
            "restarts": self.tally.monitor_restarts,
            "died": died,
            "exit_status": code,
        }

    def _requests(self) -> list[dict[str, Any]]:
        return [
            {"action": action, "code": code, "count": count}
            for (action, code), count in list(self.tally.requests.items())
        ]

    def _last_refused(self) -> dict[str, Any] | None:
        letter = self._spool.last_dead()
        if letter is None:
            return None
        return {
            "id": letter.entry.id,
            "time": letter.entry.time_us / 1e6,
            "refused": letter.since_us / 1e6,
            "reason": letter.reason,
        }

    def _sending(self, spool: Summary) -> dict[str, Any]:
        delivery, stored = self.link.status, spool.last_delivery_us
        return {
            "state": delivery.state,
            "last_delivery": delivery.last_delivery or (stored / 1e6 if stored else None),
            "last_error": delivery.error,
            "next_try": delivery.next_try,
            "held": [login._asdict() for login in delivery.held],
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
