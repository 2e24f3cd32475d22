"""What a study will claim: conditions against the baseline, by task, over unseen and over seen languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.engine.graph import Graph, Output
from xtreme_dag.study.file import Study
from xtreme_dag.wiring.forecast.sizes import Sizes
from xtreme_dag.wiring.kinds import EVALUATE
from xtreme_dag.wiring.supervision import by_condition, source_languages, unseen_in_both


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What a study will claim, and on how much.

    Attributes:
        examples: task -> language -> examples of its test, None where their number is not known; of the languages that
            are unseen in both sides of the comparison that the study names, of at least one comparison where it names
            none. Tasks without such a language are left out.
        wholes: tasks whose examples `compare` draws in groups (the turns of a dialogue).
        of_tasks: number of claims about a task: conditions x tasks x parts of the languages (unseen, seen).
        of_means: number of claims about the mean over tasks.
    """

    examples: Mapping[str, Mapping[str, int | None]]
    wholes: frozenset[str]
    of_tasks: int
    of_means: int


def claims(study: Study, graph: Graph, sizes: Sizes) -> Claims:
    """The claims of a study's conditions against its baseline."""
    words, baseline, named = by_condition(graph), study.compare.baseline, study.compare.condition
    against, sources = words.get(baseline, {}), source_languages(study, words)
    unseen: dict[str, set[str]] = {task: set() for task in against}
    of_tasks = of_means = 0
    for name, tasks in words.items():
        parts = []
        for task in tasks.keys() & against.keys() if name != baseline else ():
            free = set(unseen_in_both(tasks[task], against[task], sources))
            unseen[task] |= free if named in (None, name) else set()
            parts.append((bool(free), bool((tasks[task].keys() & against[task].keys()) - free)))
        of_tasks += sum(map(sum, parts))
        of_means += sum(any(one) for one in zip(*parts, strict=True))
    counts = _tested(graph, sizes)
    return Claims(
        examples={
            task: {code: counts[task, code] for code in sorted(codes)} for task, codes in unseen.items() if codes
        },
        wholes=frozenset(_wholes(study, graph)),
        of_tasks=of_tasks,
        of_means=of_means,
    )


def _wholes(study: Study, graph: Graph) -> Iterator[str]:
    """The tasks whose format has groups of examples that are drawn as wholes, always or because the study asks for it."""
    for stage in graph:
        declared = stage.params.get("declared") if stage.of is EVALUATE else None
        if declared and (study.compare.clusters or not declared["cluster_if_asked"]):
            yield str(stage.labels["task"])


def _tested(graph: Graph, sizes: Sizes) -> dict[tuple[str, str], int | None]:
    """Examples of each task's test in each language."""
    catalogue = load_catalogue()
    found: dict[tuple[str, str], int | None] = {}
    for stage in graph:
        if stage.of is not EVALUATE:
            continue
        task, encoded = str(stage.labels["task"]), stage.inputs["encoded"]
        if isinstance(encoded, Output) and stage.labels["split"] == catalogue.task(task).test.split:
            found[task, str(stage.labels["language"])] = sizes.of(encoded.stage).examples
    return found
