"""Example predictions: tested examples on which a condition and the baseline disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xtreme_dag.core.home import Home
from xtreme_dag.results.predictions import check_predictions
from xtreme_dag.results.query import reader
from xtreme_dag.results.views import text_columns

if TYPE_CHECKING:
    import duckdb

_EACH = 2
_LANGUAGES = 6
_LENGTH = 110
_TEXT_LENGTH = 240
_DOTS = "\N{HORIZONTAL ELLIPSIS}"
_QUALITY = {  # statistic -> how good the answer to one example is
    "s_correct": "s_correct",
    "s_f1": "s_f1",
    "s_ap": "s_ap",
    "s_tp": "s_tp * 2 - s_pred",
    "s_joint": "s_joint",
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
        texts: the texts of the example by column, a long one cut to what is around the right answer; none where its table
            is not here.
        gained: True if the condition is right (or more so) and the baseline wrong.
    """

    condition: str
    task: str
    language: str
    id: str
    gold: str
    prediction: str
    baseline_prediction: str
    texts: tuple[tuple[str, str], ...]
    gained: bool


def samples(home: Home, study: str, split: str, baseline: str, conditions: Sequence[str]) -> list[Sample]:
    """Examples that the first condition gained and lost against the baseline, some for each task.

    They are chosen by a hash of their ids, so that they are the same each time and favour nobody, from the first seed
    and a few languages of each task.
    """
    if not conditions:
        return []
    root, found = home.root.absolute(), []
    with reader(home, predictions=False) as connection:
        pairs = connection.execute(
            "SELECT a.task, a.language, a.texts, a.predictions, b.predictions FROM evaluations a"
            " JOIN evaluations b USING (study, task, language, split, seed)"
            " WHERE study = ? AND split = ? AND a.condition = ? AND b.condition = ?"
            " QUALIFY seed = min(seed) OVER (PARTITION BY a.task)"
            "   AND row_number() OVER (PARTITION BY a.task ORDER BY md5(a.language)) <= ? ORDER BY ALL",
            [study, split, conditions[0], baseline, _LANGUAGES],
        ).fetchall()
        check_predictions(home, (root / path for pair in pairs for path in pair[3:]))
        tables = {pair[:2]: root / pair[2] for pair in pairs if pair[2] and (root / pair[2]).is_file()}
        check_predictions(home, tables.values())
        for task in sorted({pair[0] for pair in pairs}):
            rows = [row for pair in pairs if pair[0] == task for row in _differing(connection, root, *pair[3:])]
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
                        texts=_texts(connection, tables.get((task, row[0])), row[1]),
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


def _texts(connection: duckdb.DuckDBPyConnection, table: Path | None, example: str) -> tuple[tuple[str, str], ...]:
    """The texts of an example, from its canonical table."""
    if table is None:
        return ()
    cursor = connection.execute("FROM read_parquet(?) WHERE id = ?", [str(table), example])
    names = [column[0] for column in cursor.description or ()]
    row = next((dict(zip(names, values, strict=True)) for values in cursor.fetchall()), {})
    starts = [answer["start"] for answer in row.get("answers") or ()]
    found = []
    for name in (name for name in text_columns() if row.get(name)):
        text = row[name] if isinstance(row[name], str) else (" " if name == "words" else " / ").join(row[name])
        found.append((name, _around(text, starts[0] if starts and name == "context" else 0)))
    return tuple(found)


def _around(text: str, start: int) -> str:
    """A text, of a long one what is around a place in it."""
    low = max(0, min(start - _TEXT_LENGTH // 3, len(text) - _TEXT_LENGTH))
    part = " ".join(text[low : low + _TEXT_LENGTH].split())
    return f"{_DOTS if low else ''}{part}{_DOTS if low + _TEXT_LENGTH < len(text) else ''}"


def _cut(text: str | None) -> str:
    flat = " ".join((text or "").split())
    return flat if len(flat) <= _LENGTH else flat[: _LENGTH - 1] + _DOTS
