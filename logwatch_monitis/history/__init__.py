"""Reads files of the past, with one process or several."""
