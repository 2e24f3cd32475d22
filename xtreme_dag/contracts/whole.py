"""Measures of rows that need a first pass over the whole table, a batch at a time; each returns a test of rows.

So none of them needs memory that grows with the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from xtreme_dag import formats
from xtreme_dag.contracts.columns import Facts, batches, flat, rows_without, same, shown
from xtreme_dag.contracts.scripts import in_script
from xtreme_dag.core.dialogue import informed
from xtreme_dag.tables.canonical import StoredTable

Whole: TypeAlias = pa.Table | StoredTable
Test = Callable[[pa.Table], pa.Array]  # rows of the table -> a boolean for each, true is good

CONSTANT_FROM = 16  # labelled rows from which on one label alone is taken for a placeholder
_PREFIX = re.compile(r"[a-z]{2,3}(-[a-z]+)*:")
SORTED_FROM = 20  # pairs from which on an alphabetical English side is taken for a sorted one


def labels_vary(table: Whole, facts: Facts) -> Test:
    """Labels, or tags, are not all the same: XTREME's preparation leaves a placeholder where it removed the test labels.

    In a union that holds for each of its parts.
    """
    column = "label" if "label" in table.column_names else "tags"
    constant = [part for part in facts.parts or ("",) if _is_constant(table, column, part)]
    if not constant:
        return lambda rows: same(True, rows)

    def test(rows: pa.Table) -> pa.Array:
        good = pc.invert(_labelled(flat(rows, column)))
        for part in {*facts.parts} - {*constant}:
            good = pc.or_(good, pc.starts_with(flat(rows, "id"), f"{part}:"))
        return good

    return test


def _is_constant(table: Whole, column: str, part: str) -> bool:
    """Whether enough rows, of a part of a union if one is named, have labels and all of them the same."""
    labelled = 0
    values: set[str | int] = set()
    for batch in batches(table, ["id", column] if part else [column]):
        rows = batch.filter(pc.starts_with(batch["id"], f"{part}:")) if part else batch
        labels = flat(rows, column)
        labelled += pc.sum(_labelled(labels)).as_py() or 0
        single = labels.flatten() if column == "tags" else labels
        values.update(pc.unique(single.drop_null()).to_pylist())
        if len(values) > 1:
            return False
    return labelled >= CONSTANT_FROM


def rows_as_published(facts: Facts) -> Test:
    """The raw files have as many examples as were published; the verdict is the same for every row."""
    wrong = facts.whole and facts.published is not None and facts.read != facts.published
    return lambda rows: same(not wrong, rows)


def script_fits(table: Whole, facts: Facts) -> Test:
    """The text is in the script of the language; where half of the rows are not, those that are not are marked."""
    script = facts.script
    if script is None:
        return lambda rows: same(True, rows)
    format = formats.get(facts.kind)
    columns = [format.shown, *(("side",) if format.sides else ())]
    fits = (in_script(shown(batch, format), script) for batch in batches(table, columns))
    fitting = sum(pc.sum(one).as_py() or 0 for one in fits)
    if 2 * (len(table) - fitting) <= len(table):
        return lambda rows: same(True, rows)
    return lambda rows: in_script(shown(rows, format), script)


def english_unsorted(table: Whole) -> Test:
    """The English side is not in alphabetical order: XTREME's preparation sorts it, and the pairs are lost."""
    ordered = len(table) >= SORTED_FROM and _ascending(table, "english")
    return lambda rows: same(not ordered, rows)


def words_unprefixed(table: Whole) -> Test:
    """No sentence has the same language code and colon (`de:`) before all its words, as WikiANN's release files have.

    A sentence of one such word may be a link between Wikipedias, unless most sentences are so.
    """
    rows = prefixed = 0
    for batch in batches(table, ["words"]):
        rows += len(batch)
        prefixed += pc.sum(_prefixed(batch, 1)).as_py() or 0
    least = 1 if 2 * prefixed > rows else 2
    return lambda rows: pc.invert(_prefixed(rows, least))


def _prefixed(rows: pa.Table, least: int) -> pa.Array:
    """Which sentences have at least so many words and one prefix before all of them."""
    found = []
    for words in flat(rows, "words").to_pylist():
        code = _PREFIX.match(words[0] or "") if len(words) >= least else None
        found.append(code is not None and all((word or "").startswith(code[0]) for word in words))
    return pa.array(found, pa.bool_())


def gold_in_pool(table: Whole) -> Test:
    """Every gold id is an id of this table."""

    def test(rows: pa.Table) -> pa.Array:
        gold = flat(rows, "gold")
        wanted = gold.flatten()
        there = pa.array([False] * len(wanted), pa.bool_())
        for batch in batches(table, ["id"]) if len(wanted) else ():
            there = pc.or_(there, pc.is_in(wanted, flat(batch, "id")))
        return rows_without(pc.invert(there), gold)

    return test


def gold_given(table: Whole, facts: Facts) -> Test:
    """Questions and mentions have gold; of a mining pool some sentence has."""
    if not facts.labelled:
        return lambda rows: same(True, rows)
    sides = formats.get(facts.kind).sides
    if sides is None or not sides.always_gold:
        some = any(pc.any(_has_gold(batch)).as_py() for batch in batches(table, ["gold"]))
        return lambda rows: same(some, rows)
    asking = pa.array([sides.asking])
    return lambda rows: pc.or_(pc.invert(pc.is_in(flat(rows, "side"), asking)), _has_gold(rows))


def distractors_present(table: Whole) -> Test:
    """A mining pool holds sentences without a translation: gold pairs alone are no mining task (the hub's bucc18)."""
    alone = all(pc.all(_has_gold(batch)).as_py() is not False for batch in batches(table, ["gold"]))
    return lambda rows: same(not alone, rows)


def turns_in_order(table: Whole) -> Test:
    """The turns of a dialogue stand together and are numbered from 0."""
    bad: set[str] = set()
    ended: set[str] = set()
    at, turn = "", -1
    for batch in batches(table, ["dialogue", "turn"]):
        for dialogue, number in zip(batch["dialogue"].to_pylist(), batch["turn"].to_pylist(), strict=True):
            if dialogue != at:
                ended.add(at)
                at, turn = dialogue, -1
            if number != turn + 1 or dialogue in ended:
                bad.add(dialogue)
            turn = number
    return lambda rows: pc.invert(pc.is_in(flat(rows, "dialogue"), pa.array(sorted(bad), pa.string())))


def state_adds_up(table: Whole) -> Test:
    """The state after a turn is what the labels of the turns up to it add up to: else no right labels reach it."""
    bad: list[str] = []
    reached: dict[str, dict[str, str]] = {}
    for batch in batches(table, ["id", "dialogue", "labels", "state"]):
        for row in batch.to_pylist():
            state = reached.setdefault(row["dialogue"], {})
            state.update(informed(row["labels"] or ()))
            if state != informed(row["state"] or ()):
                bad.append(row["id"])
    return lambda rows: pc.invert(pc.is_in(flat(rows, "id"), pa.array(bad, pa.string())))


def _labelled(labels: pa.Array) -> pa.Array:
    """Which rows have a label, or tags."""
    if pa.types.is_list(labels.type):
        return pc.greater(pc.fill_null(pc.list_value_length(labels), 0), 0)
    return pc.is_valid(labels)


def _has_gold(rows: pa.Table) -> pa.Array:
    return pc.greater(pc.fill_null(pc.list_value_length(flat(rows, "gold")), 0), 0)


def _ascending(table: Whole, name: str) -> bool:
    """Whether no text of a column is smaller than the one before it; missing ones do not count."""
    ascending = False
    last = pa.array([], pa.string())
    for batch in batches(table, [name]):
        texts = pa.concat_arrays([last, flat(batch, name)])
        verdict = pc.all(pc.less_equal(texts[:-1], texts[1:])).as_py()
        if verdict is False:
            return False
        ascending = ascending or verdict is True
        last = texts[-1:]
    return ascending
