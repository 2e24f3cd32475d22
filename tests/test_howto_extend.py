"""The examples of docs/howto-extend.md work; its format is tested in formats/test_toy_format.py."""

import json
import re
import shutil
import subprocess
import sys

import pyarrow as pa
import pytest

from xtreme_dag.core.context import StageContext
from xtreme_dag.tables.canonical import SCHEMAS, write_table


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "howto-extend.md").read_text()


def module(page, name):
    """The example that defines a name, executed."""
    (code,) = [block for block in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE) if name in block]
    found = {}
    exec(code, found)
    return code, found


def test_the_metric(page):
    _, found = module(page, "MACRO_F1 = ")
    metric = found["MACRO_F1"]
    gold, predicted = ["neutral"] * 3 + ["entailment"], ["neutral", "neutral", "entailment", "entailment"]
    columns = metric.statistics(gold, predicted)
    assert set(columns) == set(metric.columns)
    # F1 of neutral 0.8, of entailment 2/3, of contradiction 0.
    value = metric.combine({name: column.sum() for name, column in columns.items()})
    assert value == pytest.approx(100 * (0.8 + 2 / 3) / 3)


def test_the_stage(page, tmp_path):
    _, found = module(page, "def measure(")
    row = {"id": "1", "language": "en", "split": "test", "text": "four", "document": "1"}
    write_table(pa.Table.from_pylist([row], schema=SCHEMAS["plain_text"]), tmp_path / "table.parquet")
    context = StageContext(out=tmp_path, scratch=tmp_path)
    found["measure"]({}, {"table": tmp_path}, context)
    assert set(json.loads((tmp_path / "lengths.json").read_text()).values()) == {4}


def test_the_command(page, repository, tmp_path):
    code, _ = module(page, "@click.command()")
    copy = tmp_path / "xtreme_dag"
    shutil.copytree(repository / "xtreme_dag", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "program" / "commands" / "languages.py").write_text(code)
    command = [sys.executable, "-m", "xtreme_dag"]
    listed = subprocess.run([*command, "languages"], cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    assert re.search(r"^de +German$", listed.stdout, re.M)
    helped = subprocess.run([*command, "--help"], cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    assert "List the languages of the catalogue." in helped.stdout


def test_every_file_that_is_named_is_there(page, repository):
    made = {"xtreme_dag/scoring/macro_f1.py", "xtreme_dag/formats/rating.py", "xtreme_dag/data/measure.py"}
    named = set(re.findall(r"`((?:xtreme_dag|tests|docs)/[a-z_/.]+)`", page)) - made
    assert len(named) > 15 and all((repository / path).exists() for path in named)
