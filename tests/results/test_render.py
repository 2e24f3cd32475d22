"""Tables as text, for people and for programs."""

import csv
import datetime
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtreme_dag.results.render import plain, render

TABLE = pa.table(
    {
        "name": ["a|b", "two\nlines", None],
        "value": [1.5, float("nan"), -0.25],
        "count": [1, 2, 3],
        "list": [["x"], [], None],
        "when": [datetime.datetime(2026, 1, 2, 3, 4, 5), None, None],
        "yes": [True, False, None],
    }
)


def test_json_is_a_list_of_row_objects():
    rows = json.loads(render(TABLE, "json"))
    assert rows[0] == {
        "name": "a|b",
        "value": 1.5,
        "count": 1,
        "list": ["x"],
        "when": "2026-01-02T03:04:05",
        "yes": True,
    }
    assert rows[1]["value"] is None and rows[2]["name"] is None


def test_csv_reads_back():
    rows = list(csv.DictReader(io.StringIO(render(TABLE, "csv").decode())))
    assert [row["name"] for row in rows] == ["a|b", "two\nlines", ""]
    assert rows[0]["list"] == '["x"]' and rows[1]["value"] == ""


def test_parquet_reads_back():
    table = pq.read_table(io.BytesIO(render(TABLE, "parquet")))
    assert table.schema.names == TABLE.schema.names and table["count"].to_pylist() == [1, 2, 3]


def test_markdown_has_as_many_cells_in_every_line():
    lines = render(TABLE, "md").decode().splitlines()
    assert lines[1] == "|---|---:|---:|---|---|---|" and len(lines) == 5
    assert "a\\|b" in lines[2] and {line.replace("\\|", "").count("|") for line in lines} == {7}


def test_the_table_is_aligned():
    lines = render(TABLE, "table").decode().splitlines()
    assert lines[-1] == "(3 rows)" and lines[0].split() == ["name", "value", "count", "list", "when", "yes"]
    assert lines[2].index("1.5") + 3 == lines[4].index("-0.25") + 5  # numbers end below each other
    assert "two lines" in lines[3]


def test_wide_characters_take_two_places():
    wide = pa.table({"text": ["北京。", "x"], "n": [1, 22]})
    assert render(wide, "table").decode().splitlines() == [
        "text     n",
        "------  --",
        "北京。   1",
        "x       22",
        "(2 rows)",
    ]


def test_a_long_line_is_not_broken():
    assert "x" * 500 in render(pa.table({"text": ["x" * 500]}), "table").decode().splitlines()[2]


def test_an_empty_result():
    empty = TABLE.slice(0, 0)
    assert json.loads(render(empty, "json")) == []
    assert render(empty, "table").decode().endswith("(0 rows)\n")
    assert render(empty, "csv").decode() == "name,value,count,list,when,yes\n"


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.binary()


@given(st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_every_value_becomes_json(value):
    json.dumps(plain(value), allow_nan=False)


@pytest.mark.parametrize(
    ("value", "shown"), [(12.30001, "12.3"), (100.0, "100"), (1234567.891, "1.23457e+06"), (0.0, "0")]
)
def test_numbers_are_shown_shortly(value, shown):
    assert shown in render(pa.table({"x": [value]}), "table").decode().splitlines()[2]
