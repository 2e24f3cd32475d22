"""Syntax trees: what a piece of code says, and the names that it takes from around it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

# Fields that say nothing about behaviour, or that only some Python versions have.
_COSMETIC = frozenset({"type_comment", "kind", "type_params", "lineno", "col_offset", "end_lineno", "end_col_offset"})
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of a body after its docstring, if it has one."""
    if (
        body
        and isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and isinstance(body[0].value.value, str)
    ):
        return body[1:]
    return body


def normal_form(node: ast.AST) -> str:
    """A text that is equal for trees that behave equally: no positions, docstrings or empty fields."""
    parts = [type(node).__name__]
    for name, value in ast.iter_fields(node):
        if name in _COSMETIC or value is None or value == []:
            continue
        if name == "body" and isinstance(node, Definition):
            value = without_docstring(value)
        if isinstance(value, list):
            text = ",".join(normal_form(item) if isinstance(item, ast.AST) else repr(item) for item in value)
            parts.append(f"{name}=[{text}]")
        else:
            parts.append(f"{name}={normal_form(value) if isinstance(value, ast.AST) else repr(value)}")
    return "(" + " ".join(parts) + ")"


class FreeNames(ast.NodeVisitor):
    """Collects the dotted names that a definition takes from its module: `a`, `a.b.c`."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self.imports: dict[str, tuple[str, str | None, int]] = {}
        self._scopes: list[set[str]] = []

    def _is_local(self, name: str) -> bool:
        return any(name in scope for scope in self._scopes)

    def visit_Name(self, node: ast.Name) -> None:
        """A name that is read, and not bound around here."""
        if isinstance(node.ctx, ast.Load) and not self._is_local(node.id):
            self.found.add(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """A dotted name, as one; what comes before the dots may be any expression."""
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
        for local, target in imported(node):
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
        body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else [*without_docstring(node.body)]
        if not isinstance(node, ast.Lambda):
            for decorator in node.decorator_list:
                self.visit(decorator)
            if node.returns is not None:
                self.visit(node.returns)
        self._scopes.append({argument.arg for argument in every if argument is not None} | stored(body))
        for statement in body:
            self.visit(statement)
        self._scopes.pop()

    visit_FunctionDef = _visit_function
    visit_AsyncFunctionDef = _visit_function
    visit_Lambda = _visit_function

    def _visit_comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        targets = {name for generator in node.generators for name in stored([generator.target])}
        self._scopes.append(targets)
        self.generic_visit(node)
        self._scopes.pop()

    visit_ListComp = _visit_comprehension
    visit_SetComp = _visit_comprehension
    visit_DictComp = _visit_comprehension
    visit_GeneratorExp = _visit_comprehension


def imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, tuple[str, str | None, int]]]:
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


def stored(nodes: list[ast.AST]) -> set[str]:
    """Names bound in this scope, nested scopes left out (except the names of nested definitions)."""
    names: set[str] = set()
    outer: set[str] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, Definition):
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


def is_type_checking(statement: ast.stmt) -> bool:
    """Whether a statement is there for type checkers alone: it never runs."""
    return isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)
