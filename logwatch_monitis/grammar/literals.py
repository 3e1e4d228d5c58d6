"""Chooses the texts that a whole log is searched for before any line of it is looked at.

Every line that a rule matches must hold one of them. The vector searcher takes eight texts through
a log at 10 GB/s and eighteen at 3; a line that is found and proves to be no login costs 2 µs. So
texts are shared where they can be, and rare ones are preferred. How rare a text is in an
authentication log is judged by the lines below, a busy server's everyday ones. Logins are not
among them: each is found by some text anyway.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import NamedTuple

from logwatch_monitis.grammar.tree import telling

__all__ = ["Need", "choose", "is_everyday"]

_EVERYDAY = (
    (300, "sshd[1]: Failed password for invalid user admin from 10.0.0.1 port 40000 ssh2"),
    (200, "sshd[1]: Failed password for root from 10.0.0.1 port 40000 ssh2"),
    (200, "sshd[1]: Invalid user admin from 10.0.0.1 port 40000"),
    (200, "sshd[1]: Connection closed by authenticating user root 10.0.0.1 port 4 [preauth]"),
    (100, "sshd[1]: Received disconnect from 10.0.0.1 port 40000:11: Bye Bye [preauth]"),
    (100, "sshd[1]: Disconnected from invalid user admin 10.0.0.1 port 40000 [preauth]"),
    (200, "sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh"),
    (100, "sshd[1]: pam_unix(sshd:auth): check pass; user unknown"),
    (60, "CRON[1]: pam_unix(cron:session): session closed for user root"),
    (30, "sshd[1]: pam_unix(sshd:session): session closed for user deploy"),
    (30, "systemd-logind[1]: New session 12 of user deploy."),
    (30, "systemd-logind[1]: Session 12 logged out. Waiting for processes to exit."),
    (30, "systemd[1]: Started session-12.scope - Session 12 of User deploy."),
    (30, "sudo: pam_unix(sudo:session): session closed for user root"),
    (20, 'vsftpd[1]: CONNECT: Client "10.0.0.1"'),
    (20, 'vsftpd[1]: [admin] FAIL LOGIN: Client "10.0.0.1"'),
    (100, "kernel: [UFW BLOCK] IN=eth0 OUT= MAC=0 SRC=10.0.0.1 DST=10.0.0.2 LEN=40 TTL=249"),
    (50, "dbus-daemon[1]: [system] Successfully activated service 'org.freedesktop.nm' on bus"),
    (50, "systemd[1]: Listening on socket to activate the service."),
    # Ten times as many, but decoys (`decoys`) keep them from being looked at.
    (3, "crond[1]: pam_unix(crond:session): session opened for user root(uid=0) by (uid=0)"),
    (3, "systemd[1]: pam_unix(systemd-user:session): session opened for user deploy by (uid=0)"),
    (3, "su[1]: pam_unix(su-l:session): session opened for user root by deploy(uid=1)"),
    (3, "su[1]: pam_unix(su:session): session opened for user root by deploy(uid=1)"),
    (6, "CRON[1]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"),
    (3, "sshd[1]: pam_unix(sshd:session): session opened for user deploy(uid=1) by (uid=0)"),
    (3, "sudo: pam_unix(sudo:session): session opened for user root(uid=0) by deploy(uid=1)"),
)
_SEARCH_COST = 2
"""What one text more costs, in weights of everyday lines."""
_SHORTNESS = 50
"""Divided by the square of a text's length: what chance costs in lines that are not listed."""
_WORDS = re.compile(r"\s+|\S+")


class Need(NamedTuple):
    """What the lines of one rule hold: one of the programs' names, and each line its own texts.

    *programs* is empty where no name need stand in the line.
    """

    programs: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def choose(needs: Iterable[Need]) -> tuple[bytes, ...]:
    """Return few and rare texts, so that each line that a rule matches holds one of them."""
    slots = [_Slot(_names(need), texts) for need in needs for texts in need.lines]
    offers = sorted({offer for slot in slots for offer in _offers(slot)}, key=sorted)
    serves = {o: {n for n, slot in enumerate(slots) if _finds(o, slot)} for o in offers}
    chosen: list[frozenset[str]] = []
    left = set(range(len(slots)))
    while left:
        useful = (offer for offer in offers if serves[offer] & left)
        best = min(useful, key=lambda offer: _cost(offer) / len(serves[offer] & left))
        chosen.append(best)
        left -= serves[best]
    for offer in tuple(chosen):
        others = [other for other in chosen if other != offer]
        if len(slots) == len(set().union(*(serves[other] for other in others))):
            chosen = others
    texts = {text for offer in chosen for text in offer}
    return tuple(sorted(text.encode() for text in texts if not _covered(text, texts)))


def is_everyday(text: str) -> bool:
    """Say whether a busy server's lines hold *text*."""
    return any(text in line for _, line in _EVERYDAY)


class _Slot(NamedTuple):
    """One pattern line: all of *names* are searched for, or any part of one of *texts*."""

    names: frozenset[str]
    texts: tuple[str, ...]


def _names(need: Need) -> frozenset[str]:
    """Return the programs' names that find all of them: ``sudo`` finds ``sudo-rs`` as well."""
    return frozenset(name for name in need.programs if not _covered(name, need.programs))


def _offers(slot: _Slot) -> Iterator[frozenset[str]]:
    """Yield the sets of texts that could be searched for."""
    if slot.names:
        yield slot.names
    for text in slot.texts:
        words = _WORDS.findall(text)
        pairs = ((i, k) for i in range(len(words)) for k in range(i + 1, i + 6))
        for run in {text, *("".join(words[i:k]) for i, k in pairs)}:
            if telling(run):
                yield frozenset({run})


def _finds(offer: frozenset[str], slot: _Slot) -> bool:
    """Say whether a search for *offer* finds every line that *slot* stands for."""
    if any(part in text for part in offer for text in slot.texts):
        return True
    return bool(slot.names) and all(any(p in name for p in offer) for name in slot.names)


def _covered(text: str, texts: Collection[str]) -> bool:
    return any(other in text and other != text for other in texts)


def _cost(texts: Collection[str]) -> float:
    return sum(map(_cost_of, texts))


@cache
def _cost_of(text: str) -> float:
    everyday = sum(weight for weight, line in _EVERYDAY if text in line)
    return _SEARCH_COST + everyday + _SHORTNESS / len(text) ** 2
