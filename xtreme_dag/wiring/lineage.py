"""What a model was trained from: the training before, and the base that an adapter stands on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.graph import Graph, Output, Stage
from xtreme_dag.wiring.adding import Input

_PEFT = "peft"


def trained_from(graph: Graph, stage: Stage) -> Input | None:
    """The model that a training went on from; for a choice among trials, the one that they all did. None for the first."""
    trial = next(_trials(graph, stage), None)
    return stage.inputs.get("model") if trial is None else trial.inputs["model"]


def training_behind(graph: Graph, model: Input | None) -> Iterator[Stage]:
    """The stages that trained a model, the last first: a choice among trials, and the first of those."""
    while isinstance(model, Output):
        stage = graph[model.stage]
        yield stage
        trial = next(_trials(graph, stage), None)
        model = stage.inputs.get("model") if trial is None else Output(stage=trial.name)


def model_inputs(graph: Graph, model: Input) -> dict[str, Input]:
    """The inputs by which a stage reads a model: `model`, and what it stands on where that is an adapter.

    That is `base/1`, what the adapter was trained beside, then `base/2` where that is an adapter itself, and so on.
    """
    found: dict[str, Input] = {"model": model}
    while isinstance(model, Output) and _keeps_adapter(graph, graph[model.stage]):
        before = trained_from(graph, graph[model.stage])
        assert before is not None  # an adapter was trained beside something
        model = before
        found[f"base/{len(found)}"] = model
    return found


def adapter_libraries(inputs: Mapping[str, Input], where: str, *recipes: Mapping[str, Any]) -> tuple[str, ...]:
    """The library of adapters, for a stage that reads one (see `model_inputs`) or trains one by any of these recipes.

    Raises:
        UserError: it is not installed.
    """
    if "base/1" not in inputs and not any(recipe.get("lora") for recipe in recipes):
        return ()
    if find_spec(_PEFT) is None:
        raise UserError("lora needs peft, which is not installed", where=where, fix="install the extra `lora`")
    return (_PEFT,)


def _trials(graph: Graph, stage: Stage) -> Iterator[Stage]:
    """The trials among which a stage takes the chosen one's model; none for other stages."""
    for name, source in stage.inputs.items():
        if name.startswith("trial/") and isinstance(source, Output):
            yield graph[source.stage]


def _keeps_adapter(graph: Graph, stage: Stage) -> bool:
    """Whether a stage stores, or by the choice of a grid may store, an adapter alone."""
    recipes = [stage.params.get("recipe") or {}]
    choice = stage.inputs.get("choice")
    if isinstance(choice, Output):
        recipes += graph[choice.stage].params["trials"]
    return any(recipe.get("lora") and recipe["lora"].get("merge") is False for recipe in recipes) or any(
        _keeps_adapter(graph, trial) for trial in _trials(graph, stage)
    )
