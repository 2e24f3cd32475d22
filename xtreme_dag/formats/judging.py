"""Shared parts of the judges of formats: checks, warnings, and rows in the order of a table.

What makes evaluate.py fail is an error here, said in words. What it lets pass without a word (answers for unknown
questions, questions without an answer, doubled ids, labels that were blanked) is scored as there, with a warning.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.formats.declaration import Judged
from xtreme_dag.formats.layout import read_lines

FIRST = 3
"""Values of a file that a warning shows."""
BLANKED_FROM = 10
"""From how many examples on equal labels look like blanked ones."""


def judge_labels(labels: Path, predictions: Path, language: str) -> Judged:
    """A label per line, compared as text."""
    gold, given = read_lines(labels), read_lines(predictions)
    same_number(gold, given, predictions)
    warnings = [*blanked(gold, labels), *byte_order_mark([gold, given], (labels, predictions))]
    warnings += nothing_shared(gold, given, labels, predictions)
    return matched(gold, given, gold, given, warnings)


def matched(
    gold: Sequence[Hashable],
    given: Sequence[Hashable],
    gold_texts: Sequence[str],
    texts: Sequence[str],
    warnings: Sequence[str],
) -> Judged:
    """Rows without ids, right where two values are equal."""
    from xtreme_dag.scoring import accuracy

    statistics = accuracy.statistics(gold, given)
    return Judged(ids=numbers(gold), gold=gold_texts, predictions=texts, statistics=statistics, warnings=warnings)


def by_order(judged: Judged, ids: Sequence[str]) -> Judged:
    """Lines without ids: their rows are those of the table, in its order.

    Raises:
        UserError: another number of rows.
    """
    if len(ids) != len(judged.ids):
        raise UserError(f"{len(judged.ids)} lines for {len(ids)} rows of the canonical table")
    return replace(judged, ids=ids)


def same_number(gold: Sequence[object], given: Sequence[object], predictions: Path) -> None:
    """Refuses a prediction file with another number of lines than the labels have, or with none."""
    if len(gold) != len(given):
        raise UserError(
            f"{len(given)} lines for {len(gold)} labels",
            where=str(predictions),
            fix="one line per test example, in the order of the test file, and no blank line at the end",
        )
    some(gold, predictions)


def some(rows: Collection[Any], path: Path) -> None:
    """Refuses a file without examples."""
    if not rows:
        raise UserError("no examples", where=str(path))


def blanked(labels: Sequence[Hashable], path: Path) -> list[str]:
    """The warning for labels that are all equal, if they are."""
    if len(labels) >= BLANKED_FROM and len(set(labels)) == 1:
        return [f"{path}: all {len(labels)} labels are {labels[0]!r}, they look blanked; the scores mean nothing"]
    return []


def nothing_shared(
    gold: Collection[Hashable],
    given: Collection[Hashable],
    labels: Path,
    predictions: Path,
    so: str = "every score is 0",
) -> list[str]:
    """The warning for two files that have no value in common, as with numbers on one side and words on the other."""
    if not gold or not given or not set(gold).isdisjoint(given):
        return []
    ours, theirs = (", ".join(map(repr, dict.fromkeys(islice(side, FIRST)))) for side in (given, gold))
    return [f"{predictions}: nothing in it (as {ours}) occurs in {labels} (as {theirs}), so {so}"]


def byte_order_mark(sides: Sequence[Sequence[str]], paths: Sequence[Path]) -> list[str]:
    """The warnings for files whose first label begins with a byte order mark."""
    marked = [path for path, side in zip(paths, sides, strict=True) if side and side[0].startswith("\ufeff")]
    return [f"{path}: a byte order mark is part of the first label, as for the official scorer" for path in marked]


def ids_warnings(wanted: Sequence[str], given: Mapping[str, Any], twice: Sequence[str], path: Path) -> list[str]:
    """The warnings for ids that a prediction file lacks, that nobody asked for, and that it has twice."""
    asked = set(wanted)
    missing, extra = [key for key in wanted if key not in given], [key for key in given if key not in asked]
    warnings = doubled(path, twice)
    if missing:
        warnings.append(f"{path}: {len(missing)} of {len(wanted)} have no prediction and score 0, as {missing[0]!r}")
    if extra:
        warnings.append(f"{path}: {len(extra)} predictions have an unknown id and do not count, as {extra[0]!r}")
    return warnings


def doubled(path: Path, twice: Sequence[str]) -> list[str]:
    """The warning for ids that a file has twice, if there are any."""
    return [f"{path}: {len(twice)} ids stand there twice, the last one counts, as {twice[0]!r}"] if twice else []


def numbers(rows: Sequence[object]) -> list[str]:
    """Numbers of rows that have no ids, from 0."""
    return [str(number) for number in range(len(rows))]
