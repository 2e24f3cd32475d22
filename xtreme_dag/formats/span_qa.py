"""Questions whose answers are spans of a context (XQuAD, MLQA, TyDiQA-GoldP)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xtreme_dag.core.errors import UserError
from xtreme_dag.formats.declaration import Columns, Format, Judged, Layout, Translation
from xtreme_dag.formats.judging import BLANKED_FROM, ids_warnings, some
from xtreme_dag.formats.layout import Unlabelled, as_json, read_json, read_mapping

if TYPE_CHECKING:
    from xtreme_dag.scoring.columns import FloatArray


def _predictions(rows: Columns, asked: Columns) -> str:
    answers = zip(rows["id"], rows["prediction"], strict=True)
    return as_json({name: answer for name, answer in answers if answer is not None})


def _gold(asked: Columns) -> str:
    paragraphs = []
    rows = zip(*(asked[column] for column in ("id", "question", "context", "answers")), strict=True)
    for name, question, context, right in rows:
        if not right:
            raise Unlabelled
        answers = [{"text": answer["text"], "answer_start": answer["start"]} for answer in right]
        paragraphs.append({"context": context, "qas": [{"id": name, "question": question, "answers": answers}]})
    return as_json({"version": "1.1", "data": [{"title": "", "paragraphs": paragraphs}]})


def read_questions(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Id and gold answers of each question of a SQuAD-format file, in order.

    Raises:
        UserError: not of that format, or a question without a gold answer.
    """
    content, _ = read_json(path)
    articles = content.get("data", content) if isinstance(content, dict) else content
    try:
        questions = [
            (qa["id"], tuple(answer["text"] for answer in qa["answers"]))
            for article in articles
            for paragraph in article["paragraphs"]
            for qa in paragraph["qas"]
        ]
    except (KeyError, TypeError) as error:
        lacks = f", {error} is missing" if isinstance(error, KeyError) else ""
        raise UserError(
            f"not labels of SQuAD format{lacks}",
            where=str(path),
            fix="labels are the release's own file (data, paragraphs, qas, answers); were the two folders swapped?",
        ) from None
    for name, answers in questions:
        if not all(isinstance(text, str) for text in (name, *answers)):
            raise UserError(f"question {name!r} has an id or an answer that is not a text", where=str(path))
    for name, answers in questions:
        if not answers:
            raise UserError(f"question {name!r} has no gold answer", where=str(path), fix="use the labelled release")
    return questions


def judge_squad(labels: Path, predictions: Path, language: str) -> Judged:
    """XQuAD, TyDiQA-GoldP: SQuAD v1.1's rules, whatever the language."""
    from xtreme_dag.scoring import squad

    return _judge(labels, predictions, squad.statistics)


def judge_mlqa(labels: Path, predictions: Path, language: str) -> Judged:
    """MLQA: the rules of the language of the context, which is that of the file."""
    from xtreme_dag.scoring import mlqa

    if language not in mlqa.LANGUAGES:
        raise UserError(
            f"MLQA has no rules for language {language!r}", where=str(labels), fix=f"it has {', '.join(mlqa.LANGUAGES)}"
        )
    return _judge(labels, predictions, lambda gold, given: mlqa.statistics(gold, given, language))


def _judge(
    labels: Path,
    predictions: Path,
    scorer: Callable[[Sequence[Sequence[str]], Sequence[str | None]], dict[str, FloatArray]],
) -> Judged:
    questions = read_questions(labels)
    some(questions, labels)
    answers, twice = read_mapping(predictions)
    ids, gold = [name for name, _ in questions], [right for _, right in questions]
    odd = next((name for name in ids if not isinstance(answers.get(name, ""), str)), None)
    if odd is not None:
        raise UserError(f"the answer to {odd!r} is not a text", where=str(predictions))
    given = [answers.get(name) for name in ids]
    statistics = scorer(gold, given)
    warnings = ids_warnings(ids, answers, twice, predictions)
    answered = [answer for answer in given if answer]
    if all(not text for right in gold for text in right):
        warnings.append(f"{labels}: every gold answer is empty, the labels were blanked")
    elif len(answered) >= BLANKED_FROM and not any(column.any() for column in statistics.values()):
        warnings.append(
            f"{predictions}: none of its {len(answered)} answers (as {answered[0]!r}) shares a word with a right one"
            f" (as {gold[0][0]!r}), so every score is 0"
        )
    return Judged(
        ids=_unique(ids),
        gold=[json.dumps(right, ensure_ascii=False) for right in gold],
        predictions=given,
        statistics=statistics,
        warnings=warnings,
    )


def _unique(ids: Sequence[str]) -> list[str]:
    """Ids with `#2`, `#3`, ... at their repetitions (TyDiQA-GoldP train repeats ids)."""
    seen: Counter[str] = Counter()
    names = []
    for name in ids:
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return names


FORMAT = Format(
    name="span_qa",
    columns={
        "title": "string",
        "context": "string",
        "question": "string",
        "answers": "list<answer>",
        "answerable": "bool",
    },
    texts=("context", "question"),
    shown="context",
    cluster="context",
    cluster_if_asked=True,
    translation=Translation(texts=("title", "context", "question"), follows="answers"),
    generator="questions",
    # evaluate.py chooses the rules by the task's name; of the QA tasks MLQA alone has its own.
    layout=Layout(
        suffix="json",
        family="answers",
        predictions=_predictions,
        gold=_gold,
        judge=judge_squad,
        judges={"mlqa": judge_mlqa},
    ),
)
