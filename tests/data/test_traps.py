"""Traps that others fell into with these data, one test each, in the order of the lists that warn of them.

The lists: XTREME's protocol and its scripts, the hub's copies, XTREME-R, and jiant with what its users stumbled over
(google-research/xtreme, huggingface/datasets, nyu-mll/jiant; numbers are those of issues and pull requests). One more,
the order of label numbers as the hub serves them, is in `test_hub.py`, whose loopback hub it needs.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.data import release_files as release
from tests.data.read_tables import every, good, prepared, read_table, read_with_counts, surveyed, verdicts
from xtreme_dag.catalogue.catalogue import TableRef, load_catalogue
from xtreme_dag.catalogue.sources import open_source
from xtreme_dag.core.errors import UserError
from xtreme_dag.data.readers.files import Place
from xtreme_dag.data.readers.hub import columns_of
from xtreme_dag.data.readers.tags import read_conllu
from xtreme_dag.tables.canonical import SCHEMAS

PLACE = Place(dataset="x", language="de", split="test")


def dump(folder, path, value):
    return release.write(folder / path, json.dumps(value, ensure_ascii=False))


def real(path: Path) -> str:
    """The text of a file of the real folder, which has the larger ones compressed."""
    return path.read_text() if path.exists() else gzip.decompress(Path(f"{path}.gz").read_bytes()).decode()


def treebank(word: str) -> str:
    """A treebank of one word."""
    return f"1\t{word}\t_\tNOUN\t_\t_\t0\t_\t_\t_\n\n"


# XTREME: what is trained on, and what is tested on


def tydiqa(counts):
    """TyDiQA-GoldP train as released: all languages in one file, the language in the id."""
    articles = []
    for name, language, count in counts:
        for n in range(count):
            context = release.text(language, f"c {n}")
            answer = context.split()[0]
            qa = {"id": f"{name}-{n}", "question": f"{name} {n}", "answers": [{"text": answer, "answer_start": 0}]}
            articles.append({"paragraphs": [{"context": context, "qas": [qa]}]})
    return {"version": "1.1", "data": articles}


def test_trap_tydiqa_english_only_train(tmp_path):
    """jiant (defect 1) writes the multilingual train file under every language's name and so trains on nine languages."""
    dump(tmp_path, "tydiqa/tydiqa-goldp-v1.1-train.json", tydiqa([("english", "en", 60), ("korean", "ko", 40)]))
    train, dev = (read_table(tmp_path, "tydiqa", "en", split) for split in ("train", "dev"))
    questions = train["question"].to_pylist() + dev["question"].to_pylist()
    assert sorted(questions) == sorted(f"english {n}" for n in range(60))
    assert set(train["context"].to_pylist()).isdisjoint(dev["context"].to_pylist())
    korean = read_table(tmp_path, "tydiqa", "ko", "train")
    assert all(question.startswith("korean") for question in korean["question"].to_pylist())


@pytest.mark.real
def test_trap_tydiqa_english_only_train_in_the_release(shared_data, tmp_path):
    """3,696 English questions; the file of three languages under the English name breaks the contract."""
    files = {
        code: json.loads(real(shared_data / f"tydiqa/tydiqa.goldp.{code}.train.json")) for code in ("en", "ko", "sw")
    }
    published = load_catalogue().dataset("tydiqa").split("train").count("en")
    mixed = {"version": "1.1", "data": [article for one in files.values() for article in one["data"]]}
    for name, content, ok in (("en", files["en"], True), ("all", mixed, False)):
        dump(tmp_path / name, "tydiqa/tydiqa-goldp-v1.1-train/tydiqa.goldp.en.train.json", content)
        table, counts = read_with_counts(tmp_path / name, "tydiqa", "en", "train")
        found, _ = verdicts(table, "tydiqa", "en", read=counts["read"], published=published, whole=counts["whole"])
        assert found["rows_as_published"]["ok"] is ok


def test_trap_tydiqa_all_languages_in_an_english_file_is_a_violation():
    found, _ = verdicts(good("tydiqa"), "tydiqa", read=49_881, published=3_696, whole=True)
    assert not found["rows_as_published"]["ok"]


def test_trap_tydiqas_public_dev_is_the_test_set(tmp_path):
    """So nothing is selected on it: a tenth of English train, by paragraph, is held out."""
    dataset = load_catalogue().dataset("tydiqa")
    assert dataset.split("dev").use == "select"
    for layout in dataset.split("dev").layouts:
        assert "train" in layout.files["table"]
    hub = dataset.split("dev").hub
    assert hub is not None
    assert hub.split == "train"


def test_trap_tydiqa_english_test_has_440_questions():
    """Not 634, which is the count of another dev file (issue 95)."""
    assert load_catalogue().dataset("tydiqa").split("test").count("en") == 440


def test_trap_tydiqa_ids_repeat_in_xtremes_files(tmp_path):
    articles = tydiqa([("english", "en", 30)])
    for n, article in enumerate(articles["data"]):
        article["paragraphs"][0]["qas"][0]["id"] = str(n % 3)
    dump(tmp_path, "tydiqa/tydiqa-goldp-v1.1-train/tydiqa.goldp.en.train.json", articles)
    table, counts = read_with_counts(tmp_path, "tydiqa", "en", "train")
    ids = table["id"].to_pylist()
    assert len(set(ids)) == len(ids)
    assert counts["repeated_ids"] == len(ids)
    assert counts["read"] == 30


def test_trap_mlqa_asks_in_the_language_of_the_context():
    """The release has a file for each pair of languages; XTREME takes those of one language."""
    layouts = load_catalogue().dataset("mlqa").split("test").layouts
    assert all("context-{language}-question-{language}" in one.files["table"] for one in layouts)


def test_trap_machine_translated_training_data_are_for_studies_that_ask_for_them():
    """XNLI and PAWS-X have train files in every language: zero-shot is trained and selected on English (`Task.train`)."""
    catalogue = load_catalogue()
    assert catalogue.task("xnli").train == TableRef(dataset="mnli", split="train")
    assert catalogue.dataset("mnli").languages == ("en",)
    for name in ("xnli", "pawsx"):
        assert "machine-translated" in catalogue.dataset(name).split("train").notes


def test_trap_kk_th_tl_yo_have_no_dev_treebank():
    dataset = load_catalogue().dataset("udpos")
    assert set(dataset.languages) - set(dataset.split("dev").languages) == {"kk", "th", "tl", "yo"}


# XTREME and the hub: label sets, copies that lack something


def test_trap_label_order():
    """Contradiction, entailment, neutral; the hub has entailment, neutral, contradiction."""
    for name in ("xnli", "mnli", "snli", "anli", "anli_plus"):
        assert load_catalogue().dataset(name).labels == ("contradiction", "entailment", "neutral")
    assert load_catalogue().dataset("pawsx").labels == ("0", "1")
    assert len(load_catalogue().dataset("udpos").labels) == 17
    assert len(load_catalogue().dataset("panx").labels) == 7


@pytest.mark.real
def test_trap_label_order_in_the_release(shared_data):
    """Labels travel by name: the hub's numbers (entailment 0, neutral 1, contradiction 2) name what the release says."""
    table = read_table(shared_data, "xnli", "en", "dev")
    assert table.slice(0, 3)["text_b"].to_pylist()[1] == "He didn't say a word."
    assert table["label"].to_pylist()[:3] == ["neutral", "contradiction", "entailment"]
    hub = load_catalogue().dataset("xnli").split("dev").hub
    assert hub is not None
    numbers = [("entailment", "neutral", "contradiction").index(label) for label in table["label"].to_pylist()]
    rows = {"premise": table["text_a"].to_pylist(), "hypothesis": table["text_b"].to_pylist(), "label": numbers}
    columns = {"reader": "pairs_columns", **hub.options}
    named = columns_of(rows, {"label": None}, columns, Path("xnli"), PLACE, range(len(table)))
    assert named["label"] == table["label"].to_pylist()


def test_trap_contradictory_is_contradiction(tmp_path):
    rows = [["premise", "hypo", "label"], ["a", "b", "contradictory"]]
    release.write(tmp_path / "XNLI-MT-1.0/multinli/multinli.train.en.tsv", release.tsv(rows))
    assert read_table(tmp_path, "mnli", "en", "train")["label"].to_pylist() == ["contradiction"]


def test_trap_upos_has_no_eighteenth_label():
    """XTREME's reader puts "O" before the 17 tags, so its tagger has a class that no word has."""
    assert "O" not in load_catalogue().dataset("udpos").labels
    assert load_catalogue().dataset("panx").labels[0] == "O"


def test_trap_multilingual_xnli_of_the_hub_is_not_mixed():
    """The all-in-one configuration mixes fifteen languages; the ones by language do not."""
    hub = load_catalogue().dataset("xnli").split("test").hub
    assert hub is not None
    assert (hub.id, hub.config) == ("facebook/xnli", "{language}")


def test_trap_bucc_pools_hold_distractors(tmp_path):
    release.bucc(tmp_path)
    table, counts = read_with_counts(tmp_path, "bucc2018", "de", "test")
    assert counts["sides"] == {"english": 38, "foreign": 38}
    assert counts["read"] == 8
    gold = {row["id"]: row["gold"] for row in table.to_pylist() if row["gold"]}
    assert len(gold) == 16
    assert gold["de-00003"] == ["en-00003"]
    assert gold["en-00003"] == ["de-00003"]


def test_trap_bucc_gold_pairs_alone_are_no_mining_task(tmp_path):
    """The hub's bucc18 drops the pools; so it is no source, and a pool without distractors breaks the contract."""
    dataset = load_catalogue().dataset("bucc2018")
    assert all(split.hub is None for split in dataset.splits.values())
    release.bucc(tmp_path, distractors=0)
    found, _ = verdicts(read_table(tmp_path, "bucc2018", "de", "test"), "bucc2018", "de")
    assert not found["distractors_present"]["ok"]


def test_trap_bucc_training_part_is_the_test_set():
    """XTREME's dev is the release's sample part, its test the training part; that has gold, the release's test none."""
    splits = load_catalogue().dataset("bucc2018").splits
    assert any("sample.gold" in one.files["gold"] for one in splits["dev"].layouts)
    assert any("training.gold" in one.files["gold"] for one in splits["test"].layouts)
    assert splits["test"].count("de") == 9_580


def test_trap_empty_sentences_of_bucc_are_a_violation(tmp_path):
    """The hub's copy has examples without text (pull request 4706)."""
    release.bucc(tmp_path)
    path = tmp_path / "bucc2018/de-en.test.de"
    path.write_text("".join("de-00009\t\n" if line[:8] == "de-00009" else line for line in path.open().readlines()))
    found, _ = verdicts(read_table(tmp_path, "bucc2018", "de", "test"), "bucc2018", "de")
    assert found["texts_given"]["first_ids"] == ["de-00009"]


def test_trap_udpos_of_the_hub_has_other_tokens():
    """It has syntactic words and drops sentences; XTREME has surface tokens: so it is a source of `ud` alone."""
    catalogue = load_catalogue()
    assert all(split.hub is None for split in catalogue.dataset("udpos").splits.values())
    hub = catalogue.dataset("ud").split("test").hub
    assert hub is not None
    assert hub.stand_in
    assert "surface" in catalogue.dataset("udpos").tokenisation
    assert "syntactic" in catalogue.dataset("ud").tokenisation


def test_trap_pawsx_of_google_xtreme_is_not_the_source():
    hub = load_catalogue().dataset("pawsx").split("train").hub
    assert hub is not None
    assert hub.id == "google-research-datasets/paws-x"
    assert load_catalogue().dataset("pawsx").split("train").count("en") == 49_401


def test_trap_lost_pawsx_rows_quotes_eat_no_lines(tmp_path):
    """A reader that takes a lone quote for the start of a quoted field swallows lines: 49,175 of 49,401 on the hub."""
    rows = [[f'"a{n}', f"b{n}", "01"[n % 2]] for n in range(50)] + [["c", 'd"', "1"]]
    release.write(tmp_path / "pawsx/train-en.tsv", release.tsv(rows))
    assert len(read_table(tmp_path, "pawsx", "en", "train")) == 51


def test_trap_lost_pawsx_rows_are_a_violation(tmp_path):
    """49,175 rows where 49,401 were published."""
    release.write(tmp_path / "pawsx/train-en.tsv", release.tsv(release.pairs("en", "train", 40, ("0", "1"))))
    table, counts = read_with_counts(tmp_path, "pawsx", "en", "train")
    published = load_catalogue().dataset("pawsx").split("train").count("en")
    found, _ = verdicts(table, "pawsx", "en", read=counts["read"], published=published, whole=counts["whole"])
    assert not found["rows_as_published"]["ok"]


def test_trap_tydiqa_context_whitespace_is_kept(tmp_path):
    """The hub's loader strips contexts and leaves answer_start, which shifts every answer."""
    qa = {"id": "finnish-1", "question": "q", "answers": [{"text": "x", "answer_start": 3}]}
    dump(tmp_path, "tydiqa/tydiqa-goldp-v1.1-dev/tydiqa-goldp-dev-finnish.json",
         {"data": [{"paragraphs": [{"context": "  \nx y ", "qas": [qa]}]}]})  # fmt: skip
    row = read_table(tmp_path, "tydiqa", "fi", "test").to_pylist()[0]
    assert row["context"] == "  \nx y "
    assert row["context"][row["answers"][0]["start"]] == "x"


def test_trap_lines_of_the_hubs_tatoeba_keep_their_newline():
    columns = {"reader": "parallel_columns", "text": "a", "english": "b"}
    found = columns_of({"a": ["ja\n"], "b": ["yes \n"]}, {}, columns, None, PLACE, range(1))
    assert found == {"text": ["ja"], "english": ["yes"]}


def test_trap_translations_have_five_columns(tmp_path):
    """The files of the translation bucket hold the original pair, the translated pair and the label: no train file."""
    release.write(tmp_path / "xnli/train-de.tsv", release.tsv([["a", "b", "c", "d", "neutral"]]))
    with pytest.raises(UserError, match=r"xnli/train-de.tsv, line 1: 5 columns instead of 3"):
        read_table(tmp_path, "xnli", "de", "train")


def test_trap_translations_in_another_order_or_missing_are_a_violation(tmp_path):
    """Translated files whose rows were lost or moved (issues 37, 89, 92): labels or ids differ from the other languages'."""
    release.xnli(tmp_path)
    path = tmp_path / "xnli/dev-fr.tsv"
    lines = path.read_text().splitlines(keepends=True)
    found = {}
    for name, changed in (("moved", [*lines[1:], lines[0]]), ("missing", lines[1:])):
        path.write_text("".join(changed))
        tables = surveyed(tmp_path, "xnli")
        found[name] = {rule["rule"] for table in tables if (table.language, table.split) == ("fr", "dev")
                       for rule in table.violations}  # fmt: skip
    assert "labels_parallel" in found["moved"]
    assert "ids_parallel" in found["missing"]


# XTREME: what its preparation does to files


def test_trap_blanked_test_labels():
    """XTREME's preparation leaves a placeholder: every prediction is then compared to the same label (issue 24)."""
    found, _ = verdicts(every(good("xnli"), label="contradiction"), "xnli")
    assert not found["labels_vary"]["ok"]
    found, _ = verdicts(every(good("xquad"), answers=[{"text": "", "start": 0}]), "xquad")
    assert not found["answers_given"]["ok"]
    found, _ = verdicts(every(good("panx"), tags=[]), "panx")
    assert not found["tag_for_each_word"]["ok"]
    assert verdicts(every(good("xnli"), label=None), "xnli")[0]["labels_given"]["count"] == 24


@pytest.mark.real
def test_trap_blanked_test_labels_in_the_release(shared_data, tmp_path):
    """Real test files as XTREME's preparation leaves them: labels gone, or one for all; answers emptied; tags stripped."""
    pairs = real(shared_data / "xnli/test-de.tsv")
    release.write(tmp_path / "xnli/test-de.tsv", pairs)
    found, _ = verdicts(read_table(tmp_path, "xnli", "de", "test"), "xnli", "de")
    assert found["labels_given"]["count"] == 5010
    release.write(tmp_path / "xnli/test-labels.txt", "contradiction\n" * 5010)
    found, _ = verdicts(read_table(tmp_path, "xnli", "de", "test"), "xnli", "de")
    assert (found["labels_given"]["ok"], found["labels_vary"]["count"]) == (True, 5010)

    articles = json.loads(real(shared_data / "xquad/xquad.de.json"))
    for qa in (qa for article in articles["data"] for one in article["paragraphs"] for qa in one["qas"]):
        qa["answers"] = [{"text": "", "answer_start": 0}]
    dump(tmp_path, "xquad/xquad.de.json", articles)
    found, _ = verdicts(read_table(tmp_path, "xquad", "de", "test"), "xquad", "de")
    assert found["answers_given"]["count"] == 1190

    tagged = real(shared_data / "panx/dev-de.tsv")
    release.write(
        tmp_path / "panx/test-de.tsv", "".join(line.partition("\t")[0] + "\n" for line in tagged.splitlines())
    )
    table = read_table(tmp_path, "panx", "de", "test")
    found, _ = verdicts(table, "panx", "de")
    assert found["tag_for_each_word"]["count"] == len(table) == 2000


def test_trap_tatoeba_sorted_english(tmp_path):
    release.write(tmp_path / "tatoeba/de-en.de", "".join(release.text("de", str(n)) + "\n" for n in range(40)))
    english = sorted(release.text("en", str(n)) for n in range(40))
    release.write(tmp_path / "tatoeba/de-en.en", "\n".join(english) + "\n")
    found, _ = verdicts(read_table(tmp_path, "tatoeba", "de", "test"), "tatoeba", "de")
    assert not found["english_unsorted"]["ok"]


@pytest.mark.real
def test_trap_tatoeba_sorted_english_in_the_release(shared_data, tmp_path):
    """The release is aligned; sorted as XTREME's preparation sorts it (strings of stripped lines), it is refused."""
    found, _ = verdicts(read_table(shared_data, "tatoeba", "de", "test"), "tatoeba", "de")
    assert found["english_unsorted"]["ok"]
    foreign, english = (real(shared_data / f"tatoeba/tatoeba.deu-eng.{code}") for code in ("deu", "eng"))
    release.write(tmp_path / "tatoeba/de-en.de", foreign)
    release.write(
        tmp_path / "tatoeba/de-en.en", "".join(line + "\n" for line in sorted(map(str.strip, english.splitlines())))
    )
    found, _ = verdicts(read_table(tmp_path, "tatoeba", "de", "test"), "tatoeba", "de")
    assert found["english_unsorted"]["count"] == 1000


def test_trap_udpos_union_of_treebanks(tmp_path):
    for bank, word in (("GUM", "gum"), ("EWT", "ewt"), ("ParTUT", "tut")):
        release.write(
            tmp_path / f"ud-treebanks-v2.5/UD_English-{bank}/en_{bank.lower()}-ud-train.conllu",
            treebank(word),
        )
    table = read_table(tmp_path, "udpos", "en", "train")
    assert table["words"].to_pylist() == [["ewt"], ["gum"], ["tut"]]
    assert table["id"].to_pylist() == ["train-0", "train-1", "train-2"]


@pytest.mark.real
def test_trap_udpos_union_of_treebanks_in_the_release(shared_data):
    """XTREME's English train is four treebanks, 21,253 sentences; EWT alone, the usual "English UD", has 12,544."""
    union, counts = read_with_counts(shared_data, "udpos", "en", "train")
    assert counts["read"] == load_catalogue().dataset("udpos").split("train").count("en") == 21_253
    sentences = {"".join(words) for words in union["words"].to_pylist()}
    alone = {"".join(words) for words in read_table(shared_data, "ud", "en", "train")["words"].to_pylist()}
    assert len(alone & sentences) > 0.9 * len(alone)
    assert len(sentences - alone) > 7_000


def test_trap_treebanks_come_in_one_order_on_every_machine(tmp_path):
    for bank in ("zzz", "aaa", "mmm"):
        release.write(tmp_path / f"ud-treebanks-v2.5/UD_{bank}/en_{bank}-ud-dev.conllu",
                      treebank(bank))  # fmt: skip
    assert read_table(tmp_path, "udpos", "en", "dev")["words"].to_pylist() == [["aaa"], ["mmm"], ["zzz"]]


@pytest.mark.real
def test_trap_surface_tokens_are_those_of_xtreme(shared_data):
    """Our tokens from the treebank are those in XTREME's own file, where both are of one release."""
    ours = read_table(shared_data, "ud", "ta", "train")
    theirs = read_table(shared_data, "udpos", "ta", "train")
    assert len(ours) == len(theirs) == 400
    path = next(shared_data.glob("udpos/ud/Tamil-TTB/ta_ttb-ud-train.conllu*"))
    place = Place(dataset="udpos", language="ta", split="train")
    chunks = list(read_conllu({"table": path}, {"tokens": "surface"}, place))
    words = [sentence for chunk in chunks for sentence in chunk.columns["words"]]
    tags = [sentence for chunk in chunks for sentence in chunk.columns["tags"]]
    same_words = sum(a == b for a, b in zip(words, theirs["words"].to_pylist(), strict=True))
    same_tags = sum(a == b for a, b in zip(tags, theirs["tags"].to_pylist(), strict=True))
    assert same_words == 400
    assert same_tags >= 399


def test_trap_ner_prefixes_are_removed(tmp_path):
    release.write(tmp_path / "panx_dataset/ru-dev", "ru:Москва\tB-LOC\n\n")
    assert read_table(tmp_path, "panx", "ru", "dev")["words"].to_pylist() == [["Москва"]]


def test_trap_untagged_tokens_are_not_taken_for_outside(tmp_path):
    """XTREME's reader makes O of a token without a tag (X in UD-POS)."""
    release.write(tmp_path / "panx/train-de.tsv", "Anna\tB-PER\nlacht\n\n")
    table = read_table(tmp_path, "panx", "de", "train")
    assert table["tags"].to_pylist() == [["B-PER"]]
    assert verdicts(table, "panx", "de")[0]["tag_for_each_word"]["first_ids"] == ["train-0"]


def test_trap_empty_french_words_are_a_violation(tmp_path):
    """Words without a character were in XTREME's French files (pull request 30)."""
    release.write(tmp_path / "udpos/train-fr.tsv", "le\tDET\n\tNOUN\n\n")
    found, _ = verdicts(read_table(tmp_path, "udpos", "fr", "train"), "udpos", "fr")
    assert found["words_clean"]["first_ids"] == ["train-0"]


def test_trap_the_first_example_of_xnli_is_read(tmp_path):
    """XTREME's reader once took the first line of a file without a header for one (pull request 58)."""
    release.xnli(tmp_path, rows=6)
    assert len(read_table(tmp_path, "xnli", "de", "test")) == 6
    assert read_table(tmp_path, "xnli", "de", "test")["id"][0].as_py() == "test-0"


# XTREME-R


def test_trap_the_extended_languages_are_not_forgotten():
    """Upstream scripts leave out Romanian XQuAD and Wolof UD-POS, which their scorer demands."""
    tasks = load_catalogue().tasks
    assert "ro" in tasks["xquad"].languages["xtreme-r"]
    assert "wo" in tasks["udpos"].languages["xtreme-r"]
    assert len(tasks["lareqa"].languages["xtreme-r"]) == 11


def test_trap_xcopa_has_no_english_and_no_selection():
    task = load_catalogue().task("xcopa")
    assert "en" not in task.languages["xtreme-r"]
    assert task.select is None
    assert task.before == (TableRef(dataset="socialiqa", split="train"),)


def test_trap_xcopa_asks_in_english_whatever_the_language(tmp_path):
    release.xcopa(tmp_path)
    table = read_table(tmp_path, "xcopa", "th", "test")
    assert table["question"].to_pylist()[:2] == ["What was the cause?", "What was the effect?"]
    assert table["label"].to_pylist()[:2] == [0, 1]


@pytest.mark.real
def test_trap_lareqa_candidates_are_all_sentences(shared_data):
    """13,014 candidates (README of google-research-datasets/lareqa), not only those that answer something."""
    published = {"ar": 1222, "de": 1276, "el": 1234, "en": 1180, "es": 1215, "hi": 1244, "ru": 1219, "th": 852,
                 "tr": 1167, "vi": 1209, "zh": 1196}  # fmt: skip
    found = {code: read_with_counts(shared_data, "lareqa", code, "test")[1]["sides"]["candidate"] for code in published}
    assert found == published
    assert sum(found.values()) == 13_014


def test_trap_mewslix_is_released_without_its_texts(tmp_path):
    """WikiNews texts must be filled in by its script; a mention in an empty text is refused, not read as empty."""
    release.mewslix(tmp_path)
    path = tmp_path / "mewslix/wikinews_mentions-test.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        record["context"]["text"] = ""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    with pytest.raises(UserError, match=r"run get-mewsli-x.sh"):
        read_table(tmp_path, "mewslix", "de", "test")


# jiant


def test_trap_pawsx_has_no_arabic():
    """jiant's caching loop asks for it."""
    with pytest.raises(UserError, match="the split has no 'ar'"):
        open_source("folder", {"path": "."}).locate(load_catalogue().dataset("pawsx"), "ar", "test")


def test_trap_no_pickles_in_what_prepare_writes(tmp_path):
    release.xnli(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
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
