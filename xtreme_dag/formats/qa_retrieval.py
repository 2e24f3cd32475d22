"""Questions and sentences that answer them, in one pool of all languages (LAReQA)."""

from __future__ import annotations

from pathlib import Path

from xtreme_dag.formats import ranking
from xtreme_dag.formats.declaration import Format, Judged, Layout, Sides


def judge_retrieval(labels: Path, predictions: Path, language: str) -> Judged:
    """No official file format: id -> list of gold candidates, id -> list of candidates, the best first."""
    right, warnings = ranking.gold_lists(labels)
    return ranking.judge_ranking(right, labels, predictions, warnings)


FORMAT = Format(
    name="qa_retrieval",
    columns={"side": "string", "text": "string", "context": "string", "gold": "list<string>"},
    texts=("text", "context"),
    shown="text",
    compared=("text",),
    counted={"sides": "side"},
    sides=Sides(asking="question", found="candidate", one_language=True, pooled=True),
    generator="answers",
    layout=Layout(
        suffix="json", family="ranking", predictions=ranking.predictions, gold=ranking.gold, judge=judge_retrieval
    ),
)
