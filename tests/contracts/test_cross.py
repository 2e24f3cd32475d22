"""Rules across tables: languages, splits, translations."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data import release_files as release
from tests.data.read_tables import prepared, read_table, surveyed
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.catalogue.sources import open_source
from xtreme_dag.contracts.across import across
from xtreme_dag.contracts.cross import (
    Sketch,
    across_languages,
    parallel_ids,
    parallel_labels,
    sketch,
    texts_differ,
    unseen,
    unseen_in_translation,
)
from xtreme_dag.contracts.odcs import contract_path, read_contract
from xtreme_dag.core.context import StageContext


def sketched(language, ids, *, texts=None, labels=None):
    size = len(ids)
    numbers = np.arange(size, dtype=np.uint64)
    shift = np.uint64(abs(hash(language)) % 1000 * 10_000)
    return Sketch(
        language=language,
        ids=tuple(ids),
        texts=numbers + shift if texts is None else np.array(texts, dtype=np.uint64),
        contents=numbers + shift if texts is None else np.array(texts, dtype=np.uint64),
        labels=np.zeros(size, np.uint64) if labels is None else np.array(labels, dtype=np.uint64),
    )


def test_ids_of_parallel_languages():
    german, english = sketched("de", "abd"), sketched("en", "abc")
    assert parallel_ids(german, english) == {
        "rule": "ids_parallel", "ok": False, "severity": "error", "count": 2, "first_ids": ["c", "d"], "against": "en"
    }  # fmt: skip
    assert parallel_ids(english, english)["ok"]


def test_labels_of_parallel_languages():
    found = parallel_labels(sketched("de", "abc", labels=[1, 2, 3]), sketched("en", "abc", labels=[1, 9, 3]))
    assert (found["ok"], found["first_ids"]) == (False, ["b"])


def test_one_file_under_two_names():
    many = [str(n) for n in range(10)]
    one, other = sketched("de", many, texts=range(10)), sketched("nl", many, texts=[*range(6), 90, 91, 92, 93])
    assert (texts_differ(one, other)["ok"], texts_differ(one, other)["count"]) == (False, 6)
    other = sketched("nl", many, texts=[*range(5), 90, 91, 92, 93, 94])
    assert texts_differ(one, other)["ok"]
    assert texts_differ(sketched("de", "abc", texts=[1, 2, 3]), sketched("nl", "abc", texts=[1, 2, 3]))["ok"]


def test_the_damaged_language_is_named_not_the_others():
    sketches = {code: sketched(code, "abcd") for code in ("de", "en", "fr", "ru")}
    sketches["en"] = sketched("en", "abc")
    assert set(across_languages(sketches, parallel=True, same_labels=False)) == {"en"}
    assert across_languages(sketches, parallel=False, same_labels=False) == {}


def test_overlap_is_a_warning_up_to_the_tolerance():
    test, train = sketched("de", "abcd", texts=[1, 2, 3, 4]), sketched("de", "xy", texts=[3, 9])
    found = unseen(test, train, tolerance=0.25)
    assert (found["ok"], found["severity"], found["first_ids"]) == (False, "warning", ["c"])
    assert unseen(test, train, tolerance=0.2)["severity"] == "error"
    assert unseen(test, sketched("de", "z", texts=[77]), tolerance=0.0)["ok"]


def test_translations_are_known_by_their_ids():
    found = unseen_in_translation(sketched("ru", "abc"), sketched("en", "cd"))
    assert (found["ok"], found["first_ids"]) == (False, ["c"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 50), max_size=30), st.lists(st.integers(0, 50), max_size=30))
def test_overlap_counts_what_sets_count(ones, others):
    test = sketched("de", [f"t{n}" for n in range(len(ones))], texts=ones)
    train = sketched("de", [f"r{n}" for n in range(len(others))], texts=others)
    assert unseen(test, train, tolerance=1.0)["count"] == sum(one in set(others) for one in ones)


@pytest.mark.parametrize("dataset", sorted(load_catalogue().datasets))
def test_every_format_can_be_sketched(dataset):
    source = open_source("miniworld", {"rows": {"train": 12, "select": 12, "test": 12}, "languages": ["en", "qaa"]})
    from tests.data.read_tables import params_of
    from xtreme_dag.data.prepare.prepare import canonical

    split = next(iter(load_catalogue().dataset(dataset).splits))
    params, located = params_of(source, dataset, "qaa", split)
    found = sketch(canonical(params, located.files, {})[0], load_catalogue().dataset(dataset).format, "qaa")
    assert len(found.ids) == len(found.texts) == len(found.contents) == len(found.labels) > 0


def test_the_stage_across_tables_names_the_damaged_one(tmp_path):
    release.xquad(tmp_path / "raw")
    content = json.loads((tmp_path / "raw/xquad/xquad.de.json").read_text())
    del content["data"][0]["paragraphs"][0]["qas"][0]
    (tmp_path / "raw/xquad/xquad.de.json").write_text(json.dumps(content))
    codes = ("de", "en", "ru")
    tables = {code: prepared(tmp_path / "raw", tmp_path / code, "xquad", code, "test") for code in codes}
    contract = read_contract(contract_path("xquad"))
    rules = {name: getattr(contract, name) for name in ("parallel", "same_labels", "overlap")}
    params = {
        "tables": [["xquad", code, "test", "test"] for code in codes],
        "datasets": {"xquad": {"format": "span_qa", **rules}},
    }
    context = StageContext(out=tmp_path, scratch=tmp_path)
    across(params, {f"xquad/{code}/test": path for code, path in tables.items()}, context)
    found = json.loads((tmp_path / "findings.json").read_text())
    assert set(found) == {"xquad/de/test"}
    (rule,) = found["xquad/de/test"]
    assert (rule["rule"], rule["against"], rule["first_ids"]) == ("ids_parallel", "en", ["q0-0-0"])


def test_a_leak_through_translation_is_an_error(tmp_path):
    """Spanish SQuAD that holds questions which XQuAD translates into Russian."""
    release.xquad(tmp_path, ("ru", "en"))
    translated = json.dumps(release.squad_json("es", 12), ensure_ascii=False)
    release.write(tmp_path / "squad_es/train-v1.1-es_small.json", translated)
    tables = surveyed(tmp_path, "xquad", "squad_es")
    found = {
        (t.language, t.split): {rule["rule"]: rule for rule in t.violations} for t in tables if t.dataset == "xquad"
    }
    rule = found["ru", "test"]["unseen_in_translation"]
    assert (rule["against"], rule["count"]) == ("squad_es/es/train", 12)


def test_parallel_languages_have_equal_ids_after_prepare(tmp_path):
    release.xnli(tmp_path)
    tables = {code: read_table(tmp_path, "xnli", code, "test", limit=17) for code in ("de", "en", "fr")}
    assert len({tuple(table["id"].to_pylist()) for table in tables.values()}) == 1
