"""Keys: what identifies a stage before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import metadata
from typing import Any

from xtreme_dag.stages import fingerprint
from xtreme_dag.stages.graph import Stage
from xtreme_dag.stages.jsonio import canonical, sha256_of


@cache
def library_version(name: str) -> str:
    """Version of an installed distribution, without a build tag (`2.13.0+cpu` is `2.13.0`); "absent" if there is none."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return "absent"


class Keys:
    """Computes keys; one per process, so that each function's code is fingerprinted once."""

    def __init__(self, code: fingerprint.CodeBase | None = None) -> None:
        self._code = code or fingerprint.CodeBase()
        self._fingerprints: dict[str, tuple[str, dict[str, str]]] = {}

    def code(self, function: str) -> tuple[str, Mapping[str, str]]:
        """Digest and names of the code that a stage function reaches."""
        if function not in self._fingerprints:
            names = self._code.fingerprint(function)
            self._fingerprints[function] = fingerprint.digest(names), names
        return self._fingerprints[function]

    def identity(self, stage: Stage, inputs: Mapping[str, str]) -> dict[str, Any]:
        """All that the key is made of: function, code, parameters, input digests, library versions."""
        return {
            "function": stage.function,
            "code": self.code(stage.function)[0],
            "params": stage.params,
            "inputs": dict(inputs),
            "libraries": {name: library_version(name) for name in stage.libraries},
        }

    def key(self, stage: Stage, inputs: Mapping[str, str]) -> str:
        """The key: sha256 of the identity's canonical JSON."""
        return sha256_of(self.identity(stage, inputs))


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
