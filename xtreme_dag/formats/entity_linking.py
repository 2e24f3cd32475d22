"""Mentions in context and the entities that they name, in one pool of all languages (Mewsli-X)."""

from __future__ import annotations

from pathlib import Path

from xtreme_dag.formats import ranking
from xtreme_dag.formats.declaration import Format, Judged, Layout, Sides


def side_text(side: str, text: str, context: str | None) -> str:
    """A mention before its sentence, an entity's name before its description (XTREME-R's inputs of Mewsli-X)."""
    if not context:
        return text
    return f"{text}: {context}" if side == "mention" else f"{text} {context}"


def judge_linking(labels: Path, predictions: Path, language: str) -> Judged:
    """Id -> list with the gold entity, id -> list of entities, the best first."""
    right, warnings = ranking.gold_lists(labels)
    # The official scorer takes the first gold entity and strips it (and it alone).
    first = {key: [names[0].strip()] for key, names in right.items()}
    return ranking.judge_ranking(first, labels, predictions, warnings)


FORMAT = Format(
    name="entity_linking",
    columns={"side": "string", "text": "string", "context": "string", "gold": "list<string>"},
    texts=("context",),
    shown="context",
    counted={"sides": "side"},
    sides=Sides(asking="mention", found="entity", pooled=True),
    side_text=side_text,
    generator="entities",
    generated=2000,  # beyond, the miniworld cannot tell its people apart
    layout=Layout(
        suffix="json", family="ranking", predictions=ranking.predictions, gold=ranking.gold, judge=judge_linking
    ),
)
