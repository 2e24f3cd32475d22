"""The real benchmark folder: every data file is read and checked, and what is amiss there is said."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from xtreme_dag.core.home import Home
from xtreme_dag.program.overlaps import looked_at

STUDIES = Path(__file__).parents[2] / "studies"

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real")]

# Rows that the folder's README states, where the table is the whole file: (dataset, split) -> language -> examples.
README = {
    ("xquad", "test"): dict.fromkeys(["ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh"], 1190),
    ("lareqa", "test"): dict.fromkeys(["ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"], 1190),
    ("xcopa", "dev"): dict.fromkeys(["et", "ht", "id", "it", "qu", "sw", "ta", "th", "tr", "vi", "zh"], 100),
    ("xcopa", "test"): dict.fromkeys(["et", "ht", "id", "it", "qu", "sw", "ta", "th", "tr", "vi", "zh"], 500),
    ("copa", "train"): {"en": 400}, ("copa", "dev"): {"en": 100}, ("copa", "test"): {"en": 500},
    ("balanced_copa", "train"): {"en": 1000},
    ("xnli", "dev"): dict.fromkeys(["ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"], 2490),
    ("xnli", "test"): dict.fromkeys(["ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"], 5010),
    ("pawsx", "dev"): dict.fromkeys(["de", "en", "es", "fr", "ja", "ko", "zh"], 2000),
    ("pawsx", "test"): dict.fromkeys(["de", "en", "es", "fr", "ja", "ko", "zh"], 2000),
    ("mnli", "train"): {"en": 10071}, ("snli", "dev"): {"en": 9842}, ("snli", "test"): {"en": 9824},
    ("anli", "dev"): {"en": 3198}, ("qqp", "train"): {"en": 10000},
    ("squad_v1", "dev"): {"en": 10570}, ("squad_v2", "dev"): {"en": 11873},
    ("squad_es", "dev"): {"es": 6583}, ("squad_es_v2", "dev"): {"es": 7134},
    ("tydiqa", "train"): {"en": 3696, "sw": 2755, "ko": 1625},
    ("hellaswag", "dev"): {"en": 10042}, ("cosmosqa", "dev"): {"en": 2985},
    ("commonsenseqa", "train"): {"en": 9741}, ("commonsenseqa", "dev"): {"en": 1221},
    ("commonsenseqa", "test"): {"en": 1140}, ("socialiqa", "dev"): {"en": 1954}, ("socialiqa", "test"): {"en": 2224},
    ("ccg", "train"): {"en": 2328}, ("ccg", "dev"): {"en": 500}, ("bucc2018", "test"): {"zh": 257},
    ("mlqa", "test"): {"ar": 517, "de": 512, "en": 1148, "es": 500, "hi": 507, "vi": 511, "zh": 504},
    ("ud", "train"): {"en": 12544}, ("ud", "dev"): {"en": 2001}, ("ud", "test"): {"en": 2077},
    ("udpos", "train"): {"en": 21253, "kk": 31, "ta": 400},
}  # fmt: skip


@pytest.fixture(scope="module")
def report(shared_data, tmp_path_factory):
    """What `data check --json` says about the folder, in a process of its own."""
    out = tmp_path_factory.mktemp("check") / "check.json"
    command = [sys.executable, "-m", "xtreme_dag", "data", "check", "--source", f"folder:{shared_data}", "--json"]
    command += ["--home", str(tmp_path_factory.mktemp("home"))]
    with out.open("w") as sink:
        done = subprocess.run(command, stdout=sink, stderr=subprocess.PIPE, text=True, env={**os.environ}, check=False)
    assert done.stderr == ""
    content = json.loads(out.read_text())
    assert done.returncode == (0 if content["ok"] else 1)
    return content


@pytest.fixture(scope="module")
def tables(report):
    return {(table["dataset"], table["split"], table["language"]): table for table in report["tables"]}


def test_every_data_file_of_the_manifest_is_covered(report, shared_data):
    with (shared_data / "MANIFEST.tsv").open() as lines:
        data = {row["path"] for row in csv.DictReader(lines, delimiter="\t") if row["kind"] != "licence"}
    # Multilingual WoZ has a manifest of its own; of its files those with English states are not read.
    with (shared_data / "woz" / "MANIFEST.tsv").open() as lines:
        data |= {row["path"] for row in csv.DictReader(lines, delimiter="\t") if not row["path"].endswith("_en.json.gz") or row["path"].count("_") == 2}  # fmt: skip
    used = {file for table in report["tables"] for file in table["files"]}
    assert used == data


def test_the_counts_are_those_of_the_readme(tables):
    for (dataset, split), counts in README.items():
        found = {code: tables[dataset, split, code]["read"] for code in counts}
        assert found == counts, (dataset, split)
    tatoeba = {code: table["read"] for (name, _, code), table in tables.items() if name == "tatoeba"}
    fewer = {"jv": 205, "te": 234, "ta": 307, "sw": 390, "th": 548, "kk": 575, "ka": 746, "ml": 687}
    assert len(tatoeba) == 41
    assert all(count == fewer.get(code, 1000) for code, count in tatoeba.items())
    sides = tables["bucc2018", "dev", "zh"]["counts"]["sides"], tables["bucc2018", "test", "zh"]["counts"]["sides"]
    assert {side: sides[0][side] + sides[1][side] for side in sides[0]} == {"english": 13589, "foreign": 8624}


def test_the_counts_are_those_of_the_manifest(report, shared_data):
    """One file, one table: as many examples as the manifest says."""
    with (shared_data / "MANIFEST.tsv").open() as lines:
        examples = {row["path"]: row["examples"] for row in csv.DictReader(lines, delimiter="\t")}
    compared = 0
    for table in report["tables"]:
        if len(table["files"]) == 1 and examples[table["files"][0]].isdigit():
            assert table["read"] == int(examples[table["files"][0]]), table["files"]
            compared += 1
    assert compared > 200


def test_only_pawsx_tests_without_labels_violate_a_contract(report):
    """Gold labels are there for de and zh alone, and another language's will not do."""
    violated = {(t["dataset"], t["split"], t["language"]) for t in report["tables"] if not t["ok"]}
    assert violated == {("pawsx", "test", code) for code in ("en", "es", "fr", "ja", "ko")}
    rules = {rule["rule"] for t in report["tables"] if not t["ok"] for rule in t["rules"]
             if not rule["ok"] and rule["severity"] == "error"}  # fmt: skip
    assert rules == {"labels_given"}
    assert report["ok"] is False


def test_what_is_known_to_be_amiss_is_said(tables):
    assert any("share their id" in note for note in tables["tydiqa", "train", "en"]["notes"])
    assert "first 2,000" in tables["panx", "test", "ar"]["stand_in"]
    assert (
        "5734 surface tokens where the dataset ud has 6329 syntactic words" in tables["udpos", "train", "ta"]["notes"]
    )
    assert "no test labels here" in tables["pawsx", "test", "en"]["notes"][0]
    assert tables["xnli", "test", "de"]["stand_in"] is None
    iob2 = next(rule for rule in tables["panx", "test", "ja"]["rules"] if rule["rule"] == "iob2_legal")
    assert (iob2["ok"], iob2["count"]) == (True, 81)


def test_no_paragraph_of_xquad_is_trained_or_selected_on(tables):
    for dataset in ("squad_v1", "squad_v2", "squad_es", "squad_es_v2", "squad_retrieval"):
        assert tables[dataset, "train", "es" if "_es" in dataset else "en"]["stand_in"]
    for name in ("xquad", "lareqa"):
        for (dataset, _, _), table in tables.items():
            if dataset == name:
                assert not [rule for rule in table["rules"] if rule["rule"] == "unseen_in_translation"]


def test_splits_of_a_language_share_less_than_a_contract_allows(tables):
    for table in tables.values():
        for rule in table["rules"]:
            if rule["rule"].startswith("unseen"):
                assert rule["severity"] == "warning", (table["dataset"], table["language"], rule)


def test_the_shipped_study_on_twelve_languages_has_no_leak_and_its_near_duplicates_are_named(shared_data, tmp_path):
    """PAWS-X's pairs and UD's short sentences recur: their contracts say how much is tolerated."""
    looked = looked_at(
        Home(tmp_path), STUDIES / "real_twelve.yaml", (f"data.folder={shared_data}",), lambda _words: None
    )
    assert looked.audits == 21 and not looked.failed and not [one for one in looked.shared if one.stops]
    found = {(one.seen, one.tested): one.by for one in looked.shared}
    assert found["pawsx/en/train", "pawsx/en/test"]["near"] >= 3 and ("udpos/en/train", "udpos/en/dev") in found
