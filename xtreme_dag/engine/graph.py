"""The stage graph: pure function calls, named, in an order in which they can run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of a running stage's progress that people should see.

    Attributes:
        name: of the value in a progress event.
        text: how it is written: `loss {:.4f}`.
        times: what the value is multiplied with first.
    """

    name: str
    text: str
    times: float = 1.0

    def written(self, value: float) -> str:
        """The value in words."""
        return self.text.format(value * self.times)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What stages of one sort have in common; a project declares each of its kinds once.

    Attributes:
        name: what people read, and what manifests and the ledger keep.
        title: what such a stage does, in a line.
        libraries: distributions whose version can change the result; in the key of each stage.
        imports: modules that take long to import and that its functions import when they are called; not in the key.
        device: whether it computes on a device (a GPU where there is one), which is then leased.
        seconds: what one usually takes, for the order of stages that never ran; only how they compare matters.
        figures: what people should see of its progress beside how far it is.
        drops: patterns of the files of its artifact that a run may drop once all stages that read it are done (see
            `engine.dropping`); empty for none.
    """

    name: str
    title: str = ""
    libraries: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    device: bool = False
    seconds: float = 1.0
    figures: tuple[Figure, ...] = ()
    drops: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Source:
    """Raw content outside the store: a file or folder. Its bytes are in the key, its path is not."""

    path: Path


@dataclass(frozen=True, kw_only=True)
class Output:
    """The artifact of another stage, or one folder or file of it.

    Attributes:
        stage: name of the stage that makes it.
        part: a path inside the artifact; the key then depends on that part's content alone.
    """

    stage: str
    part: str = ""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One pure function call.

    Attributes:
        of: its kind.
        name: what people read, unique in its graph; a label, not in the key.
        function: dotted name, `package.module:function`.
        code: further dotted names, of definitions that the function finds by its parameters instead of by name; their
            code is in the key as the function's is.
        params: JSON values, all in the key.
        inputs: name -> where the input comes from; the key holds their digests.
        after: names of stages that must have succeeded first (gates); not in the key.
        more_libraries: as `Kind.libraries`, of this stage alone.
        options: settings that cannot change the result (threads, batch sizes of inference); not in the key.
        devices: how many devices it computes on, if its kind computes on one.
        gates: name of the stage whose artifact it judges; its own artifact is then a verdict (see `engine.gates`), and
            a negative one stops what comes `after` it. Empty if it is no gate.
        step: its number in a chain of like stages, of which each continues the one before.
        labels: what the stage stands for (a condition, a language, a seed, ...), for readers; not in the key.
    """

    of: Kind
    name: str
    function: str
    code: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Source | Output] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    more_libraries: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    devices: int = 1
    gates: str = ""
    step: int = 1
    labels: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Name of its kind."""
        return self.of.name

    @property
    def libraries(self) -> tuple[str, ...]:
        """Distributions whose version can change the result; in the key."""
        return (*self.of.libraries, *self.more_libraries)

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
        self._kinds: dict[str, Kind] = {}
        self._gates: dict[str, list[str]] = {}
        self._readers: dict[str, list[str]] = {}

    def add(self, stage: Stage) -> Stage:
        """Adds a stage; adding the same stage again changes nothing.

        Raises:
            ValueError: another stage has this name, another kind has its kind's, or a parent is missing.
        """
        present = self._stages.get(stage.name)
        if present is not None:
            if present != stage:
                raise ValueError(f"two different stages are named {stage.name!r}")
            return present
        missing = [parent for parent in stage.parents if parent not in self._stages]
        if missing or self._kinds.setdefault(stage.kind, stage.of) != stage.of:
            raise ValueError(f"{stage.name}: a second kind {stage.kind!r}, or parents {missing} not added before it")
        self._stages[stage.name] = stage
        if stage.gates:
            self._gates.setdefault(stage.gates, []).append(stage.name)
        for name in {source.stage for source in stage.inputs.values() if isinstance(source, Output)}:
            self._readers.setdefault(name, []).append(stage.name)
        return stage

    def __getitem__(self, name: str) -> Stage:
        return self._stages[name]

    def __contains__(self, name: str) -> bool:
        return name in self._stages

    def __iter__(self) -> Iterator[Stage]:
        return iter(self._stages.values())

    def __len__(self) -> int:
        return len(self._stages)

    def gates_of(self, name: str) -> tuple[str, ...]:
        """Names of the gates that must pass before a stage's artifact is used."""
        return tuple(self._gates.get(name, ()))

    def readers_of(self, name: str) -> tuple[str, ...]:
        """Names of the stages that have a stage's artifact, or a part of it, as an input."""
        return tuple(self._readers.get(name, ()))

    def part(self, names: set[str]) -> Graph:
        """The named stages and all that they need, as a graph."""
        needed, part = self.ancestors(names), Graph()
        for stage in self:
            if stage.name in needed:
                part.add(stage)
        return part

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
