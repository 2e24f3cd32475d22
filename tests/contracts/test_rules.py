"""Every rule of every contract, on a table that satisfies it and on one that does not."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data import release_files as release
from tests.data.read_tables import changed, checked, every, facts_of, good, prepared, verdicts
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.contracts.counts import count
from xtreme_dag.contracts.engine import judge
from xtreme_dag.contracts.measures import MEASURES, iob2_legal
from xtreme_dag.contracts.odcs import FOLDER, SUFFIX, Rule, contract_path, read_contract, read_document
from xtreme_dag.core.errors import UserError
from xtreme_dag.data.prepare.prepare import canonical
from xtreme_dag.tables.canonical import read_table as read_canonical

# Measure -> (dataset, what breaks it, facts, ids that are named first).
BAD = {
    "texts_given": ("xnli", lambda t: changed(t, 3, text_b=" \u00a0"), {}, ["i3"]),
    "labels_given": ("xnli", lambda t: changed(t, 5, label=None), {}, ["i5"]),
    "labels_vary": ("xnli", lambda t: every(t, label="contradiction"), {}, ["i0", "i1", "i2", "i3", "i4"]),
    "rows_as_published": ("xnli", lambda t: t, {"published": 5010, "whole": True}, ["i0", "i1", "i2", "i3", "i4"]),
    "script_fits": ("xnli", lambda t: every(t, text_a="только русский"), {}, ["i0", "i1", "i2", "i3", "i4"]),
    "choices_given": ("xcopa", lambda t: changed(t, 2, choices=["a", ""]), {}, ["i2"]),
    "choices_differ": ("xcopa", lambda t: changed(t, 2, choices=["a", "a"]), {}, ["i2"]),
    "tag_for_each_word": ("udpos", lambda t: changed(t, 1, tags=["NOUN"]), {}, ["i1"]),
    "words_clean": ("udpos", lambda t: changed(t, 1, words=["a", "b c", "d", "e", "f"]), {}, ["i1"]),
    "words_given": ("ud", lambda t: changed(t, 1, words=["a", "", "d", "e", "f"]), {}, ["i1"]),
    "words_unprefixed": ("panx", lambda t: changed(t, 1, words=["de:a", "de:b", "de:c", "de:d", "de:e"]), {}, ["i1"]),
    "iob2_legal": ("panx", lambda t: changed(t, 4, tags=["O", "I-PER", "O", "B-LOC", "O"]), {}, ["i4"]),
    "answers_given": ("xquad", lambda t: changed(t, 6, answers=[{"text": "", "start": 0}]), {}, ["i6"]),
    "answers_at_offset": ("xquad", lambda t: changed(t, 6, answers=[{"text": "no", "start": 1}]), {}, ["i6"]),
    "english_unsorted": ("tatoeba", lambda t: pa.table({**{c: t[c] for c in t.column_names}, "english": sorted(t["english"].to_pylist())}, schema=t.schema), {}, ["i0", "i1", "i2", "i3", "i4"]),
    "gold_in_pool": ("lareqa", lambda t: changed(t, 2, gold=["i9", "gone"]), {}, ["i2"]),
    "gold_given": ("lareqa", lambda t: changed(t, 2, gold=[]), {}, ["i2"]),
    "distractors_present": ("bucc2018", lambda t: t.slice(0, 8), {"language": "de"}, ["i0", "i1", "i2", "i3", "i4"]),
    "turns_in_order": ("mwoz", lambda t: changed(t, 8, turn=4), {}, ["i6", "i7", "i8", "i9", "i10"]),
    "state_adds_up": ("mwoz", lambda t: changed(t, 8, state=["food=welsh"]), {}, ["i8"]),
    "sentence_in_context": ("lareqa", lambda t: changed(t, 3, context="another paragraph"), {}, ["i3"]),
}  # fmt: skip


def rule_of(dataset: str, measured: str) -> str:
    found = [
        r.name for r in read_contract(contract_path(dataset)).rules if r.kwargs.get("column") == f"measure.{measured}"
    ]
    assert len(found) == 1, (dataset, measured)
    return found[0]


@pytest.mark.parametrize("dataset", sorted(load_catalogue().datasets))
def test_a_good_table_keeps_its_contract(dataset):
    language = load_catalogue().dataset(dataset).languages[0]
    language = language if language in release.LETTERS else "de"
    found, quarantine = verdicts(good(dataset, language), dataset, language)
    assert [name for name, rule in found.items() if not rule["ok"]] == []
    assert len(quarantine) == 0


@pytest.mark.parametrize("measured", MEASURES)
def test_a_bad_table_breaks_the_rule_and_names_rows(measured):
    dataset, spoil, facts, ids = BAD[measured]
    language = facts.get("language", "en")
    table = spoil(good(dataset, language))
    found, quarantine = verdicts(table, dataset, **facts)
    rule = found[rule_of(dataset, measured)]
    assert not rule["ok"]
    assert rule["first_ids"] == ids
    assert "error" not in rule
    if rule["severity"] == "error":
        assert set(ids) <= set(quarantine["id"].to_pylist())
        assert all(rule["rule"] in names for name, names in
                   zip(quarantine["id"].to_pylist(), quarantine["rules"].to_pylist(), strict=True) if name in ids)  # fmt: skip


@pytest.mark.parametrize("dataset", ["xquad", "mlqa", "mlqa_translate_train", "tydiqa", "squad_v1"])
def test_a_question_without_gold_is_a_violation_where_none_is_unanswerable(dataset):
    language = load_catalogue().dataset(dataset).languages[0]
    blind = changed(good(dataset, language), 6, answers=[], answerable=False)
    found, quarantine = verdicts(blind, dataset, language)
    assert [name for name, rule in found.items() if not rule["ok"]] == ["all_answerable"]
    assert quarantine["id"].to_pylist() == ["i6"]
    unanswerable, _ = verdicts(changed(good("squad_v2"), 6, answers=[], answerable=False), "squad_v2")
    assert all(rule["ok"] for rule in unanswerable.values())


def test_the_rules_that_need_no_measure():
    table = good("xnli")
    found, _ = verdicts(changed(table, 4, id="i3"), "xnli")
    assert (found["ids_unique"]["ok"], found["ids_unique"]["count"], found["ids_unique"]["first_ids"]) == (
        False, 2, ["i3", "i3"],
    )  # fmt: skip
    found, _ = verdicts(changed(table, 4, label="neutrl"), "xnli")
    assert found["label_in_set"]["first_ids"] == ["i4"]
    found, _ = verdicts(changed(good("mwoz"), 4, labels=["food=thai", "food=corsican"]), "mwoz")
    assert found["labels_in_ontology"]["first_ids"] == ["i4"] and found["state_in_ontology"]["ok"]
    found, _ = verdicts(changed(good("bucc2018", "de"), 20, side="left"), "bucc2018", "de")
    assert found["side_known"]["first_ids"] == ["i20"]


@pytest.mark.parametrize("dataset", sorted(load_catalogue().datasets))
def test_an_empty_table_is_a_violation(dataset):
    table = good(dataset, "de").slice(0, 0)
    found, quarantine = verdicts(table, dataset, "de")
    assert not found["not_empty"]["ok"]
    assert found["not_empty"]["first_ids"] == []
    assert all("error" not in rule for rule in found.values()), found
    assert len(quarantine) == 0


def test_labels_that_the_release_holds_back_are_no_violation():
    found, _ = verdicts(every(good("commonsenseqa"), label=None), "commonsenseqa", labelled=False)
    assert all(rule["ok"] for rule in found.values())


def test_a_tolerated_share_is_reported_and_passes():
    table = changed(good("panx", "ja", rows=100), 4, tags=["O", "I-PER", "O", "B-LOC", "O"])
    found, quarantine = verdicts(table, "panx", "ja")
    assert found["iob2_legal"] == {
        "rule": "iob2_legal", "ok": True, "severity": "error", "count": 1, "first_ids": ["i4"]
    }  # fmt: skip
    assert len(quarantine) == 0
    for row in range(10):
        table = changed(table, row, tags=["O", "I-PER", "O", "B-LOC", "O"])
    assert not verdicts(table, "panx", "ja")[0]["iob2_legal"]["ok"]


def test_an_error_inside_a_check_is_not_a_pass():
    broken = good("xquad").drop_columns(["answers"])
    found, _ = verdicts(broken, "xquad")
    assert not found["answers_at_offset"]["ok"]
    assert "KeyError" in found["answers_at_offset"]["error"]
    unlabelled = good("xnli").drop_columns(["label"])
    rule = Rule(name="r", expectation="expect_column_values_to_not_be_null", kwargs={"column": "label"})
    (verdict,) = judge(count(unlabelled, [rule], facts_of(unlabelled, "xnli")))
    assert not verdict.ok
    assert "label" in verdict.error


def test_an_expectation_that_is_not_run_is_named():
    rule = Rule(name="r", expectation="expect_column_values_to_be_uniqe", kwargs={"column": "id"})
    with pytest.raises(UserError, match="did you mean 'expect_column_values_to_be_unique'"):
        count(good("xnli"), [rule], facts_of(good("xnli"), "xnli"))


LEGAL = st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]), max_size=8)


@settings(max_examples=200, deadline=None)
@given(LEGAL)
def test_iob2_agrees_with_its_definition(tags):
    legal = all(
        not tag.startswith("I-") or (n > 0 and tags[n - 1] in (f"B-{tag[2:]}", f"I-{tag[2:]}"))
        for n, tag in enumerate(tags)
    )
    table = pa.table({"tags": pa.array([tags], pa.list_(pa.string()))})
    assert iob2_legal(table).to_pylist() == [legal]


def test_every_measure_of_a_contract_exists():
    for path in FOLDER.glob(f"*{SUFFIX}"):
        for rule in read_contract(path).rules:
            column = rule.kwargs.get("column", "")
            if column.startswith("measure."):
                assert column.removeprefix("measure.") in MEASURES
    assert set(BAD) == set(MEASURES)


def test_the_stage_writes_an_outcome_and_a_quarantine(tmp_path):
    release.xnli(tmp_path / "raw")
    rows = release.pairs("de", "dev", 60)
    rows[7][1] = " "
    release.write(tmp_path / "raw/xnli/dev-de.tsv", release.tsv(rows))
    table = prepared(tmp_path / "raw", tmp_path / "table", "xnli", "de", "dev")
    outcome = checked(table, tmp_path / "check", "xnli", "de", "dev")
    assert outcome["ok"] is False
    assert (outcome["dataset"], outcome["language"], outcome["split"]) == ("xnli", "de", "dev")
    failed = {rule["rule"]: rule for rule in outcome["rules"] if not rule["ok"]}
    assert failed["texts_given"]["first_ids"] == ["dev-7"]
    assert "rows_as_published" in failed  # 60 rows where 2,490 were published
    quarantine = read_canonical(tmp_path / "check" / "quarantine.parquet")
    named = {row["id"]: row["rules"] for row in quarantine.to_pylist()}
    assert named["dev-7"] == ["texts_given", "rows_as_published"]
    assert named["dev-8"] == ["rows_as_published"]


def test_an_edited_contract_with_the_same_verdict_gives_the_same_bytes(tmp_path):
    """So nothing that comes after a check is stale because a description was reworded."""
    release.xnli(tmp_path / "raw", train=False)
    table = prepared(tmp_path / "raw", tmp_path / "table", "xnli", "de", "dev")
    checked(table, tmp_path / "one", "xnli", "de", "dev")
    document = read_document(contract_path("xnli"))
    document["version"] = "1.0.1"
    document["description"]["purpose"] = "said better"
    edited = tmp_path / "xnli.odcs.yaml"
    edited.write_text(yaml.safe_dump(document))
    checked(table, tmp_path / "two", "xnli", "de", "dev", contract=edited)
    assert (tmp_path / "one/outcome.json").read_bytes() == (tmp_path / "two/outcome.json").read_bytes()
    assert not (tmp_path / "one/quarantine.parquet").exists()


def test_the_miniworld_keeps_every_contract():
    """Its languages have no known script and no published counts; everything else holds for them too."""
    from xtreme_dag.catalogue.sources import open_source

    source = open_source("miniworld", {"rows": {"train": 40, "select": 40, "test": 40}, "languages": ["en", "qag"]})
    for dataset in load_catalogue().datasets.values():
        for split in dataset.splits:
            for language in source.languages(dataset, split):
                located = source.locate(dataset, language, split)
                params = {**located.params, "dataset": dataset.name, "language": language, "split": split,
                          "format": dataset.format, "labels": list(dataset.labels)}  # fmt: skip
                table, counts = canonical(params, located.files, {})
                found, _ = verdicts(table, dataset.name, language, read=counts["read"])
                assert [name for name, rule in found.items() if not rule["ok"]] == [], (dataset.name, split, language)


def test_a_contract_that_is_not_one_is_named(tmp_path):
    path = tmp_path / "x.odcs.yaml"
    for content, message in (
        ("a: [", "not YAML"),
        ("- a", "a contract is a mapping"),
        ("schema: 3", "schema"),
        ("version: 1.0.0\nschema: []", "a contract describes one table, this one 0"),
    ):
        path.write_text(content)
        with pytest.raises(UserError, match=message):
            read_contract(path)
    document = read_document(contract_path("xnli"))
    document["schema"][0]["quality"][0]["engine"] = "soda"
    path.write_text(json.dumps(document))
    with pytest.raises(UserError, match="rule not_empty: engine 'soda' cannot be run"):
        read_contract(path)
    with pytest.raises(UserError, match="dataset nope: no contract"):
        contract_path("nope")


def test_a_part_of_a_union_with_one_label_is_found_among_the_others():
    parts = ("snli", "mnli", "anli")
    table = good("anli_plus", rows=60)
    ids = [f"{parts[n // 20]}:{n}" for n in range(60)]
    labels = ["neutral" if 20 <= n < 40 else label for n, label in enumerate(table["label"].to_pylist())]
    broken = table.set_column(table.column_names.index("id"), table.schema.field("id"), pa.array(ids))
    broken = broken.set_column(table.column_names.index("label"), table.schema.field("label"), pa.array(labels))
    found, rows = verdicts(broken, "anli_plus", parts=parts)
    assert (found["labels_vary"]["count"], found["labels_vary"]["first_ids"][0]) == (20, "mnli:20")
    assert rows["id"].to_pylist() == ids[20:40]
    assert verdicts(broken, "anli_plus")[0]["labels_vary"]["ok"]
