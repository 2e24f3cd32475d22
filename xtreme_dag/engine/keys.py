"""Keys: what identifies a stage before it runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata, util
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import canonical, sha256_of
from xtreme_dag.core.user_cache import keep, kept
from xtreme_dag.engine import fingerprint
from xtreme_dag.engine.digests import file_digest
from xtreme_dag.engine.graph import Stage


@cache
def library_version(name: str) -> str:
    """Version of an installed distribution, without a build tag (`2.13.0+cpu` is `2.13.0`); "absent" if there is none."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return "absent"


# The digest of this program's own code as this process first read it: a digest of code is what the program makes of it.
_reader: list[str] = []


class Keys:
    """Computes keys; one per process, so that each function's code is fingerprinted once.

    Args:
        code: the project's code.
        memo: whether the user's cache has the digests of other processes, which are read where the code is, byte for
            byte, what it was then.
    """

    def __init__(self, code: fingerprint.CodeBase | None = None, *, memo: bool = False) -> None:
        self._code = code or fingerprint.CodeBase.current()
        self._bytes = ""
        if memo:
            if not _reader:
                _reader.append((fingerprint.CodeBase.current() if code else self._code).content)
            self._bytes = sha256_of([self._code.content, _reader[0]])
        self._digests = self._remembered()
        self._saved = dict(self._digests)
        self._fingerprints: dict[tuple[str, ...], tuple[str, fingerprint.Fingerprint]] = {}

    @classmethod
    def of(cls, package: str = "") -> Keys:
        """With the memo; of the code of another project's package, if one is named.

        Raises:
            UserError: there is no such package.
        """
        if not package:
            return cls(memo=True)
        found = util.find_spec(package)
        if found is None or not found.submodule_search_locations:
            raise UserError(f"there is no package {package!r}", where="stage function", fix="install it")
        return cls(fingerprint.CodeBase(Path(found.submodule_search_locations[0]), package), memo=True)

    def save(self) -> None:
        """Writes the memo, if there is anything new to remember."""
        if self._bytes and self._digests != self._saved:
            keep(self._name, json.dumps({"content": self._bytes, "digests": self._remembered() | self._digests}))
            self._saved = dict(self._digests)

    @property
    def _name(self) -> str:
        """The memo's file: one of sixteen, so that versions of the code that are used in turn rarely share one."""
        return f"fingerprints-{self._bytes[0]}.json"

    def _remembered(self) -> dict[str, str]:
        text = kept(self._name) if self._bytes else None
        memo = json.loads(text) if text else {}
        return dict(memo["digests"]) if memo.get("content") == self._bytes else {}

    def code_digest(self, *roots: str) -> str:
        """Digest of the code that a stage's `roots` reach."""
        if _outside(roots):  # the memo holds for the bytes of this project alone
            return self.code(*roots)[0]
        name = " ".join(roots)
        if name not in self._digests:
            self._digests[name] = self.code(*roots)[0]
        return self._digests[name]

    def code(self, *roots: str) -> tuple[str, fingerprint.Fingerprint]:
        """Digest and fingerprint of the code that a stage's `roots` reach."""
        if roots not in self._fingerprints:
            outside = _outside(roots)
            names = dict(self._code.fingerprint(*(root for root in roots if root not in outside)))
            names |= {name: (digest,) for root in outside for name, digest in _module_digest(root).items()}
            self._fingerprints[roots] = fingerprint.digest(names), names
        return self._fingerprints[roots]

    def identity(self, stage: Stage, inputs: Mapping[str, str]) -> dict[str, Any]:
        """What a manifest records: all that the key is made of, and the name of the function, which is not in it."""
        return {
            "function": stage.function,
            "code": self.code_digest(*stage.roots),
            "params": stage.params,
            "inputs": dict(inputs),
            "libraries": {name: library_version(name) for name in stage.libraries},
        }

    def key(self, stage: Stage, inputs: Mapping[str, str]) -> str:
        """The key: sha256 of the canonical JSON of code, parameters, input digests and library versions."""
        return sha256_of({name: each for name, each in self.identity(stage, inputs).items() if name != "function"})


def _outside(roots: Sequence[str]) -> list[str]:
    """Those roots that are not in the package of the first one, the stage function."""
    package = roots[0].partition(".")[0]
    return [root for root in roots if root.partition(".")[0] != package]


def _module_digest(root: str) -> dict[str, str]:
    """What stands for code outside the project: the bytes of its module."""
    module = root.partition(":")[0]
    try:
        found = util.find_spec(module)
    except ImportError:
        found = None
    if found is None or found.origin is None:
        raise UserError(f"there is no module {module!r}", where=root, fix="install the package that has it")
    return {module: file_digest(Path(found.origin))}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(dotted name, old, new) for every leaf that differs between two mappings; absent is None."""
    found = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += [(f"{name}.{inner}", a, b) for inner, a, b in changes(old, new)]
        elif canonical(old) != canonical(new):
            found.append((name, old, new))
    return found
