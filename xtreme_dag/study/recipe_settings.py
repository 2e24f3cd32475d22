"""The settings of a recipe's sections, typed and bounded, so that a plan refuses what a stage could not run with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from xtreme_dag.core.errors import UserError, refuse_unknown
from xtreme_dag.core.files import canonical
from xtreme_dag.study.settings import STRICT, checked, within
from xtreme_dag.study.train_recipe import Count, TrainRecipe, Whole

SPECIAL_TOKENS = 4
"""The most special tokens of a sequence: XLM-R's pairs have them."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EncodeSettings:
    """How examples become tokens.

    Attributes:
        max_length: tokens of a sequence at most, special tokens (up to four) included.
        doc_stride: tokens between the starts of two windows over one context (span).
        query_length: tokens of a question at most.
    """

    max_length: Annotated[int, within(lambda value: value > SPECIAL_TOKENS, f"more than {SPECIAL_TOKENS}")] = 128
    doc_stride: Whole = 128
    query_length: Whole = 64


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EvaluateSettings:
    """How models are evaluated; None is the evaluation's own default.

    Attributes:
        vectors: layer and pooling of XTREME's scripts by name: `tatoeba` (mean of layer 14 of 24) or `bucc` (the first
            token of layer 20); `layer` and `pooling` go before it.
        layer: whose states are pooled, 0 for the embeddings.
        pooling: how the states of a sequence become one vector.
        similarity: of a sentence and its translation (Tatoeba).
        margin: score of a mined pair (BUCC).
        margin_k: neighbours of a margin.
        repeats: what becomes of sentences that a pool has twice (BUCC).
        sweep: also the accuracy of every layer, for information (Tatoeba).
        model_of: the target task whose model a task without training takes.
        n_best: answers that are kept of a question.
        save_n_best: write them all.
        max_answer_length: tokens of an answer at most.
        null_threshold: how much better "no answer" must score than the best answer (SQuAD v2.0).
        precision: of inference.
    """

    vectors: Literal["tatoeba", "bucc"] | None = None
    layer: Count | None = None
    pooling: Literal["mean", "mean_without_special", "cls", "dual"] | None = None
    similarity: Literal["cosine", "ratio"] | None = None
    margin: Literal["ratio", "cosine"] | None = None
    margin_k: Whole | None = None
    repeats: Literal["dropped", "all"] | None = None
    sweep: bool | None = None
    model_of: str | None = None
    n_best: Whole | None = None
    save_n_best: bool | None = None
    max_answer_length: Whole | None = None
    null_threshold: float | None = None
    precision: Literal["float32", "bfloat16"] | None = None


# What trials of a grid must have in common: where they run, and how they are compared.
_COMMON = frozenset({
    "devices", "strategy", "out_of_memory", "storage", "select_every", "select_examples", "patience",
})  # fmt: skip
_IN_GRIDS = tuple(field.name for field in fields(TrainRecipe) if field.name not in _COMMON)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TargetRecipe(TrainRecipe):
    """How a target task is trained.

    Attributes:
        examples: how many examples in the source language it is trained on; all if not given. Each seed draws its own,
            the same in all conditions.
        same_examples: one draw for all seeds: then intervals hold for these very examples.
        grid: setting -> values: every combination is trained (a trial), and dev chooses one.
        grid_seeds: `first`, trials of the first seed choose for all; or `all`, each seed has trials and a choice.
    """

    examples: Whole | None = None
    same_examples: bool = False
    grid: Mapping[str, Annotated[tuple[Any, ...], Field(strict=False)]] | None = None
    grid_seeds: Literal["first", "all"] = "first"


def trials_of(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """The combinations of a grid, the values of its last setting changing fastest."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def check_grid(grid: Mapping[str, Sequence[Any]], where: str) -> None:
    """Refuses a grid with a setting that trials may not differ in, and values that cannot be.

    Raises:
        UserError: it names the setting.
    """
    if not grid:
        raise UserError(
            "names no setting", where=where, fix="example: {learning_rate: [1.0e-5, 3.0e-5], epochs: [2, 3]}"
        )
    refuse_unknown(grid, _IN_GRIDS, what="setting of trials", where=where)
    for name, values in grid.items():
        if not values or len({canonical(value) for value in values}) < len(values):
            raise UserError("has no values, or one twice", where=f"{where}.{name}")
        for value in values:
            checked(TrainRecipe, {name: value}, where=where)


SETTINGS: Mapping[str, type[Any]] = {
    "encode": EncodeSettings,
    "intermediate": TrainRecipe,
    "target": TargetRecipe,
    "evaluate": EvaluateSettings,
}
