"""Questions and sentences that answer them, in one pool of all languages (LAReQA)."""

from __future__ import annotations

from pathlib import Path

from xtreme_dag.formats import ranking
from xtreme_dag.formats.declaration import Format, Judged, Layout, Sides


def side_text(side: str, text: str, context: str | None) -> str:
    """A question alone, an answer sentence followed at once by its paragraph (XTREME-R's inputs of LAReQA)."""
    return (text + context).replace("\n", "") if context and side == "candidate" else text


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
    side_text=side_text,
    generator="answers",
    layout=Layout(
        suffix="json", family="ranking", predictions=ranking.predictions, gold=ranking.gold, judge=judge_retrieval
    ),
)
