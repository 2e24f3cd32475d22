"""A format from outside, as docs/howto-extend.md has it: prepared, counted, checked, exported and judged."""

import json
import re
import subprocess
import sys

import pyarrow as pa
import pytest

from xtreme_dag import formats
from xtreme_dag.catalogue.catalogue import FOLDER, read_catalogue
from xtreme_dag.catalogue.sources import open_source
from xtreme_dag.contracts.columns import shown
from xtreme_dag.contracts.cross import sketch
from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError
from xtreme_dag.data.derive.translate import plain_rows
from xtreme_dag.data.prepare.prepare import prepare
from xtreme_dag.submissions.folder import score_folder
from xtreme_dag.submissions.read import read_submission
from xtreme_dag.submissions.write import write_labels, write_submission
from xtreme_dag.tables.canonical import SCHEMAS, read_table

ENTRY = """
title: Ratings
format: rating
labels: [good, bad]
languages: de en
licence: CC0
citation: nobody
splits:
  test:
    use: test
    layouts:
      - {reader: pairs, files: {table: "{language}.tsv"}, options: {columns: [text, label]}}
target: {head: classification, metric: accuracy, group: classification, test: test, languages: {xtreme-r: de en}}
"""


@pytest.fixture
def rating(repository):
    """The format of the page, registered for one test."""
    page = (repository / "docs" / "howto-extend.md").read_text()
    (code,) = re.findall(r"```python\n((?:(?!```).)*?FORMAT = .*?)```", page, re.DOTALL)
    module = {}
    exec(code, module)
    formats.register(module["FORMAT"])
    yield module["FORMAT"]
    del formats.FORMATS["rating"]


@pytest.fixture
def world(rating, tmp_path, monkeypatch):
    """A catalogue with a dataset of the format, and its files."""
    (tmp_path / "entry").mkdir()
    (tmp_path / "entry" / "stars.yaml").write_text(ENTRY)
    catalogue = read_catalogue([FOLDER, tmp_path / "entry"])
    for module in ("folder", "write"):
        monkeypatch.setattr(f"xtreme_dag.submissions.{module}.load_catalogue", lambda: catalogue)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "de.tsv").write_text("Schön.\tgood\nSchlimm.\tbad\nGut.\tgood\n")
    return catalogue


def stage(catalogue, folder, out):
    dataset = catalogue.dataset("stars")
    located = open_source("folder", {"path": str(folder)}).locate(dataset, "de", "test")
    params = {**located.params, "dataset": "stars", "language": "de", "split": "test", "format": dataset.format}
    out.mkdir()
    prepare({**params, "labels": list(dataset.labels)}, located.files, StageContext(out=out, scratch=out))
    return read_table(out), json.loads((out / "counts.json").read_text())


def test_a_table_is_prepared_counted_exported_and_judged(world, tmp_path):
    table, counts = stage(world, tmp_path / "raw", tmp_path / "out")
    assert table.schema == SCHEMAS["rating"]
    assert (counts["rows"], counts["labels"]) == (3, {"good": 2, "bad": 1})

    cell = ("stars", "de")
    ids = table["id"].to_pylist()
    given = pa.table({"id": list(reversed(ids)), "prediction": ["good", "good", "good"]})
    missing = write_submission({cell: given}, tmp_path / "ours", {}, canonical={cell: table}, benchmark="xtreme-r")
    assert "stars/test-en.tsv" in missing
    write_labels({cell: table}, tmp_path / "labels")
    assert (tmp_path / "labels" / "stars" / "test-de.tsv").read_text() == "good\nbad\ngood\n"

    report = score_folder(tmp_path / "ours", tmp_path / "labels", "xtreme-r")
    assert report["tasks"]["stars"]["de"]["accuracy"] == pytest.approx(200 / 3)
    rows, _ = read_submission(tmp_path / "ours", tmp_path / "labels", benchmark="xtreme-r", canonical={cell: table})
    assert rows[cell]["id"].to_pylist() == ids
    assert rows[cell]["s_correct"].to_pylist() == [1, 0, 1]


def test_a_label_outside_the_label_set_is_refused(world, tmp_path):
    (tmp_path / "raw" / "de.tsv").write_text("Schön.\tgod\n")
    with pytest.raises(UserError, match=r"label 'god' is not in the label set[\s\S]*did you mean 'good'"):
        stage(world, tmp_path / "raw", tmp_path / "out")


def test_contracts_and_translation_ask_the_format(rating):
    row = {"id": "1", "language": "en", "split": "test", "text": "Nice.", "label": "good"}
    table = pa.Table.from_pylist([row], schema=SCHEMAS["rating"])
    assert shown(table, rating).to_pylist() == ["Nice."]
    assert sketch(table, "rating", "en").ids == ("1",)
    (made,) = plain_rows([row], "rating", lambda texts: [text.upper() for text in texts])
    assert (made["text"], made["label"]) == ("NICE.", "good")


def test_names_that_are_not_there_and_names_that_are_taken(rating):
    with pytest.raises(UserError, match="did you mean 'rating'"):
        formats.get("ratings")
    formats.register(rating)
    other = formats.get("tagging")
    with pytest.raises(UserError, match="two formats 'rating'"):
        formats.register(type(other)(name="rating", columns=other.columns, texts=(), shown="words"))


@pytest.mark.parametrize("name", sorted(formats.FORMATS))
def test_a_declaration_names_its_own_columns(name):
    format = formats.get(name)
    named = {format.shown, *format.texts, *format.compared, *format.read, *format.shared, *format.counted.values()}
    named |= {format.label, format.choices} - {""}
    named |= set(format.translation.texts) if format.translation else set()
    assert named <= set(format.columns)
    assert ("side" in format.columns) == (format.sides is not None)
    assert format.facts("columns", "sides", "translation") == json.loads(
        json.dumps(format.facts("columns", "sides", "translation"))
    )


def test_formats_are_known_without_heavy_imports():
    script = "import sys, xtreme_dag.formats; print([m for m in ('numpy', 'pyarrow', 'torch') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
