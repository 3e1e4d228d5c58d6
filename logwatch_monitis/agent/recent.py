"""Recent lines: the last logins, and lines of known programs that are none."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from logwatch_monitis.grammar import RuleSet
from logwatch_monitis.login import Login
from logwatch_monitis.scanner.literal_search import make_search

__all__ = ["RECENT", "RecentLines"]

RECENT = 100
"""Logins kept for ``top``."""
_LONGEST = 200
"""Characters kept of each value, so that the kept logins have a size."""


class RecentLines:
    """Looks at every block that the agent reads. Memory is bounded, whatever stands in the logs.

    A line belongs to a program if the program's tag stands in it (`` sshd[`` or `` sshd:``); that
    is cheap enough for every line, and exact but for messages that quote a tag.

    Attributes:
        unmatched: lines of known programs that were no logins, by service. Most of them never are
            (refused passwords, ends of sessions); but if they go on and logins have stopped, the
            program's words may have changed.
    """

    def __init__(self, rules: RuleSet) -> None:
        self.unmatched: Counter[str] = Counter()
        self._recent: deque[dict[str, Any]] = deque(maxlen=RECENT)
        self.use(rules)

    def use(self, rules: RuleSet) -> None:
        """Go on with other rules."""
        self._services = {
            program: file.service
            for file in rules.files
            if file.state == "in force"
            for rule in file.rules
            for program in rule.programs
        }
        self._tagged = [(p, s) for p, s in self._services.items() for _ in "[:"]
        self._search = make_search([f" {p}{c}".encode() for p in self._services for c in "[:"])

    def __call__(self, data: bytes, logins: Sequence[Login]) -> None:
        """Take note of a block of lines and the logins in it."""
        lines = Counter(self._tagged[number][1] for number, _, _ in self._search(data))
        lines.subtract(self._services.get(login.program, "") for login in logins)
        for service, count in lines.items():
            if count > 0:
                self.unmatched[service] += count
        self._recent.extend(map(_kept, logins[-RECENT:]))

    def recent(self) -> list[dict[str, Any]]:
        """Return the last logins, newest first; their times in seconds since the epoch."""
        return list(reversed(self._recent.copy()))


def _kept(login: Login) -> dict[str, Any]:
    """Return what is shown of a login: no line, no command, nothing without end."""
    texts = {
        "user_login": login.user_login,
        "host": login.host,
        "srv": login.srv,
        "machine": login.machine,
        "method": str(login.fields.get("method", "")),
    }
    shown = {name: text[:_LONGEST] for name, text in texts.items()}
    return {"time": login.time / 1e6, **shown, "kind": login.kind, "verified": login.verified}
