"""The pattern language: what a login line looks like, read from files anybody can write."""
