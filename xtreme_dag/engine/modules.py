"""The modules of a package, read at once and parsed when first needed: what each defines, what a name in it stands for."""

from __future__ import annotations

import ast
import threading
from dataclasses import dataclass, field
from pathlib import Path

from xtreme_dag.engine.syntax import (
    Definition,
    Target,
    has_effects,
    imported,
    is_idle,
    nodes_of_scope,
    scope_of,
)

# The name under which a module's statements that are run for their effect are kept.
EFFECTS = "<module>"
# The name of a module that is used as a value: all that it binds.
WHOLE = "*"
# What a module has without defining it.
OF_A_MODULE = frozenset({"__name__", "__file__", "__path__", "__doc__", "__package__", "__spec__"})
# Python 3.11 keeps one recursion depth for all threads that build syntax trees, and fails when two do so at a time.
_PARSING = threading.Lock()


@dataclass
class Module:
    """One parsed module.

    Attributes:
        definitions: name -> the statements that bind it, in their order; `EFFECTS` -> those run for their effect.
        imports: name -> where it is imported from.
        stars: modules whose names are all imported.
    """

    name: str
    is_package: bool
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, Target] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)

    def absolute(self, module: str, member: str | None, level: int) -> Target:
        """The target of an import in this module without its leading dots."""
        if not level:
            return module, member
        parts = self.name.split(".")
        parts = parts[: len(parts) - level + self.is_package]
        return ".".join([*parts, module] if module else parts), member


@dataclass(frozen=True)
class Meaning:
    """What a dotted name stands for.

    Attributes:
        name: where it is defined, dotted; for another package's the name in full.
        ours: whether it is a definition of the package.
        rest: attributes of that definition that the name goes on to.
    """

    name: str
    ours: bool
    rest: tuple[str, ...] = ()


class Modules:
    """The modules of a package, by dotted name.

    Attributes:
        sources: path below the root -> content, of every module.
    """

    def __init__(self, root: Path, package: str) -> None:
        self.sources = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.py")}
        self._package = package
        self._modules: dict[str, Module | None] = {}

    def get(self, name: str) -> Module | None:
        """A module of the package, or None if there is no such one."""
        if name not in self._modules:
            self._modules[name] = self._parse(name)
        return self._modules[name]

    def statements(self, dotted: str) -> list[ast.stmt]:
        """The statements that bind a name, given with its module; none if it is not the package's."""
        home, _, name = dotted.rpartition(".")
        module = self.get(home)
        return module.definitions.get(name, []) if module else []

    def meaning(self, module: Module, chain: list[str], target: Target | None = None) -> Meaning | None:
        """What a dotted name stands for in a module; None for builtins.

        Args:
            module: where the name is read.
            chain: its parts.
            target: what its first part is imported from, where that is known already.
        """
        head, *rest = chain
        if target is None:
            if head in module.definitions:
                return Meaning(f"{module.name}.{head}", True, tuple(rest))
            target = self._imported(module, head, frozenset())
            if target is None:
                return None
        origin, member = target
        return self._follow(origin, [*([member] if member else []), *rest])

    def _follow(self, origin: str, path: list[str]) -> Meaning:
        while path and not self._binds(origin, path[0]) and self.get(f"{origin}.{path[0]}"):
            origin, path = f"{origin}.{path[0]}", path[1:]
        module = self.get(origin)
        if module is None:
            return Meaning(".".join([origin, *path]), False)
        found = self.meaning(module, path) if path else None
        if found is not None:
            return found
        if path and path[0] in OF_A_MODULE:
            return Meaning(".".join([origin, *path]), False)
        return Meaning(f"{origin}.{WHOLE}", True, tuple(path))

    def _binds(self, module_name: str, name: str, seen: frozenset[str] = frozenset()) -> bool:
        module = self.get(module_name)
        return module is not None and (
            name in module.definitions or self._imported(module, name, seen | {module_name}) is not None
        )

    def _imported(self, module: Module, name: str, seen: frozenset[str]) -> Target | None:
        target = module.imports.get(name)
        # `from . import x` in a package's own file binds its submodule, which is found without it.
        if target is not None and target != (module.name, name):
            return target
        for star in reversed(module.stars):
            if star not in seen and self._binds(star, name, seen | {module.name}):
                return star, name
        return None

    def _parse(self, name: str) -> Module | None:
        head, *rest = name.split(".")
        if head != self._package:
            return None
        package = "/".join([*rest, "__init__.py"])
        source = self.sources.get(package, self.sources.get(f"{'/'.join(rest)}.py"))
        if source is None:
            return None
        module = Module(name=name, is_package=package in self.sources)
        with _PARSING:
            tree = ast.parse(source)
        for statement in tree.body:
            _collect(module, statement)
        return module


def _collect(module: Module, statement: ast.stmt) -> None:
    if isinstance(statement, Definition):
        module.definitions.setdefault(statement.name, []).append(statement)
        return
    for node in nodes_of_scope([statement]):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for local, target in imported(node):
                origin, member = module.absolute(*target)
                if local == "*":
                    module.stars.append(origin)
                else:
                    module.imports[local] = origin, member
    if isinstance(statement, ast.Import | ast.ImportFrom) or is_idle(statement):
        return
    names = scope_of([statement]).names
    for name in sorted(names):
        module.definitions.setdefault(name, []).append(statement)
    if not names or has_effects(statement):
        module.definitions.setdefault(EFFECTS, []).append(statement)
