"""Memory after a burst: what is free goes back to the system."""

from pathlib import Path

import pytest
from delivering import Room
from fake_monitor import FakeMonitor

from logwatch_monitis.delivery.deliverer import BURST


def resident() -> int:
    """Return the resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("count", [BURST // 2, BURST])
def test_freed_memory_goes_back_after_a_burst(count, tmp_path):
    """Once a burst was delivered, freed pieces below one that stays are no longer resident."""
    with FakeMonitor(ours=True) as server:
        room = Room(tmp_path, server)
        room.take(count)
        pieces = [bytearray(8_000) for _ in range(8_000)]
        kept = bytearray(8_000)
        full = resident()
        del pieces
        room.drain(room.process(patience=20))
        given_back = full - resident()
        room.close()

    assert len(kept) == 8_000
    assert (given_back > 30_000_000) == (count >= BURST)
