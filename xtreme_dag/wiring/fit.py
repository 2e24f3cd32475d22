"""Check a recipe against the study and its model, so that no stage of a run is given what it must refuse."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError, refuse_unknown
from xtreme_dag.engine.graph import Graph, Source
from xtreme_dag.study.file import Study
from xtreme_dag.study.recipe import SECTIONS, Recipe
from xtreme_dag.study.recipe_settings import SPECIAL_TOKENS
from xtreme_dag.wiring.adding import Input
from xtreme_dag.wiring.kinds import ENCODE, EVALUATE, SEARCH
from xtreme_dag.wiring.model_files import json_of

# Model types of transformers with a table of positions; others have relative ones and read what they are given.
_ABSOLUTE = ("albert", "bert", "big_bird", "camembert", "convbert", "data2vec-text", "distilbert", "electra", "ernie",
             "fnet", "longformer", "megatron-bert", "mobilebert", "mpnet", "rembert", "roberta", "roberta-prelayernorm",
             "xlm", "xlm-roberta", "xlm-roberta-xl", "xmod")  # fmt: skip
# These have one unless their configuration says that they do without.
_BIASED = ("deberta", "deberta-v2")
# In these the first positions belong to padding.
_AFTER_PADDING = ("camembert", "data2vec-text", "longformer", "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta",
                  "xlm-roberta-xl", "xmod")  # fmt: skip
_LAYERS = ("num_hidden_layers", "n_layers", "num_layers")
# The defaults of models that a study makes.
MADE_POSITIONS, MADE_LAYERS, MADE_HIDDEN, MADE_INNER = 512, 2, 128, 512


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The shape of an encoder, which a recipe has to fit; None for what is not known.

    Attributes:
        positions: tokens of a sequence at most; None also where they are not limited.
        layers: number of layers.
        hidden: width of a hidden state.
        inner: width of the feed-forward layers.
    """

    positions: int | None = None
    layers: int | None = None
    hidden: int | None = None
    inner: int | None = None


def shape_of(study: Study, base: Input) -> Shape:
    """The shape of a study's encoder, from its `config.json` or from how it is made."""
    if isinstance(base, Source):
        return _shape_of_folder(Path(base.path))
    if study.model.pretrain is None:
        return Shape()
    text = study.model.pretrain.get("kind", "planted") == "text"
    made: Any = study.model.pretrain.get("model") if text else study.model.pretrain
    made = made if isinstance(made, dict) else {}
    hidden = made.get("hidden_size", MADE_HIDDEN)
    return Shape(
        positions=made.get("max_positions", MADE_POSITIONS),
        layers=made.get("layers", MADE_LAYERS),
        hidden=hidden,
        inner=made.get("intermediate_size", MADE_INNER) if text else 4 * hidden,
    )


def _shape_of_folder(folder: Path) -> Shape:
    path = next((each for each in (folder / "encoder/config.json", folder / "config.json") if each.is_file()), None)
    config: Any = json_of(path) if path is not None else None
    if not isinstance(config, dict):
        return Shape()
    positions, kind = _whole(config.get("max_position_embeddings")), config.get("model_type")
    limited = kind in _ABSOLUTE or (kind in _BIASED and config.get("position_biased_input", True) is True)
    padding = _whole(config.get("pad_token_id", 1)) if kind in _AFTER_PADDING else -1
    return Shape(
        positions=positions - padding - 1 if limited and positions is not None and padding is not None else None,
        layers=_whole(next((config[name] for name in _LAYERS if name in config), None)),
        hidden=_whole(config.get("hidden_size")),
        inner=_whole(config.get("intermediate_size")),
    )


def _whole(value: object) -> int | None:
    """A whole number of a configuration; None for what is none: whoever loads the model says so."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def check_groups(recipe: Recipe, names: Collection[str]) -> None:
    """Refuses a group of settings that holds for nothing.

    Args:
        recipe: of the study.
        names: the groups that there are.

    Raises:
        UserError: an unknown group.
    """
    for section in SECTIONS:
        refuse_unknown(recipe.sections[section], names, what="group", where=f"recipe.{section}")


def check_fit(graph: Graph, recipe: Recipe, shape: Shape) -> None:
    """Refuses lengths and layers that the encoder does not have.

    Raises:
        UserError: names the key of the recipe and what is too large for what.
    """
    for stage in graph:
        if stage.of is ENCODE:
            longest, question = (stage.params.get(name) for name in ("max_length", "query_length"))
            if shape.positions is not None and longest is not None and longest > shape.positions:
                raise UserError(
                    f"{longest} tokens are more than the encoder's {shape.positions} positions",
                    where=_key(recipe, "encode", "max_length", longest),
                    fix=f"{stage.name} would refuse longer sequences; at most {shape.positions}",
                )
            if stage.params["head"] == "span" and question and longest and question + SPECIAL_TOKENS >= longest:
                raise UserError(
                    f"a question of {question} tokens leaves no room for its context in {longest}",
                    where=_key(recipe, "encode", "query_length", question),
                    fix="lower query_length, or raise max_length",
                )
        if stage.of in (EVALUATE, SEARCH) and shape.layers is not None:
            layer = (stage.params.get("recipe") or {}).get("layer")
            if layer is not None and layer > shape.layers:
                raise UserError(
                    f"the encoder has no layer {layer}",
                    where=_key(recipe, "evaluate", "layer", layer),
                    fix=f"0 (embeddings) to {shape.layers}, or null for the share of the depth that `vectors` names",
                )


def _key(recipe: Recipe, section: str, setting: str, value: object) -> str:
    """The key of a recipe that states a value."""
    groups = (group for group, settings in recipe.sections[section].items() if settings.get(setting) == value)
    return f"recipe.{section}.{next(groups, 'default')}.{setting}"
