"""The layout of the package: which room may import which, and that a name means one thing."""

import ast
import re
import statistics
from collections import defaultdict
from graphlib import TopologicalSorter

from commands import ROOT
from rooms import LEVELS, MODULES, PACKAGE, PAGE, imports, room_of, with_picture

LEVEL = {room: number for number, level in enumerate(LEVELS) for room in level}
ONLY_FOR = {"server": {"cli"}}
"""Rooms that are imported by these alone."""
NOT_YET_SHORT = {
    "logwatch_monitis.config.private_files",
    "logwatch_monitis.history.reader",
    "logwatch_monitis.server.store.login_queries",
    "logwatch_monitis.sources.files.log",
    "logwatch_monitis.sources.files.reconcile",
}
"""Modules that are too long still; this list may only shrink."""
LONG_STILL = {
    "logwatch_monitis.delivery.deliverer.__init__",
    "logwatch_monitis.server.web.server.serve",
}
"""Functions over the limit still, most of them docstring; this list may only shrink."""
TOP = {"__init__", "__main__", "_version", "errors", "login", "interfaces", "text"}
MOST_LINES = 450
LONGEST_FUNCTION = 50


def test_imports_point_down():
    """A room imports only what stands below it, so a change upstream needs no look downstream."""
    against = defaultdict(set)
    for name, tree in MODULES.items():
        room = room_of(name)
        if room not in LEVEL:
            continue
        for imported in imports(name, tree):
            other = room_of(imported)
            below = LEVEL.get(other, len(LEVELS)) > LEVEL[room]
            allowed = ONLY_FOR.get(other, {room}) >= {room}
            if other not in (room, PACKAGE.name) and not (below and allowed):
                against[f"{room} → {other}"].add(name)

    assert {} == against


def test_no_module_imports_one_that_imports_it():
    """There is no circle, late imports included."""
    graph = {name: {*imports(name, tree)} - {name} for name, tree in MODULES.items()}

    assert len(MODULES) <= len([*TopologicalSorter(graph).static_order()])


def test_a_class_name_means_one_thing():
    """No two classes of the package share a name, with or without an underscore in front."""
    where = defaultdict(set)
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                where[node.name.lstrip("_")].add(f"{name}.{node.name}")

    double = {name: places for name, places in where.items() if len(places) > 1}

    assert {} == double


def test_the_package_is_rooms_and_a_few_files():
    """Beside the rooms stand the files that all of them share, and no others."""
    files = {path.stem for path in PACKAGE.glob("*.py")}
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}

    assert files == TOP
    assert rooms == {room for level in LEVELS for room in level} - TOP - {"patterns"}


def test_modules_and_functions_are_short():
    """No module is over 450 lines, no function over 50, most are under 16."""
    lines = {name: path_lines(name) for name in MODULES}
    functions = {
        f"{name}.{node.name}": node.end_lineno - node.lineno
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    lengths = sorted(functions.values())

    assert {name for name, count in lines.items() if count > MOST_LINES} == NOT_YET_SHORT
    assert {name for name, n in functions.items() if n > LONGEST_FUNCTION} == LONG_STILL
    assert (statistics.median(lengths) <= 6, lengths[len(lengths) * 9 // 10] <= 16) == (True, True)


def test_the_page_shows_the_rooms_as_they_are():
    """The picture of the documentation is drawn from the code; ``tests/rooms.py`` draws it anew."""
    page = PAGE.read_text("utf-8")

    assert page == with_picture(page), "run tests/rooms.py"


def test_the_page_names_files_that_exist():
    """Who follows a journey through the code finds each of its modules."""
    named = {*re.findall(r"``(\w[\w/.-]*/[\w./-]*)``", PAGE.read_text("utf-8"))}
    missing = {name for name in named if not any((p / name).exists() for p in (PACKAGE, ROOT))}

    assert len(named) > 50
    assert missing == set()


def path_lines(name):
    """Return how many lines a module has."""
    path = ROOT / name.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return file.read_text("utf-8").count("\n")
