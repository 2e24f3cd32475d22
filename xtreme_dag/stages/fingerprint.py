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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import xtreme_dag
from xtreme_dag.stages.jsonio import sha256_of

# Fields that say nothing about behaviour, or that only some Python versions have.
_COSMETIC = frozenset({"type_comment", "kind", "type_params", "lineno", "col_offset", "end_lineno", "end_col_offset"})
_EFFECTS = "<module>"
# Python 3.11 keeps one recursion depth for all threads that build syntax trees, and fails when two do so at a time.
_PARSING = threading.Lock()
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass
class _Module:
    """One parsed module: what it defines, and what it imports."""

    name: str
    package: bool
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    if (
        body
        and isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and isinstance(body[0].value.value, str)
    ):
        return body[1:]
    return body


def _normal_form(node: ast.AST) -> str:
    """A text that is equal for trees that behave equally: no positions, docstrings or empty fields."""
    parts = [type(node).__name__]
    for name, value in ast.iter_fields(node):
        if name in _COSMETIC or value is None or value == []:
            continue
        if name == "body" and isinstance(node, _Definition):
            value = _without_docstring(value)
        if isinstance(value, list):
            text = ",".join(_normal_form(item) if isinstance(item, ast.AST) else repr(item) for item in value)
            parts.append(f"{name}=[{text}]")
        else:
            parts.append(f"{name}={_normal_form(value) if isinstance(value, ast.AST) else repr(value)}")
    return "(" + " ".join(parts) + ")"


class _FreeNames(ast.NodeVisitor):
    """Collects the dotted names that a definition takes from its module: `a`, `a.b.c`."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self.imports: dict[str, tuple[str, str | None, int]] = {}
        self._scopes: list[set[str]] = []

    def _is_local(self, name: str) -> bool:
        return any(name in scope for scope in self._scopes)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and not self._is_local(node.id):
            self.found.add(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain, inner = [node.attr], node.value
        while isinstance(inner, ast.Attribute):
            chain.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            if not self._is_local(inner.id):
                self.found.add(".".join([inner.id, *reversed(chain)]))
        else:
            self.visit(inner)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Constants name nothing."""

    def _visit_import(self, node: ast.Import | ast.ImportFrom) -> None:
        for local, target in _imported(node):
            self.imports[local] = target

    visit_Import = _visit_import
    visit_ImportFrom = _visit_import

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        for default in [*arguments.defaults, *arguments.kw_defaults]:
            if default is not None:
                self.visit(default)
        for argument in every:
            if argument is not None and argument.annotation is not None:
                self.visit(argument.annotation)
        body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else [*_without_docstring(node.body)]
        if not isinstance(node, ast.Lambda):
            for decorator in node.decorator_list:
                self.visit(decorator)
            if node.returns is not None:
                self.visit(node.returns)
        self._scopes.append({argument.arg for argument in every if argument is not None} | _stored(body))
        for statement in body:
            self.visit(statement)
        self._scopes.pop()

    visit_FunctionDef = _visit_function
    visit_AsyncFunctionDef = _visit_function
    visit_Lambda = _visit_function

    def _visit_comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        targets = {name for generator in node.generators for name in _stored([generator.target])}
        self._scopes.append(targets)
        self.generic_visit(node)
        self._scopes.pop()

    visit_ListComp = _visit_comprehension
    visit_SetComp = _visit_comprehension
    visit_DictComp = _visit_comprehension
    visit_GeneratorExp = _visit_comprehension


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, tuple[str, str | None, int]]]:
    """(local name, (module, member or None, relative level)) for each name that an import binds."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (
                (alias.asname, (alias.name, None, 0))
                if alias.asname
                else (alias.name.split(".")[0], (alias.name.split(".")[0], None, 0))
            )
    else:
        for alias in node.names:
            yield alias.asname or alias.name, (node.module or "", alias.name, node.level)


def _stored(nodes: list[ast.AST]) -> set[str]:
    """Names bound in this scope, nested scopes left out (except the names of nested definitions)."""
    names: set[str] = set()
    outer: set[str] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, _Definition):
            names.add(node.name)
            continue
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            outer.update(node.names)
        elif isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            continue
        waiting.extend(ast.iter_child_nodes(node))
    return names - outer


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
        for statement in _without_docstring(tree.body):
            self._collect(module, statement)
        return module

    def _collect(self, module: _Module, statement: ast.stmt) -> None:
        if isinstance(statement, _Definition):
            module.definitions.setdefault(statement.name, []).append(statement)
            return
        names = _stored([statement])
        for node in ast.walk(statement):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for local, (target, member, level) in _imported(node):
                    module.imports[local] = (self._absolute(module, target, level), member)
        if isinstance(statement, ast.Import | ast.ImportFrom):
            return
        for name in names or ({_EFFECTS} if not _is_type_checking(statement) else ()):
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
            text = ";".join(_normal_form(statement) for statement in statements)
            digest = hashlib.sha256(text.encode()).hexdigest()[:16]
            visitor = _FreeNames()
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


def _is_type_checking(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)


def digest(fingerprint: Mapping[str, str]) -> str:
    """One digest for a whole fingerprint."""
    return sha256_of(fingerprint)
