"""The content of a report: everything that is read from the results, once, without any markup."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.home import Home
from xtreme_dag.report.samples import Sample, samples
from xtreme_dag.results.cells import SEEN, is_control
from xtreme_dag.results.compare import compare_conditions
from xtreme_dag.results.effects import Comparison, Effect
from xtreme_dag.results.facts import TableFacts
from xtreme_dag.results.levels import Level, levels
from xtreme_dag.results.query import reader
from xtreme_dag.results.reading import Trained, data_lines, read_trained

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]
SHOWN_CONDITIONS = 40
_GAIN = ("gain", "low", "high")


@dataclass(frozen=True, kw_only=True)
class Content:
    """A study's results, ready to be shown.

    Attributes:
        study: name, question, baseline, targets, seeds, recipe, source_language.
        split: the split that everything is reported on.
        conditions: name, description, average, figure per task, standard deviation over seeds per task and of the
            average, in the study's order.
        left_out: conditions that are not shown because there are too many.
        tasks: the tasks that were scored, with titles and metrics.
        comparisons: each condition against the baseline: the one that the study names, the others in its order, controls
            last.
        levels: what each condition reaches on a task beside one answer to everything.
        cells: one row per condition, task and language: value, delta with interval and seeds, language facts, supervision, and
            whether it was seen: by the condition or the baseline, for the task.
        gaps: transfer gap per condition and task.
        costs: what each condition depends on, with its gain.
        published: others' numbers beside ours.
        data: what stood in for what, and how many examples of how many were read.
        trained: what the intermediate training of each condition drew.
        contracts: outcomes of the data contracts.
        warnings: what is to be doubted: condition, task, warning, in how many languages, message.
        overlaps: what tables that are trained or selected on have of those that are tested.
        learning: points of the learning curves: score against a language's own examples in target training.
        curves: points of the loss and of the looks at dev of each training.
        trials: of grids: settings, figure on dev, whether it was chosen.
        samples: predictions on which a condition and the baseline disagree.
        stages: number and cost of the stages, per kind.
        provenance: commits, libraries, hosts with their processors, devices, raw data digests, start of the first and last stage.
    """

    study: Row
    split: str
    conditions: tuple[Row, ...]
    left_out: int
    tasks: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    levels: tuple[Level, ...]
    cells: tuple[Row, ...]
    gaps: tuple[Row, ...]
    costs: tuple[Row, ...]
    published: tuple[Row, ...]
    data: tuple[str, ...]
    trained: tuple[Trained, ...]
    contracts: tuple[Row, ...]
    warnings: tuple[Row, ...]
    overlaps: tuple[Row, ...]
    learning: tuple[Row, ...]
    curves: tuple[Row, ...]
    trials: tuple[Row, ...]
    samples: tuple[Sample, ...]
    stages: tuple[Row, ...]
    provenance: Row


def read_content(home: Home, study: str, *, resamples: int | None = None) -> Content:
    """Reads all that a study's report says.

    Args:
        home: the folder in which all state lives.
        study: name of the study.
        resamples: number of resamples of the comparisons; what the study file says by default.

    Raises:
        UserError: the study has not landed, has no scores, or its predictions are gone.
    """
    with reader(home, predictions=False) as connection:
        about = _study(connection, study)
        split = _split(connection, study)
        ranked = _rows(
            connection,
            "SELECT condition, average FROM leaderboard WHERE study = $study AND split = $split"
            " ORDER BY condition <> $baseline, average DESC, condition",
            study=study,
            split=split,
            baseline=about["baseline"],
        )
        at = {"study": study, "split": split}
        tables = {
            name: _rows(connection, sql, **{k: at[k] for k in at if f"${k}" in sql}) for name, sql in _QUERIES.items()
        }
        trained = read_trained(connection, study)
    shown = _shown(about, tables["conditions"], [row["condition"] for row in ranked])
    comparisons: list[Comparison] = []
    if about["baseline"] in shown and len(shown) > 1:
        every = compare_conditions(home, study=study, split=split, resamples=resamples)
        comparisons = [one for one in every if one.condition in shown]
    _, reached = levels(home, study=study, split=split, resamples=resamples)
    chosen = {name: [row for row in rows if row.get("condition", shown[0]) in shown] for name, rows in tables.items()}
    effects = {(c.condition, e.task, e.language): e for c in comparisons for e in c.languages}
    for row in chosen["cells"]:
        effect = effects.get((row["condition"], row["task"], row["language"]))
        row |= difference(effect, "baseline")
        row["seen"] = row["supervision"] in SEEN or (effect is not None and effect.part == "seen")
    overall = {one.condition: one.overall for one in comparisons}
    for row in chosen["costs"]:
        gain = overall.get(row["condition"])
        row |= {"gain": gain.delta, "low": gain.low, "high": gain.high} if gain else dict.fromkeys(_GAIN, 0.0)
    return Content(
        study=about,
        split=split,
        conditions=tuple(_conditions(chosen["conditions"], chosen["task_scores"], chosen["averages"], ranked)),
        left_out=len(ranked) - len(shown),
        tasks=tuple(tables["tasks"]),
        comparisons=tuple(comparisons),
        levels=tuple(one for one in reached if one.condition in shown),
        cells=tuple(chosen["cells"]),
        gaps=tuple(chosen["gaps"]),
        costs=tuple(chosen["costs"]),
        published=tuple(chosen["published"]),
        data=tuple(data_lines(TableFacts(**row) for row in tables["data_tables"])),
        trained=tuple(one for one in trained.values() if one.condition in shown),
        contracts=tuple({**row, "violations": json.loads(row["violations"])} for row in tables["contracts"]),
        warnings=tuple(chosen["warnings"]),
        overlaps=tuple({**row, "ways": json.loads(row["ways"])} for row in tables["overlaps"]),
        learning=tuple(chosen["learning"]),
        curves=tuple(chosen["curves"]),
        trials=tuple({**row, "settings": json.loads(row["settings"])} for row in chosen["trials"]),
        samples=tuple(samples(home, study, split, about["baseline"], [one.condition for one in comparisons])),
        stages=tuple(tables["stages"]),
        provenance=_provenance(tables),
    )


def difference(effect: Effect | None, otherwise: str) -> Row:
    """`delta`, `low`, `high`, `by_seed` and `verdict` of an effect; nothing, and the verdict `otherwise`, where there is none."""
    if effect is None:
        return {**dict.fromkeys(("delta", "low", "high")), "by_seed": (), "verdict": otherwise}
    return {name: getattr(effect, name) for name in ("delta", "low", "high", "by_seed", "verdict")}


_QUERIES: Mapping[str, str] = {
    "conditions": "SELECT condition, description FROM conditions WHERE study = $study ORDER BY position",
    "task_scores": "SELECT condition, task, value, seed_sd, languages FROM task_scores WHERE study = $study AND split = $split",
    "averages": (
        "SELECT condition, stddev_samp(value) AS seed_sd FROM ("
        " SELECT condition, seed, avg(value) AS value FROM ("
        "  SELECT condition, task, seed, avg(value) AS value FROM scores"
        "  WHERE study = $study AND split = $split AND is_primary GROUP BY ALL)"
        " GROUP BY ALL HAVING count(*) = (SELECT count(DISTINCT task) FROM scores"
        "  WHERE study = $study AND split = $split AND is_primary)) GROUP BY ALL"
    ),
    "tasks": (
        "SELECT s.task, any_value(s.metric) AS metric, coalesce(any_value(t.title), s.task) AS title,"
        ' any_value(t."group") AS "group", max(s.languages) AS languages, max(s.seeds) AS seeds'
        " FROM task_scores s LEFT JOIN tasks t USING (study, task)"
        " WHERE s.study = $study AND s.split = $split GROUP BY s.task ORDER BY s.task"
    ),
    "cells": (
        "SELECT condition, task, language, value, seed_sd, seeds, n, coalesce(name, language) AS name,"
        " coalesce(family, 'unknown') AS family, coalesce(script, 'unknown') AS script, kinship, seen_in_pretraining, supervision"
        " FROM per_language WHERE study = $study AND split = $split ORDER BY task, language, condition"
    ),
    "gaps": (
        "SELECT condition, task, source_value, transfer_value, gap, languages FROM transfer_gap"
        " WHERE study = $study AND split = $split ORDER BY task, condition"
    ),
    "costs": "SELECT * FROM cost WHERE study = $study ORDER BY condition",
    "published": (
        "SELECT system, task, language, published_metric, published, condition, ours, difference, source, note, model, data"
        " FROM beside_published WHERE study = $study AND split = $split AND language = 'avg'"
        " ORDER BY task, system, condition, published_metric, published, source"
    ),
    "data_tables": "SELECT * EXCLUDE (study) FROM data_tables WHERE study = $study",
    "warnings": (
        "SELECT condition, task, warning, languages, of_languages, message FROM warnings"
        " JOIN conditions USING (study, condition) WHERE study = $study ORDER BY position, task, warning"
    ),
    "learning": (
        "SELECT curve, condition, task, language, metric, examples, value, seeds, by_seed, low, high FROM learning_curves"
        " WHERE study = $study AND split = $split ORDER BY task, language, curve, examples, condition"
    ),
    "curves": (  # seeds together: their mean
        "SELECT condition, target, step, measure, optimizer_step, avg(value) AS value FROM training_curves"
        " WHERE study = $study AND kind <> 'pretrain' AND measure IN ('loss', 'dev', 'tokens_per_s', 'memory_mb')"
        " GROUP BY ALL ORDER BY ALL"
    ),
    "trials": (
        "SELECT condition, task, seed, trial, settings, dev, optimizer_step, chosen FROM grid_trials"
        " JOIN conditions USING (study, condition) WHERE study = $study ORDER BY task, position, seed, trial"
    ),
    "contracts": (
        "SELECT dataset, language, split, ok, rules, violations FROM contracts WHERE study = $study"
        " ORDER BY ok, dataset, language, split"
    ),
    "overlaps": (
        "SELECT seen, seen_for, tested, examples, found, share, ways, leak, allowed FROM shared_examples WHERE study = $study"
        " ORDER BY leak DESC, share DESC, seen, tested"
    ),
    "stages": (
        "SELECT kind, count(*) AS stages, sum(seconds) AS seconds, sum(gpu_seconds) AS gpu_seconds,"
        " max(peak_memory_bytes) AS peak_memory_bytes FROM stage_cost WHERE study = $study AND current"
        " GROUP BY kind ORDER BY min(started), kind"
    ),
    "commits": (
        "SELECT git_commit, count(*) AS stages FROM stages WHERE study = $study AND current GROUP BY ALL ORDER BY ALL"
    ),
    "machines": (
        "SELECT host, processor, device, count(*) AS stages FROM stages WHERE study = $study AND current GROUP BY ALL ORDER BY ALL"
    ),
    "libraries": "SELECT DISTINCT libraries FROM stages WHERE study = $study AND current ORDER BY ALL",
    "data": (
        "SELECT DISTINCT i.input, i.digest FROM stage_inputs i JOIN stages k USING (study, stage_key)"
        " LEFT JOIN stages up ON up.study = i.study AND up.digest = i.digest"
        " WHERE i.study = $study AND k.current AND up.stage_key IS NULL ORDER BY ALL"
    ),
    "times": "SELECT min(started) AS first, max(started) AS last FROM stages WHERE study = $study AND current",
}


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, **values: Any) -> list[Row]:
    cursor = connection.execute(sql, values)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _study(connection: duckdb.DuckDBPyConnection, study: str) -> Row:
    found = _rows(connection, "SELECT * FROM studies ORDER BY study")
    for row in found:
        if row["study"] == study:
            return row | {"recipe": json.loads(row["recipe"])}
    names = [row["study"] for row in found]
    raise UserError(f"no study {study!r} has landed", where="report", fix=nearest(study, names) if names else "")


def _split(connection: duckdb.DuckDBPyConnection, study: str) -> str:
    splits = [
        row["split"] for row in _rows(connection, "SELECT DISTINCT split FROM scores WHERE study = $study", study=study)
    ]
    if not splits:
        raise UserError("has no scores yet", where=f"study {study}", fix="run it to the end first")
    return "test" if "test" in splits else min(splits)


def _shown(about: Row, described: Sequence[Row], ranked: Sequence[str]) -> list[str]:
    """The conditions that are shown, best first: those that the study is about and its controls, then the best averages."""
    controls = {row["condition"] for row in described if is_control(json.loads(row["description"]))}
    named = (about["baseline"], about["recipe"].get("compare", {}).get("condition"))
    chosen = sorted(ranked, key=lambda one: (one not in named, one not in controls))[:SHOWN_CONDITIONS]
    return [one for one in ranked if one in chosen]


def _conditions(
    described: Sequence[Row], scores: Sequence[Row], averages: Sequence[Row], ranked: Sequence[Row]
) -> list[Row]:
    average = {row["condition"]: row["average"] for row in ranked}
    by_task: dict[str, dict[str, float]] = {}
    for row in scores:
        by_task.setdefault(row["condition"], {})[row["task"]] = row["value"]
    deviation: dict[str, dict[str, float | None]] = {}
    for row in (*scores, *({**row, "task": "average"} for row in averages)):
        deviation.setdefault(row["condition"], {})[row["task"]] = row["seed_sd"]
    return [
        {
            "condition": row["condition"],
            "description": json.loads(row["description"]),
            "average": average.get(row["condition"]),
            "tasks": by_task.get(row["condition"], {}),
            "seed_sd": deviation.get(row["condition"], {}),
        }
        for row in described
    ]


def _provenance(tables: Mapping[str, Sequence[Row]]) -> Row:
    libraries: dict[str, set[str]] = {}
    for row in tables["libraries"]:
        for name, version in json.loads(row["libraries"]).items():
            libraries.setdefault(name, set()).add(version)
    return {
        "commits": list(tables["commits"]),
        "machines": list(tables["machines"]),
        "libraries": {name: ", ".join(sorted(libraries[name])) for name in sorted(libraries)},
        "data": list(tables["data"]),
        "first": tables["times"][0]["first"],
        "last": tables["times"][0]["last"],
    }
