"""Code fingerprints: what of this project's code a stage function can reach, name by name.

From the stage function outward, every function, class and module constant of the project that its code names
(also through imports, re-exports and imports inside functions) is hashed as a normalised syntax tree. Comments,
docstrings and formatting do not count; a changed constant, default or helper does, and the fingerprint says which.
Methods are reached with their class. Names are followed as Python would resolve them: a local variable that
shadows a module name is not that name.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import xtreme_dag
from xtreme_dag.core.files import sha256_of
from xtreme_dag.engine.syntax import (
    Definition,
    FreeNames,
    imported,
    is_type_checking,
    normal_form,
    stored,
    without_docstring,
)

_EFFECTS = "<module>"
# Python 3.11 keeps one recursion depth for all threads that build syntax trees, and fails when two do so at a time.
_PARSING = threading.Lock()


@dataclass
class _Module:
    """One parsed module: what it defines, and what it imports."""

    name: str
    package: bool
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)


class CodeBase:
    """The project's modules, parsed when first needed."""

    def __init__(self, root: Path | None = None, package: str = "xtreme_dag") -> None:
        self._package = package
        self._root = root or Path(xtreme_dag.__file__).parent
        self._modules: dict[str, _Module | None] = {}
        self._direct: dict[str, tuple[str, frozenset[str]]] = {}

    def content(self) -> str:
        """sha256 of the bytes of all modules, and of the Python that reads them."""
        total = hashlib.sha256(sys.version.encode())
        for path in sorted(self._root.rglob("*.py")):
            content = path.read_bytes()
            total.update(f"{path.relative_to(self._root).as_posix()} {len(content)}\n".encode() + content)
        return total.hexdigest()

    def fingerprint(self, function: str) -> dict[str, str]:
        """Dotted name -> hash of every definition that `package.module:function` can reach, itself included.

        Raises:
            KeyError: there is no such function in the project.
        """
        module, _, name = function.partition(":")
        start = self._resolve(module, name)
        if not start:
            raise KeyError(f"no function {function}")
        reached: dict[str, str] = {}
        waiting = list(start)
        while waiting:
            definition = waiting.pop()
            if definition not in reached:
                reached[definition], references = self._definition(definition)
                waiting.extend(references)
        return dict(sorted(reached.items()))

    def _module(self, name: str) -> _Module | None:
        if name not in self._modules:
            self._modules[name] = self._parse(name)
        return self._modules[name]

    def _parse(self, name: str) -> _Module | None:
        head, *rest = name.split(".")
        if head != self._package:
            return None
        path = self._root.joinpath(*rest)
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not file.is_file():
            return None
        module = _Module(name=name, package=file.name == "__init__.py")
        with _PARSING:
            tree = ast.parse(file.read_bytes())
        for statement in without_docstring(tree.body):
            self._collect(module, statement)
        return module

    def _collect(self, module: _Module, statement: ast.stmt) -> None:
        if isinstance(statement, Definition):
            module.definitions.setdefault(statement.name, []).append(statement)
            return
        names = stored([statement])
        for node in ast.walk(statement):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for local, (target, member, level) in imported(node):
                    module.imports[local] = (self._absolute(module, target, level), member)
        if isinstance(statement, ast.Import | ast.ImportFrom):
            return
        for name in names or ({_EFFECTS} if not is_type_checking(statement) else ()):
            if name != "__all__":
                module.definitions.setdefault(name, []).append(statement)

    @staticmethod
    def _absolute(module: _Module, target: str, level: int) -> str:
        if not level:
            return target
        parts = module.name.split(".") if module.package else module.name.split(".")[:-1]
        parts = parts[: len(parts) - (level - 1)]
        return ".".join([*parts, target] if target else parts)

    def _definition(self, dotted: str) -> tuple[str, frozenset[str]]:
        """Hash of a definition and the definitions that it names."""
        if dotted not in self._direct:
            module_name, _, name = dotted.rpartition(".")
            module = self._module(module_name)
            if module is None:
                raise KeyError(dotted)
            statements = module.definitions[name]
            text = ";".join(normal_form(statement) for statement in statements)
            digest = hashlib.sha256(text.encode()).hexdigest()[:16]
            visitor = FreeNames()
            for statement in statements:
                visitor.visit(statement)
            inner = {
                local: (self._absolute(module, target, level), member)
                for local, (target, member, level) in visitor.imports.items()
            }
            references: set[str] = set()
            for free in visitor.found:
                references |= self._lookup(module, free, inner)
            if name != _EFFECTS and _EFFECTS in module.definitions:
                references.add(f"{module_name}.{_EFFECTS}")
            self._direct[dotted] = digest, frozenset(references - {dotted})
        return self._direct[dotted]

    def _lookup(self, module: _Module, free: str, inner: Mapping[str, tuple[str, str | None]]) -> set[str]:
        """Definitions that a dotted free name of a module stands for; empty for builtins and other packages."""
        head, *rest = free.split(".")
        if head in inner:
            return self._follow(*inner[head], rest)
        if head in module.definitions:
            return {f"{module.name}.{head}"}
        if head in module.imports:
            return self._follow(*module.imports[head], rest)
        return set()

    def _follow(self, target: str, member: str | None, rest: list[str]) -> set[str]:
        path = [*([member] if member else []), *rest]
        while path and self._module(f"{target}.{path[0]}") is not None and not self._defines(target, path[0]):
            target, path = f"{target}.{path[0]}", path[1:]
        if self._module(target) is None:
            return set()
        return self._resolve(target, path[0]) if path else self._whole(target)

    def _defines(self, module_name: str, name: str) -> bool:
        module = self._module(module_name)
        return module is not None and (name in module.definitions or name in module.imports)

    def _resolve(self, module_name: str, name: str) -> set[str]:
        module = self._module(module_name)
        if module is None:
            return set()
        if name in module.definitions:
            return {f"{module_name}.{name}"}
        if name in module.imports:
            return self._follow(*module.imports[name], [])
        return set()

    def _whole(self, module_name: str) -> set[str]:
        """A module that is passed around as a value: all that it defines counts."""
        module = self._module(module_name)
        return {f"{module_name}.{name}" for name in module.definitions} if module else set()


def digest(fingerprint: Mapping[str, str]) -> str:
    """One digest for a whole fingerprint."""
    return sha256_of(fingerprint)
