"""Code that only makes messages, which fingerprints leave out: arguments of errors, and statements that log."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from xtreme_dag.engine.modules import Meaning, Modules
from xtreme_dag.engine.syntax import Definition, dotted

_LOGGERS = frozenset({"logger", "log", "logging"})
_LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log"})
_TOLD = frozenset({"log", "progress", "listen"})
# Errors of Python whose arguments are data.
_DATA = frozenset({"OSError", "IOError", "CalledProcessError"})


def is_logging(call: ast.Call) -> bool:
    """Whether a statement that is this call logs or reports progress; see the docstring of `normal_form`."""
    *owner, last = dotted(call.func) or [""]
    if not owner:
        return last == "listen"
    if owner[-1] == "context":
        return last in _TOLD
    return owner[-1].strip("_").lower() in _LOGGERS and last in _LEVELS


def is_message_class(modules: Modules, meaning: Meaning) -> bool:
    """Whether a name is that of an exception class whose arguments are a message and not data.

    A class of the package that takes arguments of its own, but does not say how they read (`__init__` or fields,
    and no `__str__`), carries data.
    """
    if not meaning.ours:
        last = meaning.name.rpartition(".")[2]
        return last.endswith(("Error", "Exception", "Warning")) and last not in _DATA
    module, statements = modules.get(meaning.name.rpartition(".")[0]), modules.statements(meaning.name)
    node = statements[0] if len(statements) == 1 else None
    if module is None or meaning.rest or not isinstance(node, ast.ClassDef):
        return False
    own = {each.name for each in node.body if isinstance(each, Definition)}
    takes = "__init__" in own or any(isinstance(each, ast.AnnAssign) for each in node.body)
    chain = dotted(node.bases[0]) if node.bases else None
    if chain is None or (takes and "__str__" not in own):
        return False
    return is_message_class(modules, modules.meaning(module, chain) or Meaning(chain[-1], ours=False))


def acts(node: ast.AST) -> bool:
    """Whether an expression binds or waits, so that it cannot be left out."""
    acting = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
    return any(isinstance(each, acting) for each in ast.walk(node))


def preparing(before: Sequence[ast.stmt], end: ast.stmt, body: Iterable[ast.AST], local: set[str]) -> int:
    """How many statements right before an error do nothing but assign what only its message uses.

    Args:
        before: what comes before it in its block.
        end: the statement that raises it.
        body: the function that they are in.
        local: the local variables of that function.
    """
    count, used = 0, [end]
    for statement in reversed(before):
        if not isinstance(statement, ast.Assign) or acts(statement):
            break
        names = {each.id for each in statement.targets if isinstance(each, ast.Name)}
        used.append(statement)
        if len(names) < len(statement.targets) or not names <= local or _reads(body, names) != _reads(used, names):
            break
        count += 1
    return count


def _reads(nodes: Iterable[ast.AST], names: set[str]) -> int:
    """How often names are read, nested scopes included."""
    read = (each for node in nodes for each in ast.walk(node) if isinstance(each, ast.Name))
    return sum(each.id in names and isinstance(each.ctx, ast.Load) for each in read)
