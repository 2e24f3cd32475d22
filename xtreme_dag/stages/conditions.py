"""The condition table of a plan: what each condition trains on, and in what it differs from the baseline.

Figures come from the artifacts where a condition has been trained, else from the same arithmetic that training uses,
over the sizes that are known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xtreme_dag.conditions import Condition, Step
from xtreme_dag.data.mixtures import Sampling, apportion
from xtreme_dag.stages.graph import Graph, Output, Stage
from xtreme_dag.stages.sizes import Size, Sizes
from xtreme_dag.study import Study
from xtreme_dag.training.recipe import TrainRecipe
from xtreme_dag.training.sampler import Schedule


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
    """

    step: int
    task: str
    dataset: str
    language: str
    examples: int | None
    tokens: int | None
    short: int | None = None


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
        stages = [stage for stage in graph if stage.kind == "intermediate" and stage.labels["condition"] == name
                  and stage.labels["seed"] == study.seeds[0]]  # fmt: skip
        trained = [_trained(stage, sizes) or _foreseen(stage, sizes) for stage in stages]
        parts = tuple(part for number, (each, _, _) in enumerate(trained, 1) for part in _numbered(each, number))
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


# A condition that reads this much more or less text than the baseline at an equal budget is worth a warning.
UNEVEN = 1.25


def warnings(study: Study, rows: tuple[Row, ...]) -> list[str]:
    """Comparisons with the baseline that differ in more than one factor, uneven tokens, budgets beyond the data."""
    found = [
        f"{row.name} and {study.compare.baseline} (the baseline) differ in {len(row.differs)} factors: {', '.join(row.differs)}"
        for row in rows
        if len(row.differs) > 1
    ]
    found += _uneven(study, rows)
    for row in rows:
        for part in row.parts:
            if part.short is not None:
                found.append(
                    f"{row.name}: {part.dataset}/{part.language} is asked for {part.examples:,} examples and has "
                    f"{part.short:,}; lower the budget or set repeat: true"
                )
    return found


def _uneven(study: Study, rows: tuple[Row, ...]) -> list[str]:
    """Conditions with the baseline's budget and not its tokens, where both are counted."""
    base = next(row for row in rows if row.name == study.compare.baseline)
    found = []
    for row in rows:
        budgets = [[step.budget for step in study.intermediate[name].steps] for name in (row.name, base.name)]
        tokens = [[part.tokens or 0 for part in each.parts] for each in (row, base)]
        mine, others = (sum(each) for each in tokens)
        if not (row.counted and base.counted and budgets[0] == budgets[1] and mine and others):
            continue
        if max(mine, others) > UNEVEN * min(mine, others):
            found.append(
                f"{row.name} and {base.name} (the baseline) have the same budget and {mine:,} against {others:,} tokens"
            )
    return found


def differences(study: Study, condition: Condition, other: Condition) -> tuple[str, ...]:
    """The factors in which two conditions differ.

    Languages and the origin of data are compared over the tasks that both have; what a further task brings with it is
    part of the factor `tasks`. Whether items are disjoint matters where both have more than one language.
    """
    source: tuple[str, ...] = ()
    if study.source_of(condition) != study.source_of(other) or condition.source_translated != other.source_translated:
        source = ("source language of the target task",)
    if not condition.steps or not other.steps:
        return (*source, *(("intermediate training",) if bool(condition.steps) != bool(other.steps) else ()))
    found: dict[str, None] = dict.fromkeys(source)
    if len(condition.steps) != len(other.steps):
        found["number of training steps in the chain"] = None
    if condition.keep_head != other.keep_head:
        found["kept heads"] = None
    for one, two in zip(condition.steps, other.steps, strict=False):
        found |= dict.fromkeys(_step_differences(one, two))
    return tuple(found)


def _step_differences(one: Step, two: Step) -> list[str]:
    blends, others = _blends(one), _blends(two)
    common = [task for task in blends if task in others]
    multilingual = all(len({code for blend in each.values() for code, _ in blend}) > 1 for each in (blends, others))
    same_languages = all({code for code, _ in blends[task]} == {code for code, _ in others[task]} for task in common)
    checks = {
        "tasks": set(blends) != set(others),
        "task shares": set(blends) == set(others) and _task_shares(one) != _task_shares(two),
        "languages": any(_shares(one, task) != _shares(two, task) for task in common),
        "origin of the data": any(_origins(blends[task]) != _origins(others[task]) for task in common)
        if same_languages
        else any(_made(blends[task]) != _made(others[task]) for task in common),
        "budget": one.budget != two.budget or one.repeat != two.repeat,
        "control": one.control != two.control,
        "items": multilingual and one.items != two.items,
        "recipe": dict(one.recipe) != dict(two.recipe),
        "kept heads": one.keep_heads != two.keep_heads,
    }
    return [factor for factor, differs in checks.items() if differs]


def _blends(step: Step) -> dict[str, dict[tuple[str, str], float]]:
    """Task -> (language, how the data came about) -> share of the step."""
    found: dict[str, dict[tuple[str, str], float]] = {}
    for component in step.mixture:
        origin = "translated" if component.translated else component.dataset
        for code, share in component.shares().items():
            blend = found.setdefault(component.head_name, {})
            blend[code, origin] = round(share * component.share, 9)
    return found


def _task_shares(step: Step) -> Any:
    stated = {task: round(sum(blend.values()), 6) for task, blend in _blends(step).items()}
    return step.sampling if step.sampling else stated


def _shares(step: Step, task: str) -> Any:
    """Language -> share within a task, or the rule that gives it."""
    rules = [component.sampling for component in step.mixture if component.head_name == task and component.sampling]
    blend = _blends(step)[task]
    total = sum(blend.values())
    shares: dict[str, float] = {}
    for (code, _), share in blend.items():
        shares[code] = shares.get(code, 0.0) + share / total
    return {code: None if rules else round(share, 6) for code, share in shares.items()}, rules


def _origins(blend: Mapping[tuple[str, str], float]) -> set[tuple[str, str]]:
    return set(blend)


def _made(blend: Mapping[tuple[str, str], float]) -> bool:
    """Whether some of it was translated here."""
    return any(origin == "translated" for _, origin in blend)


def _examples(stage: Stage, parts: list[Part]) -> int | None:
    """The examples of one step: a budget in examples is kept however it is divided."""
    known = [part.examples for part in parts if part.examples is not None]
    budget: int | None = stage.params["budget"].get("examples")
    return sum(known) if len(known) == len(parts) else budget


def _numbered(parts: list[Part], number: int) -> list[Part]:
    return [Part(**{**vars(part), "step": number}) for part in parts]


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
        for part, size, wanted in zip(entry["parts"], row, inner, strict=True):
            parts.append(
                _part(entry["task"], part, size, unit, wanted, amount is None, cap, bool(params.get("repeat")))
            )
    return parts, steps or _steps(entries, parts, recipe), counted


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
    if size.counted and not repeat and examples is not None and size.examples is not None and examples > size.examples:
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


def _steps(entries: Any, parts: list[Part], recipe: TrainRecipe) -> int | None:
    """Optimizer steps of the run."""
    if any(part.examples is None for part in parts):
        return recipe.steps
    sizes = [sum(part.examples or 0 for part in parts if part.task == entry["task"]) for entry in entries]
    if not all(sizes):
        return recipe.steps
    return Schedule(
        sizes, seed=0, batch_size=recipe.batch_size, epochs=recipe.epochs, steps=recipe.steps, mixing=recipe.mixing
    ).steps
