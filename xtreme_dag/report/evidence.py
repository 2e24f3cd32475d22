"""The sections that back the outcome: published numbers, predictions, contracts, provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from xtreme_dag.core.durations import duration
from xtreme_dag.report.content import Content
from xtreme_dag.report.markup import DASH, esc, number, signed, size, table
from xtreme_dag.report.sections import _details, _section

_SHOWN_RULES = 5


def published(content: Content) -> str:
    """Others' numbers beside ours, where the task and metric are the same."""
    rows = [
        [
            esc(row["system"]),
            esc(row["task"]),
            esc(row["published_metric"]),
            number(row["published"]),
            esc(row["condition"]),
            number(row["ours"]),
            signed(row["difference"]),
            f"{esc(row['note'])} <small>[{esc(row['source'])}]</small>",
        ]
        for row in content.published
        if row["ours"] is not None
    ]
    if not rows:
        return ""
    heads = ["system", "task", "metric", "published", "condition", "ours", "difference", "how it differs, and where it was read"]  # fmt: skip
    return _section(
        "published",
        "Beside published numbers",
        "Means over languages. They compare only where model, data and languages are the same; the last column says what is not.",
        _details(f"{len(rows)} comparisons", table("Published numbers and ours", heads, rows, numeric=(3, 5, 6))),
    )


def predictions(content: Content) -> str:
    """Examples that the best condition gained and lost."""
    if not content.samples:
        return ""
    rows = [
        [
            esc(sample.task),
            esc(sample.language),
            f"<code>{esc(sample.id)}</code>",
            f"<bdi>{esc(sample.gold)}</bdi>",
            f"<bdi>{esc(sample.prediction)}</bdi>",
            f"<bdi>{esc(sample.baseline_prediction)}</bdi>",
            '<span class="tag better">gained</span>' if sample.gained else '<span class="tag worse">lost</span>',
        ]
        for sample in content.samples
    ]
    name = content.samples[0].condition
    heads = ["task", "language", "example", "right answer", name, content.study["baseline"], ""]
    return _section(
        "predictions",
        "A look at predictions",
        f"Some examples that {esc(name)} gained and lost against {esc(content.study['baseline'])}, picked by a hash of "
        "their ids from the first seed. All others are in the view <code>predictions</code>.",
        table("Predictions", heads, rows),
    )


def contracts(content: Content) -> str:
    """What the data contracts said."""
    if not content.contracts:
        return ""
    broken = [row for row in content.contracts if not row["ok"]]
    rows = [
        [
            esc(row["dataset"]),
            esc(row["language"]),
            esc(row["split"]),
            f"{row['rules']}",
            "<ul class='plain'>"
            + "".join(f"<li>{_violation(one)}</li>" for one in row["violations"][:_SHOWN_RULES])
            + "</ul>",
        ]
        for row in broken
    ]
    by_dataset: dict[str, list[bool]] = {}
    for row in content.contracts:
        by_dataset.setdefault(row["dataset"], []).append(row["ok"])
    held = [
        [esc(name), str(len(states)), str(sum(states)), str(len(states) - sum(states))]
        for name, states in sorted(by_dataset.items())
    ]
    said = (
        f"{len(broken)} of {len(content.contracts)} tables broke their contract; what depends on them did not run."
        if broken
        else f"All {len(content.contracts)} tables hold what their contracts promise."
    )
    body = (
        table("Broken contracts", ["dataset", "language", "split", "rules", "what is broken"], rows, numeric=(3,))
        if broken
        else ""
    )
    return _section(
        "contracts",
        "Data contracts",
        esc(said),
        body
        + _details(
            "By dataset",
            table("Contracts by dataset", ["dataset", "tables", "hold", "broken"], held, numeric=(1, 2, 3)),
        ),
    )


def provenance(content: Content) -> str:
    """What was run, from which commit, with which data."""
    about = content.provenance
    span = " to ".join(
        dict.fromkeys(value.isoformat(" ", "minutes") for value in (about["first"], about["last"]) if value)
    )
    commits = ", ".join(
        f"<code>{esc(row['git_commit'] or 'unknown')}</code> ({row['stages']:,} stages)" for row in about["commits"]
    )
    machines = ", ".join(
        f"{esc(row['host'] or 'unknown')}, {esc(row['device'] or 'unknown')} ({row['stages']:,})"
        for row in about["machines"]
    )
    facts = [
        ["commit", commits or DASH],
        ["stages started (UTC)", esc(span) or DASH],
        ["machines", machines or DASH],
        ["libraries", esc(", ".join(f"{name} {version}" for name, version in about["libraries"].items())) or DASH],
        ["seeds", esc(", ".join(map(str, content.study["seeds"]))) or DASH],
    ]
    stages = [
        [
            esc(row["kind"]),
            f"{row['stages']:,}",
            duration(row["seconds"]),
            duration(row["gpu_seconds"]),
            size(row["peak_memory_bytes"]),
        ]
        for row in content.stages
    ]
    data = [[esc(row["input"]), f"<code>{esc(row['digest'])}</code>"] for row in about["data"]]
    recipe = json.dumps(content.study["recipe"], indent=2, ensure_ascii=False, sort_keys=True)
    body = (
        table("Provenance", ["what", "value"], facts)
        + table("Stages", ["kind of stage", "stages", "time", "GPU time", "peak memory"], stages, numeric=range(1, 5))
        + (
            _details(f"Digests of the raw data ({len(data)})", table("Raw data", ["input", "sha256"], data))
            if data
            else ""
        )
        + _details("Settings of the study", f"<pre>{esc(recipe)}</pre>")
    )
    return _section("provenance", "What was run", "", body)


def _violation(rule: Mapping[str, Any]) -> str:
    """A broken rule in one line, whatever the contract says of it."""
    name = rule.get("rule") or rule.get("name") or "rule"
    rest = [
        f"{key}: {_flat(value)}"
        for key, value in rule.items()
        if key not in ("rule", "name", "ok") and value not in (None, "", [], {})
    ]
    return f"<strong>{esc(name)}</strong> {esc('; '.join(rest))}"


def _flat(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
