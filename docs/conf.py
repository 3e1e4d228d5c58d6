from logwatch_monitis import __version__

project = "logwatch-monitis"
copyright = "the authors"  # noqa: A001 - the name is Sphinx's
release = __version__

exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "Every login, on a page"}
nitpicky = True
