"""A damaged file is found, named, and stops nothing but what needs it."""

from __future__ import annotations

import json
import shutil
import time
from functools import cache, partial
from pathlib import Path

import pytest

from tests.contracts.corruptions import (
    gzip_truncated,
    id_doubled,
    iob2_broken,
    labels_constant,
    line_of_200_mb,
    not_utf8,
    of_another_language,
    offsets_shifted,
    row_missing,
    target,
)
from tests.data import release_files as release
from tests.data.read_tables import surveyed
from xtreme_dag.catalogue.sources import open_source
from xtreme_dag.program.survey import Table

# Dataset -> (makes it in a folder, language and split of the table that is damaged).
DATASETS = {
    "xnli": (release.xnli, "de", "dev"),
    "udpos": (release.udpos, "de", "test"),
    "panx": (partial(release.panx, languages=("de", "en")), "de", "test"),
    "xquad": (release.xquad, "de", "test"),
    "tatoeba": (release.tatoeba, "de", "test"),
    "bucc2018": (release.bucc, "de", "test"),
    "xcopa": (release.xcopa, "et", "test"),
    "lareqa": (release.lareqa, "de", "test"),
    "mewslix": (release.mewslix, "de", "test"),
}

# Corruption -> datasets that it applies to -> the rule that is broken.
CASES = [
    *((labels_constant, name, "labels_vary") for name in ("xnli", "xcopa", "udpos", "panx")),
    *((offsets_shifted, name, rule) for name, rule in (
        ("xquad", "answers_at_offset"), ("lareqa", "gold_given"), ("mewslix", "readable"))),
    (iob2_broken, "panx", "iob2_legal"),
    *((row_missing, name, "ids_parallel") for name in ("xnli", "xquad", "xcopa")),
    (row_missing, "tatoeba", "readable"),
    *((id_doubled, name, rule) for name, rule in (
        ("xquad", "ids_unique"), ("lareqa", "ids_unique"), ("xcopa", "ids_unique"), ("mewslix", "ids_unique"),
        ("bucc2018", "readable"))),
    *((of_another_language, name, "texts_differ") for name in ("xnli", "udpos", "panx", "xquad", "xcopa", "tatoeba", "lareqa")),
    *((damage, name, "readable") for damage in (not_utf8, gzip_truncated) for name in DATASETS),
    *((line_of_200_mb, name, "readable") for name in ("xnli", "panx", "xquad", "xcopa", "bucc2018", "lareqa")),
]  # fmt: skip


def found(folder: Path, dataset: str) -> dict[tuple[str, str], Table]:
    tables = surveyed(folder, dataset)
    return {(table.language, table.split): table for table in tables}


def broken(table: Table) -> set[str]:
    return {rule["rule"] for rule in table.violations}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Copies the undamaged files of a dataset to a folder, with the home of their survey: what stays as it is, is cached.

    Says which rules each of its tables breaks all the same.
    """

    @cache
    def surveyed_once(dataset: str) -> tuple[Path, dict[tuple[str, str], set[str]]]:
        folder = DATASETS[dataset][0](tmp_path_factory.mktemp(dataset))
        return folder, {key: broken(table) for key, table in found(folder, dataset).items()}

    def copied(dataset: str, folder: Path) -> dict[tuple[str, str], set[str]]:
        made, before = surveyed_once(dataset)
        shutil.copytree(made, folder, symlinks=True, dirs_exist_ok=True)
        return before

    return copied


@pytest.mark.parametrize(("damage", "dataset", "rule"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_a_damaged_file_is_named_and_stops_only_its_own(sound, tmp_path, damage, dataset, rule):
    _, language, split = DATASETS[dataset]
    before = sound(dataset, tmp_path)
    assert rule not in before[language, split]
    of = target(open_source("folder", {"path": str(tmp_path)}), dataset, language, split)
    assert damage(of) == ""
    started = time.monotonic()
    after = found(tmp_path, dataset)
    assert time.monotonic() - started < 10
    assert before.keys() == after.keys()
    table = after[language, split]
    (violation,) = [one for one in table.violations if one["rule"] == rule]
    assert violation["count"] > 0
    if rule == "readable":
        assert f"{dataset}/{language}/{split}" in violation["error"]
        assert of.main.name in violation["error"]
    else:
        assert violation["first_ids"]
    for key, other in after.items():
        shared_file = dataset == "mewslix" and key[1] == split
        twin = damage is of_another_language and "texts_differ" in broken(other)
        if key != (language, split) and not shared_file and not twin:
            assert broken(other) == before[key], key


def test_a_context_of_a_million_characters_is_refused(sound, tmp_path):
    sound("xquad", tmp_path)
    content = json.loads((tmp_path / "xquad/xquad.de.json").read_text())
    content["data"][0]["paragraphs"][0]["context"] += "x" * (1 << 20)
    (tmp_path / "xquad/xquad.de.json").write_text(json.dumps(content))
    (violation,) = found(tmp_path, "xquad")["de", "test"].violations
    assert "a context of 1,048," in violation["error"]


def test_a_file_of_another_shape_is_named_and_stops_only_its_own(sound, tmp_path):
    sound("xquad", tmp_path)
    content = json.loads((tmp_path / "xquad/xquad.de.json").read_text())
    content["data"][0]["paragraphs"][0]["qas"][0]["answers"] = ["Paris"]
    (tmp_path / "xquad/xquad.de.json").write_text(json.dumps(content))
    tables = found(tmp_path, "xquad")
    (violation,) = tables["de", "test"].violations
    assert violation["rule"] == "readable"
    assert "xquad/de/test, xquad/xquad.de.json: " in violation["error"]
    assert "readable" not in broken(tables["en", "test"])


def test_a_text_of_a_million_characters_in_xml_is_refused(tmp_path):
    item = '<item id="1" asks-for="cause" most-plausible-alternative="1"><p>{}</p><a1>b</a1><a2>c</a2></item>'
    release.write(tmp_path / "copa/balanced-copa-dev-all.xml", f"<copa>{item.format('x' * (1 << 21))}</copa>")
    violation = next(iter(found(tmp_path, "balanced_copa")["en", "train"].violations))
    assert "item '1' has a text of 2,097,152 characters" in violation["error"]


def test_a_null_choice_flags_its_table_and_no_other(sound, tmp_path):
    before = sound("xcopa", tmp_path)
    of = target(open_source("folder", {"path": str(tmp_path)}), "xcopa", "et", "test")
    rows = [json.loads(line) for line in of.main.read_text().splitlines()]
    of.main.write_text(
        "".join(json.dumps(row | ({"choice2": None} if n == 2 else {})) + "\n" for n, row in enumerate(rows))
    )
    after = found(tmp_path, "xcopa")
    assert broken(after["et", "test"]) - before["et", "test"] == {"choices_given"}
    others = {key: broken(table) for key, table in after.items() if key != ("et", "test")}
    assert others == {key: rules for key, rules in before.items() if key != ("et", "test")}


# Case -> table -> (rules that it breaks besides `rows_as_published`, what is told as a warning, rows).
REPORTED = {
    "d02-wikiann-prefix-left": {("panx", "de", "train"): ({"words_unprefixed"}, set(), 80)},
    "d04-conllu-no-blank-line": {
        ("ud", "de", "dev"): ({"readable"}, set(), None),
        ("ud", "en", "train"): ({"readable"}, set(), None),
        ("udpos", "de", "dev"): ({"readable"}, set(), None),
    },
    "d10d-choice-null": {("xcopa", "it", "dev"): ({"choices_given"}, set(), 1)},
    "d16-xquad-partly-blind": {("xquad", "de", "test"): ({"all_answerable"}, set(), 3)},
    "d18a-ud-withheld": {("ud", "fr", "train"): (set(), {"withheld_words_left_out"}, 1)},
    "d19f-pawsx-empty-train": {("pawsx", "de", "train"): (set(), {"empty_pairs_left_out"}, 2)},
}


@pytest.mark.parametrize("case", REPORTED)
def test_reported_cases_are_refused_or_told(shared, tmp_path, case):
    shutil.copytree(shared / "cases" / case / "data", tmp_path / "data")
    seen = {
        (table.dataset, table.language, table.split): (
            broken(table) - {"rows_as_published"}, {rule["rule"] for rule in table.warnings}, table.counts.get("rows")
        )
        for table in surveyed(tmp_path / "data")
    }  # fmt: skip
    assert seen == REPORTED[case]
