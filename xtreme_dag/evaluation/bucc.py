"""Evaluate bitext mining between English and another language: BUCC 2018.

The threshold on a pair's score is chosen on the dev split and applied to the test split: the evaluation of dev writes
it to its `scores.json`, and the evaluation of test takes that artifact as its input `calibration`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xtreme_dag.core.context import StageContext
from xtreme_dag.evaluation.embeddings import embed, special_ids
from xtreme_dag.evaluation.engine import model_of, sequences_of, settings_of
from xtreme_dag.evaluation.mining import distinct, id_pairs, mine
from xtreme_dag.scoring.columns import figures
from xtreme_dag.scoring.mining import FAMILY, accepted, best_threshold, by_source, statistics
from xtreme_dag.tables.canonical import read_table
from xtreme_dag.tables.encoded import open_encoded
from xtreme_dag.tables.predictions import rounded, rows_in_order, write_evaluation, write_parquet

NEIGHBOURS = 4


def evaluate_bucc(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Mines the pairs of one language and scores those above the threshold.

    One row per foreign sentence: gold and prediction are English ids (several with a blank between them, "" for
    none), the score is that of the sentence's best mined pair, taken or not. `pairs.parquet` has every mined pair.

    Args:
        params: `task`, `language`, `split`, `recipe`: `layer`, `pooling` (see `embed`), `margin` (`ratio` or
            `cosine`), `margin_k` (neighbours, 4), `repeats` (`dropped` or `all`, see `id_pairs`), `precision`.
        inputs: `model`, `encoded`, `table`; `calibration`, the evaluation of the dev split, whose threshold is used.
            Without it the threshold is chosen on these very sentences, and `scores.json` says so.
        context: see `settings_of` for the options.
    """
    recipe = params.get("recipe") or {}
    settings = settings_of(recipe, context)
    encoded = open_encoded(inputs["encoded"])
    table = rows_in_order(read_table(inputs["table"]), encoded.example_ids, params["task"])
    model = model_of(inputs, settings.device)
    vectors = embed(
        sequences_of([encoded]),
        special_ids(encoded),
        model,
        settings,
        task=params["task"],
        recipe=recipe,
        progress=context.progress,
    )
    names, texts, sides = (table[column].to_pylist() for column in ("id", "text", "side"))
    rows = {side: [row for row, name in enumerate(sides) if name == side] for side in ("foreign", "english")}
    foreign, english = (
        distinct([names[row] for row in rows[side]], [texts[row] for row in rows[side]]) for side in rows
    )
    places = {side: np.array(rows[side], dtype=np.int64) for side in rows}
    mined = mine(
        vectors[places["foreign"][foreign.first]],
        vectors[places["english"][english.first]],
        k=int(recipe.get("margin_k") or NEIGHBOURS),
        margin=str(recipe.get("margin") or "ratio"),
        device=settings.device,
    )
    pairs = id_pairs(mined, foreign, english, repeats=str(recipe.get("repeats") or "dropped"))
    sources = [names[row] for row in rows["foreign"]]
    tokens = encoded.example_lengths[places["foreign"]]
    listed = table["gold"].to_pylist()
    gold = [(names[row], other) for row in rows["foreign"] for other in listed[row] or []]
    threshold, chosen_on = _threshold(inputs, pairs, gold, str(params["split"]))
    _write(params, context, sources, tokens, pairs, gold, {"threshold": threshold, "threshold_chosen_on": chosen_on})
    return {"examples": len(sources), "pairs": len(pairs), "tokens": int(encoded.lengths.sum())}


def _threshold(
    inputs: Mapping[str, Path],
    pairs: Sequence[tuple[str, str, float]],
    gold: Sequence[tuple[str, str]],
    split: str,
) -> tuple[float, str]:
    """The threshold and the split that it was chosen on."""
    if "calibration" in inputs:
        dev = json.loads((inputs["calibration"] / "scores.json").read_text(encoding="utf-8"))
        return float(dev["threshold"]), str(dev["split"])
    wanted = set(gold)
    right = [(source, target) in wanted for source, target, _ in pairs]
    return best_threshold([score for *_, score in pairs], right, len(wanted)), split


def _write(
    params: Mapping[str, Any],
    context: StageContext,
    sources: Sequence[str],
    tokens: NDArray[np.int64],
    pairs: Sequence[tuple[str, str, float]],
    gold: Sequence[tuple[str, str]],
    details: Mapping[str, Any],
) -> None:
    taken = accepted([score for *_, score in pairs], details["threshold"]).tolist()
    given = [(source, target) for (source, target, _), take in zip(pairs, taken, strict=True) if take]
    best: dict[str, float] = {}
    for source, _, score in pairs:
        best.setdefault(source, score)
    right = statistics(sources, gold, given)
    wanted, found = by_source(gold), by_source(given)
    write_evaluation(
        context.out,
        params,
        ids=sources,
        languages=[str(params["language"])] * len(sources),
        tokens=tokens,
        gold=[" ".join(wanted.get(source, ())) for source in sources],
        predictions=[" ".join(found.get(source, ())) for source in sources],
        scores=[best.get(source, 0.0) for source in sources],
        statistics=right,
        metrics=figures(FAMILY.metrics, right) if gold else {},
        primary=FAMILY.primary,
        details=details,
    )
    columns = {
        "foreign": pa.array([source for source, _, _ in pairs], pa.string()),
        "english": pa.array([target for _, target, _ in pairs], pa.string()),
        "score": pa.array(rounded([score for *_, score in pairs]), pa.float32()),
        "taken": pa.array(taken, pa.bool_()),
    }
    write_parquet(pa.table(columns), context.out / "pairs.parquet")
