"""The stage graph: pure function calls, named, in an order in which they can run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KINDS = ("prepare", "check", "encode", "pretrain", "translate", "intermediate", "target", "search", "evaluate")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Raw content outside the store: a file or folder. Its bytes are in the key, its path is not."""

    path: Path


@dataclass(frozen=True, kw_only=True)
class Output:
    """The artifact of another stage, or one folder or file of it.

    Attributes:
        stage: name of the stage that makes it.
        part: a path inside the artifact; the key then hangs on that part's content alone.
    """

    stage: str
    part: str = ""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One pure function call.

    Attributes:
        kind: one of `KINDS`.
        name: what people read, unique in its graph; a label, not in the key.
        function: dotted name, `package.module:function`.
        code: further dotted names, of definitions that the function finds by its parameters instead of by name; their
            code is in the key as the function's is.
        params: JSON values, all in the key.
        inputs: name -> where the input comes from; the key holds their digests.
        after: names of stages that must have succeeded first (contracts); not in the key.
        libraries: distributions whose version can change the result; in the key.
        options: settings that cannot change the result (device, threads, batch sizes of inference); not in the key.
        gate: the artifact holds a verdict (`outcome.json`, key `ok`); a negative one stops what comes `after` it.
        labels: what the stage stands for (condition, task, language, seed, ...), for landing; not in the key.
    """

    kind: str
    name: str
    function: str
    code: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Source | Output] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    gate: bool = False
    labels: Mapping[str, Any] = field(default_factory=dict)

    @property
    def roots(self) -> tuple[str, ...]:
        """Dotted names of all definitions that its code is followed from."""
        return (self.function, *self.code)

    @property
    def parents(self) -> tuple[str, ...]:
        """Names of the stages that must finish before this one."""
        made = [source.stage for source in self.inputs.values() if isinstance(source, Output)]
        return tuple(dict.fromkeys([*made, *self.after]))


class Graph:
    """Stages by name; a stage can be added only after those that it needs, so the order is a valid one."""

    def __init__(self) -> None:
        self._stages: dict[str, Stage] = {}

    def add(self, stage: Stage) -> Stage:
        """Adds a stage; adding the same stage again changes nothing.

        Raises:
            ValueError: another stage has this name, a parent is missing, or the kind is unknown.
        """
        present = self._stages.get(stage.name)
        if present is not None:
            if present != stage:
                raise ValueError(f"two different stages are named {stage.name!r}")
            return present
        missing = [parent for parent in stage.parents if parent not in self._stages]
        if missing or stage.kind not in KINDS:
            raise ValueError(f"{stage.name}: unknown kind {stage.kind!r} or parents {missing} not added before it")
        self._stages[stage.name] = stage
        return stage

    def __getitem__(self, name: str) -> Stage:
        return self._stages[name]

    def __contains__(self, name: str) -> bool:
        return name in self._stages

    def __iter__(self) -> Iterator[Stage]:
        return iter(self._stages.values())

    def __len__(self) -> int:
        return len(self._stages)

    def ancestors(self, names: set[str]) -> set[str]:
        """The named stages and all that they need, directly or not."""
        needed: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting.extend(self._stages[name].parents)
        return needed
