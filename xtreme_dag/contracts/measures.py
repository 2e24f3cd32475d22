"""Measures: row-wise tests of examples that no general tool has, such as legal IOB2 tags. True is good.

A measure that does not apply to a table (labels of a split whose labels are held back, the script of an invented
language) is true for every row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from xtreme_dag.contracts.columns import Facts, flat, rows_without, same
from xtreme_dag.contracts.whole import (
    Test,
    Whole,
    distractors_present,
    english_unsorted,
    gold_given,
    gold_in_pool,
    labels_vary,
    rows_as_published,
    script_fits,
    state_adds_up,
    turns_in_order,
    words_unprefixed,
)

SEEN = r"[^\s\p{Z}]"  # a character that is no white space, of Unicode either


def texts_given(table: pa.Table) -> pa.Array:
    """No text that a model reads is missing or blank; of a choice's context and question one may be."""
    names = [name for name in ("text_a", "text_b", "text", "english", "question") if name in table.column_names]
    if "choices" in table.column_names:
        both = pc.binary_join_element_wise(flat(table, "context"), flat(table, "question"), " ")
        return pc.fill_null(pc.match_substring_regex(both, SEEN), False)
    if "answers" in table.column_names:
        names.append("context")
    good = [pc.fill_null(pc.match_substring_regex(flat(table, name), SEEN), False) for name in names]
    if "words" in table.column_names:
        good.append(pc.greater(pc.list_value_length(flat(table, "words")), 0))
    return _all(good, table)


def labels_given(table: pa.Table, facts: Facts) -> pa.Array:
    """Every row has a label, unless the release holds labels back."""
    return pc.is_valid(flat(table, "label")) if facts.labelled else same(True, table)


def choices_given(table: pa.Table) -> pa.Array:
    """At least two choices, none blank."""
    choices = flat(table, "choices")
    blank = pc.invert(pc.match_substring_regex(choices.flatten(), SEEN))
    return pc.and_(pc.greater(pc.list_value_length(choices), 1), rows_without(blank, choices))


def choices_differ(table: pa.Table) -> pa.Array:
    """No two choices are the same."""
    good = [len(set(choices)) == len(choices) for choices in flat(table, "choices").to_pylist()]
    return pa.array(good, pa.bool_())


def tag_for_each_word(table: pa.Table, facts: Facts) -> pa.Array:
    """As many tags as words; none at all only where the release holds them back."""
    words, tags = (pc.list_value_length(flat(table, name)) for name in ("words", "tags"))
    good = pc.equal(words, tags)
    return good if facts.labelled else pc.or_(good, pc.equal(tags, 0))


def words_clean(table: pa.Table) -> pa.Array:
    """No word is empty or has white space in it."""
    words = flat(table, "words")
    bad = pc.invert(pc.match_substring_regex(words.flatten(), r"^\S+$"))
    return rows_without(bad, words)


def words_given(table: pa.Table) -> pa.Array:
    """No word is empty; syntactic words of Vietnamese and some numbers have spaces in them."""
    words = flat(table, "words")
    return rows_without(pc.equal(pc.utf8_length(words.flatten()), 0), words)


def iob2_legal(table: pa.Table) -> pa.Array:
    """Every I-X follows a B-X or an I-X of the same sentence."""
    good = []
    for tags in flat(table, "tags").to_pylist():
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
        return same(True, table)
    answers = flat(table, "answers")
    text = pc.struct_field(answers.flatten(), [0])
    blank = pc.invert(pc.fill_null(pc.match_substring_regex(text, SEEN), False))
    filled = rows_without(blank, answers)
    some = pc.and_(pc.greater(pc.list_value_length(answers), 0), filled)
    none = pc.equal(pc.list_value_length(answers), 0)
    return pc.if_else(flat(table, "answerable"), some, none)


def answers_at_offset(table: pa.Table) -> pa.Array:
    """Every answer stands in the context at the character where it says it starts."""
    good = []
    for context, answers in zip(flat(table, "context").to_pylist(), flat(table, "answers").to_pylist(), strict=True):
        good.append(all(context.startswith(a["text"], a["start"]) and a["start"] >= 0 for a in answers or ()))
    return pa.array(good, pa.bool_())


def sentence_in_context(table: pa.Table) -> pa.Array:
    """A candidate sentence stands in its paragraph."""
    good = []
    sides, texts, contexts = (flat(table, name).to_pylist() for name in ("side", "text", "context"))
    for side, text, context in zip(sides, texts, contexts, strict=True):
        good.append(side != "candidate" or text.strip() in (context or ""))
    return pa.array(good, pa.bool_())


def _all(good: Sequence[pa.Array], table: pa.Table) -> pa.Array:
    result = same(True, table)
    for one in good:
        result = pc.and_(result, one)
    return result


# Name -> what makes, of a whole table and the facts about it, what judges rows of it.
MEASURES: Mapping[str, Callable[[Whole, Facts], Test]] = {
    "texts_given": lambda _table, _facts: texts_given,
    "labels_given": lambda _table, facts: lambda rows: labels_given(rows, facts),
    "labels_vary": labels_vary,
    "rows_as_published": lambda _table, facts: rows_as_published(facts),
    "script_fits": script_fits,
    "choices_given": lambda _table, _facts: choices_given,
    "choices_differ": lambda _table, _facts: choices_differ,
    "tag_for_each_word": lambda _table, facts: lambda rows: tag_for_each_word(rows, facts),
    "words_clean": lambda _table, _facts: words_clean,
    "words_given": lambda _table, _facts: words_given,
    "words_unprefixed": lambda table, _facts: words_unprefixed(table),
    "iob2_legal": lambda _table, _facts: iob2_legal,
    "answers_given": lambda _table, facts: lambda rows: answers_given(rows, facts),
    "answers_at_offset": lambda _table, _facts: answers_at_offset,
    "english_unsorted": lambda table, _facts: english_unsorted(table),
    "gold_in_pool": lambda table, _facts: gold_in_pool(table),
    "gold_given": gold_given,
    "distractors_present": lambda table, _facts: distractors_present(table),
    "turns_in_order": lambda table, _facts: turns_in_order(table),
    "state_adds_up": lambda table, _facts: state_adds_up(table),
    "sentence_in_context": lambda _table, _facts: sentence_in_context,
}
