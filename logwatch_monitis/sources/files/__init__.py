"""Log files that are followed: which file is which over rotations, and how far each was read."""
