"""Code fingerprints: what of this project's code a stage function can reach, whatever it is called and wherever it stands.

From the stage function outward, every function, class and module constant of the project that its code names (also
through imports, re-exports and imports inside functions) counts, as its normal form (see `normal_form`). Methods are
reached with their class, a module that is passed around as a value with all that it binds, and statements of a module
that are run for their effect with whatever is reached in it.

The definitions are a rooted graph: a normal form refers to others by the order in which it names them. The digest is
that of the whole graph, its nodes numbered as they are reached. So no name is in it, recursion needs no rule of its own,
and two definitions that read alike (two empty exception classes) stay two.
"""

from __future__ import annotations

import hashlib
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import xtreme_dag
from xtreme_dag.core.files import sha256_of
from xtreme_dag.engine.modules import EFFECTS, WHOLE, Modules
from xtreme_dag.engine.normal_form import NormalForm

# Dotted name -> the hash of its normal form, then the dotted names that it refers to; the stage function comes first.
Fingerprint = Mapping[str, Sequence[str]]
_CURRENT: dict[str, CodeBase] = {}  # by the digest of its bytes, of which there is one


class CodeBase:
    """The code of a package, as its modules are when this is made."""

    def __init__(self, root: Path | None = None, package: str = "xtreme_dag") -> None:
        self._modules = Modules(root or Path(xtreme_dag.__file__).parent, package)
        self._direct: dict[str, tuple[str, ...]] = {}

    @classmethod
    def current(cls) -> CodeBase:
        """This program's own code as it is now; what a process has parsed of the same bytes is used again."""
        found = cls()
        if found.content not in _CURRENT:
            _CURRENT.clear()
        return _CURRENT.setdefault(found.content, found)

    @cached_property
    def content(self) -> str:
        """sha256 of the bytes of all modules, and of the Python that reads them."""
        total = hashlib.sha256(sys.version.encode())
        for path, content in sorted(self._modules.sources.items()):
            total.update(f"{path} {len(content)}\n".encode() + content)
        return total.hexdigest()

    def fingerprint(self, function: str, *looked_up: str) -> dict[str, tuple[str, ...]]:
        """Every definition that these functions or constants (`package.module:name`) can reach.

        They come first, in their order, then the others in the order of reaching.

        Raises:
            KeyError: there is no such name in the project.
        """
        waiting: deque[str] = deque()
        for root in (function, *looked_up):
            home, _, name = root.partition(":")
            module = self._modules.get(home)
            start = self._modules.meaning(module, [name]) if module else None
            if start is None or not start.ours:
                raise KeyError(f"no function {root}")
            waiting.append(start.name)
        reached: dict[str, tuple[str, ...]] = {}
        while waiting:
            definition = waiting.popleft()
            if definition not in reached:
                if definition not in self._direct:
                    self._direct[definition] = self._definition(definition)
                reached[definition] = self._direct[definition]
                waiting.extend(reached[definition][1:])
        return reached

    def _definition(self, dotted: str) -> tuple[str, ...]:
        """Hash of a definition's normal form and the definitions that it refers to."""
        home, _, name = dotted.rpartition(".")
        module = self._modules.get(home)
        if module is None:
            raise KeyError(dotted)
        if name == WHOLE:
            names = sorted({*module.definitions, *module.imports} - {EFFECTS})
            found = {each: self._modules.meaning(module, [each]) for each in names}
            text = " ".join(each for each, meaning in found.items() if meaning and meaning.ours)
            references = tuple(dict.fromkeys(meaning.name for meaning in found.values() if meaning and meaning.ours))
        else:
            form = NormalForm(self._modules, module, name)
            text, references = form.text, form.references
        if name != EFFECTS and EFFECTS in module.definitions:
            references += (f"{home}.{EFFECTS}",)
        return hashlib.sha256(text.encode()).hexdigest()[:16], *references


def digest(fingerprint: Fingerprint) -> str:
    """One digest for a whole fingerprint, free of names."""
    numbers = {name: number for number, name in enumerate(fingerprint)}
    return sha256_of([[form, *(numbers[each] for each in others)] for form, *others in fingerprint.values()])
