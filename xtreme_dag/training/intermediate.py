"""Intermediate training: a mixture of tasks, datasets and languages at a stated budget."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.heads import HeadSpec, head_of
from xtreme_dag.heads.trained import TrainedModel, bases_of, load_model
from xtreme_dag.model.layers import initialise
from xtreme_dag.study.budget import (
    ITEMS,
    Sampling,
    apportion,
    draw_by_count,
    draw_by_tokens,
    draw_order,
    languages_in_draw_order,
)
from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.tables.encoded import EncodedTable
from xtreme_dag.training.artifact import refuse_unlabelled, write_artifact
from xtreme_dag.training.controls import shuffle_labels
from xtreme_dag.training.loop import train
from xtreme_dag.training.pools import Part, Pool
from xtreme_dag.training.run import Run
from xtreme_dag.training.selection import selection_pool
from xtreme_dag.training.tables import selection_table, training_table

# Standard deviation of a fresh intermediate head's weights (that of BERT's and RoBERTa's layers).
INTERMEDIATE_HEAD_STD = 0.02
_UNITS = ("examples", "tokens", "steps")
_KEYS = ("task", "head", "labels", "parts", "share", "sampling")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One task of a mixture, as asked for.

    Attributes:
        name: name of the task and of its head.
        spec: the head.
        parts: its tables, of which no rows are drawn yet.
        shares: the parts' stated shares, None where not stated.
        share: the task's stated share of the mixture.
        sampling: how the task's budget is divided among its parts.
    """

    name: str
    spec: HeadSpec
    parts: tuple[Part, ...]
    shares: tuple[float | None, ...]
    share: float | None
    sampling: Sampling


def train_intermediate(
    params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext, *, writes: bool
) -> Mapping[str, Any]:
    """Trains on a mixture; see `xtreme_dag.training.stages.intermediate`."""
    recipe = TrainRecipe.from_params(params["recipe"])
    seed = int(params["seed"])
    wanted = [_wanted(entry, inputs) for entry in params["mixture"]]
    recipe, pools = draw_mixture(params, wanted, recipe, seed)
    if params.get("control") == "shuffled_labels":
        pools = tuple(shuffle_labels(pool, seed) for pool in pools)
    elif params.get("control") is not None:
        raise UserError(f"there is no control {params['control']!r}", fix="valid: shuffled_labels")
    model = load_model(inputs["model"], bases=bases_of(inputs), log=context.log)
    specs = {pool.name: pool.spec for pool in pools}
    origin = intermediate_heads(model, specs, seed, keep=bool(params.get("keep_heads", False)))
    for name, source in origin.items():
        if source == "fresh" and model.head(name).over_vocabulary:
            context.log(f"the {name} head is fresh: the model has no masked language modelling head of its own")
    selection = _selection(pools, inputs, recipe)
    outcome = train(model, Run(seed=seed, recipe=recipe, pools=pools, selection=selection), context)
    if not writes:
        return {}
    facts = {
        "seed": seed,
        "control": params.get("control"),
        "items": params.get("items", ITEMS[0]),
        "heads_from": origin,
        "shared_items": shared_items(pools),
    }
    figures = write_artifact(
        model, outcome, pools, out=context.out, tokenizer_from=inputs["model"], facts=facts, storage=recipe.storage
    )
    return {**figures, "heads_from": origin}


def draw_mixture(
    params: Mapping[str, Any], wanted: Sequence[Wanted], recipe: TrainRecipe, seed: int
) -> tuple[TrainRecipe, tuple[Pool, ...]]:
    """The drawn examples of each task, and the recipe with the number of steps that the budget fixes.

    Args:
        params: `budget`, `sampling` over tasks, `items`, `repeat`.
        wanted: the tasks.
        recipe: the recipe before the budget is applied.
        seed: of the draw.
    """
    unit, amount = _budget(params.get("budget") or {})
    items = str(params.get("items", ITEMS[0]))
    if items not in ITEMS:
        raise UserError(f"{items!r} is no choice of items", where="mixture: items", fix=nearest(items, ITEMS))
    repeat = bool(params.get("repeat", False))
    if unit == "steps":
        if recipe.steps is not None or not amount:
            raise UserError("the budget and the recipe both set the number of steps", where="budget: steps")
        recipe = replace(recipe, steps=amount)
        unit, amount = "examples", -(-amount * recipe.batch_size // max(1, round(recipe.epochs)))
    shares = _task_shares(params, wanted)
    amounts = [None] * len(wanted) if amount is None else apportion(amount, shares).tolist()
    pools = tuple(
        refuse_unlabelled(_draw_task(task, unit, part, seed=seed, items=items, repeat=repeat))
        for task, part in zip(wanted, amounts, strict=True)
    )
    return recipe, pools


def intermediate_heads(model: TrainedModel, specs: Mapping[str, HeadSpec], seed: int, *, keep: bool) -> dict[str, str]:
    """Leaves the model with these heads.

    A head over the vocabulary belongs to the pretrained model and is kept where there is one; others are fresh, unless
    `keep` asks for those of the same kind and labels.

    Returns:
        Head -> where its weights are from: `fresh`, or the name of an earlier head.
    """
    origin = {name: _fitting(model, spec, keep) for name, spec in specs.items()}
    weights = {name: model.heads[source].state_dict() for name, source in origin.items() if source is not None}
    model.drop_heads()
    for number, (name, spec) in enumerate(specs.items()):
        head = model.add_head(name, spec)
        if name in weights:
            head.load_state_dict(weights[name])
        else:
            # Tasks of one mixture start from different numbers.
            initialise(head, INTERMEDIATE_HEAD_STD, seed * 1_000 + number)
    return {name: source or "fresh" for name, source in origin.items()}


def shared_items(pools: Sequence[Pool]) -> int:
    """How many items were drawn in more than one language: ids that a dataset and its translations share."""
    count = 0
    for pool in pools:
        for origin in sorted({part.origin for part in pool.parts}):
            drawn = [{part.table.example_ids[row] for row in part.rows} for part in pool.parts if part.origin == origin]
            union = set[str]().union(*drawn)
            count += sum(sum(name in ids for ids in drawn) > 1 for name in union)
    return count


def _fitting(model: TrainedModel, spec: HeadSpec, keep: bool) -> str | None:
    """The first head of the model that is what the spec says, if it is to be kept."""
    fitting = (name for name, there in model.specs.items() if there == spec)
    return next((name for name in fitting if keep or model.head(name).over_vocabulary), None)


def _wanted(entry: Mapping[str, Any], inputs: Mapping[str, Path]) -> Wanted:
    """An entry of `mixture`, with its tables opened."""
    for key in entry:
        if key not in _KEYS:
            raise UserError(f"there is no key {key!r}", where="mixture", fix=nearest(key, _KEYS))
    name = str(entry["task"])
    kind = str(entry["head"])
    parts = tuple(_part(part, kind, inputs) for part in entry["parts"])
    # An open tag set (CCG) is what the encoded table found.
    labels = entry.get("labels") or (_open_labels(name, parts) if head_of(kind).open_set else None)
    spec = HeadSpec.from_json({"kind": kind, "labels": labels})
    shares = tuple(part.get("share") for part in entry["parts"])
    stated = {"rule": "shares"} if any(share is not None for share in shares) else {}
    return Wanted(
        name=name,
        spec=spec,
        parts=parts,
        shares=shares,
        share=entry.get("share"),
        sampling=Sampling.from_params(entry.get("sampling", stated), where=f"mixture: {name}"),
    )


def _open_labels(name: str, parts: Sequence[Part]) -> list[str]:
    """The label set that the encoded tables found, the same in all of them."""
    found: list[list[str]] = [part.table.info["labels"] for part in parts]
    if any(labels != found[0] for labels in found):
        raise UserError("the tables of the task have different label sets", where=f"mixture: {name}")
    return found[0]


def _part(part: Mapping[str, Any], head: str, inputs: Mapping[str, Path]) -> Part:
    """A part with its encoded table opened, no rows drawn."""
    dataset, language = str(part["dataset"]), str(part["language"])
    key = f"train/{dataset}/{language}"
    if key not in inputs:
        there = sorted(name for name in inputs if name.startswith("train/"))
        raise UserError(f"the mixture names {key!r}, which is not among the inputs", fix=nearest(key, there))
    source, none = training_table(inputs[key], head), np.zeros(0, np.int64)
    return Part(source=source, dataset=dataset, language=language, rows=none, items_of=str(part.get("items_of", "")))


def _budget(budget: Mapping[str, Any]) -> tuple[str, int | None]:
    """Unit and amount; (`examples`, None) for all there is."""
    given = {unit: amount for unit, amount in budget.items() if amount is not None}
    for unit in given:
        if unit not in _UNITS:
            raise UserError(f"there is no budget in {unit!r}", where="budget", fix=nearest(unit, _UNITS))
    if len(given) > 1:
        raise UserError("give one of examples, tokens, steps", where="budget")
    return next(((unit, int(amount)) for unit, amount in given.items()), ("examples", None))


def _task_shares(params: Mapping[str, Any], wanted: Sequence[Wanted]) -> npt.NDArray[np.float64]:
    """Each task's share of the budget."""
    stated = {"rule": "shares"} if any(task.share is not None for task in wanted) else {}
    sampling = Sampling.from_params(params.get("sampling", stated), where="mixture: sampling")
    sizes = [sum(len(part.table) for part in task.parts) for task in wanted]
    return sampling.weights(sizes, [task.share for task in wanted], where="mixture")


def _draw_task(task: Wanted, unit: str, amount: int | None, *, seed: int, items: str, repeat: bool) -> Pool:
    """The drawn examples of one task.

    With `disjoint` items a language skips the ids that an earlier one drew, so no item comes in two languages. Where
    examples may repeat and there are fewer items than are asked for, each language repeats a share that is its own.
    """
    sizes = [len(part.table) for part in task.parts]
    weights = task.sampling.weights(sizes, task.shares, where=f"mixture: {task.name}")
    cap = task.sampling.cap
    every = [min(size, cap) if cap is not None else size for size in sizes]
    amounts = every if amount is None else apportion(amount, weights).tolist()
    rows: dict[int, npt.NDArray[np.int64]] = {}
    taken: dict[str, set[str]] = {}
    turns = languages_in_draw_order([part.language for part in task.parts])
    for turn, number in enumerate(turns):
        part = task.parts[number]
        table = part.table
        order = draw_order(table.example_ids, seed=seed, dataset=part.origin, language=part.language, items=items)
        before = taken.setdefault(part.origin, set())
        if items == "disjoint" and before:
            order = order[[table.example_ids[row] not in before for row in order]]
        where = f"mixture: {task.name}: {part.dataset}/{part.language}"
        facts: dict[str, Any] = {"repeat": repeat, "where": where, "elsewhere": len(table.example_ids) - len(order)}
        later = [each for each in turns[turn + 1 :] if task.parts[each].origin == part.origin]
        if items == "disjoint" and repeat and later:
            tables = [task.parts[each].table for each in (number, *later)]
            tokens = unit == "tokens" and amount is not None
            wanted = [
                amounts[each] / (float(one.example_lengths.mean()) if tokens and len(one.example_lengths) else 1.0)
                for each, one in zip((number, *later), tables, strict=True)
            ]
            order = _own_share(order, tables, wanted, before)
        if unit == "tokens" and amount is not None:
            rows[number] = draw_by_tokens(order, table.example_lengths, amounts[number], **facts)
        else:
            rows[number] = draw_by_count(order, amounts[number], **facts)
        before.update(table.example_ids[row] for row in rows[number])
    parts = tuple(replace(part, rows=rows[number]) for number, part in enumerate(task.parts))
    return Pool(name=task.name, spec=task.spec, parts=parts)


def _own_share(
    order: npt.NDArray[np.int64], tables: Sequence[EncodedTable], wanted: Sequence[float], taken: Collection[str]
) -> npt.NDArray[np.int64]:
    """The rows of an order without the items that are left to languages that have them too and draw later.

    Where there are as many items as all of them want, nothing has to be left; else each gets its share of those in common.

    Args:
        order: rows that a language may draw.
        tables: its table, then those of the languages that draw later.
        wanted: how many examples each of them wants.
        taken: items that were drawn before.
    """
    names = [tables[0].example_ids[row] for row in order]
    others = set[str]().union(*(table.example_ids for table in tables[1:])).difference(taken)
    if sum(wanted) <= len(others.union(names)):
        return order
    common = np.array([name in others for name in names], dtype=bool)
    share = min(round(int(common.sum()) * wanted[0] / sum(wanted)), int(common.sum()) - len(tables) + 1)
    kept = order[~common | (np.cumsum(common) <= share)]
    return kept if len(kept) else order[:1]


def _selection(pools: Sequence[Pool], inputs: Mapping[str, Path], recipe: TrainRecipe) -> tuple[Pool, ...]:
    """Dev pools of the tasks that have one, for `select/<dataset>` inputs."""
    if not recipe.select_every:
        return ()
    found = []
    for pool in pools:
        for dataset in dict.fromkeys(part.dataset for part in pool.parts):
            if f"select/{dataset}" in inputs:
                dev = selection_table(inputs[f"select/{dataset}"], pool.spec.kind)
                found.append(selection_pool(pool, dev, dataset, recipe.select_examples))
    return tuple(found)
