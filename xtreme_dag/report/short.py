"""The short form of a report, for a place that shows Markdown and tables (Prefect's UI)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xtreme_dag.report.content import Content
from xtreme_dag.report.figures import interval, number, signed
from xtreme_dag.results.render import markdown
from xtreme_dag.results.warnings import line
from xtreme_dag.results.wording import answer_lines, headline


@dataclass(frozen=True, kw_only=True)
class Short:
    """A report in short.

    Attributes:
        markdown: question, answer, conditions, contracts.
        answer: what the study answers, in at most three sentences, and how many comparisons these leave out.
        table: one row per condition and task: languages (unseen in training by both sides, seen
            by one, or all where it is not known), score, difference, interval, p-values, verdict (JSON values).
    """

    markdown: str
    answer: list[str]
    table: list[dict[str, Any]]


def short_form(content: Content) -> Short:
    """What was read, in short."""
    answer = answer_lines(content.comparisons, content.left_out)
    return Short(markdown=_markdown(content), answer=answer, table=_table(content))


def _markdown(content: Content) -> str:
    gains = {one.condition: one.overall for one in content.comparisons}
    rows = []
    for row in content.conditions:
        gain = gains.get(row["condition"])
        rows.append(
            [
                row["condition"],
                number(row["average"]),
                signed(gain.delta) if gain else "baseline",
                interval(gain.low, gain.high) if gain else "",
                gain.part if gain else "",
                *(number(row["tasks"].get(task["task"])) for task in content.tasks),
            ]
        )
    heads = [
        "condition",
        "average",
        "over baseline",
        "interval",
        "in languages",
        *(task["task"] for task in content.tasks),
    ]
    answers = [f"- {headline(one)}" for one in content.comparisons] or ["- Nothing is compared yet."]
    broken = [row for row in content.contracts if not row["ok"]]
    contracts = f"{len(content.contracts) - len(broken)} of {len(content.contracts)} data contracts hold."
    data = [f"Not all of the published data were used: {'. '.join(content.data)}."] if content.data else []
    parts = [f"## {content.study['question']}", *data, "\n".join(answers), markdown(heads, rows)]
    if content.warnings:
        parts.append("\n".join(f"- Warning: {line(row)}" for row in content.warnings))
    return "\n\n".join([*parts, contracts] if content.contracts else parts) + "\n"


def _table(content: Content) -> list[dict[str, Any]]:
    return [
        {
            "condition": comparison.title,
            "task": effect.task or "all tasks",
            "languages": effect.part,
            "score": round(effect.value, 2),
            "difference": round(effect.delta, 2),
            "low": round(effect.low, 2),
            "high": round(effect.high, 2),
            "p": round(effect.p, 4),
            "p_corrected": round(effect.p_corrected, 4),
            "verdict": effect.verdict,
        }
        for comparison in content.comparisons
        for effect in comparison.rows
    ]
