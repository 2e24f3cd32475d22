"""Adds the stages of a grid of hyperparameters: the trials, the choice among them, and the model that is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from xtreme_dag.core.files import canonical
from xtreme_dag.engine.graph import Graph, Output, Stage
from xtreme_dag.study.settings import checked
from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.wiring.kinds import CHOOSE, TRIAL
from xtreme_dag.wiring.lineage import adapter_libraries

# Between two looks at dev where a recipe wants none: a run ends with one look in any case, and keeps its last weights.
_ONLY_THE_LAST = 1_000_000_000
_SETTINGS = "settings.json"  # of the artifact of a choice


def add_trials(graph: Graph, target: Stage, trials: Sequence[Mapping[str, Any]], where: str) -> Stage:
    """The stage by which a target training takes the model of the best trial; adds the trials and the choice.

    Args:
        graph: receives the stages.
        target: the training as it were without a grid, with dev data to select on.
        trials: settings of each, which go over its recipe's.
        where: names the grid in errors.

    Raises:
        UserError: settings that exclude one another.
    """
    inside = target.name.partition("[")[2].removesuffix("]")
    recipe = target.params["recipe"]
    recipe = {**recipe, "select_every": recipe.get("select_every") or _ONLY_THE_LAST}
    names = []
    for settings in trials:
        words = in_words(settings)
        whole = {**recipe, **settings}
        checked(TrainRecipe, whole, where=f"{where} ({words})")
        trial = replace(
            target,
            of=TRIAL,
            name=f"trial[{inside} | {words}]",
            params={**target.params, "recipe": whole},
            more_libraries=tuple(dict.fromkeys((*target.more_libraries, *adapter_libraries({}, where, whole)))),
            labels={**target.labels, "trial": words},
        )
        names.append(graph.add(trial).name)
    params = {"trials": [dict(settings) for settings in trials]}
    choice = graph.add(
        Stage(
            of=CHOOSE,
            name=choice_name(target),
            function="xtreme_dag.training.grid:choose",
            params=params,
            inputs={f"trial/{number}": Output(stage=name, part="training.json") for number, name in enumerate(names)},
            labels=target.labels,
        )
    )
    return Stage(
        of=target.of,
        name=target.name,
        function="xtreme_dag.training.grid:take",
        params=params,
        inputs={
            "choice": Output(stage=choice.name, part=_SETTINGS),
            **{f"trial/{number}": Output(stage=name) for number, name in enumerate(names)},
        },
        devices=0,
        labels=target.labels,
    )


def with_choice(target: Stage, choice: str, trials: Sequence[Mapping[str, Any]], where: str) -> Stage:
    """A target training with the settings that the trials of another seed chose.

    Args:
        target: the training without a grid.
        choice: name of the stage that chooses.
        trials: settings of each trial.
        where: names the grid in errors.
    """
    return replace(
        target,
        inputs={**target.inputs, "choice": Output(stage=choice, part=_SETTINGS)},
        more_libraries=tuple(dict.fromkeys((*target.more_libraries, *adapter_libraries({}, where, *trials)))),
    )


def choice_name(target: Stage, seed: int | None = None) -> str:
    """Name of the stage that chooses for a target training, among trials of another seed if one is given."""
    inside = target.name.partition("[")[2].removesuffix("]")
    if seed is not None:
        inside = f"{inside.rpartition(' | ')[0]} | seed {seed}"
    return f"choose[{inside}]"


def in_words(settings: Mapping[str, Any]) -> str:
    """The settings of a trial on one line, without braces: `learning_rate 1e-05, epochs 2`."""
    return ", ".join(f"{name} {_spelt(value)}" for name, value in settings.items())


def _spelt(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"({in_words(value)})"
    if isinstance(value, list | tuple):
        return "+".join(map(_spelt, value))
    return value if isinstance(value, str) else canonical(value)
