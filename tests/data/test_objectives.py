"""Texts for training without labels."""

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError
from xtreme_dag.data.derive.objectives import CONTEXT, Line, chunks, make_text
from xtreme_dag.tables.canonical import SCHEMAS, read_table, write_table

DIALOGUE = ["tlm_chat", "monodm", "xdm", "response"]


def lines(documents: list[int], words: int = 3) -> list[Line]:
    """Documents of so many lines; a line's words say its number and language."""
    return [
        Line(id=f"{number}-{turn}", document=str(number), text=" ".join([f"f{number}.{turn}"] * words),
             english=" ".join([f"e{number}.{turn}"] * words))
        for number, length in enumerate(documents)
        for turn in range(length)
    ]  # fmt: skip


def params(name: str, **more) -> dict:
    return {
        "name": name,
        "seed": 0,
        "dataset": "parallel_text",
        "language": "de",
        "split": "train",
        "format": "parallel_text",
        **more,
    }


def made(folder, table_rows, kind, name, english=None, **more):
    """What the stage writes for a table."""
    inputs = {}
    for key, rows in (("table", table_rows), ("english", english)):
        if rows is not None:
            (folder / key).mkdir(parents=True)
            write_table(pa.Table.from_pylist(rows, schema=SCHEMAS[kind]), folder / key / "table.parquet")
            inputs[key] = folder / key
    out = folder / "out"
    out.mkdir()
    make_text(params(name, format=kind, **more), inputs, StageContext(out=out, scratch=folder))
    assert json.loads((out / "counts.json").read_text())["rows"] == len(read_table(out))
    return read_table(out).to_pylist()


def parallel_rows(documents: list[int]) -> list[dict]:
    return [
        {"id": line.id, "language": "de", "split": "train", "text": line.text, "english": line.english,
         "document": line.document, "turn": int(line.id.split("-")[1])}
        for line in lines(documents)
    ]  # fmt: skip


@pytest.mark.parametrize("name", DIALOGUE)
@settings(max_examples=40, deadline=None)
@given(documents=st.lists(st.integers(1, 40), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_chunks_are_runs_of_lines_within_a_document(name, documents, seed):
    all_lines = lines(documents)
    covered = []
    for _, chunk, _ in chunks(name, all_lines, params(name, seed=seed)):
        assert 2 <= len(chunk) <= CONTEXT[name][1] + 1
        assert len({line.document for line in chunk}) == 1
        places = [all_lines.index(line) for line in chunk]
        assert places == list(range(places[0], places[0] + len(chunk)))
        covered += [line.id for line in chunk]
    assert len(set(covered)) == len(covered)  # one pass: no line twice
    # What is left out: documents of one line, and a last line that nothing follows.
    assert sum(length for length in documents if length > 1) - len(covered) <= len(documents)


def test_passes_go_on_until_there_are_enough():
    found = list(chunks("xdm", lines([12, 9]), params("xdm", chunks=40)))
    assert len(found) == 40 == len({label for label, _, _ in found})
    assert list(chunks("xdm", lines([1, 1]), params("xdm", chunks=40))) == []


def test_a_chunk_ends_before_it_is_too_long():
    for name, most in (("tlm_chat", 255), ("monodm", 512)):
        for _, chunk, english in chunks(name, lines([40], words=60), params(name)):
            assert sum(len((line.english if english else line.text).split()) for line in chunk) <= most


def test_sides_and_lengths_do_not_hang_on_the_language():
    here = list(chunks("response", lines([30, 30]), params("response", language="de")))
    there = list(chunks("response", lines([30, 30]), params("response", language="zh")))
    assert here == there
    coins = [english for _, _, english in chunks("response", lines([30] * 60), params("response"))]
    assert 0.3 < sum(coins) / len(coins) < 0.7


@pytest.mark.parametrize("name", DIALOGUE)
def test_each_objective_has_its_languages(tmp_path, name):
    for row in made(tmp_path, parallel_rows([14] * 8), "parallel_text", name):
        assert row["language"] == "de+en" and row["split"] == "train"
        sides = [{word[0] for word in text.split()} for text in (row["text"], row.get("english")) if text]
        if name == "monodm":
            assert len(sides) == 1 and len(sides[0]) == 1
        elif name == "xdm":
            words = row["text"].split()
            last = [word for word in words if word[0] != words[0][0]]
            assert sides == [{"e", "f"}] and words[-len(last) :] == last and len(last) == 3
        else:
            assert sorted(map(tuple, sides)) == [("e",), ("f",)]
        if name == "tlm_chat":
            assert [word[1:] for word in row["text"].split()] == [word[1:] for word in row["english"].split()]
        if name == "response":
            before, after = row["text"].split()[-1][1:], row["english"].split()[0][1:]
            assert int(after.split(".")[1]) == int(before.split(".")[1]) + 1


def test_masked_text_of_a_labelled_dataset_has_each_text_once_and_no_label(tmp_path):
    rows = [
        {
            "id": str(number),
            "language": "en",
            "split": "train",
            "text_a": "the same",
            "text_b": f"other {number}",
            "label": "neutral",
        }
        for number in range(3)
    ]
    found = made(tmp_path, rows, "pair_classification", "mlm", language="en")
    assert [row["text"] for row in found] == ["the same", "other 0", "other 1", "other 2"]
    assert [row["id"] for row in found] == ["0.text_a", "0.text_b", "1.text_b", "2.text_b"]


def test_items_of_two_tables_are_paired_by_id(tmp_path):
    def rows(language, ids):
        return [{"id": name, "language": language, "split": "train", "text_a": f"{language} a {name}",
                 "text_b": f"{language} b {name}", "label": None} for name in ids]  # fmt: skip

    found = made(tmp_path, rows("de", "abc"), "pair_classification", "tlm", english=rows("en", "cbx"))
    assert {(row["id"], row["text"], row["english"]) for row in found} == {
        (f"{name}.text_{side}", f"de {side} {name}", f"en {side} {name}") for name in "bc" for side in "ab"
    }
    with pytest.raises(UserError, match="no text"):
        made(tmp_path / "none", rows("de", "a"), "pair_classification", "tlm", english=rows("en", "b"))
