"""Bytes and where they stand: one path looks like one endless, gapless source of lines."""
