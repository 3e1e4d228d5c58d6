"""Connections, access and limits of the monitor."""
