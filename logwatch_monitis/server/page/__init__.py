"""A request to the page that people look at."""
