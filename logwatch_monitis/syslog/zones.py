"""Time zones: by name, by ``TZ``, or the machine's own, which may change while we run."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, tzinfo
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from logwatch_monitis.errors import SetupError, suggest

__all__ = ["MachineZone", "current_zone", "local_zone"]

_LOCALTIME = Path("/etc/localtime")


def local_zone(name: str | None = None) -> tzinfo:
    """Return the zone of times that name none: *name*, else ``TZ``, else the machine's.

    ``TZ`` may be a name, ``:name``, a path, or a rule such as ``CET-1CEST,M3.5.0,M10.5.0/3``
    (POSIX.1, 8.3); empty means UTC, as it does for libc. Without it the result is a
    `MachineZone`.

    Raises:
        SetupError: there is no such zone.
    """
    if name is not None:
        return _named(name, f"unknown time zone '{name}'")
    text = os.environ.get("TZ")
    if text is None:
        return MachineZone()
    return _from_variable(text)


def current_zone(zone: tzinfo) -> tzinfo:
    """Return *zone* itself, or for a `MachineZone` the zone that the machine has now."""
    return zone.current() if isinstance(zone, MachineZone) else zone


class MachineZone(tzinfo):
    """The zone of ``/etc/localtime``, read again by `current` after ``timedatectl`` changed it."""

    def __init__(self, path: Path = _LOCALTIME) -> None:
        """Read the zone; a missing or broken file means UTC, as it does for libc."""
        self._path = path
        self._mark: object = None
        self._zone: tzinfo = UTC
        self.current()

    def current(self) -> tzinfo:
        """Return the zone as of now; costs two system calls where nothing changed."""
        mark = self._look()
        if mark != self._mark:
            self._mark = mark
            self._zone = _from_file(self._path) or UTC
        return self._zone

    def _look(self) -> object:
        try:
            link, file = self._path.lstat(), self._path.stat()
        except OSError:
            return "missing"
        return (link.st_ino, link.st_mtime_ns, file.st_ino, file.st_mtime_ns, file.st_size)

    def utcoffset(self, moment: datetime | None, /) -> timedelta | None:
        """See `datetime.tzinfo.utcoffset`; the zone is the one last read."""
        return self._zone.utcoffset(moment)

    def dst(self, moment: datetime | None, /) -> timedelta | None:
        """See `datetime.tzinfo.dst`."""
        return self._zone.dst(moment)

    def tzname(self, moment: datetime | None, /) -> str | None:
        """See `datetime.tzinfo.tzname`."""
        return self._zone.tzname(moment)

    def fromutc(self, moment: datetime, /) -> datetime:
        """See `datetime.tzinfo.fromutc`."""
        inner = self._zone.fromutc(moment.replace(tzinfo=self._zone))
        return inner.replace(tzinfo=self)

    def __reduce__(self) -> tuple[type[MachineZone], tuple[Path]]:
        return (MachineZone, (self._path,))


def _from_variable(text: str) -> tzinfo:
    name = text.removeprefix(":")
    if not name:
        return UTC
    if name.startswith("/"):
        zone = _from_file(Path(name))
        if zone is None:
            raise SetupError(f"TZ names no time zone file: {name}", "unset TZ or correct it")
        return zone
    return _rule(name) or _named(name, f"TZ names an unknown time zone: '{name}'")


def _named(name: str, complaint: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    if name.upper() in {"UTC", "GMT", "Z"}:
        return UTC
    known = {zone.casefold(): zone for zone in available_timezones()}
    if name.casefold() in known:
        raise SetupError(complaint, f"did you mean '{known[name.casefold()]}'?")
    raise SetupError(complaint, _near(name, known.values()))


def _near(name: str, known: object) -> str:
    zones = set(known)  # type: ignore[call-overload]
    if not zones:
        return "this machine has no time zones; install tzdata"
    near = suggest(name, zones)
    return near if near.startswith("did") else "names look like Europe/Berlin or UTC"


def _from_file(path: Path) -> tzinfo | None:
    try:
        with path.open("rb") as file:
            return ZoneInfo.from_file(file, key=_key(path))
    except (OSError, ValueError):
        return None


def _key(path: Path) -> str | None:
    _, found, name = str(path.resolve()).partition("/zoneinfo/")
    return name if found else None


def _rule(text: str) -> tzinfo | None:
    """Return the zone of a POSIX rule: zoneinfo reads one as the footer of a file (RFC 8536)."""
    if not any(character.isdigit() for character in text) or "/" in text.partition(",")[0]:
        return None
    header = b"TZif2" + bytes(15)
    counts = b"".join(count.to_bytes(4, "big") for count in (0, 0, 0, 0, 1, 4))
    body = bytes(6) + b"UTC\0"
    footer = b"\n" + text.encode("ascii", "replace") + b"\n"
    data = header + counts + body + header + counts + body + footer
    try:
        return ZoneInfo.from_file(BytesIO(data), key=text)
    except (ValueError, OSError):
        return None
