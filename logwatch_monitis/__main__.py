"""The program, and ``python -m logwatch_monitis``: signals wait until it is loaded."""

from __future__ import annotations

import sys

from logwatch_monitis.config import signals

__all__ = ["main"]


def main() -> None:
    """Run the command that the process was started with, and exit."""
    signals.hold()
    from logwatch_monitis.cli.main import main as begin  # what it imports takes a while

    begin()


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the working directory: what lies there is not imported from here on
    main()
