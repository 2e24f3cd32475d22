"""Cells of the condition table, and the missing data of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from xtreme_dag.engine.graph import Graph, Output, Stage
from xtreme_dag.engine.plan import NEW, Plan, Planned
from xtreme_dag.wiring.forecast.composition import Row
from xtreme_dag.wiring.forecast.costs import same_work
from xtreme_dag.wiring.grids import in_words
from xtreme_dag.wiring.kinds import CHOOSE, PRETRAIN
from xtreme_dag.wiring.supervision import SAME, SOURCE

CONDITION_HEADS = ("condition", "source", "tasks", "languages", "examples", "tokens per language", "steps")
_SHOWN = 6


def with_absent(plan: Plan, absent: Mapping[str, str]) -> Plan:
    """The plan with the reason of each stage whose data or model is missing."""
    if not absent:
        return plan

    def marked(planned: Planned) -> Planned:
        if planned.stage.name not in absent:
            return planned
        what = "model" if planned.stage.of is PRETRAIN else "data"
        return replace(planned, status=NEW, reasons=(f"{what} missing: {absent[planned.stage.name]}",))

    stages = tuple(map(marked, plan.stages))
    return Plan(study=plan.study, stages=stages, by_name={planned.stage.name: planned for planned in stages})


def seen_lines(words: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Iterator[str]:
    """The tested languages in which conditions are trained on each task: a line for those that agree.

    Args:
        words: condition -> task -> language -> supervision, as `supervision.by_condition` says it.
    """
    conditions: dict[str, list[str]] = {}
    for name, tasks in words.items():
        groups: dict[str, list[str]] = {}
        for task, languages in tasks.items():
            seen = [
                f"{' '.join(sorted(code for code in languages if languages[code] == word))} ({word})"
                for word in (SOURCE, SAME)
                if word in languages.values()
            ]
            groups.setdefault(f"in {', '.join(seen)}" if seen else "in no language", []).append(task)
        text = "; ".join(f"{' '.join(named)} {seen}" for seen, named in groups.items())
        conditions.setdefault(text, []).append(name)
    for text, names in conditions.items():
        yield f"seen: {', '.join(names)}: {text}"


def stand_in_lines(stand_ins: Mapping[str, str]) -> Iterator[str]:
    """What tables really are where they only stand in for a split: a line for each dataset, split and explanation.

    Args:
        stand_ins: `dataset | language | split` -> what it is.
    """
    languages: dict[tuple[str, str, str], list[str]] = {}
    for table, what in sorted(stand_ins.items()):
        dataset, language, split = table.split(" | ")
        languages.setdefault((dataset, split, what), []).append(language)
    for (dataset, split, what), codes in languages.items():
        yield f"{dataset} {split} ({' '.join(codes)}) is a stand-in: {what}"


def missing_lines(absent: Mapping[str, str], graph: Graph) -> Iterator[str]:
    """What is missing, a line for each dataset and model; the reason is that of its first table."""
    tables: dict[str, dict[str, list[str]]] = {}
    reasons: dict[str, str] = {}
    for stage, reason in absent.items():
        facts = graph[stage].labels
        name = str(facts.get("dataset") or f"model {facts['model']}")
        reasons.setdefault(name, reason)
        splits = tables.setdefault(name, {})
        if "split" in facts:
            splits.setdefault(str(facts["split"]), []).append(str(facts["language"]))
    for name, splits in sorted(tables.items()):
        parts = []
        for split, codes in sorted(splits.items()):
            parts.append(f"{split} ({' '.join(sorted(codes)) if len(codes) <= _SHOWN else f'{len(codes)} languages'})")
        yield f"missing: {' '.join([name, ', '.join(parts)]).strip()}: {reasons[name]}"


def grid_lines(graph: Graph) -> Iterator[str]:
    """The grids: a line for each task's, with the trainings that its trials are; conditions may share some."""
    choices: dict[tuple[str, str], list[Stage]] = {}
    for stage in graph:
        if stage.of is CHOOSE:
            values: dict[str, list[str]] = {}
            for settings in stage.params["trials"]:
                for name, value in settings.items():
                    values.setdefault(name, []).append(in_words({name: value}).removeprefix(f"{name} "))
            words = " x ".join(f"{name} {', '.join(dict.fromkeys(each))}" for name, each in values.items())
            choices.setdefault((str(stage.labels["task"]), words), []).append(stage)
    same = same_work(graph) if choices else {}
    for (task, words), stages in choices.items():
        seeds = sorted({int(stage.labels["seed"]) for stage in stages})
        trials = [
            same[source.stage] for stage in stages for source in stage.inputs.values() if isinstance(source, Output)
        ]
        conditions = len({stage.labels["condition"] for stage in stages})
        yield (
            f"grid: {task}: {words}: {len(stages[0].params['trials'])} trials in {conditions} condition{'s' if conditions > 1 else ''}, "
            f"seed {' '.join(map(str, seeds))}: {len(set(trials))} trainings, chosen on dev"
        )


def condition_cells(row: Row, baseline: str) -> tuple[str, ...]:
    """A line of the condition table; figures that are foreseen, not counted, have a tilde."""
    name = f"{row.name} (baseline)" if row.name == baseline else row.name
    source = f"{row.source} + {row.further}" if row.further else row.source
    if not row.parts:
        return name, source, "-", "-", "0", "-", "0"
    mark = "" if row.counted else "~"
    tasks = " > ".join(
        "+".join(dict.fromkeys(part.task for part in row.parts if part.step == number))
        for number in sorted({part.step for part in row.parts})
    )
    languages = list(dict.fromkeys(part.language for part in row.parts))
    tokens = row.per_language()
    shown = [f"{code} {_count(tokens[code], mark)}" for code in languages[:_SHOWN]]
    more = [f"... ({len(languages)} languages)"] if len(languages) > _SHOWN else []
    return (
        name,
        source,
        tasks,
        " ".join(languages[:_SHOWN]) + (f" +{len(languages) - _SHOWN}" if more else ""),
        _count(row.examples, ""),
        ", ".join([*shown, *more]),
        _count(row.steps, ""),
    )


def _count(value: int | None, mark: str) -> str:
    return "?" if value is None else f"{mark}{value:,}"
