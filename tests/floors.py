"""The floors and rooms of the project, and what its imports make of them: `python -m tests.floors` prints the counts.

Rooms are the folders under `xtreme_dag/`, and `tasks` and `flows`. An import goes down, or to a room of the same floor,
and never in a circle, neither between rooms nor between modules. Imports inside functions and for types alone count.
"""

from __future__ import annotations

import ast
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

FLOORS = {
    7: ("flows",),
    6: ("tasks",),
    5: ("program",),
    4: ("data", "training", "evaluation", "submissions", "report"),
    3: ("model", "heads", "wiring", "contracts", "miniworld", "results"),
    2: ("formats", "catalogue", "tables", "study", "engine"),
    1: ("core", "scoring"),
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
# The package itself and its entry point stand before all floors: they may import any room, and no room depends on them.
ENTRANCES = ("xtreme_dag", "xtreme_dag.__main__")

Edges = dict[str, set[str]]


def modules(root: Path) -> dict[str, Path]:
    """Dotted name -> file of every module under a checkout, without the entrances."""
    found = {}
    for top in ("xtreme_dag", "tasks", "flows"):
        for path in (root / top).rglob("*.py"):
            name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            if name not in ENTRANCES:
                found[name] = path
    return found


def room(module: str) -> str:
    """The room that a module is in."""
    parts = module.split(".")
    return parts[1] if parts[0] == "xtreme_dag" else parts[0]


def imports(root: Path) -> Edges:
    """Module -> modules of the project that it imports, wherever in its text."""
    known = modules(root)
    edges: Edges = {}
    for module, path in known.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        named = (
            next((name for name in names if name in known), module)
            for names in _imported(path.read_text("utf-8"), package)
        )
        edges[module] = {*named} - {module}
    return edges


@cache
def _imported(text: str, package: str) -> tuple[tuple[str, ...], ...]:
    """For every name that an import statement of a module binds: the module that it is, else the module that it is from."""
    found: list[tuple[str, ...]] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += ((alias.name,) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found += ((f"{base}.{alias.name}", base) for alias in node.names)
    return tuple(found)


def upward(edges: Edges) -> list[str]:
    """`module -> module` of each import to a higher floor; a room that is not on the list counts as the highest."""
    return [
        f"{module} -> {other}"
        for module, others in sorted(edges.items())
        for other in sorted(others)
        if room(module) != room(other) and FLOOR.get(room(other), 99) > FLOOR.get(room(module), 0)
    ]


def circles(edges: Edges) -> list[list[str]]:
    """Circles of imports, none twice; without one of them the list is empty."""
    left = {name: set(others) for name, others in edges.items()}
    found = []
    while True:
        try:
            TopologicalSorter(left).prepare()
            return found
        except CycleError as error:
            circle: list[str] = error.args[1]
            found.append(circle)
            for name in circle:
                left[name] -= set(circle)


def between_rooms(edges: Edges) -> Edges:
    """Room -> other rooms that its modules import."""
    rooms: Edges = {}
    for module, others in edges.items():
        rooms.setdefault(room(module), set()).update({room(other) for other in others} - {room(module)})
    return rooms


def strangers(root: Path) -> set[str]:
    """Rooms that are on no floor, and modules that are in no room."""
    return {room(module) for module in modules(root)} - set(FLOOR)


def summary(edges: Edges) -> str:
    """The two figures that must be zero."""
    rounds = len(circles(edges)) + len(circles(between_rooms(edges)))
    return f"upward imports: {len(upward(edges))}, import circles: {rounds}"


if __name__ == "__main__":
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
    found = imports(root)
    print(summary(found), *upward(found), *circles(found), *circles(between_rooms(found)), sep="\n")
