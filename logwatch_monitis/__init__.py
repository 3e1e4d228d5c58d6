"""Sends every login of a Linux machine to a custom monitor, without touching PAM."""

from logwatch_monitis._version import VERSION as __version__  # noqa: N811 - the name is Python's convention

__all__ = ["__version__"]
