"""Keys: what identifies a stage before it runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from xtreme_dag.core.files import canonical, sha256_of, write_atomically
from xtreme_dag.engine import fingerprint
from xtreme_dag.engine.graph import Stage


@cache
def library_version(name: str) -> str:
    """Version of an installed distribution, without a build tag (`2.13.0+cpu` is `2.13.0`); "absent" if there is none."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return "absent"


class Keys:
    """Computes keys; one per process, so that each function's code is fingerprinted once.

    Args:
        code: the project's code.
        memo: a file with the digests of the last process: read where the code is, byte for byte, what it was then.
    """

    def __init__(self, code: fingerprint.CodeBase | None = None, *, memo: Path | None = None) -> None:
        self._code = code or fingerprint.CodeBase()
        self._memo = memo
        self._bytes = self._code.content() if memo else ""
        self._digests = self._remembered()
        self._saved = dict(self._digests)
        self._fingerprints: dict[str, tuple[str, fingerprint.Fingerprint]] = {}

    @classmethod
    def of(cls, caches: Path) -> Keys:
        """With the memo in a home's folder of caches."""
        return cls(memo=caches / "fingerprints.json")

    def save(self) -> None:
        """Writes the memo, if there is anything new to remember."""
        if self._memo and self._digests != self._saved:
            write_atomically(self._memo, json.dumps({"content": self._bytes, "digests": self._digests}, indent=0))
            self._saved = dict(self._digests)

    def _remembered(self) -> dict[str, str]:
        try:
            memo = json.loads(self._memo.read_bytes()) if self._memo else {}
            return (
                {str(name): str(value) for name, value in memo["digests"].items()}
                if memo["content"] == self._bytes
                else {}
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def code_digest(self, function: str) -> str:
        """Digest of the code that a stage function reaches."""
        if function not in self._digests:
            self._digests[function] = self.code(function)[0]
        return self._digests[function]

    def code(self, function: str) -> tuple[str, fingerprint.Fingerprint]:
        """Digest and fingerprint of the code that a stage function reaches."""
        if function not in self._fingerprints:
            names = self._code.fingerprint(function)
            self._fingerprints[function] = fingerprint.digest(names), names
        return self._fingerprints[function]

    def identity(self, stage: Stage, inputs: Mapping[str, str]) -> dict[str, Any]:
        """What a manifest records: all that the key is made of, and the name of the function, which is not in it."""
        return {
            "function": stage.function,
            "code": self.code_digest(stage.function),
            "params": stage.params,
            "inputs": dict(inputs),
            "libraries": {name: library_version(name) for name in stage.libraries},
        }

    def key(self, stage: Stage, inputs: Mapping[str, str]) -> str:
        """The key: sha256 of the canonical JSON of code, parameters, input digests and library versions."""
        return sha256_of({name: each for name, each in self.identity(stage, inputs).items() if name != "function"})


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
