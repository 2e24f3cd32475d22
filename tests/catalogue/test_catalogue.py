"""The catalogue: complete, consistent, quick to read, and clear about what is wrong with an entry."""

from __future__ import annotations

import csv
import subprocess
import sys

import pytest
import yaml

from xtreme_dag.catalogue.catalogue import FOLDER, load_catalogue, read_catalogue
from xtreme_dag.catalogue.languages import languages
from xtreme_dag.core.errors import UserError

# Task -> number of languages in XTREME and XTREME-R (papers and evaluate.py of google-research/xtreme).
LANGUAGES = {
    "xnli": (15, 15), "pawsx": (7, 0), "udpos": (33, 38), "panx": (40, 48), "xquad": (11, 12), "mlqa": (7, 7),
    "tydiqa": (9, 9), "bucc2018": (4, 0), "tatoeba": (36, 41), "xcopa": (0, 11), "lareqa": (0, 11), "mewslix": (0, 11),
    "mwoz": (0, 0), "multiwoz": (0, 0),
}  # fmt: skip
INTERMEDIATE = {
    "anli_plus", "snli", "mnli", "anli", "qqp", "squad_v2", "squad_v1", "hellaswag", "ccg", "cosmosqa",
    "commonsenseqa", "socialiqa", "copa",
}  # fmt: skip


def entry(**changes):
    """A valid entry, with changes."""
    base = {
        "title": "T", "format": "parallel", "languages": "de fr", "licence": "none", "citation": "none",
        "splits": {"test": {"use": "test", "layouts": [{"reader": "parallel_lines", "files": {"text": "a"}}]}},
    }  # fmt: skip
    return {**base, **changes}


def read(tmp_path, **entries):
    for name, value in entries.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(value))
    return read_catalogue([tmp_path])


def test_every_task_has_the_languages_of_the_benchmarks():
    tasks = load_catalogue().tasks
    found = {
        name: tuple(len(task.languages.get(b, ())) for b in ("xtreme", "xtreme-r")) for name, task in tasks.items()
    }
    assert found == LANGUAGES


def test_languages_are_those_of_the_facts(shared):
    with (shared / "facts" / "languages.csv").open() as lines:
        facts = list(csv.DictReader(lines))
    tasks = load_catalogue().tasks
    for name in ("xnli", "xcopa", "udpos", "panx", "xquad", "mlqa", "tydiqa", "tatoeba", "mewslix", "lareqa"):
        wanted = {row["iso"] for row in facts if row[name] == "1"}
        assert set(tasks[name].languages["xtreme-r"]) == wanted, name
    assert set(languages()) == {row["iso"] for row in facts}
    new = {row["iso"] for row in facts if row["new_in_XTREME-R"] == "1"}
    assert not {code for task in tasks.values() for code in task.languages.get("xtreme", ())} & new


def test_benchmarks_have_nine_and_ten_tasks():
    benchmarks = load_catalogue().benchmarks
    assert len(benchmarks["xtreme"]) == 9
    assert len(benchmarks["xtreme-r"]) == 10
    assert set(load_catalogue().datasets) >= INTERMEDIATE


def test_tasks_train_on_train_select_on_select_and_test_on_test():
    catalogue = load_catalogue()
    for task in catalogue.tasks.values():
        uses = {"train": task.train, "select": task.select, "test": task.test}
        for use, ref in uses.items():
            if ref is not None:
                assert catalogue.dataset(ref.dataset).split(ref.split).use == use, (task.name, ref)
        for ref in task.before:
            assert catalogue.dataset(ref.dataset).split(ref.split).use == "train"
        for ref in (task.train, task.select if task.head != "embedding" else None):
            assert ref is None or "en" in catalogue.dataset(ref.dataset).split(ref.split).languages


def test_every_dataset_says_how_to_get_it_and_under_which_licence():
    for dataset in load_catalogue().datasets.values():
        assert dataset.licence, dataset.name
        assert dataset.citation, dataset.name
        assert dataset.get, dataset.name
        assert dataset.format != "tagging" or dataset.tokenisation or dataset.name == "ccg", dataset.name


def test_revisions_of_the_hub_are_commits_or_left_out():
    for dataset in load_catalogue().datasets.values():
        for split in dataset.splits.values():
            if split.hub is not None:
                assert split.hub.reader, dataset.name
                assert split.hub.split, dataset.name
                assert split.hub.revision is None or len(split.hub.revision) == 40


def test_reading_imports_nothing_heavy():
    code = (
        "import sys; from xtreme_dag.catalogue.catalogue import load_catalogue; load_catalogue();"
        "print([m for m in ('numpy', 'pyarrow', 'pandas', 'torch', 'great_expectations', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_counts_by_language_fall_back_on_the_common_one():
    split = load_catalogue().dataset("tatoeba").split("test")
    assert split.count("jv") == 205
    assert split.count("de") == 1000
    assert load_catalogue().dataset("udpos").split("test").count("de") is None


def test_advice_on_how_to_get_data_names_a_place_that_is_there():
    for dataset in load_catalogue().datasets.values():
        assert "homepage" not in dataset.get, dataset.name  # the advice stands alone
        for gone in ("tau-nlp.org", "comparable.limsi.fr", "rowanzellers.com"):
            assert gone not in f"{dataset.get} {dataset.homepage}", dataset.name


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UserError, match="did you mean 'xnli'"):
        load_catalogue().dataset("xnil")
    with pytest.raises(UserError, match="did you mean 'pawsx'"):
        load_catalogue().task("pawx")
    with pytest.raises(UserError, match="no split 'tets'"):
        load_catalogue().dataset("xnli").split("tets")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"formt": "parallel"}, r"x.yaml: unknown key 'formt'\n  did you mean 'format'"),
        ({"format": "paralel"}, r"format: 'paralel' is not valid\n  did you mean 'parallel'"),
        ({"languages": "de xx"}, r"languages: 'xx' is not valid"),
        ({"splits": {"test": {"use": "tests"}}}, r"splits.test.use: 'tests' is not valid\n  did you mean 'test'"),
        ({"splits": {"test": {"use": "test", "layot": []}}}, r"splits.test: unknown key 'layot'"),
        (
            {"splits": {"test": {"use": "test", "hub": {"id": "a/b", "revision": "main"}}}},
            r"revision 'main' is not a commit",
        ),
        (
            {"splits": {"test": {"use": "test", "union": [{"dataset": "nope", "split": "test"}]}}},
            r"splits.test.union: no dataset 'nope'",
        ),
        (
            {
                "target": {
                    "head": "span", "metric": "f1", "group": "qa", "test": "dev", "languages": {"xtreme": "de"},
                }
            },
            r"no split 'dev'",
        ),
        (
            {
                "target": {
                    "head": "span", "metric": "f1", "group": "qaa", "test": "test", "languages": {"xtreme": "de"},
                }
            },
            r"target.group: 'qaa' is not valid\n  did you mean 'qa'",
        ),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_an_error_that_names_file_and_key(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, x=entry(**changes))


def test_a_key_that_is_missing_is_named(tmp_path):
    wrong = entry()
    del wrong["licence"]
    with pytest.raises(UserError, match="key 'licence' is missing"):
        read(tmp_path, x=wrong)


def test_an_entry_that_is_not_yaml_is_named(tmp_path):
    (tmp_path / "x.yaml").write_text("title: [")
    with pytest.raises(UserError, match="not YAML"):
        read_catalogue([tmp_path])


def test_the_same_name_twice_is_an_error(tmp_path):
    read(tmp_path, xnli=entry())
    with pytest.raises(UserError, match="in the catalogue twice"):
        read_catalogue([FOLDER, tmp_path])
