"""The rooms of the package and who imports whom, from the code; run, it draws the picture anew."""

import ast
import textwrap
from collections import defaultdict

from commands import ROOT

PACKAGE = ROOT / "logwatch_monitis"
PAGE = ROOT / "docs" / "architecture.rst"
BEGIN, END = ".. the picture, drawn by tests/rooms.py\n\n::\n\n", "\n.. the end of the picture\n"
LEVELS = (
    {"cli"},
    {"agent", "history"},
    {"scanner"},
    {"grammar", "delivery", "server"},
    {"spool"},
    {"config"},
    {"protocol", "syslog", "sources"},
    {"login", "errors", "interfaces"},
    {"text"},
    {"_version", "patterns"},
)
"""A room imports rooms of lower levels only."""
SHARED = ("errors", "interfaces", "login", "text")
"""The files that all rooms may import."""


def modules():
    """Return the syntax tree of each module of the package, by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_text("utf-8"))
    return found


MODULES = modules()


def imports(name, tree):
    """Yield the modules of the package that a module imports, late imports included."""
    package = name if (ROOT / name.replace(".", "/")).is_dir() else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.partition(".")[0] == PACKAGE.name)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            if base.partition(".")[0] != PACKAGE.name:
                continue
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full in MODULES else base


def room_of(name):
    """Return the room of a module: the folder or the file below the package."""
    return name.split(".")[1] if "." in name else name


def picture():
    """Return the rooms from top to bottom, each with its promise and the rooms it imports."""
    arrows = defaultdict(set)
    for name, tree in MODULES.items():
        arrows[room_of(name)] |= {room_of(imported) for imported in imports(name, tree)}
    levels = [sorted(level & arrows.keys() - {*SHARED, "_version"}) for level in LEVELS]
    drawn = ["\n".join(_drawn(room, arrows[room]) for room in rooms) for rooms in levels if rooms]
    shared = "\n".join(_drawn(file, ()) for file in SHARED)
    return f"\n{'─' * 78}\n".join([*drawn, shared])


def with_picture(page):
    """Return the text of the page with the picture as it is now."""
    above, rest = page.split(BEGIN)
    return f"{above}{BEGIN}{textwrap.indent(picture(), '    ')}\n{END}{rest.split(END)[1]}"


def _drawn(room, imported):
    promise = ast.get_docstring(MODULES[f"{PACKAGE.name}.{room}"]).splitlines()[0]
    order = [name for level in LEVELS for name in sorted(level)]
    below = [r for r in order if r in imported and r not in {room, *SHARED, "_version"}]
    text = textwrap.wrap(promise, 66)
    text += textwrap.wrap(", ".join(below), 64, initial_indent="→ ", subsequent_indent="  ")
    return f"{room:<12}" + textwrap.indent("\n".join(text), " " * 12).lstrip()


if __name__ == "__main__":
    PAGE.write_text(with_picture(PAGE.read_text("utf-8")), "utf-8")
