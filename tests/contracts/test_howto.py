"""Does what docs/howto-add-a-dataset.md says, and looks that docs/datasets.md is complete."""

from __future__ import annotations

import re

from tests.data.read_tables import surveyed
from xtreme_dag.catalogue.catalogue import FOLDER as CATALOGUE
from xtreme_dag.catalogue.catalogue import load_catalogue, read_catalogue
from xtreme_dag.catalogue.sources import open_source
from xtreme_dag.contracts.lint import lint
from xtreme_dag.contracts.measures import MEASURES
from xtreme_dag.contracts.odcs import read_contract
from xtreme_dag.data.prepare.prepare import canonical


def test_the_how_to_adds_a_dataset_with_two_files(repository, tmp_path, monkeypatch):
    page = (repository / "docs" / "howto-add-a-dataset.md").read_text()
    blocks = re.findall(r"```(yaml|tsv)\n(.*?)```", page, re.DOTALL)
    files = re.findall(r"^`([\w/.]+)`[:;]", page, re.MULTILINE)
    assert files == ["xtreme_dag/catalogue/shipped/weather_nli.yaml", "data_contracts/weather_nli.odcs.yaml"]
    assert [kind for kind, _ in blocks] == ["yaml", "yaml", "tsv"]
    for (_, content), name in zip(blocks, ["entry/weather_nli.yaml", "contracts/weather_nli.odcs.yaml",
                                           "data/weather/test-de.tsv"], strict=True):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(content)

    catalogue = read_catalogue([CATALOGUE, tmp_path / "entry"])
    assert "weather_nli" in catalogue.benchmarks["xtreme-r"]
    assert lint(tmp_path / "contracts" / "weather_nli.odcs.yaml", catalogue) == []
    assert len(read_contract(tmp_path / "contracts" / "weather_nli.odcs.yaml").rules) == 5

    source = open_source("folder", {"path": str(tmp_path / "data")})
    dataset = catalogue.dataset("weather_nli")
    assert source.languages(dataset, "test") == ("de",)
    located = source.locate(dataset, "de", "test")
    params = {**located.params, "dataset": dataset.name, "language": "de", "split": "test", "format": dataset.format,
              "labels": list(dataset.labels)}  # fmt: skip
    table, _ = canonical(params, located.files, {})
    assert table["label"].to_pylist() == ["contradiction", "entailment", "neutral"]

    monkeypatch.setattr("xtreme_dag.contracts.odcs.FOLDER", tmp_path / "contracts")
    (found,) = surveyed(tmp_path / "data", "weather_nli", catalogue=catalogue)
    assert found.violations == []
    assert len(found.rules) == 5


def test_the_manual_names_every_dataset_and_measure(repository):
    page = (repository / "docs" / "datasets.md").read_text()
    named = set(re.findall(r"`([\w.]+)`", page))
    assert set(load_catalogue().datasets) <= named
    assert set(MEASURES) <= named
