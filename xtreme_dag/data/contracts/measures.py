"""Row by row: does an example satisfy what no general tool knows about? True is good.

A measure that does not apply to a table (labels of a split whose labels are held back, the script of an invented
language) is true for every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xtreme_dag.data.contracts.scripts import in_script

MEASURES = (
    "texts_given",
    "labels_given",
    "labels_vary",
    "rows_as_published",
    "script_fits",
    "choices_given",
    "choices_differ",
    "tag_for_each_word",
    "words_clean",
    "words_given",
    "iob2_legal",
    "answers_given",
    "answers_at_offset",
    "english_unsorted",
    "gold_in_pool",
    "gold_given",
    "distractors_present",
    "sentence_in_context",
)
WHOLE = ("labels_vary", "rows_as_published", "english_unsorted", "gold_in_pool", "gold_given", "distractors_present")
BATCH = 65_536  # rows that a measure of single rows looks at together
SEEN = r"[^\s\p{Z}]"  # a character that is no white space, of Unicode either
CONSTANT_FROM = 16  # labelled rows from which on one label alone is taken for a placeholder
SORTED_FROM = 20  # pairs from which on an alphabetical English side is taken for a sorted one


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known about a table besides its rows.

    Attributes:
        kind: its canonical format.
        language: ISO code.
        read: examples in the raw files.
        published: published number of examples, or None.
        whole: the files are the published ones (no stand-in, nothing generated).
        labelled: the labels are not held back by the release.
        script: what the language is written in, a name of `languages.csv`; None where that is not known.
        limited: only a sample of the rows is here.
    """

    kind: str
    language: str
    read: int
    published: int | None
    whole: bool
    labelled: bool
    script: str | None
    limited: bool


def measure(name: str, table: pa.Table, facts: Facts) -> pa.ChunkedArray:
    """One measure over a table; what looks at single rows does so a batch at a time, so memory stays bounded.

    Args:
        name: of the measure.
        table: a canonical table.
        facts: about the table.

    Returns:
        Booleans, one value a row.

    Raises:
        KeyError: no such measure.
    """
    if name == "script_fits":
        return script_fits(table, facts)
    if name in WHOLE:
        return pa.chunked_array([_measured(name, table, facts)], pa.bool_())
    batches = [pa.Table.from_batches([batch]) for batch in table.to_batches(max_chunksize=BATCH)]
    return pa.chunked_array([_measured(name, batch, facts) for batch in batches], pa.bool_())


def _measured(name: str, table: pa.Table, facts: Facts) -> pa.Array:
    """A measure over a table or a batch of it."""
    match name:
        case "texts_given":
            return texts_given(table)
        case "labels_given":
            return labels_given(table, facts)
        case "labels_vary":
            return labels_vary(table, facts)
        case "rows_as_published":
            return rows_as_published(table, facts)
        case "choices_given":
            return choices_given(table)
        case "choices_differ":
            return choices_differ(table)
        case "tag_for_each_word":
            return tag_for_each_word(table, facts)
        case "words_clean":
            return words_clean(table)
        case "words_given":
            return words_given(table)
        case "iob2_legal":
            return iob2_legal(table)
        case "answers_given":
            return answers_given(table, facts)
        case "answers_at_offset":
            return answers_at_offset(table)
        case "english_unsorted":
            return english_unsorted(table, facts)
        case "gold_in_pool":
            return gold_in_pool(table)
        case "gold_given":
            return gold_given(table, facts)
        case "distractors_present":
            return distractors_present(table, facts)
        case "sentence_in_context":
            return sentence_in_context(table)
    raise KeyError(name)


def texts_given(table: pa.Table) -> pa.Array:
    """No text that a model reads is missing or blank; of a choice's context and question one may be."""
    names = [name for name in ("text_a", "text_b", "text", "english", "question") if name in table.column_names]
    if "choices" in table.column_names:
        both = pc.binary_join_element_wise(_flat(table, "context"), _flat(table, "question"), " ")
        return pc.fill_null(pc.match_substring_regex(both, SEEN), False)
    if "answers" in table.column_names:
        names.append("context")
    good = [pc.fill_null(pc.match_substring_regex(_flat(table, name), SEEN), False) for name in names]
    if "words" in table.column_names:
        good.append(pc.greater(pc.list_value_length(_flat(table, "words")), 0))
    return _all(good, len(table))


def labels_given(table: pa.Table, facts: Facts) -> pa.Array:
    """Every row has a label, unless the release holds labels back."""
    return pc.is_valid(_flat(table, "label")) if facts.labelled else _true(len(table))


def labels_vary(table: pa.Table, facts: Facts) -> pa.Array:
    """The labels are not all the same: XTREME's preparation leaves a placeholder where it removed the test labels."""
    labels = _flat(table, "label")
    known = pc.is_valid(labels)
    enough = pc.sum(known).as_py() or 0
    constant = enough >= CONSTANT_FROM and len(pc.unique(labels.drop_null())) == 1
    return pc.invert(known) if constant else _true(len(table))


def rows_as_published(table: pa.Table, facts: Facts) -> pa.Array:
    """The raw files have as many examples as were published; the verdict is the same for every row."""
    wrong = facts.whole and facts.published is not None and facts.read != facts.published
    return _false(len(table)) if wrong else _true(len(table))


def script_fits(table: pa.Table, facts: Facts) -> pa.ChunkedArray:
    """The text is in the script of the language; where half of the rows are not, those that are not are marked."""
    batches = [pa.Table.from_batches([batch]) for batch in table.to_batches(max_chunksize=BATCH)]
    if facts.script is None:
        return pa.chunked_array([_true(len(table))])
    fits = [in_script(_texts(batch, facts.kind), facts.script) for batch in batches]
    misfits = sum(len(one) - (pc.sum(one).as_py() or 0) for one in fits)
    return pa.chunked_array([_true(len(table))] if 2 * misfits <= len(table) else fits, pa.bool_())


def choices_given(table: pa.Table) -> pa.Array:
    """At least two choices, none blank."""
    choices = _flat(table, "choices")
    blank = pc.invert(pc.match_substring_regex(choices.flatten(), SEEN))
    return pc.and_(pc.greater(pc.list_value_length(choices), 1), _rows_without(blank, choices))


def choices_differ(table: pa.Table) -> pa.Array:
    """No two choices are the same."""
    good = [len(set(choices)) == len(choices) for choices in _flat(table, "choices").to_pylist()]
    return pa.array(good, pa.bool_())


def tag_for_each_word(table: pa.Table, facts: Facts) -> pa.Array:
    """As many tags as words; none at all only where the release holds them back."""
    words, tags = (pc.list_value_length(_flat(table, name)) for name in ("words", "tags"))
    good = pc.equal(words, tags)
    return good if facts.labelled else pc.or_(good, pc.equal(tags, 0))


def words_clean(table: pa.Table) -> pa.Array:
    """No word is empty or has white space in it."""
    words = _flat(table, "words")
    flat = words.flatten()
    bad = pc.invert(pc.match_substring_regex(flat, r"^\S+$"))
    return _rows_without(bad, words)


def words_given(table: pa.Table) -> pa.Array:
    """No word is empty; syntactic words of Vietnamese and some numbers have spaces in them."""
    words = _flat(table, "words")
    return _rows_without(pc.equal(pc.utf8_length(words.flatten()), 0), words)


def iob2_legal(table: pa.Table) -> pa.Array:
    """Every I-X follows a B-X or an I-X of the same sentence."""
    good = []
    for tags in _flat(table, "tags").to_pylist():
        before = "O"
        legal = True
        for tag in tags:
            if tag[:2] == "I-" and before[2:] != tag[2:]:
                legal = False
                break
            before = tag
        good.append(legal)
    return pa.array(good, pa.bool_())


def answers_given(table: pa.Table, facts: Facts) -> pa.Array:
    """An answerable question has an answer that is not empty, an unanswerable one has none."""
    if not facts.labelled:
        return _true(len(table))
    answers = _flat(table, "answers")
    text = pc.struct_field(answers.flatten(), [0])
    blank = pc.invert(pc.fill_null(pc.match_substring_regex(text, SEEN), False))
    filled = _rows_without(blank, answers)
    some = pc.and_(pc.greater(pc.list_value_length(answers), 0), filled)
    none = pc.equal(pc.list_value_length(answers), 0)
    return pc.if_else(_flat(table, "answerable"), some, none)


def answers_at_offset(table: pa.Table) -> pa.Array:
    """Every answer stands in the context at the character where it says it starts."""
    good = []
    for context, answers in zip(_flat(table, "context").to_pylist(), _flat(table, "answers").to_pylist(), strict=True):
        good.append(all(context.startswith(a["text"], a["start"]) and a["start"] >= 0 for a in answers or ()))
    return pa.array(good, pa.bool_())


def english_unsorted(table: pa.Table, facts: Facts) -> pa.Array:
    """The English side is not in alphabetical order: XTREME's preparation sorts it, and the pairs are lost."""
    english = _flat(table, "english")
    ordered = len(english) >= SORTED_FROM and pc.all(pc.less_equal(english[:-1], english[1:])).as_py()
    return _false(len(table)) if ordered else _true(len(table))


def gold_in_pool(table: pa.Table) -> pa.Array:
    """Every gold id is an id of this table."""
    gold = _flat(table, "gold")
    missing = pc.invert(pc.is_in(gold.flatten(), _flat(table, "id")))
    return _rows_without(missing, gold)


def gold_given(table: pa.Table, facts: Facts) -> pa.Array:
    """Questions and mentions have gold; of a mining pool some sentence on each side has."""
    gold = pc.greater(pc.fill_null(pc.list_value_length(_flat(table, "gold")), 0), 0)
    side = _flat(table, "side")
    if not facts.labelled:
        return _true(len(table))
    if facts.kind == "bitext_mining":
        return _true(len(table)) if pc.any(gold).as_py() else _false(len(table))
    return pc.or_(pc.invert(pc.is_in(side, pa.array(["question", "mention"]))), gold)


def distractors_present(table: pa.Table, facts: Facts) -> pa.Array:
    """A mining pool holds sentences without a translation: gold pairs alone are no mining task (the hub's bucc18)."""
    gold = pc.fill_null(pc.list_value_length(_flat(table, "gold")), 0)
    alone = pc.any(pc.equal(gold, 0)).as_py() is not True
    return _false(len(table)) if alone and len(table) else _true(len(table))


def sentence_in_context(table: pa.Table) -> pa.Array:
    """A candidate sentence stands in its paragraph."""
    good = []
    sides, texts, contexts = (_flat(table, name).to_pylist() for name in ("side", "text", "context"))
    for side, text, context in zip(sides, texts, contexts, strict=True):
        good.append(side != "candidate" or text.strip() in (context or ""))
    return pa.array(good, pa.bool_())


def _texts(table: pa.Table, kind: str) -> pa.Array:
    """The column that shows the language of a table."""
    if kind == "tagging":
        return pc.binary_join(_flat(table, "words"), " ")
    if kind == "multiple_choice":
        return pc.list_element(_flat(table, "choices"), 0)
    if kind == "bitext_mining":
        return pc.if_else(pc.equal(_flat(table, "side"), "foreign"), _flat(table, "text"), pa.scalar("", pa.string()))
    if kind == "entity_linking":
        return pc.if_else(
            pc.equal(_flat(table, "side"), "mention"), _flat(table, "context"), pa.scalar("", pa.string())
        )
    for name in ("text_a", "context", "text"):
        if name in table.column_names and kind != "qa_retrieval":
            return _flat(table, name)
    return _flat(table, "text")


def _flat(table: pa.Table, name: str) -> pa.Array:
    column = table[name]
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _rows_without(bad: pa.Array, lists: pa.Array) -> pa.Array:
    """For each list whether none of its elements is marked."""
    good = np.ones(len(lists), dtype=bool)
    if len(bad):
        marked = pc.list_parent_indices(lists).filter(pc.fill_null(bad, True))
        good[marked.to_numpy(zero_copy_only=False)] = False
    return pa.array(good)


def _all(good: Sequence[pa.Array], size: int) -> pa.Array:
    result = _true(size)
    for one in good:
        result = pc.and_(result, one)
    return result


def _true(size: int) -> pa.Array:
    return pa.array(np.ones(size, dtype=bool))


def _false(size: int) -> pa.Array:
    return pa.array(np.zeros(size, dtype=bool))
