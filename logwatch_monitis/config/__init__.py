"""What can be configured, where the keys and directories are, and how private files are made."""
