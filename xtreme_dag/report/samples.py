"""A look at predictions: examples on which a condition and the baseline disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xtreme_dag.results.predictions import check_predictions
from xtreme_dag.results.query import reader

if TYPE_CHECKING:
    import duckdb

_EACH = 2
_LANGUAGES = 6
_LENGTH = 110
_QUALITY = {  # statistic -> how good the answer to one example is
    "s_correct": "s_correct",
    "s_f1": "s_f1",
    "s_ap": "s_ap",
    "s_tp": "s_tp * 2 - s_pred",
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One example that two conditions answered differently; all texts as the data have them, cut if long.

    Attributes:
        condition: the condition that is compared with the baseline.
        task, language, id: the example.
        gold: the right answer.
        prediction: the condition's answer.
        baseline_prediction: the baseline's answer.
        gained: True if the condition is right (or more so) and the baseline wrong.
    """

    condition: str
    task: str
    language: str
    id: str
    gold: str
    prediction: str
    baseline_prediction: str
    gained: bool


def samples(home: Path, study: str, split: str, baseline: str, conditions: Sequence[str]) -> list[Sample]:
    """Examples that the first condition gained and lost against the baseline, some for each task.

    They are chosen by a hash of their ids, so that they are the same each time and favour nobody, from the first seed
    and a few languages of each task.
    """
    if not conditions:
        return []
    root, found = Path(home).absolute(), []
    with reader(home, predictions=False) as connection:
        pairs = connection.execute(
            "SELECT a.task, a.language, a.predictions, b.predictions FROM evaluations a"
            " JOIN evaluations b USING (study, task, language, split, seed)"
            " WHERE study = ? AND split = ? AND a.condition = ? AND b.condition = ?"
            " QUALIFY seed = min(seed) OVER (PARTITION BY a.task)"
            "   AND row_number() OVER (PARTITION BY a.task ORDER BY md5(a.language)) <= ? ORDER BY ALL",
            [study, split, conditions[0], baseline, _LANGUAGES],
        ).fetchall()
        check_predictions(root, (root / path for pair in pairs for path in pair[2:]))
        for task in sorted({pair[0] for pair in pairs}):
            rows = [row for pair in pairs if pair[0] == task for row in _differing(connection, root, *pair[2:])]
            for gained in (True, False):
                chosen = sorted((row for row in rows if row[5] is gained), key=lambda row: row[6])[:_EACH]
                found += [
                    Sample(
                        condition=conditions[0],
                        task=task,
                        language=row[0],
                        id=row[1],
                        gold=_cut(row[2]),
                        prediction=_cut(row[3]),
                        baseline_prediction=_cut(row[4]),
                        gained=gained,
                    )
                    for row in chosen
                ]
    return found


def _differing(
    connection: duckdb.DuckDBPyConnection, root: Path, ours: str, theirs: str
) -> list[tuple[str, str, str, str, str, bool, str]]:
    """Some examples of one language on which the two sides differ in quality, as many gained as lost."""
    paths = [str(root / ours), str(root / theirs)]
    columns = {row[0] for row in connection.execute("DESCRIBE FROM read_parquet(?)", [paths[0]]).fetchall()}
    quality = next((sql for column, sql in _QUALITY.items() if column in columns), None)
    if quality is None:
        return []
    return connection.execute(
        "SELECT a.language, a.id, a.gold, a.prediction, b.prediction, a.quality > b.quality AS gained, md5(a.id) AS mark"
        f" FROM (SELECT *, {quality} AS quality FROM read_parquet(?)) a"
        f" JOIN (SELECT *, {quality} AS quality FROM read_parquet(?)) b USING (id)"
        " WHERE a.quality <> b.quality"
        " QUALIFY row_number() OVER (PARTITION BY gained ORDER BY mark, a.id) <= ?",
        [*paths, _EACH],
    ).fetchall()


def _cut(text: str | None) -> str:
    flat = " ".join((text or "").split())
    return flat if len(flat) <= _LENGTH else flat[: _LENGTH - 1] + "\N{HORIZONTAL ELLIPSIS}"
