"""Results in SQLite, with one writer."""
