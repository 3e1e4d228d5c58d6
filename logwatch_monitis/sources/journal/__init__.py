"""The systemd journal as a source of lines."""
