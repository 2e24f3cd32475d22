"""The condition table of a plan: what each condition trains on, and in which factors it differs from the baseline.

Figures are read from the artifacts of finished trainings, and otherwise follow from the arithmetic that training uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from xtreme_dag.engine.graph import Graph, Output, Stage
from xtreme_dag.study.budget import Sampling, apportion
from xtreme_dag.study.conditions import Condition
from xtreme_dag.study.factors import differences
from xtreme_dag.study.file import Study
from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.wiring.forecast.sizes import Size, Sizes, total
from xtreme_dag.wiring.kinds import INTERMEDIATE


@dataclass(frozen=True, kw_only=True)
class Part:
    """One table of a condition's training.

    Attributes:
        step: number of the step, from 1.
        task: the task.
        dataset: the dataset, and what was made of it.
        language: its language.
        examples: examples drawn; None where unknown.
        tokens: their tokens, once through; None where unknown.
        short: how many examples there are, where they are too few and repetition was not asked for.
        spread: how many different items its task is asked for in all languages, where those of `short` are too few.
    """

    step: int
    task: str
    dataset: str
    language: str
    examples: int | None
    tokens: int | None
    short: int | None = None
    spread: int | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One condition.

    Attributes:
        name: the condition.
        parts: what it trains on; empty for none.
        examples: drawn examples of all its steps together; None where unknown.
        steps: optimizer steps of all its steps together; None where unknown.
        source: language of target training.
        further: what is added to target training in other languages, and whether tests are translated; or empty.
        counted: the figures are those of the trained artifacts, or of counted tables.
        differs: factors in which it differs from the baseline.
    """

    name: str
    parts: tuple[Part, ...]
    examples: int | None
    steps: int | None
    source: str
    counted: bool
    differs: tuple[str, ...]
    further: str = ""

    def per_language(self) -> dict[str, int | None]:
        """Language -> tokens; None where a part's are unknown."""
        codes = dict.fromkeys(part.language for part in self.parts)
        return {code: total(part.tokens for part in self.parts if part.language == code) for code in codes}

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "condition": self.name,
            "source_language": self.source,
            "further": self.further,
            "examples": self.examples,
            "steps": self.steps,
            "counted": self.counted,
            "tokens_per_language": self.per_language(),
            "differs_from_baseline": list(self.differs),
            "parts": [vars(part) for part in self.parts],
        }


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One step of a condition: what it draws, all steps of the optimizer, and whether the figures are counted."""

    parts: list[Part]
    examples: int | None
    steps: int | None
    counted: bool


def condition_table(study: Study, graph: Graph, sizes: Sizes) -> tuple[Row, ...]:
    """A row for each condition of a study, at its first seed."""
    baseline = study.intermediate[study.compare.baseline]
    runs: dict[str, list[_Run]] = {name: [] for name in study.intermediate}
    for stage in graph:
        if stage.of is INTERMEDIATE and stage.labels["seed"] == study.seeds[0]:
            runs[stage.labels["condition"]].append(_trained(stage, sizes) or _foreseen(stage, sizes))
    return tuple(
        Row(
            name=name,
            parts=tuple(part for run in runs[name] for part in run.parts),
            examples=total(run.examples for run in runs[name]),
            steps=total(run.steps for run in runs[name]),
            source=study.source_of(condition),
            further=_further(condition),
            counted=all(run.counted for run in runs[name]),
            differs=differences(study, condition, baseline),
        )
        for name, condition in study.intermediate.items()
    )


def _further(condition: Condition) -> str:
    told = condition.target
    made = [f"{count} {code}" for code, count in told.examples.items()] if told else []
    made += [f"{code}{' (translated)' if told.translated else ''}" for code in told.languages] if told else []
    return ", ".join([*made, *(["tests translated"] if condition.test_translated else [])])


def _trained(stage: Stage, sizes: Sizes) -> _Run | None:
    """What the artifact of a finished training says."""
    made = sizes.said(stage.name, "training.json")
    if made is None:
        return None
    parts = [
        Part(step=stage.step, **{name: entry[name] for name in ("task", "dataset", "language", "examples", "tokens")})
        for entry in made["composition"]
    ]
    return _Run(parts=parts, examples=total(part.examples for part in parts), steps=int(made["steps"]), counted=True)


def _foreseen(stage: Stage, sizes: Sizes) -> _Run:
    """What training will draw, by the arithmetic of `xtreme_dag.training.intermediate`."""
    params = stage.params
    recipe = TrainRecipe.from_params(params["recipe"])
    budget: Mapping[str, int] = params["budget"]
    unit, amount = next(iter(budget.items()), ("examples", None))
    steps = budget.get("steps")
    if steps is not None:
        unit, amount = "examples", -(-steps * recipe.batch_size // max(1, round(recipe.epochs)))
    entries, repeat = params["mixture"], bool(params.get("repeat"))
    tables = [[_size(stage, part, sizes) for part in entry["parts"]] for entry in entries]
    amounts = _divided(
        amount,
        [total(size.examples for size in row) for row in tables],
        [entry["share"] for entry in entries],
        params.get("sampling"),
    )
    parts: list[Part] = []
    for entry, row, share in zip(entries, tables, amounts, strict=True):
        rule = entry.get("sampling")
        inner = _divided(share, [size.examples for size in row], [part["share"] for part in entry["parts"]], rule)
        drawn = []
        for part, size, wanted in zip(entry["parts"], row, inner, strict=True):
            examples, tokens = (
                _drawn(size, unit, wanted) if amount is not None else _whole(size, (rule or {}).get("cap"))
            )
            too_few = not repeat and examples is not None and size.examples is not None and examples > size.examples
            drawn.append(
                Part(
                    step=stage.step,
                    task=entry["task"],
                    dataset=part["dataset"],
                    language=part["language"],
                    examples=examples,
                    tokens=tokens,
                    short=size.examples if too_few else None,
                )
            )
        parts += drawn if repeat or params["items"] != "disjoint" else _spread(entry["parts"], drawn, row)
    examples = total(part.examples for part in parts)
    return _Run(
        parts=parts,
        # A budget in examples is kept however it is divided.
        examples=budget.get("examples") if examples is None else examples,
        steps=steps or _steps(entries, parts, recipe, amount if unit == "examples" else None),
        counted=all(size.counted for row in tables for size in row),
    )


def _size(stage: Stage, part: Mapping[str, Any], sizes: Sizes) -> Size:
    source = stage.inputs[f"train/{part['dataset']}/{part['language']}"]
    assert isinstance(source, Output)
    return sizes.of(source.stage)


def _divided(
    amount: int | None, sizes: list[int | None], shares: list[float | None], rule: Mapping[str, Any] | None
) -> list[int | None]:
    """An amount among parts; None where that depends on an unknown size."""
    if amount is None:
        return [None] * len(sizes)
    known = [size for size in sizes if size is not None]
    needs_sizes = rule is not None and rule["rule"] != "uniform"
    if needs_sizes and (len(known) < len(sizes) or not sum(known)):
        return [None] * len(sizes)
    sampling = Sampling.from_params(rule or {"rule": "shares"}, where="mixture")
    weights = sampling.weights([size or 0 for size in sizes], shares, where="mixture")
    return [int(count) for count in apportion(amount, weights)]


def _spread(entries: list[Mapping[str, Any]], parts: list[Part], row: list[Size]) -> list[Part]:
    """Parts that are marked where no item may come in two languages and there are not so many different items.

    Tables of one origin hold the same items: the largest has them all.
    """
    found = list(parts)
    origins = [entry.get("items_of", entry["dataset"]) for entry in entries]
    for origin in dict.fromkeys(origins):
        mine = [number for number, each in enumerate(origins) if each == origin]
        wanted, there = [parts[number].examples for number in mine], [row[number].examples for number in mine]
        if len(mine) < 2 or None in wanted or None in there or any(parts[number].short is not None for number in mine):
            continue
        total, most = sum(count or 0 for count in wanted), max(count or 0 for count in there)
        if total > most:
            for number in mine:
                found[number] = replace(parts[number], short=most, spread=total)
    return found


def _drawn(size: Size, unit: str, wanted: int | None) -> tuple[int | None, int | None]:
    """Examples and tokens of a part that is asked for so many of a unit."""
    if unit == "tokens":
        return (round(wanted / size.mean) if wanted is not None and size.mean else None), wanted
    return wanted, None if wanted is None else round(wanted * size.mean)


def _whole(size: Size, cap: int | None) -> tuple[int | None, int | None]:
    """Examples and tokens of a part of which all are drawn, up to the cap of its task."""
    examples = size.examples if cap is None or size.examples is None else min(size.examples, cap)
    return examples, None if examples is None else round(examples * size.mean)


def _steps(entries: Any, parts: list[Part], recipe: TrainRecipe, whole: int | None) -> int | None:
    """Optimizer steps of the run; how a task's examples are divided among languages does not matter."""
    if len(entries) == 1 and whole is not None:
        sizes = [whole]
    else:
        sizes = [total(part.examples for part in parts if part.task == entry["task"]) or 0 for entry in entries]
    if not all(sizes):
        return recipe.steps
    from xtreme_dag.study.schedule import Schedule  # numpy, which a study that is done needs not

    return Schedule(
        sizes, seed=0, batch_size=recipe.batch_size, epochs=recipe.epochs, steps=recipe.steps, mixing=recipe.mixing
    ).steps
