"""Finds the logins in a block of lines."""
