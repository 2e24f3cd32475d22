"""What is counted for a rule is what Great Expectations finds in the values, whatever the batches that they come in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.test_rules import BAD
from tests.data.read_tables import changed, facts_of, good, verdicts
from xtreme_dag.contracts import columns, counts
from xtreme_dag.contracts.check import quarantine
from xtreme_dag.contracts.columns import Facts
from xtreme_dag.contracts.counts import Count, count, repeated
from xtreme_dag.contracts.engine import _definition, judge, quiet
from xtreme_dag.contracts.odcs import Rule
from xtreme_dag.core.errors import UserError
from xtreme_dag.tables.canonical import ROW_GROUP, write_tables

NOTHING = Facts(kind="plain_text", language="de", read=0, published=None, whole=False, labelled=True, script=None)


@pytest.fixture
def small(monkeypatch):
    """Batches of two rows, and about four hashes at a time."""
    monkeypatch.setattr(columns, "BATCH", 2)
    monkeypatch.setattr(counts, "_HASHED", 4)


@pytest.mark.parametrize("measured", BAD)
def test_batches_find_what_the_whole_finds(measured, request):
    dataset, spoil, facts, _ = BAD[measured]
    table = spoil(good(dataset, facts.get("language", "en")))
    table = changed(changed(table, 7, id="twice"), len(table) - 1, id="twice") if len(table) > 8 else table
    whole, rows = verdicts(table, dataset, **facts)
    request.getfixturevalue("small")
    parts, same_rows = verdicts(table, dataset, **facts)
    assert parts == whole
    assert same_rows.to_pylist() == rows.to_pylist()


TEXTS = st.lists(st.sampled_from(["a", "bb", "äöü", "", None]), min_size=1, max_size=12)
NUMBERS = st.lists(st.sampled_from([1, 2, 3, None]), min_size=1, max_size=12)
BOUNDS = st.fixed_dictionaries(
    {"min_value": st.sampled_from([None, 0, 1, 2]), "strict_min": st.booleans(), "strict_max": st.booleans()},
    optional={"max_value": st.sampled_from([2, 3])},
)
SHARE = st.sampled_from([1.0, 0.5, 2 / 3, 0.75, 0.0])


def asked(expectation, values, kind, **kwargs):
    """What this program counts and judges, and what Great Expectations says of the values: verdict, rows, judged."""
    import great_expectations as gx

    rule = Rule(name="r", expectation=expectation, kwargs={"column": "x", **kwargs})
    (verdict,) = judge(count(pa.table({"x": pa.chunked_array([values[:5], values[5:]], kind)}), [rule], NOTHING))
    mine = (verdict.ok, verdict.count.rows.tolist(), verdict.count.judged) if not verdict.error else "error"
    kind_of = getattr(gx.expectations, expectation.title().replace("_", ""))
    with quiet():
        batch = _definition().get_batch(batch_parameters={"dataframe": pd.DataFrame({"x": pd.array(values, object)})})
        suite = gx.ExpectationSuite(name="s", expectations=[kind_of(**rule.kwargs)])
        (result,) = batch.validate(suite, result_format="COMPLETE").results
    if "element_count" not in result.result:
        return mine, "error"
    told = result.result
    return mine, (
        bool(result.success),
        sorted(told.get("unexpected_index_list") or []),
        told["element_count"] - told.get("missing_count", 0),
    )


@settings(max_examples=40, deadline=None)
@given(TEXTS, SHARE)
def test_counts_of_texts_are_those_of_great_expectations(values, mostly):
    for expectation, more in (
        ("expect_column_values_to_be_in_set", {"value_set": ["a", "bb"]}),
        ("expect_column_values_to_not_be_null", {}),
        ("expect_column_values_to_be_unique", {}),
    ):
        mine, theirs = asked(expectation, values, pa.string(), mostly=mostly, **more)
        assert mine == theirs, expectation


@settings(max_examples=40, deadline=None)
@given(TEXTS, NUMBERS, BOUNDS, SHARE)
def test_counts_within_bounds_are_those_of_great_expectations(texts, numbers, bounds, mostly):
    if bounds["min_value"] is None and "max_value" not in bounds:
        return
    some = [value for value in texts if value is not None] or ["a"]
    mine, theirs = asked("expect_column_value_lengths_to_be_between", some, pa.string(), mostly=mostly, **bounds)
    assert mine == theirs
    some = [value for value in numbers if value is not None] or [1]
    mine, theirs = asked("expect_column_values_to_be_between", some, pa.int64(), mostly=mostly, **bounds)
    assert mine == theirs


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=40), st.integers(1, 12))
def test_repeated_values_are_found_in_whatever_share_their_hashes_are(numbers, size):
    before = counts._HASHED
    counts._HASHED = size
    try:
        values = [None if number is None else f"v{number}" for number in numbers]
        judged, rows = repeated(pa.table({"id": pa.chunked_array([values[:7], values[7:]], pa.string())}), "id")
    finally:
        counts._HASHED = before
    assert judged == len([value for value in values if value is not None])
    assert rows.tolist() == [row for row, value in enumerate(values) if value is not None and values.count(value) > 1]


def test_a_tolerated_share_is_of_the_whole(small):
    """Three of 100 sentences are illegal, all in a row: over the share there, under it in the table."""
    table = good("panx", "ja", rows=100)
    for row in (10, 11, 12):
        table = changed(table, row, tags=["O", "I-PER", "O", "B-LOC", "O"])
    found, offending = verdicts(table, "panx", "ja")
    assert found["iob2_legal"] == {
        "rule": "iob2_legal", "ok": True, "severity": "error", "count": 3, "first_ids": ["i10", "i11", "i12"]
    }  # fmt: skip
    assert len(offending) == 0
    german, offending = verdicts(table, "panx", "de")
    assert not german["iob2_legal"]["ok"]
    offends = [row["id"] for row in offending.to_pylist() if "iob2_legal" in row["rules"]]
    assert offends == german["iob2_legal"]["first_ids"] == ["i10", "i11", "i12"]
    for row in (40, 60, 80):
        table = changed(table, row, tags=["O", "I-PER", "O", "B-LOC", "O"])
    assert verdicts(table, "panx", "ja")[0]["iob2_legal"]["ok"] is False
    # Six of 100 that were drawn from a file of 2,000 are no sign of more than five in a hundred there; ten are.
    assert verdicts(table, "panx", "ja", read=2000)[0]["iob2_legal"]["ok"] is True
    assert verdicts(table, "panx", "de", read=2000)[0]["iob2_legal"]["ok"] is False, "none is tolerated"
    for row in (90, 91, 92, 93):
        table = changed(table, row, tags=["O", "I-PER", "O", "B-LOC", "O"])
    assert verdicts(table, "panx", "ja", read=2000)[0]["iob2_legal"]["ok"] is False


@pytest.mark.parametrize(
    ("bounds", "ok"),
    [({"min_value": 24}, True), ({"min_value": 24, "strict_min": True}, False), ({"max_value": 23}, False),
     ({"min_value": 1, "max_value": 25, "strict_max": True}, True)],
)  # fmt: skip
def test_the_number_of_rows_is_within_its_bounds(bounds, ok, small):
    rule = Rule(name="r", expectation="expect_table_row_count_to_be_between", kwargs=bounds)
    (verdict,) = judge(count(good("xnli"), [rule], facts_of(good("xnli"), "xnli")))
    assert (verdict.ok, verdict.error, verdict.count.judged) == (ok, "", 24)


def test_what_could_not_be_counted_is_not_a_pass_and_others_are_judged():
    rules = [
        Rule(name=name, expectation="expect_column_values_to_not_be_null", kwargs={"column": name}) for name in "ab"
    ]
    counted = count(pa.table({"a": ["x"]}), rules, NOTHING)
    assert [(one.ok, bool(one.error)) for one in judge(counted)] == [(True, False), (False, True)]
    assert [one.ok for one in judge(counted[1:])] == [False]


def test_an_argument_that_is_not_counted_by_is_refused():
    """Great Expectations would judge fewer rows, or none."""
    kwargs = {"column": "a", "value_set": ["x"], "row_condition": "b == 1"}
    rule = Rule(name="r", expectation="expect_column_values_to_be_in_set", kwargs=kwargs)
    with pytest.raises(UserError, match="has no argument 'row_condition'"):
        count(pa.table({"a": ["x"]}), [rule], NOTHING)


def test_every_verdict_is_of_its_own_count():
    rule = Rule(name="r", expectation="expect_column_values_to_not_be_null", kwargs={"column": "a"})
    with pytest.raises(RuntimeError, match="expectations were evaluated"):
        judge([Count(rule=rule, judged=1), Count(rule=rule, judged=1)])


def test_the_quarantine_of_a_large_table_has_the_bytes_of_one_written_at_once(tmp_path):
    """Row groups of the quarantine are full ones, wherever in the table the offending rows stand."""
    size = 3 * ROW_GROUP + 100
    ids = pa.array([f"i{n}" for n in range(size)])
    table = pa.table({"id": ids, "text": pa.array([f"text {n % 7}" for n in range(size)])})
    table = pa.concat_tables([table.slice(0, 70_000), table.slice(70_000)])
    broken = {"one": np.arange(0, size, 2), "other": np.arange(0, size, 3)}
    names = [[rule for rule, step in (("one", 2), ("other", 3)) if row % step == 0] for row in range(size)]
    rows = pa.array([row for row in range(size) if names[row]])
    whole = table.take(rows).combine_chunks()
    whole = whole.append_column("rules", pa.array([names[row] for row in rows.to_pylist()], pa.list_(pa.string())))
    pq.write_table(whole, tmp_path / "whole", compression="zstd", row_group_size=ROW_GROUP, write_statistics=False)
    pieces = list(quarantine(table, broken))
    assert [len(piece) for piece in pieces][:-1] == [ROW_GROUP] * (len(rows) // ROW_GROUP)
    write_tables(pieces, tmp_path / "pieces")
    assert (tmp_path / "pieces").read_bytes() == (tmp_path / "whole").read_bytes()
