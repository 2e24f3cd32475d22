"""A stage as an order to another machine: JSON values that say all that it needs to run there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from xtreme_dag.engine.graph import Figure, Kind, Output, Source, Stage


@dataclass(frozen=True, kw_only=True)
class Order:
    """One stage, to be run by whoever gets it.

    Attributes:
        stage: as `stage_json` writes it.
        key: the key that whoever ordered it has for it.
        identity: what that key is made of, to say what differs where it comes out otherwise.
        parents: name -> key and digest of the artifacts that it needs.
        home: the home of who ordered it; that of the worker where it has no other one.
        mirror: where artifacts go through; empty if the home is shared. One with a password is not in an order: the
            worker has it in its environment.
        mirrored: whether there is a mirror.
        study: for which it runs.
        run: the run that it is part of.
        options: as of the executor.
        device: what to compute on there, as `find_devices` takes it.
        forced: whether to run although it is there.
        urgency: see `engine.priority`.
        expected: seconds that it is expected to take.
    """

    stage: dict[str, Any]
    key: str
    identity: dict[str, Any]
    parents: dict[str, dict[str, str]]
    home: str
    mirror: str
    mirrored: bool
    study: str
    run: str
    options: dict[str, Any]
    device: str
    forced: bool
    urgency: float
    expected: float

    def json(self) -> dict[str, Any]:
        """The order as JSON values."""
        return asdict(self)


def stage_json(stage: Stage) -> dict[str, Any]:
    """A stage as JSON values, its kind included; paths of raw files are absolute."""
    plain = {
        field.name: getattr(stage, field.name)
        for field in fields(Stage)
        if field.name not in ("of", "inputs", "code", "after", "more_libraries")
    }
    inputs: dict[str, dict[str, str]] = {}
    for name, source in stage.inputs.items():
        if isinstance(source, Output):
            inputs[name] = {"stage": source.stage, "part": source.part}
        else:
            inputs[name] = {"path": str(Path(source.path).absolute())}
    kind = {field.name: getattr(stage.of, field.name) for field in fields(Kind) if field.name != "figures"}
    return {
        **plain,
        "params": dict(stage.params),
        "options": dict(stage.options),
        "labels": dict(stage.labels),
        "of": {
            **kind,
            **{name: list(getattr(stage.of, name)) for name in ("libraries", "imports", "drops")},
            "figures": [asdict(each) for each in stage.of.figures],
        },
        "inputs": inputs,
        **{name: list(getattr(stage, name)) for name in ("code", "after", "more_libraries")},
    }


def stage_of(value: Mapping[str, Any]) -> Stage:
    """The stage that `stage_json` wrote."""
    of = value["of"]
    figures = tuple(Figure(**each) for each in of["figures"])
    inputs: dict[str, Source | Output] = {
        name: Output(**source) if "stage" in source else Source(path=Path(source["path"]))
        for name, source in value["inputs"].items()
    }
    lists = {name: tuple(value[name]) for name in ("code", "after", "more_libraries")}
    kind = Kind(**{**of, **{name: tuple(of[name]) for name in ("libraries", "imports", "drops")}, "figures": figures})
    return Stage(**{**value, **lists, "of": kind, "inputs": inputs})
