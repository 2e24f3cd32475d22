"""The condition table of a plan: what each condition trains on, and in what it differs from the baseline.

Figures come from the artifacts where a condition has been trained, else from the same arithmetic that training uses,
over the sizes that are known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from xtreme_dag.engine.graph import Graph, Output, Stage
from xtreme_dag.study.budget import Sampling, apportion
from xtreme_dag.study.factors import differences
from xtreme_dag.study.file import Study
from xtreme_dag.study.schedule import Schedule
from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.wiring.forecast.sizes import Size, Sizes
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

    def per_language(self) -> dict[str, int | None]:
        """Language -> tokens; None where a part's are unknown."""
        found: dict[str, int | None] = {}
        for part in self.parts:
            before = found.get(part.language, 0)
            found[part.language] = None if before is None or part.tokens is None else before + part.tokens
        return found

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "condition": self.name,
            "source_language": self.source,
            "examples": self.examples,
            "steps": self.steps,
            "counted": self.counted,
            "tokens_per_language": self.per_language(),
            "differs_from_baseline": list(self.differs),
            "parts": [vars(part) for part in self.parts],
        }


def condition_table(study: Study, graph: Graph, sizes: Sizes) -> tuple[Row, ...]:
    """A row for each condition of a study, at its first seed."""
    baseline = study.intermediate[study.compare.baseline]
    rows = []
    for name, condition in study.intermediate.items():
        stages = [stage for stage in graph if stage.of is INTERMEDIATE and stage.labels["condition"] == name
                  and stage.labels["seed"] == study.seeds[0]]  # fmt: skip
        trained = [_trained(stage, sizes) or _foreseen(stage, sizes) for stage in stages]
        parts = tuple(replace(part, step=number) for number, (each, _, _) in enumerate(trained, 1) for part in each)
        steps = [count for _, count, _ in trained if count is not None]
        examples = [_examples(stage, each) for stage, (each, _, _) in zip(stages, trained, strict=True)]
        rows.append(
            Row(
                name=name,
                parts=parts,
                examples=None if None in examples else sum(count or 0 for count in examples),
                steps=sum(steps) if len(steps) == len(trained) else None,
                source=study.source_of(condition),
                counted=all(counted for _, _, counted in trained),
                differs=differences(study, condition, baseline),
            )
        )
    return tuple(rows)


def _examples(stage: Stage, parts: list[Part]) -> int | None:
    """The examples of one step: a budget in examples is kept however it is divided."""
    known = [part.examples for part in parts if part.examples is not None]
    budget: int | None = stage.params["budget"].get("examples")
    return sum(known) if len(known) == len(parts) else budget


def _trained(stage: Stage, sizes: Sizes) -> tuple[list[Part], int | None, bool] | None:
    """What a trained artifact says of itself."""
    report = sizes.artifact(stage.name, "training.json")
    if report is None:
        return None
    made = json.loads(report.read_text(encoding="utf-8"))
    parts = [
        Part(step=1, **{name: entry[name] for name in ("task", "dataset", "language", "examples", "tokens")})
        for entry in made["composition"]
    ]
    return parts, int(made["steps"]), True


def _foreseen(stage: Stage, sizes: Sizes) -> tuple[list[Part], int | None, bool]:
    """What training will draw, by the arithmetic of `xtreme_dag.training.intermediate`."""
    params = stage.params
    recipe = TrainRecipe.from_params(params["recipe"])
    budget: Mapping[str, int] = params["budget"]
    unit, amount = next(iter(budget.items()), ("examples", None))
    steps: int | None = None
    if unit == "steps" and amount is not None:
        steps, amount = amount, -(-amount * recipe.batch_size // max(1, round(recipe.epochs)))
        unit = "examples"
    entries = params["mixture"]
    tables = [[_size(stage, part, sizes) for part in entry["parts"]] for entry in entries]
    counted = all(size.counted for row in tables for size in row)
    amounts = _divided(
        amount, [_total(row) for row in tables], [entry["share"] for entry in entries], params.get("sampling")
    )
    parts: list[Part] = []
    for entry, row, share in zip(entries, tables, amounts, strict=True):
        inner = _divided(
            share, [size.examples for size in row], [part["share"] for part in entry["parts"]], entry.get("sampling")
        )
        cap = (entry.get("sampling") or {}).get("cap")
        repeat = bool(params.get("repeat"))
        drawn = [
            _part(entry["task"], part, size, unit, wanted, amount is None, cap, repeat)
            for part, size, wanted in zip(entry["parts"], row, inner, strict=True)
        ]
        parts += drawn if repeat or params["items"] != "disjoint" else _spread(entry["parts"], drawn, row)
    whole = amount if unit == "examples" else None
    return parts, steps or _steps(entries, parts, recipe, whole), counted


def _size(stage: Stage, part: Mapping[str, Any], sizes: Sizes) -> Size:
    source = stage.inputs[f"train/{part['dataset']}/{part['language']}"]
    assert isinstance(source, Output)
    return sizes.of(source.stage)


def _total(row: list[Size]) -> int | None:
    known = [size.examples for size in row if size.examples is not None]
    return sum(known) if len(known) == len(row) else None


def _divided(
    amount: int | None, sizes: list[int | None], shares: list[float | None], rule: Mapping[str, Any] | None
) -> list[int | None]:
    """An amount among parts; None where it hangs on a size that nobody knows."""
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


def _part(
    task: str, part: Mapping[str, Any], size: Size, unit: str, wanted: int | None, everything: bool,
    cap: int | None, repeat: bool,
) -> Part:  # fmt: skip
    examples, tokens = wanted, None
    if everything:
        examples = size.examples if cap is None or size.examples is None else min(size.examples, cap)
    if unit == "tokens" and not everything:
        examples, tokens = (round(wanted / size.mean) if wanted is not None and size.mean else None), wanted
    elif examples is not None:
        tokens = round(examples * size.mean)
    short = None
    if not repeat and examples is not None and size.examples is not None and examples > size.examples:
        short = size.examples
    return Part(
        step=1,
        task=task,
        dataset=part["dataset"],
        language=part["language"],
        examples=examples,
        tokens=tokens,
        short=short,
    )


def _steps(entries: Any, parts: list[Part], recipe: TrainRecipe, whole: int | None) -> int | None:
    """Optimizer steps of the run; how a task's examples are divided among languages does not matter."""
    if len(entries) == 1 and whole is not None:
        sizes = [whole]
    elif any(part.examples is None for part in parts):
        return recipe.steps
    else:
        sizes = [sum(part.examples or 0 for part in parts if part.task == entry["task"]) for entry in entries]
    if not all(sizes):
        return recipe.steps
    return Schedule(
        sizes, seed=0, batch_size=recipe.batch_size, epochs=recipe.epochs, steps=recipe.steps, mixing=recipe.mixing
    ).steps
