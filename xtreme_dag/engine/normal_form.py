"""The normal form of a definition: a text that is equal where behaviour is, with a number for each other definition.

What stands in it for a name:
- a definition of the package, however it is imported or spelled: `#0`, `#1`, ... in order of appearance; the definition
  itself: `@`. So names and homes of definitions do not count. They do where code reads them: `__name__` and
  `__qualname__` count the names of the classes referred to, a module's own `__name__` or `__file__` its dotted name;
- anything imported from another package: `^` and its name in full (`^numpy.sum`), and so a builtin (`^len`);
- local variables, parameters, attributes, methods and keywords: themselves.

What does not count:
- comments, formatting, docstrings and other constants that stand alone;
- annotations in functions that are not decorated, and of variables; those of class attributes count (dataclass, pydantic);
- the order of a class's plain methods;
- arguments of an error: of any `UserError(...)`, that is, of an exception class of the package whose arguments are a
  message (`messages.is_message_class`), and of `raise SomeError(...)` for a class of Python or of another package. What
  is called in them alone (`nearest(...)`) does not count either, nor do assignments right before such a `raise` whose
  names nothing else uses. Of `raise make_error(...)` only strings and f-strings do not count;
- strings and f-strings in the arguments of a statement that calls `log`, `progress` or `listen` of a context
  (`self.context.log(...)`), `listen(...)`, or a method of a logger (`logger`, `log` or `logging`).
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from typing import cast

from xtreme_dag.engine.messages import acts, is_logging, is_message_class, preparing
from xtreme_dag.engine.modules import OF_A_MODULE, Meaning, Module, Modules
from xtreme_dag.engine.syntax import Scope, Target, dotted, imported, is_idle, scope_of

_COSMETIC = frozenset({"type_comment", "kind", "type_params", "ctx"})
# Decorators under which nobody reads a function's annotations.
_PLAIN = {"property", "staticmethod", "classmethod", "abstractmethod", "cache", "lru_cache", "cached_property"}
_NAMES_READ = frozenset({"__name__", "__qualname__"})


class NormalForm:
    """The normal form of one definition.

    Attributes:
        text: the form.
        references: dotted names of the definitions that it refers to; `#i` in the text is the i-th.
    """

    def __init__(self, modules: Modules, module: Module, name: str) -> None:
        self._modules, self._module, self._name = modules, module, name
        self._numbers: dict[str, int] = {}
        self._siblings: dict[str, int] = {}
        self._scopes: list[Scope] = []
        self._annotated = self._muted = self._reads_names = False
        self.text = self._listed(module.definitions[name])
        self.references = tuple(self._numbers)
        if self._reads_names:
            for each in (f"{module.name}.{name}", *self.references):
                if any(isinstance(statement, ast.ClassDef) for statement in modules.statements(each)):
                    self.text += f" named {each.rpartition('.')[2]}"

    def _show(self, node: ast.AST) -> str:
        special = _SPECIAL.get(type(node))
        return special(self, node) if special else self._plain(node)

    def _plain(self, node: ast.AST, **shown: str) -> str:
        """Type and fields of a node; `shown` has the text of those that are not shown as usual."""
        parts = [type(node).__name__]
        for name in node._fields:
            value = shown[name] if name in shown else getattr(node, name, None)
            if value in (None, "", []) or name in _COSMETIC:
                continue
            if name in shown:
                text = shown[name]
            elif isinstance(value, list):
                text = f"[{self._listed(value)}]"
            else:
                text = self._show(value) if isinstance(value, ast.AST) else repr(value)
            parts.append(f"{name}={text}")
        return "(" + " ".join(parts) + ")"

    def _listed(self, items: Sequence[object]) -> str:
        if items and isinstance(items[-1], ast.Raise):
            items = self._without_preparation(cast(Sequence[ast.stmt], items), items[-1].exc)
        texts = (
            self._show(item) if isinstance(item, ast.AST) else "-" if item is None else repr(item)
            for item in items
            if not (isinstance(item, ast.stmt) and is_idle(item))
        )
        return ",".join(text for text in texts if text)

    # Names.

    def _Name(self, node: ast.Name) -> str:
        return self._named([node.id]) if isinstance(node.ctx, ast.Load) else self._bound(node.id)

    def _Attribute(self, node: ast.Attribute) -> str:
        chain = dotted(node)
        self._reads_names |= node.attr in _NAMES_READ
        return self._named(chain) if chain else f"({self._show(node.value)}.{node.attr})"

    def _home(self, name: str) -> tuple[bool, Target | None]:
        """Whether a name is local here, and what it is imported from within this definition."""
        for depth, scope in enumerate(reversed(self._scopes)):
            if scope.of_class and depth:
                continue
            if name in scope.outer:
                break
            if name in scope.names:
                return True, None
            targets = scope.imports.get(name, ())
            if len(targets) > 1:
                return True, None
            for target in targets:
                return False, self._module.absolute(*target)
        return False, None

    def _named(self, chain: list[str]) -> str:
        local, target = self._home(chain[0])
        if local and not self._scopes[-1].of_class:
            return ".".join(chain)
        meaning = self._modules.meaning(self._module, chain, target)
        if local:
            # In a class body a name may be the module's until the class binds it.
            return ".".join(chain) + (f"|{self._token(meaning.name)}" if meaning and meaning.ours else "")
        if meaning is None:
            home = f"={self._module.name}" if chain[0] in OF_A_MODULE else ""
            return f"^{'.'.join(chain)}{home}"
        if not meaning.ours:
            return f"^{meaning.name}"
        if meaning.rest and meaning.rest[0] in _NAMES_READ:
            return f"{self._token(meaning.name)}.__name__={meaning.name.rpartition('.')[2]}"
        return ".".join([self._token(meaning.name), *meaning.rest])

    def _token(self, name: str) -> str:
        if name == f"{self._module.name}.{self._name}":
            return "@"
        return f"#{self._numbers.setdefault(name, len(self._numbers))}"

    def _bound(self, name: str) -> str:
        """A name where it is bound."""
        local, _ = self._home(name)
        if local:
            return name
        if name == self._name:
            return "@"
        return self._named([name]) if self._scopes else f"%{self._siblings.setdefault(name, len(self._siblings))}"

    def _Global(self, node: ast.Global) -> str:
        return ""

    def _import(self, node: ast.Import | ast.ImportFrom) -> str:
        """Imports of the package count where they are used; those of others may fail, so they count where they stand."""
        texts = []
        for alias, (local, raw) in zip(node.names, imported(node), strict=True):
            target = self._module.absolute(*raw)
            meaning = self._modules.meaning(self._module, [local], target)
            assert meaning is not None
            if not self._scopes or self._home(local)[0]:
                what = self._token(meaning.name) if meaning.ours else f"^{meaning.name}"
                texts.append(f"{self._bound(local)}<-{what}")
            elif not meaning.ours:
                texts.append(f"import {alias.name if isinstance(node, ast.Import) else meaning.name}")
        return ",".join(texts)

    _Import = _ImportFrom = _import

    # Definitions and scopes.

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
        decorators = [dotted(each.func if isinstance(each, ast.Call) else each) for each in node.decorator_list]
        annotated, self._annotated = self._annotated, any(not each or each[-1] not in _PLAIN for each in decorators)
        shown = {"name": self._bound(node.name), "args": self._show(node.args)}
        shown["returns"] = self._show(node.returns) if node.returns and self._annotated else ""
        shown["decorator_list"] = self._listed(node.decorator_list)
        self._annotated = annotated
        return self._plain(node, **shown, body=self._inside(node.args, node.body))

    _FunctionDef = _AsyncFunctionDef = _function

    def _Lambda(self, node: ast.Lambda) -> str:
        return self._plain(node, args=self._show(node.args), body=self._inside(node.args, [node.body]))

    def _inside(self, arguments: ast.arguments, body: Sequence[ast.AST]) -> str:
        scope = scope_of(body)
        scope.nodes = body
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        scope.names.update(each.arg for each in every if each is not None)
        return self._within(scope, body)

    def _within(self, scope: Scope, items: Sequence[object]) -> str:
        self._scopes.append(scope)
        text = self._listed(items)
        self._scopes.pop()
        return text

    def _arg(self, node: ast.arg) -> str:
        return f"{node.arg}:{self._show(node.annotation)}" if node.annotation and self._annotated else node.arg

    def _AnnAssign(self, node: ast.AnnAssign) -> str:
        if self._scopes and self._scopes[-1].of_class:
            note = node.annotation
            if isinstance(note, ast.Constant) and isinstance(note.value, str):
                note = ast.parse(note.value, mode="eval").body
            return self._plain(node, annotation=self._show(note))
        return "" if node.value is None else self._show(ast.Assign(targets=[node.target], value=node.value))

    def _ClassDef(self, node: ast.ClassDef) -> str:
        bound = Counter(name for each in node.body for name in scope_of([each]).names)
        plain = [
            each
            for each in node.body
            if isinstance(each, ast.FunctionDef) and not each.decorator_list and bound[each.name] == 1
        ]
        body = [each for each in node.body if each not in plain] + sorted(plain, key=lambda each: each.name)
        scope = scope_of(node.body, of_class=True)
        return self._plain(node, name=self._bound(node.name), body=self._within(scope, body))

    def _comprehension_node(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> str:
        """Only the first iterable is looked up outside."""
        first = self._show(node.generators[0].iter)
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        parts: list[object] = [*results]
        for number, each in enumerate(node.generators):
            parts += [each.target, *([each.iter] if number else []), "if", *each.ifs, each.is_async]
        scope = scope_of([each.target for each in node.generators])
        return f"({type(node).__name__} {first} {self._within(scope, parts)})"

    _ListComp = _SetComp = _DictComp = _GeneratorExp = _comprehension_node

    # Messages.

    def _Constant(self, node: ast.Constant) -> str:
        return "text" if self._muted and isinstance(node.value, str) else repr(node.value)

    def _JoinedStr(self, node: ast.JoinedStr) -> str:
        return "text" if self._muted else self._plain(node)

    def _Expr(self, node: ast.Expr) -> str:
        if isinstance(node.value, ast.Call) and is_logging(node.value):
            return self._plain(node, value=self._without_texts(node.value))
        return self._plain(node)

    def _Raise(self, node: ast.Raise) -> str:
        if not isinstance(node.exc, ast.Call):
            return self._plain(node)
        said = self._is_message(node.exc, raised=True)
        return self._plain(node, exc=self._message(node.exc) if said else self._without_texts(node.exc))

    def _Call(self, node: ast.Call) -> str:
        muted, self._muted = self._muted, False
        text = self._message(node) if self._is_message(node) else self._plain(node)
        self._muted = muted
        return text

    def _is_message(self, call: ast.Call, *, raised: bool = False) -> bool:
        """Whether a call makes an error whose arguments are a message; one of another package only where it is raised."""
        chain = dotted(call.func)
        local, target = self._home(chain[0]) if chain else (True, None)
        if chain is None or local:
            return False
        meaning = self._modules.meaning(self._module, chain, target) or Meaning(chain[-1], ours=False)
        return (meaning.ours or raised) and is_message_class(self._modules, meaning) and not acts(call)

    def _message(self, call: ast.Call) -> str:
        return f"(Call {self._show(call.func)} message)"

    def _without_preparation(self, block: Sequence[ast.stmt], error: ast.expr | None) -> Sequence[ast.stmt]:
        """A block that ends in an error, without the assignments before it that only its message uses."""
        if not self._scopes or not isinstance(error, ast.Call) or not self._is_message(error, raised=True):
            return block
        *before, end = block
        count = preparing(before, end, self._scopes[-1].nodes, self._scopes[-1].names)
        return [*before[: len(before) - count], end]

    def _without_texts(self, call: ast.Call) -> str:
        shown = {"func": self._show(call.func)}
        self._muted = True
        shown |= {"args": self._listed(call.args), "keywords": self._listed(call.keywords)}
        self._muted = False
        return self._plain(call, **shown)


_SPECIAL = {
    getattr(ast, name[1:]): method
    for name, method in vars(NormalForm).items()
    if name.startswith("_") and isinstance(getattr(ast, name[1:], None), type)
}
