"""The sections that tell the outcome: answer, conditions, differences, languages, transfer gap, cost."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from xtreme_dag.core.durations import duration
from xtreme_dag.report.charts import cost_unit
from xtreme_dag.report.content import Content
from xtreme_dag.report.heat import MEAN
from xtreme_dag.report.markup import DASH, esc, interval, number, signed, size, table
from xtreme_dag.results.effects import Comparison, Effect
from xtreme_dag.results.wording import detail, headline

_MARKS = {"better": "better", "worse": "worse", "open": "not decided"}


def answer(content: Content) -> str:
    """Question, answer in a sentence, and the study in figures."""
    study = content.study
    languages = len({row["language"] for row in content.cells})
    commits = content.provenance["commits"]
    facts = [
        ("conditions", str(len(content.conditions) + content.left_out), f"baseline {study['baseline']}"),
        ("target tasks", str(len(content.tasks)), f"{content.split} split"),
        ("languages", str(languages), f"source {study['source_language']}"),
        ("seeds", str(len(study["seeds"]) or max(row["seeds"] for row in content.tasks)), "runs per condition"),
        ("compute", duration(sum(row["seconds"] for row in content.stages)), f"{sum(row['stages'] for row in content.stages):,} stages"),
    ]  # fmt: skip
    if content.contracts:
        broken = sum(not row["ok"] for row in content.contracts)
        facts.append(("data contracts", f"{len(content.contracts) - broken} of {len(content.contracts)}", "hold"))
    cards = "".join(f"<div><dt>{esc(a)}</dt><dd>{esc(b)}<small>{esc(c)}</small></dd></div>" for a, b, c in facts)
    commit = (
        f" {DASH} commit {esc(_short(commits[0]['git_commit']))}"
        if len(commits) == 1 and commits[0]["git_commit"]
        else ""
    )
    return (
        f'<p class="eyebrow">Study <strong>{esc(study["study"])}</strong>{commit}</p>'
        f"<h1>{esc(study['question'])}</h1>{_answers(content.comparisons)}"
        f'<dl class="facts">{cards}</dl>'
    )


def _answers(comparisons: Sequence[Comparison]) -> str:
    if not comparisons:
        return '<p class="lead">There is no second condition with scores, so nothing is compared yet.</p>'
    first, *others = comparisons
    headlines = "".join(f"<li>{_kept_together(headline(one))}</li>" for one in others)
    notes = list(dict.fromkeys(note for one in comparisons for note in one.notes))
    said = [f"{note[0].upper()}{note[1:]}." for note in notes]
    return (
        f'<p class="lead">{_kept_together(headline(first))}</p><p>{esc(detail(first))}</p>'
        + (f'<ul class="plain">{headlines}</ul>' if others else "")
        + (f'<p class="hint">{esc(" ".join(said))}</p>' if said else "")
    )


def _kept_together(sentence: str) -> str:
    """The sentence as HTML, with no line break inside `p = 0.01` or an interval."""
    parts = r"\bp [=<] [\d.]+|\d+% interval|\S+ to [+\u2212]?[\d.]+"
    return esc(re.sub(parts, lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), sentence))


def conditions(content: Content) -> str:
    """All conditions with their figures."""
    gains = {one.condition: one for one in content.comparisons}
    tasks = [row["task"] for row in content.tasks]
    best = {task: max(_values(content.conditions, task), default=None) for task in tasks}
    rows, marks = [], []
    for row in content.conditions:
        comparison = gains.get(row["condition"])
        is_baseline = row["condition"] == content.study["baseline"]
        marks.append("baseline" if is_baseline else "")
        rows.append(
            [
                esc(row["condition"]) + (' <span class="tag">baseline</span>' if is_baseline else ""),
                esc(_described(row["description"])),
                number(row["average"]),
                _gain(comparison.overall) if comparison else DASH,
                *(_figure(row["tasks"].get(task), best[task]) for task in tasks),
            ]
        )
    heads = ["condition", "what it is", "average", "over baseline", *tasks]
    left_out = (
        f'<p class="hint">{content.left_out} more conditions are in the database: '
        "<code>SELECT * FROM leaderboard</code>.</p>" if content.left_out else ""
    )  # fmt: skip
    return _section(
        "conditions",
        "Conditions",
        "The average is the unweighted mean over tasks of the mean over languages. The best figure of a task is bold.",
        table("Conditions", heads, rows, numeric=range(2, len(heads)), marks=marks) + left_out,
    )


def differences(content: Content) -> str:
    """The forest plot, and its table."""
    if not content.comparisons:
        return ""
    rows = [
        [
            esc(comparison.condition),
            esc(effect.task or "all tasks"),
            number(effect.baseline_value, 2),
            number(effect.value, 2),
            signed(effect.delta, 2),
            interval(effect.low, effect.high),
            f"{effect.p:.4f}",
            f"{effect.p_corrected:.4f}",
            number(effect.detectable),
            f"{effect.n:,}",
            _verdict(effect),
        ]
        for comparison in content.comparisons
        for effect in (*comparison.tasks, comparison.overall)
    ]
    first = content.comparisons[0]
    level = f"{first.confidence:.0%}"
    heads = ["condition", "task", "baseline", "score", "difference", f"{level} interval", "p", "p (Holm)", "needed", "examples", ""]  # fmt: skip
    text = (
        f"Points over {esc(content.study['baseline'])} on the {esc(content.split)} split, with {level} intervals: paired "
        f"bootstrap over examples ({first.resamples:,} resamples), the spread of the seeds included; verdicts after "
        "Holm's correction over tasks. <em>Needed</em> is the difference that such a study would find four times in five."
    )
    return _section(
        "differences",
        "Is the difference real?",
        text,
        _chart("forest") + _details("The figures as a table", table("Differences", heads, rows, numeric=range(2, 10))),
    )


def languages(content: Content) -> str:
    """The heat map with its controls and its table."""
    tasks = [row["task"] for row in content.tasks]
    names = [row["condition"] for row in content.conditions]
    families = sorted({row["family"] for row in content.cells})
    scripts = sorted({row["script"] for row in content.cells})
    order = [("name", "language"), ("family", "family"), *((f"c:{name}", f"{name}, largest first") for name in names)]
    if any(row["kinship"] is not None for row in content.cells):
        order.insert(2, ("kinship", "kinship to the source"))
    shows = [("delta", "points over the baseline"), ("value", "score")] if content.comparisons else [("value", "score")]
    controls = "".join(
        [
            _select("heat-task", "Task", [(t, t) for t in ([MEAN, *tasks] if len(tasks) > 1 else tasks)]),
            _select("heat-show", "Show", shows),
            _select("heat-family", "Family", [("", "all families"), *((f, f) for f in families)]),
            _select("heat-script", "Script", [("", "all scripts"), *((s, s) for s in scripts)]),
            _select("heat-sort", "Sort by", order),
        ]
    )
    heads = "".join(
        f'<th scope="col" data-sort="{esc(key)}"{kind}><button type="button">{esc(text)}</button></th>'
        for key, text, kind in [
            ("name", "language", ""),
            ("family", "family", ""),
            *((f"c:{name}", name, ' class="n"') for name in names),
        ]
    ).replace("</th>", "</th>\n", 2)
    heads = heads.replace("\n", "", 1).replace("\n", '<th scope="col">script</th>', 1)
    body = (
        f'<div class="controls">{controls}<output id="heat-count" aria-live="polite"></output></div>'
        + _chart("heat")
        + _details(
            "The same as a table (click a head to sort)",
            f'<div class="scroll"><table id="heat-table" aria-label="Languages and conditions"><thead><tr>{heads}</tr></thead><tbody id="heat-body"></tbody>'
            "</table></div>",
        )
    )
    text = (
        "One line per language, one column per condition. A star marks a difference that is established after Holm's "
        "correction over the languages of the task; the baseline's column shows its score."
    )
    return _section("languages", "Languages", text, body)


def transfer(content: Content) -> str:
    """The transfer gap."""
    if not content.gaps:
        return ""
    rows = [
        [
            esc(row["task"]),
            esc(row["condition"]),
            number(row["source_value"]),
            number(row["transfer_value"]),
            signed(row["gap"]),
            str(row["languages"]),
        ]
        for row in content.gaps
    ]
    heads = ["task", "condition", "source language", "mean of the others", "gap", "other languages"]
    return _section(
        "transfer",
        "Transfer gap",
        "How far the other languages (dot) lie from the source language (ring), that of target training.",
        _chart("gap") + _details("The figures as a table", table("Transfer gap", heads, rows, numeric=range(2, 6))),
    )


def costs(content: Content) -> str:
    """What a condition needs, and what it gains."""
    if not content.costs:
        return ""
    unit = cost_unit(content.costs)[0][0]
    rows = [
        [
            esc(row["condition"]),
            f"{row['stages']:,}",
            duration(row["seconds"]),
            duration(row["own_seconds"] or 0.0),
            duration(row["gpu_seconds"]),
            "" if row["tokens"] is None else f"{row['tokens']:,.0f}",
            "" if row["energy_wh"] is None else number(row["energy_wh"]),
            size(row["peak_memory_bytes"]),
            signed(row["gain"]),
        ]
        for row in content.costs
    ]
    heads = ["condition", "stages", "time", "of its own", "GPU time", "tokens", "energy (Wh)", "peak memory", "points over baseline"]  # fmt: skip
    text = (
        f"The {esc(unit.split()[0])} time of every stage that a condition hangs on, against its gain. A stage that several "
        "conditions share counts in each; <em>of its own</em> is what no other condition needs."
    )
    chart = _chart("cost") if content.comparisons and len(content.costs) > 1 else ""
    return _section(
        "cost", "Cost and gain", text, chart + table("Cost and gain", heads, rows, numeric=range(1, len(heads)))
    )


def _section(name: str, title: str, text: str, body: str) -> str:
    hint = f'<p class="hint">{text}</p>' if text else ""
    return f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{esc(title)}</h2>{hint}{body}</section>'


def _chart(name: str) -> str:
    return f'<figure class="chart" id="chart-{name}" style="margin-inline:0"></figure>'


def _details(title: str, body: str) -> str:
    return f"<details><summary>{esc(title)}</summary>{body}</details>"


def _select(name: str, label: str, options: Sequence[tuple[str, str]]) -> str:
    choices = "".join(f'<option value="{esc(value)}">{esc(text)}</option>' for value, text in options)
    return f'<label for="{name}">{esc(label)}<select id="{name}">{choices}</select></label>'


def _gain(effect: Effect) -> str:
    return f'<span class="{effect.verdict}">{signed(effect.delta)}</span> <small>[{interval(effect.low, effect.high)}]</small>'


def _verdict(effect: Effect) -> str:
    return f'<span class="tag {effect.verdict}">{_MARKS[effect.verdict]}</span>'


def _figure(value: float | None, best: float | None) -> str:
    return f"<strong>{number(value)}</strong>" if value is not None and value == best else number(value)


def _values(rows: Sequence[Mapping[str, Any]], task: str) -> list[float]:
    return [row["tasks"][task] for row in rows if task in row["tasks"]]


def _short(commit: str) -> str:
    return commit[:12]


def _described(value: Mapping[str, Any]) -> str:
    """What a condition is: its own words if it has some, else its mixture, budget and other settings in one line."""
    if value.get("description"):
        return str(value["description"])
    parts = []
    if "mixture" in value:
        parts.append(" + ".join(map(_component, value["mixture"])) or "no intermediate training")
    parts += [f"{_flat(amount)} {unit}" for unit, amount in (value.get("budget") or {}).items()]
    told = ("description", "mixture", "budget")
    return ", ".join([*parts, _flat({key: item for key, item in value.items() if key not in told})]).strip(", ")


def _component(part: Mapping[str, Any]) -> str:
    """One dataset of a mixture: name, languages, share if it is not all."""
    share = f", {part['share']:.0%}" if part.get("share", 1) != 1 else ""
    languages = " ".join(part.get("languages") or [])
    return (
        f"{part.get('dataset', _flat(dict(part)))} ({languages}{share})"
        if languages
        else str(part.get("dataset", _flat(dict(part))))
    )


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_flat(item)}" for key, item in value.items() if item not in (None, "", [], {}))
    if isinstance(value, list):
        return " + ".join(f"({_flat(item)})" if isinstance(item, dict) else _flat(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
