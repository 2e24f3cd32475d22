"""Syntax trees: which nodes belong to a scope, and which names a scope binds."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
# Module and member that a name is imported from; a member of None is the module itself.
Target = tuple[str, str | None]
_IDLE_TESTS = frozenset({"TYPE_CHECKING", "typing.TYPE_CHECKING", "__name__ == '__main__'"})


@dataclass
class Scope:
    """The names that a function, class or comprehension binds, those of nested scopes left out.

    Attributes:
        names: bound by assignment, as a parameter, by a nested definition, ...
        imports: bound by import statements.
        outer: declared `global`: they are the module's.
        of_class: a class body, whose names nested functions do not see.
        nodes: the body of a function.
    """

    names: set[str] = field(default_factory=set)
    imports: dict[str, set[tuple[str, str | None, int]]] = field(default_factory=dict)
    outer: set[str] = field(default_factory=set)
    of_class: bool = False
    nodes: Sequence[ast.AST] = ()


def nodes_of_scope(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The nodes that run in one scope, in no order; of a nested scope only the node that opens it.

    A walrus in a comprehension binds outside of it, so those are given too.
    """
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, Comprehension):
            waiting.extend(inner for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
        elif not isinstance(node, ast.Lambda | Definition):
            waiting.extend(ast.iter_child_nodes(node))


def scope_of(nodes: Iterable[ast.AST], *, of_class: bool = False) -> Scope:
    """What these nodes bind where they run."""
    scope, enclosing = Scope(of_class=of_class), set()
    for node in nodes_of_scope(nodes):
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                scope.names.add(node.id)
        elif isinstance(node, Definition):
            scope.names.add(node.name)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
            scope.names.update([node.name] if node.name else ())
        elif isinstance(node, ast.MatchMapping):
            scope.names.update([node.rest] if node.rest else ())
        elif isinstance(node, ast.Global):
            scope.outer.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            enclosing.update(node.names)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for local, target in imported(node):
                scope.imports.setdefault(local, set()).add(target)
    scope.names -= scope.outer | enclosing
    return scope


def imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, tuple[str, str | None, int]]]:
    """(local name, (module, member or None, relative level)) for each name that an import binds."""
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, (node.module or "", alias.name, node.level)
        elif alias.asname:
            yield alias.asname, (alias.name, None, 0)
        else:
            head = alias.name.split(".")[0]
            yield head, (head, None, 0)


def dotted(node: ast.expr) -> list[str] | None:
    """The parts of a dotted name, `["a", "b", "c"]` for `a.b.c`; None for any other expression."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else None


def is_idle(statement: ast.stmt) -> bool:
    """Whether a statement does nothing when its module is imported: docstrings, bare constants, code for type checkers."""
    if isinstance(statement, ast.If):
        return not statement.orelse and ast.unparse(statement.test) in _IDLE_TESTS
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def has_effects(statement: ast.stmt) -> bool:
    """Whether a statement may do more than bind names: it calls something for its effect, or changes an object."""
    return any(
        (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load))
        for node in nodes_of_scope([statement])
    )
