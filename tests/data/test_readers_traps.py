"""Traps that others fell into with these data (google-research/xtreme, jiant, the hub), and that we do not.

More of them stand beside the rules and readers that they concern: `pytest -k trap` runs all.
"""

from __future__ import annotations

import json

import data_release_files as release
import pyarrow.parquet as pq
import pytest
from data_tables import read_table, read_with_counts, verdicts

from xtreme_dag.benchmark.catalogue import load_catalogue
from xtreme_dag.data.canonical import SCHEMAS
from xtreme_dag.data.readers.files import Place
from xtreme_dag.data.readers.hub import columns_of
from xtreme_dag.data.sources import open_source
from xtreme_dag.errors import UserError

PLACE = Place(dataset="x", language="de", split="test")


def test_trap_the_first_example_of_xnli_is_read(tmp_path):
    """XTREME's reader once took the first line of a file without a header for one (pull request 58)."""
    release.xnli(tmp_path, rows=6)
    assert len(read_table(tmp_path, "xnli", "de", "test")) == 6
    assert read_table(tmp_path, "xnli", "de", "test")["id"][0].as_py() == "test-0"


def test_trap_contradictory_is_contradiction(tmp_path):
    rows = [["premise", "hypo", "label"], ["a", "b", "contradictory"]]
    release.write(tmp_path / "XNLI-MT-1.0/multinli/multinli.train.en.tsv", release.tsv(rows))
    assert read_table(tmp_path, "mnli", "en", "train")["label"].to_pylist() == ["contradiction"]


def test_trap_pawsx_has_no_arabic():
    """jiant's caching loop asks for it."""
    with pytest.raises(UserError, match="the split has no 'ar'"):
        open_source("folder", {"path": "."}).locate(load_catalogue().dataset("pawsx"), "ar", "test")


def test_trap_pawsx_of_google_xtreme_is_not_the_source():
    hub = load_catalogue().dataset("pawsx").split("train").hub
    assert hub is not None
    assert hub.id == "google-research-datasets/paws-x"
    assert load_catalogue().dataset("pawsx").split("train").count("en") == 49_401


def test_trap_lost_pawsx_rows_are_a_violation(tmp_path):
    """49,175 rows where 49,401 were published."""
    release.write(tmp_path / "pawsx/train-en.tsv", release.tsv(release.pairs("en", "train", 40, ("0", "1"))))
    table, counts = read_with_counts(tmp_path, "pawsx", "en", "train")
    published = load_catalogue().dataset("pawsx").split("train").count("en")
    found, _ = verdicts(table, "pawsx", "en", read=counts["read"], published=published, whole=counts["whole"])
    assert not found["rows_as_published"]["ok"]


def test_trap_bucc_gold_pairs_alone_are_no_mining_task(tmp_path):
    """The hub's bucc18 drops the pools; so it is no source, and a pool without distractors breaks the contract."""
    dataset = load_catalogue().dataset("bucc2018")
    assert all(split.hub is None for split in dataset.splits.values())
    release.bucc(tmp_path, distractors=0)
    found, _ = verdicts(read_table(tmp_path, "bucc2018", "de", "test"), "bucc2018", "de")
    assert not found["distractors_present"]["ok"]


def test_trap_udpos_of_the_hub_has_other_tokens():
    """It has syntactic words and drops sentences; XTREME has surface tokens: so it is a source of `ud` alone."""
    catalogue = load_catalogue()
    assert all(split.hub is None for split in catalogue.dataset("udpos").splits.values())
    hub = catalogue.dataset("ud").split("test").hub
    assert hub is not None
    assert hub.stand_in
    assert "surface" in catalogue.dataset("udpos").tokenisation
    assert "syntactic" in catalogue.dataset("ud").tokenisation


def test_trap_treebanks_come_in_one_order_on_every_machine(tmp_path):
    for bank in ("zzz", "aaa", "mmm"):
        release.write(tmp_path / f"ud-treebanks-v2.5/UD_{bank}/en_{bank}-ud-dev.conllu",
                      f"1\t{bank}\t_\tNOUN\t_\t_\t0\t_\t_\t_\n\n")  # fmt: skip
    assert read_table(tmp_path, "udpos", "en", "dev")["words"].to_pylist() == [["aaa"], ["mmm"], ["zzz"]]


def test_trap_empty_french_words_are_a_violation(tmp_path):
    """Words without a character were in XTREME's French files (pull request 30)."""
    release.write(tmp_path / "udpos/train-fr.tsv", "le\tDET\n\tNOUN\n\n")
    found, _ = verdicts(read_table(tmp_path, "udpos", "fr", "train"), "udpos", "fr")
    assert found["words_clean"]["first_ids"] == ["train-0"]


def test_trap_lines_of_the_hubs_tatoeba_keep_their_newline():
    columns = {"reader": "parallel_columns", "text": "a", "english": "b"}
    found = columns_of({"a": ["ja\n"], "b": ["yes \n"]}, {}, columns, None, PLACE, range(1))
    assert found == {"text": ["ja"], "english": ["yes"]}


def test_trap_the_extended_languages_are_not_forgotten():
    """Upstream scripts leave out Romanian XQuAD and Wolof UD-POS, which their scorer demands."""
    tasks = load_catalogue().tasks
    assert "ro" in tasks["xquad"].languages["xtreme-r"]
    assert "wo" in tasks["udpos"].languages["xtreme-r"]
    assert len(tasks["lareqa"].languages["xtreme-r"]) == 11


def test_trap_kk_th_tl_yo_have_no_dev_treebank():
    dataset = load_catalogue().dataset("udpos")
    assert set(dataset.languages) - set(dataset.split("dev").languages) == {"kk", "th", "tl", "yo"}


def test_trap_tydiqas_public_dev_is_the_test_set(tmp_path):
    """So nothing is selected on it: a tenth of English train, by paragraph, is held out."""
    dataset = load_catalogue().dataset("tydiqa")
    assert dataset.split("dev").use == "select"
    for layout in dataset.split("dev").layouts:
        assert "train" in layout.files["table"]
    hub = dataset.split("dev").hub
    assert hub is not None
    assert hub.split == "train"


def test_trap_multilingual_xnli_of_the_hub_is_not_mixed():
    """The all-in-one configuration mixes fifteen languages; the ones by language do not."""
    hub = load_catalogue().dataset("xnli").split("test").hub
    assert hub is not None
    assert (hub.id, hub.config) == ("facebook/xnli", "{language}")


def test_trap_ner_prefixes_are_removed(tmp_path):
    release.write(tmp_path / "panx_dataset/ru-dev", "ru:Москва\tB-LOC\n\n")
    assert read_table(tmp_path, "panx", "ru", "dev")["words"].to_pylist() == [["Москва"]]


@pytest.mark.real
def test_trap_lareqa_candidates_are_all_sentences(shared_data):
    """13,014 candidates (README of google-research-datasets/lareqa), not only those that answer something."""
    published = {"ar": 1222, "de": 1276, "el": 1234, "en": 1180, "es": 1215, "hi": 1244, "ru": 1219, "th": 852,
                 "tr": 1167, "vi": 1209, "zh": 1196}  # fmt: skip
    found = {code: read_with_counts(shared_data, "lareqa", code, "test")[1]["sides"]["candidate"] for code in published}
    assert found == published
    assert sum(found.values()) == 13_014


@pytest.mark.real
def test_trap_surface_tokens_are_those_of_xtreme(shared_data):
    """Our tokens from the treebank are those in XTREME's own file, where both are of one release."""
    ours = read_table(shared_data, "ud", "ta", "train")
    theirs = read_table(shared_data, "udpos", "ta", "train")
    assert len(ours) == len(theirs) == 400
    from xtreme_dag.data.readers.tags import read_conllu

    path = next(shared_data.glob("udpos/ud/Tamil-TTB/ta_ttb-ud-train.conllu*"))
    place = Place(dataset="udpos", language="ta", split="train")
    chunks = list(read_conllu({"table": path}, {"tokens": "surface"}, place))
    words = [sentence for chunk in chunks for sentence in chunk.columns["words"]]
    tags = [sentence for chunk in chunks for sentence in chunk.columns["tags"]]
    same_words = sum(a == b for a, b in zip(words, theirs["words"].to_pylist(), strict=True))
    same_tags = sum(a == b for a, b in zip(tags, theirs["tags"].to_pylist(), strict=True))
    assert same_words == 400
    assert same_tags >= 399


def test_trap_no_pickles_in_what_prepare_writes(tmp_path):
    release.xnli(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    from data_tables import prepared

    prepared(tmp_path, out, "xnli", "de", "test")
    assert pq.read_schema(out / "table.parquet").equals(SCHEMAS["pair_classification"])
    assert set(json.loads((out / "counts.json").read_text())) == {
        "format",
        "labelled",
        "labels",
        "read",
        "rows",
        "script",
        "whole",
    }
