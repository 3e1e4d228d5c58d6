"""A process to be killed: takes numbered logins into a spool and delivers them to a file.

Usage: spool_victim.py DIRECTORY SENT UPTO [STEP NTH | SECONDS]

It dies at the nth time that it reaches a step, which is the beginning of an SQL statement or a
name below, or after so many seconds.
"""

import os
import signal
import sys
from pathlib import Path

from spools import World, logins_of

from logwatch_monitis.spool import Position


class Fate:
    """Counts how often a step is reached, and ends the process at the chosen time."""

    def __init__(self, step="", nth="1"):
        self.step = step
        self.left = int(nth)

    def reach(self, step):
        """Die here if it is time."""
        if self.step and step.startswith(self.step):
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)


def live(directory, sent, upto, *end):
    """Take and deliver all logins below *upto*, from wherever the last process was."""
    fate = Fate(*end) if len(end) == 2 else Fate()
    spool = World(Path(directory)).open()
    spool._connection._raw.set_trace_callback(fate.reach)
    if len(end) == 1:
        signal.setitimer(signal.ITIMER_REAL, float(end[0]))
    place = int(spool.positions().get("log", Position("0")).checkpoint)
    out = os.open(sent, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while place < int(upto) or spool.due(1):
        end = min(place + 3, int(upto))
        spool.commit(logins_of(*range(place, end)), {"log": Position(str(end))})
        place = end
        fate.reach("after commit")
        batch = spool.due(2)
        for entry in batch:
            os.write(out, f"{entry.id} {entry.time_us} {entry.user}\n".encode())
            fate.reach("after send")
        spool.delivered(batch)
        fate.reach("after delivered")


if __name__ == "__main__":
    live(*sys.argv[1:])
