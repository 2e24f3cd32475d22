"""Warnings of a plan: comparisons of several factors, uneven text, too little data, losses in translation."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from xtreme_dag.core.files import canonical
from xtreme_dag.engine.graph import Graph, Output
from xtreme_dag.study.factors import differences
from xtreme_dag.study.file import Study
from xtreme_dag.study.uneven import uneven
from xtreme_dag.wiring.forecast.composition import Part, Row
from xtreme_dag.wiring.forecast.sizes import Sizes
from xtreme_dag.wiring.kinds import TARGET, TRANSLATE
from xtreme_dag.wiring.supervision import unseen_in_both

# Counts of a translation by a model, in words.
_ODD = {
    "texts_cut": "texts were cut before they were translated (max_length)",
    "translations_cut": "translations were cut (max_length)",
    "translations_empty": "translations are empty",
}


def warnings(study: Study, rows: tuple[Row, ...]) -> list[str]:
    """Comparisons that differ in more than one factor, uneven tokens, budgets beyond the data, a recipe for toys."""
    found = [
        f"{row.name} and {study.compare.baseline} (the baseline) differ in {len(row.differs)} factors: "
        f"{', '.join(row.differs)}{_one_apart(study, row.name)}"
        for row in rows
        if len(row.differs) > 1
    ]
    found += _uneven(study, rows)
    return [
        *found,
        *_toy_recipe(study),
        *dict.fromkeys(_beyond(row.name, part) for row in rows for part in row.parts if part.short is not None),
    ]


def _toy_recipe(study: Study) -> Iterator[str]:
    """A pretrained encoder with the learning rate of `quick`, which is for the tiny ones of generated languages."""
    if study.model.pretrain is not None or study.recipe.get("name", "quick") != "quick":
        return
    steps = [condition for condition in study.intermediate.values() if condition.steps]
    own = all("learning_rate" in canonical(condition.recipe or {}) for condition in steps)
    trained = ["target", *([] if own else ["intermediate"])]
    same = [name for name in trained if "learning_rate" not in canonical(study.recipe.get(name, {}))]
    if same:
        yield (
            f"recipe: {' and '.join(same)} training has the learning rate of `quick`, which is for tiny encoders of "
            "generated languages; name another recipe (`xtreme`, `phang2020`), or set learning_rate"
        )


def _one_apart(study: Study, name: str) -> str:
    """Advice: the conditions that differ from one in a single factor.

    A condition without intermediate training is not named in place of a baseline that has it: it has no budget to match.
    """
    condition, baseline = study.intermediate[name], study.intermediate[study.compare.baseline]
    factors = {
        other: differences(study, condition, body)
        for other, body in study.intermediate.items()
        if other != name and (body.steps or not baseline.steps)
    }
    near = [f"{other} ({found[0]})" for other, found in factors.items() if len(found) == 1]
    return f"; in one from {', '.join(near)}" if near else ""


def _beyond(name: str, part: Part) -> str:
    if part.spread is not None:
        return (
            f"{name}: {part.task} is asked for {part.spread:,} different items and has {part.short:,}; "
            "lower the budget, or set items: parallel or repeat: true"
        )
    return (
        f"{name}: {part.dataset}/{part.language} is asked for {part.examples:,} examples and has "
        f"{part.short:,}; lower the budget or set repeat: true"
    )


def _uneven(study: Study, rows: tuple[Row, ...]) -> list[str]:
    """Conditions of equal budget that read different numbers of tokens, where both are counted.

    They are compared with the baseline; if that has no intermediate training, with conditions of the same tasks that
    differ in one factor.
    """
    base = next(row for row in rows if row.name == study.compare.baseline)
    if base.parts:
        pairs = [(row, base) for row in rows if row is not base]
    else:
        pairs = [(row, other) for number, other in enumerate(rows) for row in rows[number + 1 :]
                 if _same_tasks(study, row.name, other.name)]  # fmt: skip
    found = []
    for row, other in pairs:
        budgets = [[step.budget for step in study.intermediate[each.name].steps] for each in (row, other)]
        mine, theirs = (sum(part.tokens or 0 for part in each.parts) for each in (row, other))
        if not (row.counted and other.counted and budgets[0] == budgets[1] and mine and theirs):
            continue
        if uneven(mine, theirs):
            against = f"{other.name} (the baseline)" if other is base else other.name
            found.append(f"{row.name} and {against} have the same budget and {mine:,} against {theirs:,} tokens")
    return found


def _same_tasks(study: Study, name: str, other: str) -> bool:
    factors = differences(study, study.intermediate[name], study.intermediate[other])
    return len(factors) == 1 and factors[0] not in ("tasks", "intermediate training")


def no_answer_lines(
    baseline: str, words: Mapping[str, Mapping[str, Mapping[str, str]]], sources: Collection[str]
) -> Iterator[str]:
    """The comparisons with the baseline that leave no language unseen for a task.

    Args:
        baseline: name of the baseline.
        words: condition -> task -> language -> supervision, as `supervision.by_condition` says it.
        sources: languages that count as seen in all of them, see `supervision.source_languages`.
    """
    why = f"trained on in one of them{' or a source language of the study' if sources else ''}"
    for name, tasks in words.items():
        none = [task for task in tasks if not unseen_in_both(tasks[task], words[baseline][task], sources)]
        if name != baseline and none:
            yield f"{name} against {baseline} has no zero-shot answer on {', '.join(none)}: each of its languages is {why}"


def too_few_lines(graph: Graph, sizes: Sizes) -> Iterator[str]:
    """A line for each table that has fewer examples than a condition adds to target training."""
    found: dict[str, None] = {}
    for stage in graph:
        for name, told in stage.params.get("further", {}).items() if stage.of is TARGET else ():
            table = stage.inputs[name]
            there = sizes.rows(graph[table.stage]) if isinstance(table, Output) else None
            if there is not None and there < told.get("examples", 0):
                found[
                    f"{stage.labels['condition']}: {stage.labels['task']} is asked for {told['examples']:,} target-language "
                    f"examples of {name.removeprefix('train/')} and has {there:,}; lower target.examples"
                ] = None
    yield from found


def lost_lines(graph: Graph, sizes: Sizes) -> Iterator[str]:
    """A line for each finished translation that lost examples: how many, and why."""
    for stage in graph:
        made = sizes.said(stage.name, "translation.json") if stage.of is TRANSLATE else None
        if made is not None and made["lost"]:
            why = ", ".join(f"{reason} ({count:,})" for reason, count in made["lost_because"].items())
            yield f"{stage.name}: {made['lost']:,} of {made['read']:,} examples lost: {why}"
        odd = {} if made is None else {words: made[name] for name, words in _ODD.items() if made.get(name)}
        if odd:
            yield f"{stage.name}: {', '.join(f'{count:,} {words}' for words, count in odd.items())}"
