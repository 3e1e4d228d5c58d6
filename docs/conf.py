"""How Sphinx builds the documentation: pages of HTML, and manual pages of the commands."""

from collections.abc import MutableSequence

import click
from sphinx.application import Sphinx

from logwatch_monitis import __version__

project = "logwatch-monitis"
copyright = "the authors"  # noqa: A001 - the name is Sphinx's
author = copyright
release = version = __version__

extensions = ["sphinx_click"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "Every login, on a page"}
nitpicky = True
man_pages = [
    ("commands", "logwatch-monitis", "send every login of this machine to a custom monitor", "", 1),
    ("configuration", "logwatch-monitis.yaml", "configuration of logwatch-monitis", "", 5),
    ("patterns", "logwatch-monitis-patterns", "pattern files of logwatch-monitis", "", 5),
]


def setup(app: Sphinx) -> None:
    """Show the example of each command below its options."""
    app.connect("sphinx-click-process-epilog", _example)


def _example(_app: Sphinx, context: click.Context, lines: MutableSequence[str]) -> None:
    example = getattr(context.command, "example", "")
    lines[:] = ["Example::", "", *(f"    {line}" for line in example.splitlines()), ""]
