"""Two pools of sentences, some of which are translations of one another (BUCC)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from xtreme_dag.formats.declaration import Columns, Format, Judged, Layout, Sides
from xtreme_dag.formats.judging import nothing_shared
from xtreme_dag.formats.layout import Unlabelled, as_lines, read_lines


def _predictions(rows: Columns, asked: Columns) -> str:
    mined = zip(rows["id"], rows["prediction"], strict=True)
    return as_lines(f"{source}\t{target}" for source, targets in mined for target in (targets or "").split())


def _gold(asked: Columns) -> str:
    rows = zip(asked["id"], asked["gold"], strict=True)
    pairs = [f"{source}\t{target}" for source, targets in rows for target in targets or ()]
    # XTREME's download takes the gold pairs of the test part away.
    if not pairs:
        raise Unlabelled
    return as_lines(pairs)


def judge_pairs(labels: Path, predictions: Path, language: str) -> Judged:
    """Foreign id, tab, English id per line, as two sets."""
    from xtreme_dag.scoring import mining

    gold, given = ([tuple(line.split("\t")) for line in read_lines(path)] for path in (labels, predictions))
    warnings = []
    for path, pairs in ((labels, gold), (predictions, given)):
        malformed = [pair for pair in pairs if len(pair) != 2]
        if malformed:
            shown = "\t".join(malformed[0])
            warnings.append(f"{path}: {len(malformed)} lines are not two ids with a tab between them, as {shown!r}")
        if len(set(pairs)) < len(pairs):
            warnings.append(f"{path}: {len(pairs) - len(set(pairs))} pairs stand there twice and count once")
    if not gold:
        warnings.append(f"{labels}: no gold pairs, every score is 0")
    sides = [{(pair[0], "\t".join(pair[1:])) for pair in pairs} for pairs in (gold, given)]
    warnings += _apart(sides[0], sides[1], labels, predictions)
    sources = sorted({source for side in sides for source, _ in side})
    by_source = [mining.by_source(sorted(side)) for side in sides]
    return Judged(
        ids=sources,
        gold=[" ".join(by_source[0].get(source, ())) for source in sources],
        predictions=[" ".join(by_source[1].get(source, ())) for source in sources],
        statistics=mining.statistics(sources, *sides),
        warnings=warnings,
    )


def _apart(gold: set[tuple[str, str]], given: set[tuple[str, str]], labels: Path, predictions: Path) -> list[str]:
    """The warning for pairs with the sides swapped, or with ids that the labels do not have."""
    if gold & given:
        return []
    if gold & {(target, source) for source, target in given}:
        return [
            f"{predictions}: the sides are swapped, a line is a foreign id and then an English one; every score is 0"
        ]
    (right, given_ids), (right_english, english) = (
        [list(dict.fromkeys(pair[side] for pair in sorted(pairs))) for pairs in (gold, given)] for side in (0, 1)
    )
    return nothing_shared(right, given_ids, labels, predictions) or nothing_shared(
        right_english, english, labels, predictions
    )


def _identify(judged: Judged, ids: Sequence[str]) -> Judged:
    """A row for every foreign sentence, also where nothing is gold and nothing was mined."""
    import numpy as np

    place = {name: row for row, name in enumerate(judged.ids)}
    everything = [*ids, *sorted(place.keys() - set(ids))]
    rows = np.array([place.get(name, -1) for name in everything], dtype=np.intp)
    return replace(
        judged,
        ids=everything,
        gold=[judged.gold[row] if row >= 0 else "" for row in rows],
        predictions=[judged.predictions[row] if row >= 0 else "" for row in rows],
        statistics={name: np.append(column, 0.0)[rows] for name, column in judged.statistics.items()},
    )


FORMAT = Format(
    name="bitext_mining",
    columns={"side": "string", "text": "string", "gold": "list<string>"},
    texts=("text",),
    shown="text",
    counted={"sides": "side"},
    sides=Sides(asking="foreign", found="english", always_gold=False, alike=True),
    against_english=True,
    generator="mining",
    layout=Layout(
        suffix="tsv", family="mining", predictions=_predictions, gold=_gold, judge=judge_pairs, identify=_identify
    ),
)
