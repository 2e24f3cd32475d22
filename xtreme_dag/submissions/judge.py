"""One language of one task: a label file and a prediction file in, rows with sufficient statistics out.

What makes evaluate.py fail is an error here, said in words. What it lets pass without a word (answers for unknown
questions, questions without an answer, doubled ids, labels that were blanked) is scored as there, with a warning.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.scoring import accuracy, mining, mlqa, ranking, squad
from xtreme_dag.scoring.columns import FloatArray
from xtreme_dag.submissions.layout import read_choices, read_lines, read_mapping, read_pairs, read_questions

BLANKED_FROM = 10
"""From how many examples on equal labels look like blanked ones."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The rows of one task in one language.

    Attributes:
        ids: unique ids: those of the files, or line (sentence) numbers from 0.
        gold: the right outcome as text; several ids or tags with blanks between them, several answers as JSON.
        predictions: the predicted outcome as text, written likewise; None where there is none.
        statistics: sufficient statistics, `s_*`, each (rows,).
        warnings: what evaluate.py passes over in silence.
    """

    ids: Sequence[str]
    gold: Sequence[str]
    predictions: Sequence[str | None]
    statistics: Mapping[str, FloatArray]
    warnings: Sequence[str] = field(default_factory=tuple)


Judge = Callable[[Path, Path, str], Judged]


def judge_labels(labels: Path, predictions: Path, language: str) -> Judged:
    """XNLI, PAWS-X (a label per line) and Tatoeba (the row of a foreign sentence per line): compared as text."""
    gold, given = read_lines(labels), read_lines(predictions)
    _same_number(gold, given, predictions)
    warnings = [*blanked(gold, labels), *byte_order_mark([gold, given], (labels, predictions))]
    return _matched(gold, given, gold, given, warnings)


def judge_choices(labels: Path, predictions: Path, language: str) -> Judged:
    """XCOPA: a JSON object with the `label` of a choice per line; 1 and 1.0 are the same, 1 and "1" are not."""
    gold, given = read_choices(labels), read_choices(predictions)
    _same_number(gold, given, predictions)
    texts = [[json.dumps(label, ensure_ascii=False) for label in side] for side in (gold, given)]
    warnings = blanked(gold, labels)
    if all(isinstance(label, str) for label in given) and not any(isinstance(label, str) for label in gold):
        warnings.append(f"{predictions}: the labels are texts, as {texts[1][0]}, and equal no number; all score 0")
    return _matched(gold, given, texts[0], texts[1], warnings)


def judge_squad(labels: Path, predictions: Path, language: str) -> Judged:
    """XQuAD, TyDiQA-GoldP: SQuAD v1.1's rules, whatever the language."""
    return _judge_answers(labels, predictions, squad.statistics)


def judge_mlqa(labels: Path, predictions: Path, language: str) -> Judged:
    """MLQA: the rules of the language of the context, which is that of the file."""
    if language not in mlqa.LANGUAGES:
        raise UserError(
            f"MLQA has no rules for language {language!r}", where=str(labels), fix=f"it has {', '.join(mlqa.LANGUAGES)}"
        )
    return _judge_answers(labels, predictions, lambda gold, given: mlqa.statistics(gold, given, language))


def judge_pairs(labels: Path, predictions: Path, language: str) -> Judged:
    """BUCC: foreign id, tab, English id per line, as two sets."""
    gold, given = read_pairs(labels), read_pairs(predictions)
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
    sources = sorted({source for side in sides for source, _ in side})
    by_source = [_targets(side) for side in sides]
    return Judged(
        ids=sources,
        gold=[" ".join(by_source[0].get(source, ())) for source in sources],
        predictions=[" ".join(by_source[1].get(source, ())) for source in sources],
        statistics=mining.statistics(sources, *sides),
        warnings=warnings,
    )


def judge_linking(labels: Path, predictions: Path, language: str) -> Judged:
    """Mewsli-X: id -> list with the gold entity, id -> list of entities, the best first."""
    gold, warnings = _gold_lists(labels)
    # The official scorer takes the first gold entity and strips it (and it alone).
    return _judge_ranking({key: [right[0].strip()] for key, right in gold.items()}, labels, predictions, warnings)


def judge_retrieval(labels: Path, predictions: Path, language: str) -> Judged:
    """LAReQA (no official file format): id -> list of gold candidates, id -> list of candidates, the best first."""
    gold, warnings = _gold_lists(labels)
    return _judge_ranking(gold, labels, predictions, warnings)


def _matched(
    gold: Sequence[Hashable],
    given: Sequence[Hashable],
    gold_texts: Sequence[str],
    texts: Sequence[str],
    warnings: Sequence[str],
) -> Judged:
    return Judged(
        ids=numbers(gold),
        gold=gold_texts,
        predictions=texts,
        statistics=accuracy.statistics(gold, given),
        warnings=warnings,
    )


def _judge_answers(
    labels: Path,
    predictions: Path,
    scorer: Callable[[Sequence[Sequence[str]], Sequence[str | None]], dict[str, FloatArray]],
) -> Judged:
    questions = read_questions(labels)
    some(questions, labels)
    answers, twice = read_mapping(predictions)
    odd = next((question.id for question in questions if not isinstance(answers.get(question.id, ""), str)), None)
    if odd is not None:
        raise UserError(f"the answer to {odd!r} is not a text", where=str(predictions))
    warnings = _ids_warnings([question.id for question in questions], answers, twice, predictions)
    if all(not text for question in questions for text in question.answers):
        warnings.append(f"{labels}: every gold answer is empty, the labels were blanked")
    given = [answers.get(question.id) for question in questions]
    return Judged(
        ids=_unique([question.id for question in questions]),
        gold=[json.dumps(question.answers, ensure_ascii=False) for question in questions],
        predictions=given,
        statistics=scorer([question.answers for question in questions], given),
        warnings=warnings,
    )


def _gold_lists(labels: Path) -> tuple[dict[str, list[str]], list[str]]:
    gold, twice = read_mapping(labels)
    some(gold, labels)
    for key, right in gold.items():
        if not isinstance(right, list) or not right or not all(isinstance(name, str) for name in right):
            raise UserError(f"the label of {key!r} is not a list of ids", where=str(labels))
    warnings = blanked([right[0] for right in gold.values()], labels)
    return gold, [*warnings, *([_doubled(labels, twice)] if twice else [])]


def _judge_ranking(
    gold: Mapping[str, Sequence[str]], labels: Path, predictions: Path, warnings: Sequence[str]
) -> Judged:
    given, twice = read_mapping(predictions)
    odd = next((key for key in gold if not isinstance(given.get(key, []), list | str)), None)
    if odd is not None:
        raise UserError(f"the prediction for {odd!r} is not a list of ids", where=str(predictions))
    texts = sum(isinstance(given.get(key), str) for key in gold)
    # What is not a text equals no id.
    ranked = [[name if isinstance(name, str) else "" for name in given.get(key, [])] for key in gold]
    return Judged(
        ids=list(gold),
        gold=[" ".join(right) for right in gold.values()],
        predictions=[" ".join(names) if key in given else None for key, names in zip(gold, ranked, strict=True)],
        statistics=ranking.statistics([set(right) for right in gold.values()], ranked),
        warnings=[
            *warnings,
            *_ids_warnings(list(gold), given, twice, predictions),
            *([f"{predictions}: {texts} predictions are a text, not a list; they score 0"] if texts else []),
        ],
    )


def _same_number(gold: Sequence[object], given: Sequence[object], predictions: Path) -> None:
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


def byte_order_mark(sides: Sequence[Sequence[str]], paths: Sequence[Path]) -> list[str]:
    """The warnings for files whose first label begins with a byte order mark."""
    marked = [path for path, side in zip(paths, sides, strict=True) if side and side[0].startswith("\ufeff")]
    return [f"{path}: a byte order mark is part of the first label, as for the official scorer" for path in marked]


def _ids_warnings(wanted: Sequence[str], given: Mapping[str, Any], twice: Sequence[str], path: Path) -> list[str]:
    known = set(wanted)
    missing, extra = [key for key in wanted if key not in given], [key for key in given if key not in known]
    warnings = [_doubled(path, twice)] if twice else []
    if missing:
        warnings.append(f"{path}: {len(missing)} of {len(wanted)} have no prediction and score 0, as {missing[0]!r}")
    if extra:
        warnings.append(f"{path}: {len(extra)} predictions have an unknown id and do not count, as {extra[0]!r}")
    return warnings


def _doubled(path: Path, twice: Sequence[str]) -> str:
    return f"{path}: {len(twice)} ids stand there twice, the last one counts, as {twice[0]!r}"


def _targets(pairs: Collection[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for source, target in sorted(pairs):
        grouped.setdefault(source, []).append(target)
    return grouped


def numbers(rows: Sequence[object]) -> list[str]:
    """Numbers of rows that have no ids, from 0."""
    return [str(number) for number in range(len(rows))]


def _unique(ids: Sequence[str]) -> list[str]:
    """Ids with `#2`, `#3`, ... at their repetitions (TyDiQA-GoldP train repeats ids)."""
    seen: Counter[str] = Counter()
    names = []
    for name in ids:
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return names
