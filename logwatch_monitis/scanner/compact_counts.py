"""Compact counts: one for each of millions of ids, in a twelfth of a dictionary's memory.

A machine whose clock stands still, or an attacker, can put millions of logins into one second, and
all of them must be remembered to number those that are identical. Here a login takes ten bytes,
eight of its id and two for its count, in one of 65,536 buckets that two more bytes of the id
choose. So 80 bits of the 128 tell logins apart.
"""

from __future__ import annotations

from base64 import b85decode, b85encode
from collections.abc import Iterator, Mapping

__all__ = ["CompactCounts"]

_KEY, _COUNT = 8, 2
_ENTRY = _KEY + _COUNT
_MOST = 256**_COUNT - 1
_SHORT = 2 * (_KEY + 2)
"""Digits of an id that count."""


class CompactCounts(Mapping[str, int]):
    """Counts by id, as a dictionary would have them; iteration gives an id's first 20 digits."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._buckets: list[bytearray | None] = [None] * 65_536
        self._surplus: dict[str, int] = {}
        self._size = 0
        self.update(counts)

    def __len__(self) -> int:
        return self._size

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name)[1] >= 0

    def __getitem__(self, name: str) -> int:
        bucket, place = self._find(name)
        if place < 0:
            raise KeyError(name)
        count = int.from_bytes(bucket[place + _KEY : place + _ENTRY], "big")
        return count + self._surplus.get(name[:_SHORT], 0)

    def __setitem__(self, name: str, count: int) -> None:
        bucket, place = self._find(name)
        if count > _MOST:
            self._surplus[name[:_SHORT]] = count - _MOST
        elif self._surplus:
            self._surplus.pop(name[:_SHORT], None)
        entry = bytes.fromhex(name[4:_SHORT]) + min(count, _MOST).to_bytes(_COUNT, "big")
        if place >= 0:
            bucket[place : place + _ENTRY] = entry
            return
        self._buckets[int(name[:4], 16)] = bucket
        bucket += entry
        self._size += 1

    def __iter__(self) -> Iterator[str]:
        for number, bucket in enumerate(self._buckets):
            for place in range(0, len(bucket or b""), _ENTRY):
                assert bucket is not None
                yield f"{number:04x}{bucket[place : place + _KEY].hex()}"

    def update(self, counts: Mapping[str, int]) -> None:
        """Take over *counts*."""
        for name, count in counts.items():
            self[name] = count

    def save(self) -> str:
        """Return what `load` takes, in 15 characters for each."""
        pairs = self.items()
        data = (bytes.fromhex(name) + min(n, _MOST).to_bytes(_COUNT, "big") for name, n in pairs)
        surplus = ",".join(f"{name}{count}" for name, count in self._surplus.items())
        return f"{b85encode(b''.join(data)).decode()} {surplus}"

    @classmethod
    def load(cls, saved: str) -> CompactCounts:
        """Return what `save` was called for."""
        data, _, surplus = saved.partition(" ")
        raw, size, crowd = b85decode(data), _SHORT // 2 + _COUNT, cls({})
        for at in range(0, len(raw), size):
            name = raw[at : at + size - _COUNT].hex()
            crowd[name] = int.from_bytes(raw[at + size - _COUNT : at + size], "big")
        for item in filter(None, surplus.split(",")):
            crowd[item[:_SHORT]] = _MOST + int(item[_SHORT:])
        return crowd

    def _find(self, name: str) -> tuple[bytearray, int]:
        """Return the bucket of *name*, and where its entry begins, or -1."""
        bucket = self._buckets[int(name[:4], 16)]
        if bucket is None:
            return bytearray(), -1
        key = bytes.fromhex(name[4:_SHORT])
        place = bucket.find(key)
        while place % _ENTRY and place >= 0:  # it lies across two entries
            place = bucket.find(key, place + 1)
        return bucket, place
