"""Values and phrases that the report's templates need beside its content: worked out, in words, without any markup."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from statistics import median
from typing import Any

from xtreme_dag.core.durations import duration
from xtreme_dag.report.charts import cost_unit, panel_name
from xtreme_dag.report.content import Content
from xtreme_dag.report.heat import MEAN
from xtreme_dag.results.effects import Comparison
from xtreme_dag.results.levels import Level
from xtreme_dag.results.wording import headline
from xtreme_dag.wiring.grids import in_words

_BESIDE = 6  # conditions whose languages are shown beside one another


def view(content: Content) -> dict[str, Any]:
    """Name -> value of what the templates read."""
    commits, about = content.provenance["commits"], content.provenance
    tasks = [row["task"] for row in content.tasks]
    comparisons = content.comparisons
    moments = dict.fromkeys(value.isoformat(" ", "minutes") for value in (about["first"], about["last"]) if value)
    return {
        "content": content,
        "study": content.study,
        "comparisons": comparisons,
        "commit": commits[0]["git_commit"] if len(commits) == 1 else None,
        "notes": list(dict.fromkeys(note for one in comparisons for note in one.notes if not note.startswith("warning: "))),
        "facts": _facts(content),
        "tasks": tasks,
        "controls": {one.condition for one in comparisons if one.control},
        "gains": {row["condition"]: None for row in content.conditions} | {c.condition: c.overall for c in comparisons},
        "best": {task: max((r["tasks"][task] for r in content.conditions if task in r["tasks"]), default=None) for task in tasks},
        "levels": _levels(content),
        "level_conditions": [row["condition"] for row in content.conditions],
        "heat": _controls(content, tasks),
        "cost_word": cost_unit(content.costs)[0][0].split()[0] if content.costs else "",
        "trainings": _trainings(content),
        "trials": _choices(content),
        "started": " to ".join(moments),
        "recipe": json.dumps(content.study["recipe"], indent=2, ensure_ascii=False, sort_keys=True),
    }  # fmt: skip


def kept_together(comparison: Comparison) -> str:
    """The answer in a sentence, with no line break inside `p = 0.01` or an interval."""
    parts = r"\bp [=<] [\d.]+|\d+% interval|\S+ to [+\u2212]?[\d.]+"
    return re.sub(parts, lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), headline(comparison))


def violation(rule: Mapping[str, Any]) -> tuple[str, str]:
    """Name of a broken rule, and all that the contract says of it in a line."""
    name = rule.get("rule") or rule.get("name") or "rule"
    rest = {key: value for key, value in rule.items() if key not in ("rule", "name", "ok")}
    said = (
        f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in rest.items()
        if value not in (None, "", [], {})
    )
    return str(name), "; ".join(said)


def _levels(content: Content) -> dict[tuple[str, str], dict[str, Level]]:
    """Task and part -> condition -> what it reaches there."""
    found: dict[tuple[str, str], dict[str, Level]] = {}
    for one in content.levels:
        found.setdefault((str(one.effect.task), one.effect.part), {})[one.condition] = one
    return found


def _facts(content: Content) -> list[tuple[str, str, str]]:
    """The study in figures: what is counted, how many, and of what."""
    study = content.study
    seeds = len(study["seeds"]) or max(row["seeds"] for row in content.tasks)
    seconds, stages = (sum(row[name] for row in content.stages) for name in ("seconds", "stages"))
    facts = [
        ("conditions", str(len(content.conditions) + content.left_out), f"baseline {study['baseline']}"),
        ("target tasks", str(len(content.tasks)), f"{content.split} split"),
        ("languages", str(len({row["language"] for row in content.cells})), f"source {study['source_language']}"),
        ("seeds", str(seeds), "runs per condition"),
        ("compute", duration(seconds), f"{stages:,} stages"),
    ]
    if content.contracts:
        held = sum(row["ok"] for row in content.contracts)
        facts.append(("data contracts", f"{held} of {len(content.contracts)}", "hold"))
    return facts


def _trainings(content: Content) -> list[dict[str, Any]]:
    """Each training in a line: where its loss began and ended, its best look at dev, its speed and memory."""
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in content.curves:  # in the order of the steps
        measures = found.setdefault((panel_name(row), row["condition"]), {"steps": []})
        measures.setdefault(row["measure"], []).append(row["value"])
        measures["steps"].append(row["optimizer_step"])
    return [
        {
            "training": training,
            "condition": condition,
            "steps": max(of["steps"]),
            "first": of["loss"][0] if "loss" in of else None,
            "last": of["loss"][-1] if "loss" in of else None,
            "dev": max(of["dev"]) if "dev" in of else None,
            "speed": median(of["tokens_per_s"]) if "tokens_per_s" in of else None,
            "memory": max(of["memory_mb"]) if "memory_mb" in of else None,
        }
        for (training, condition), of in found.items()
    ]


def _choices(content: Content) -> list[dict[str, Any]]:
    """Each choice among trials in a line: what was chosen, its figure on dev, and those of the others."""
    found: dict[tuple[str, str, int], list[Any]] = {}
    for row in content.trials:
        found.setdefault((row["task"], row["condition"], row["seed"]), []).append(row)
    lines = []
    for (task, condition, seed), rows in found.items():
        chosen = next(row for row in rows if row["chosen"])
        others = [row["dev"] for row in rows if row is not chosen]
        lines.append(
            {
                "task": task,
                "condition": condition,
                "seed": seed,
                "trials": len(rows),
                "chosen": in_words(chosen["settings"]),
                "dev": chosen["dev"],
                "next": max(others, default=None),
                "worst": min(others, default=None),
            }
        )
    return lines


def _controls(content: Content, tasks: list[str]) -> dict[str, list[tuple[str, str]]]:
    """The choices of each control of the heat map: value and text."""
    names = [row["condition"] for row in content.conditions]
    compared = [one.condition for one in content.comparisons]
    orders = [("name", "language"), ("family", "family"), *((f"c:{name}", f"{name}, largest first") for name in names)]
    if any(row["kinship"] is not None for row in content.cells):
        orders.insert(2, ("kinship", "kinship to the source"))
    shows = [("delta", "points over the baseline")] if content.comparisons else []
    return {
        "tasks": [(task, task) for task in ([MEAN, *tasks] if len(tasks) > 1 else tasks)],
        "shows": [*shows, ("value", "score")],
        "families": [("", "all families"), *((name, name) for name in sorted({r["family"] for r in content.cells}))],
        "scripts": [("", "all scripts"), *((name, name) for name in sorted({r["script"] for r in content.cells}))],
        "orders": orders,
        "compared": ([("", "all")] if len(compared) <= _BESIDE else []) + [(name, name) for name in compared],
    }
