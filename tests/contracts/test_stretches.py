"""A table is put to Great Expectations in stretches and shares: the verdicts are those of the whole."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.test_rules import BAD
from tests.data.read_tables import changed, facts_of, good, verdicts
from xtreme_dag.contracts import columns, questions
from xtreme_dag.contracts.check import judge_many, quarantine
from xtreme_dag.contracts.engine import Verdict, combined, evaluate, strict
from xtreme_dag.contracts.odcs import Rule, contract_path, read_contract
from xtreme_dag.tables.canonical import ROW_GROUP, write_tables


@pytest.fixture
def small(monkeypatch):
    """Stretches of five rows, looked at two at a time, and shares of about four values."""
    monkeypatch.setattr(questions, "ROWS", 5)
    monkeypatch.setattr(questions, "VALUES", 4)
    monkeypatch.setattr(columns, "BATCH", 2)


@pytest.mark.parametrize("measured", BAD)
def test_stretches_find_what_the_whole_finds(measured, request):
    dataset, spoil, facts, _ = BAD[measured]
    table = spoil(good(dataset, facts.get("language", "en")))
    table = changed(changed(table, 7, id="twice"), len(table) - 1, id="twice") if len(table) > 8 else table
    whole, rows = verdicts(table, dataset, **facts)
    request.getfixturevalue("small")
    parts, same_rows = verdicts(table, dataset, **facts)
    assert parts == whole
    assert same_rows.to_pylist() == rows.to_pylist()


def cases(tables):
    """What `judge_many` takes, of (dataset, table, facts)."""
    for number, (dataset, table, facts) in enumerate(tables):
        language = facts.get("language", "en")
        yield (
            table,
            facts_of(table, dataset, **facts),
            {"dataset": dataset, "language": language, "split": f"s{number}"},
        )


def judged(contract, each, monkeypatch):
    """Outcomes, offending rows, and how many questions Great Expectations was asked."""
    asked = []
    monkeypatch.setattr(questions, "evaluate", lambda *rest, **more: asked.append(1) or evaluate(*rest, **more))
    found = judge_many(contract, each)
    return [outcome for outcome, _ in found], [{name: rows.tolist() for name, rows in rows.items()} for _, rows in found], len(asked)  # fmt: skip


@pytest.mark.parametrize("measured", BAD)
def test_tables_come_out_together_as_alone(measured, monkeypatch):
    dataset, spoil, facts, _ = BAD[measured]
    fine, contract = good(dataset, facts.get("language", "en")), read_contract(contract_path(dataset))
    doubled = changed(changed(fine, 7, id="twice"), len(fine) - 1, id="twice")
    tables = [fine, spoil(fine), fine.slice(3, 6), doubled, fine.slice(0, 0), spoil(doubled), fine]
    each = list(cases((dataset, table, facts) for table in tables))
    alone = [judged(contract, [one], monkeypatch) for one in each]
    outcomes, broken, asked = judged(contract, each, monkeypatch)
    assert outcomes == [one for (one,), _, _ in alone]
    assert broken == [one for _, (one,), _ in alone]
    assert not all(outcome["ok"] for outcome in outcomes)
    assert asked < sum(one for _, _, one in alone)
    monkeypatch.setattr(questions, "ROWS", 50)
    assert judged(contract, each, monkeypatch)[:2] == (outcomes, broken)


def test_a_tolerated_share_is_of_its_own_table(monkeypatch):
    """Japanese may break a rule in some rows, German in none, wherever they stand."""
    rows = good("panx", "ja", rows=100)
    for row in (10, 11, 12):
        rows = changed(rows, row, tags=["O", "I-PER", "O", "B-LOC", "O"])
    worse = rows
    for row in (40, 60, 80):
        worse = changed(worse, row, tags=["O", "I-PER", "O", "B-LOC", "O"])
    order = [("ja", rows), ("ja", worse), ("de", rows), ("ja", rows), ("ja", good("panx", "ja", rows=100))]
    each = list(cases(("panx", table, {"language": code}) for code, table in order))
    outcomes, broken, _ = judged(read_contract(contract_path("panx")), each, monkeypatch)
    legal = [next(rule for rule in outcome["rules"] if rule["rule"] == "iob2_legal") for outcome in outcomes]
    assert [rule["ok"] for rule in legal] == [True, False, False, True, True]
    assert [rule["count"] for rule in legal] == [3, 6, 3, 3, 0]
    assert [rows.get("iob2_legal") for rows in broken] == [None, [10, 11, 12, 40, 60, 80], [10, 11, 12], None, None]


def test_a_tolerated_share_is_of_the_whole(small):
    """Three of 100 sentences are illegal, all in one stretch: over the share there, under it in the table."""
    table = good("panx", "ja", rows=100)
    for row in (10, 11, 12):
        table = changed(table, row, tags=["O", "I-PER", "O", "B-LOC", "O"])
    found, offending = verdicts(table, "panx", "ja")
    assert found["iob2_legal"] == {
        "rule": "iob2_legal", "ok": True, "severity": "error", "count": 3, "first_ids": ["i10", "i11", "i12"]
    }  # fmt: skip
    assert len(offending) == 0
    for row in (40, 60, 80):
        table = changed(table, row, tags=["O", "I-PER", "O", "B-LOC", "O"])
    assert verdicts(table, "panx", "ja")[0]["iob2_legal"]["ok"] is False


def test_every_row_is_asked_about_once_and_few_at_a_time(small):
    table = good("xnli", rows=23)
    asked: dict[str, list[int]] = {}
    rules = read_contract(contract_path("xnli")).rules
    for question in questions._questions(table, rules, facts_of(table, "xnli")):
        for rule in question.rules:
            asked.setdefault(rule.name, []).extend(question.rows.tolist())
        assert len(question.frame) == len(question.rows) <= 23
        if "measure.texts_given" in question.frame:
            assert len(question.frame) <= 6
    assert all(sorted(rows) == list(range(23)) for rows in asked.values())
    assert len(asked) >= 6


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 20), max_size=40), st.integers(1, 12))
def test_shares_hold_equal_values_together(numbers, size):
    before = questions.VALUES
    questions.VALUES = size
    try:
        values = [f"v{number}" for number in numbers]
        table = pa.table({"id": pa.chunked_array([values[:7], values[7:]], pa.string())})
        shares = list(questions._shares(table, "id"))
    finally:
        questions.VALUES = before
    rows = [row for share, _ in shares for row in share.tolist()]
    assert sorted(rows) == list(range(len(values)))
    codes = {row: code for share, found in shares for row, code in zip(share.tolist(), found.tolist(), strict=True)}
    first = {value: values.index(value) for value in values}
    assert [codes[row] for row in range(len(values))] == [first[value] for value in values]
    for share, found in shares:
        inside = Counter(values[row] for row in share.tolist())
        assert all(inside[value] == values.count(value) for value in inside)
        assert len(found) == len(share)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=12), st.integers(1, 11), st.floats(0, 1))
def test_a_share_over_parts_is_what_great_expectations_finds_in_the_whole(values, cut, share):
    """Nulls are not judged, but by the rule that asks for them."""
    frame = pd.DataFrame({"label": pd.array(values, dtype=object)})
    for kind, more in (("be_in_set", {"value_set": ["a"]}), ("not_be_null", {})):
        kwargs = {"column": "label", "mostly": share, **more}
        rule = Rule(name="r", expectation=f"expect_column_values_to_{kind}", kwargs=kwargs)
        (whole,) = evaluate([rule], frame)
        parts = []
        for start in range(0, len(frame), cut):
            part = frame.iloc[start : start + cut].reset_index(drop=True)
            (one,) = evaluate([strict(rule)], part)
            parts.append(one.placed(np.arange(start, start + len(part))))
        found = combined(rule, parts)
        assert (found.ok, found.rows.tolist(), found.judged) == (whole.ok, whole.rows.tolist(), whole.judged)


def test_an_error_in_one_part_is_the_verdict():
    rule = Rule(name="r", expectation="expect_column_values_to_not_be_null", kwargs={"column": "x"})
    found = combined(rule, [Verdict(rule="r", ok=True), Verdict(rule="r", ok=False, error="KeyError: 'x'")])
    assert (found.ok, found.error) == (False, "KeyError: 'x'")


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
