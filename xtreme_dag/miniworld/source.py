"""The miniworld as a source of data: every format of the benchmark, in every language, with its gold labels."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa

from xtreme_dag import formats
from xtreme_dag.catalogue.miniworld_languages import language_of
from xtreme_dag.core.dialogue import as_labels
from xtreme_dag.core.english import ENGLISH
from xtreme_dag.core.errors import UserError
from xtreme_dag.miniworld import dialogues, pairs, questions, retrieval, tagging, texts
from xtreme_dag.miniworld.grammar import question, sentence, text
from xtreme_dag.miniworld.meanings import part, randomness
from xtreme_dag.miniworld.world import Event
from xtreme_dag.tables.canonical import SCHEMAS

Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What some generators need to know besides split, number of rows and language; see `table`."""

    dataset: str
    labels: Sequence[str] | None
    unanswerable: float
    choices: int


Generator = Callable[[random.Random, str, int, str, Settings], Rows]


def table(
    format: str,
    *,
    dataset: str,
    language: str,
    split: str,
    rows: int,
    seed: int,
    labels: Sequence[str] | None = None,
    unanswerable: float = 0.0,
    choices: int = 2,
) -> pa.Table:
    """One split of one dataset in one language, as a canonical table.

    Tables of the same format, dataset, split and seed are parallel: row by row the same id and the same meaning in
    every language (candidate answers, which are pooled over languages, have the language before it). Fewer rows are
    the beginning of more rows, but for the formats with pools (bitext_mining, qa_retrieval, entity_linking). Splits
    share no meaning, whatever the dataset and the seed; datasets are drawn independently.

    Args:
        format: one of the canonical formats.
        dataset: any name; it only makes the table different from another dataset's.
        language: a code of `catalogue.miniworld_languages`.
        split: a name that starts with train, dev (or valid) or test.
        rows: how many rows; in pools both sides count, half and half.
        seed: of the whole miniworld's data.
        labels: the label set: contradiction, entailment, neutral for inference or two labels for paraphrase;
            universal parts of speech, IOB2 entities or combinatory categories for tagging; slots and values for
                dialogue_state. None: the first of each.
        unanswerable: the share of questions without an answer (span_qa).
        choices: how many choices a question has (multiple_choice).

    Raises:
        UserError: an unknown format, language or split, a label set that the world cannot derive, or more rows than
            it has meanings for.
    """
    generator = formats.get(format, where="miniworld").generator
    if generator not in GENERATORS:
        raise UserError(f"the miniworld makes no table of format {format!r}", where=dataset)
    language_of(language)
    part(split)
    if rows < 0:
        raise UserError(f"{rows} rows", where="miniworld", fix="rows is at least 0")
    rng = randomness(format=format, dataset=dataset, split=split, seed=seed)
    settings = Settings(dataset=dataset, labels=labels, unanswerable=unanswerable, choices=choices)
    made = GENERATORS[generator](rng, split, rows, language, settings)
    for number, row in enumerate(made):
        row.setdefault("id", f"{split}-{number:06d}")
        row.update(language=language, split=split)
    return pa.Table.from_pylist(made, schema=SCHEMAS[format])


def _said(event: Event, code: str) -> str:
    return text(sentence(event, code), code)


def _line(line: texts.Line, code: str) -> str:
    return text(texts.words_of(line, code), code)


def _pair_rows(rng: random.Random, split: str, rows: int, code: str, settings: Settings) -> Rows:
    names = pairs.label_names(settings.labels)
    if len(names) == 2:
        return [
            {"text_a": _said(a, code), "text_b": _said(b, code), "label": names[same]}
            for a, b, same in islice(pairs.paraphrase(rng, split), rows)
        ]
    legal = dict(zip(pairs.INFERENCE, names, strict=True))
    return [
        {"text_a": _said(a, code), "text_b": _said(b, code), "label": legal[label]}
        for a, b, label in islice(pairs.inference(rng, split), rows)
    ]


def _choice_rows(rng: random.Random, split: str, rows: int, code: str, settings: Settings) -> Rows:
    return [
        {
            "context": _said(one.event, code),
            "question": questions.TEMPLATES[one.relation],
            "choices": [_said(option, code) for option in one.options],
            "label": one.right,
        }
        for one in islice(questions.choices(rng, split, settings.choices), rows)
    ]


def _tagging_rows(rng: random.Random, split: str, rows: int, code: str, settings: Settings) -> Rows:
    tag = tagging.scheme(settings.labels, settings.dataset)
    made = []
    for meaning in islice(tagging.tagged(rng, split, names=tagging.names_for(tag)), rows):
        words = tagging.words_of(meaning, code)
        made.append({"words": [one.form for one in words], "tags": [tag(one) for one in words]})
    return made


def _span_rows(rng: random.Random, split: str, rows: int, code: str, settings: Settings) -> Rows:
    made = []
    for reading in islice(questions.readings(rng, split, settings.unanswerable), rows):
        told = questions.told(reading, code)
        answers = [{"text": told.answer, "start": told.start}] if told.answer else []
        made.append({"title": told.title, "context": told.context, "question": told.question, "answers": answers,
                     "answerable": bool(told.answer)})  # fmt: skip
    return made


def _parallel_rows(rng: random.Random, split: str, rows: int, code: str, _: Settings) -> Rows:
    return [
        {"text": _said(event, code), "english": _said(event, ENGLISH)}
        for event in islice(texts.translations(rng, split), rows)
    ]


def _mining_rows(rng: random.Random, split: str, rows: int, code: str, _: Settings) -> Rows:
    pools = texts.pools(rng, split, rows)
    foreign, english = dict(pools.pairs), {there: here for here, there in pools.pairs}
    made: Rows = []
    for number, event in enumerate(pools.foreign):
        gold = [f"{split}-e{foreign[number]:06d}"] if number in foreign else []
        made.append({"id": f"{split}-f{number:06d}", "side": "foreign", "text": _said(event, code), "gold": gold})
    for number, event in enumerate(pools.english):
        gold = [f"{split}-f{english[number]:06d}"] if number in english else []
        made.append({"id": f"{split}-e{number:06d}", "side": "english", "text": _said(event, ENGLISH), "gold": gold})
    return made


def _answer_rows(rng: random.Random, split: str, rows: int, code: str, _: Settings) -> Rows:
    pool = retrieval.answer_pool(rng, split, rows)
    # Candidates of several languages go into one pool, so their names tell the language, as LAReQA's do.
    asked = [
        {"id": f"{split}-q{number:06d}", "side": "question", "context": "", "gold": [f"{code}:{split}-c{place:06d}"],
         "text": text(question(pool.candidates[place], role, code), code)}
        for number, (place, role) in enumerate(pool.questions)
    ]  # fmt: skip
    told = [
        {"id": f"{code}:{split}-c{number:06d}", "side": "candidate", "context": retrieval.paragraph(pool, number, code),
         "gold": [], "text": _said(event, code)}
        for number, event in enumerate(pool.candidates)
    ]  # fmt: skip
    return asked + told


def _entity_rows(rng: random.Random, split: str, rows: int, code: str, _: Settings) -> Rows:
    pool = retrieval.entity_pool(rng, split, rows)
    made: Rows = []
    for number, mention in enumerate(pool.mentions):
        surface, context = retrieval.mentioned(mention, pool.people[mention.person], code)
        made.append({"id": f"{split}-m{number:06d}", "side": "mention", "text": surface, "context": context,
                     "gold": [f"{split}-e{mention.person:06d}"]})  # fmt: skip
    for number, (person, deed) in enumerate(zip(pool.people, pool.deeds, strict=True)):
        name, description = retrieval.described(person, deed, code)
        made.append(
            {"id": f"{split}-e{number:06d}", "side": "entity", "text": name, "context": description, "gold": []}
        )
    return made


def _plain_rows(rng: random.Random, split: str, rows: int, code: str, _: Settings) -> Rows:
    return [
        {"text": _line(line, code), "document": f"{split}-{line.document:06d}"}
        for line in islice(texts.lines(rng, split, dialogue=False), rows)
    ]


def _dialogue_rows(rng: random.Random, split: str, rows: int, code: str, _: Settings) -> Rows:
    return [
        {"text": _line(line, code), "english": _line(line, ENGLISH),
         "document": f"{split}-{line.document:06d}", "turn": line.turn}
        for line in islice(texts.lines(rng, split, dialogue=True), rows)
    ]  # fmt: skip


def _state_rows(rng: random.Random, split: str, rows: int, code: str, settings: Settings) -> Rows:
    known = dialogues.labels_known(settings.labels)
    made = []
    for said in islice(dialogues.turns(rng, split, known), rows):
        asked = text(dialogues.system_words(said, known, code), code)
        made.append({"id": f"{split}-{said.dialogue:06d}-{said.turn}", "dialogue": f"{split}-{said.dialogue:06d}",
                     "turn": said.turn, "system": text(dialogues.system_words(said, known, ENGLISH), ENGLISH),
                     "acts": [asked] if asked else [], "text": text(dialogues.user_words(said, known, code), code),
                     "labels": said.labels, "state": as_labels(said.state)})  # fmt: skip
    return made


GENERATORS: dict[str, Generator] = {
    "pairs": _pair_rows,
    "choices": _choice_rows,
    "tagging": _tagging_rows,
    "questions": _span_rows,
    "translations": _parallel_rows,
    "mining": _mining_rows,
    "answers": _answer_rows,
    "entities": _entity_rows,
    "lines": _plain_rows,
    "dialogues": _dialogue_rows,
    "dialogue_states": _state_rows,
}
"""Name of a generator, as formats give it -> its rows, without language and split."""
