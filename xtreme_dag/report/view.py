"""What the templates say beside the content itself: values that are worked out, in words, without any markup."""

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
from xtreme_dag.results.wording import headline
from xtreme_dag.wiring.grids import in_words

# Setting -> its value -> how a reader is told of it; nothing where it is the usual one.
_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "items": {
        "disjoint": "",
        "parallel": "the same items in every language",
        "independent": "items drawn for each language by itself",
    },
    "control": {"shuffled_labels": "labels shuffled"},
    "repeat": {"True": "examples may repeat"},
    "keep_heads": {"True": "heads kept from the step before"},
}


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
        "notes": list(dict.fromkeys(note for one in comparisons for note in one.notes)),
        "facts": _facts(content),
        "tasks": tasks,
        "controls": {one.condition for one in comparisons if one.control},
        "gains": {row["condition"]: None for row in content.conditions} | {c.condition: c.overall for c in comparisons},
        "best": {task: max((r["tasks"][task] for r in content.conditions if task in r["tasks"]), default=None) for task in tasks},
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


def described(condition: Mapping[str, Any]) -> str:
    """What a condition is: its own words if it has some, else its mixture, budget and other settings in one line.

    Settings that say nothing out of the ordinary are left out.
    """
    if condition.get("description"):
        return str(condition["description"])
    parts = []
    if "mixture" in condition:
        parts.append(" + ".join(map(_component, condition["mixture"])) or "no intermediate training")
    parts += [
        "all examples" if unit == "everything" else f"{_flat(amount)} {unit}"
        for unit, amount in (condition.get("budget") or {}).items()
        if amount is not None
    ]
    for key, value in condition.items():
        if key in ("description", "mixture", "budget", "then") or value in (None, False, "", [], {}):
            continue
        said = _SETTINGS.get(key, {}).get(str(value))
        parts.append(f"{key.replace('_', ' ')}: {_flat(value)}" if said is None else said)
    parts += [f"then {described(step)}" for step in condition.get("then") or ()]
    return ", ".join(part for part in parts if part)


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
    }


def _component(part: Mapping[str, Any]) -> str:
    """One dataset of a mixture: name, languages, share if it is not all."""
    name = str(part.get("dataset", _flat(dict(part))))
    share = f", {part['share']:.0%}" if part.get("share", 1) != 1 else ""
    languages = " ".join(part.get("languages") or [])
    return f"{name} ({languages}{share})" if languages else name


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_flat(item)}" for key, item in value.items() if item not in (None, "", [], {}))
    if isinstance(value, list):
        return " + ".join(f"({_flat(item)})" if isinstance(item, dict) else _flat(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
