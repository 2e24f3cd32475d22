"""Tagged words: XTREME's files, treebanks in both tokenisations, supertags."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data import release_files as release
from tests.data.read_tables import read_table, read_with_counts, surveyed
from xtreme_dag.core.errors import UserError
from xtreme_dag.data.readers.files import Place
from xtreme_dag.data.readers.tags import read_conllu


def node(name, form, tag, head):
    return "\t".join([str(name), form, "_", tag, "_", "_", str(head), "dep", "_", "_"])


SPANISH = "\n".join(
    [
        "# text = Vino del mar",
        node(1, "Vino", "VERB", 0),
        node("2-3", "del", "_", "_"),
        node(2, "de", "ADP", 4),
        node(3, "el", "DET", 4),
        node("3.1", "nada", "PRON", "_"),
        node(4, "mar", "NOUN", 1),
        "",
        "# text = _",
        node(1, "_", "NOUN", 0),
        node(2, "_", "VERB", 1),
        "",
    ]
)


def test_surface_tokens_are_fused_and_syntactic_words_are_not(tmp_path):
    release.write(tmp_path / "udpos/ud/Spanish-X/es_x-ud-test.conllu", SPANISH + "\n")
    fused = read_table(tmp_path, "udpos", "es", "test").to_pylist()
    assert [(row["words"], row["tags"]) for row in fused] == [(["Vino", "del", "mar"], ["VERB", "ADP", "NOUN"])]
    parts = read_table(tmp_path, "ud", "es", "test").to_pylist()
    assert parts[0]["words"] == ["Vino", "de", "el", "mar"]
    assert parts[0]["tags"] == ["VERB", "ADP", "DET", "NOUN"]
    assert len(parts) == 1  # the second sentence is withheld


@pytest.mark.parametrize(
    ("language", "heads", "tag"),
    [
        ("de", (0, 1), "ADP"),  # the first part is higher in the tree
        ("de", (2, 0), "NOUN"),  # the second is
        ("de", (3, 3), "NOUN"),  # a tie: the default ranking prefers nouns
        ("es", (3, 3), "ADP"),  # Spanish has a ranking of its own, without nouns
    ],
)
def test_a_multiword_token_takes_the_tag_of_its_highest_part(tmp_path, language, heads, tag):
    rows = [node("1-2", "ab", "_", "_"), node(1, "a", "ADP", heads[0]), node(2, "b", "NOUN", heads[1]),
            node(3, "c", "VERB", 0 if 3 in heads else 1), ""]  # fmt: skip
    path = release.write(tmp_path / "x.conllu", "\n".join(rows) + "\n")
    place = Place(dataset="udpos", language=language, split="test")
    chunk = next(iter(read_conllu({"table": path}, {"tokens": "surface"}, place)))
    assert chunk.columns["words"][0] == ["ab", "c"]
    assert chunk.columns["tags"][0][0] == tag


def test_zero_width_non_joiners_and_spaces_leave_surface_tokens(tmp_path):
    rows = [node(1, "می\u200cروم", "VERB", 0), node(2, "1 000", "NUM", 1), ""]
    release.write(tmp_path / "udpos/ud/Persian-X/fa_x-ud-test.conllu", "\n".join(rows) + "\n")
    release.write(tmp_path / "ud-treebanks-v2.5/UD_P/fa_x-ud-test.conllu", "\n".join(rows) + "\n")
    assert read_table(tmp_path, "udpos", "fa", "test")["words"].to_pylist() == [["میروم", "1000"]]
    assert read_table(tmp_path, "ud", "fa", "test")["words"].to_pylist() == [["می\u200cروم", "1 000"]]


def test_broken_treebanks_name_the_line(tmp_path):
    path = tmp_path / "udpos/ud/Spanish-X/es_x-ud-test.conllu"
    release.write(path, SPANISH.replace(node(4, "mar", "NOUN", 1), "4\tmar\tNOUN"))
    with pytest.raises(UserError, match=r"es_x-ud-test.conllu, line 7: 3 columns instead of 10"):
        read_table(tmp_path, "udpos", "es", "test")
    release.write(path, SPANISH.replace("2-3", "2-9"))
    with pytest.raises(UserError, match=r"line 2: multiword token 2-9 has parts that are not there"):
        read_table(tmp_path, "udpos", "es", "test")
    release.write(path, SPANISH.replace("NOUN", "NOMEN"))
    with pytest.raises(UserError, match=r"line 2: label 'NOMEN' is not in the label set, in 1 of 1 rows"):
        read_table(tmp_path, "udpos", "es", "test")


HDT = [
    node(1, "Anna", "PROPN", 2),
    node(2, "singt", "VERB", 0),
    node(1, "Ben", "PROPN", 2),
    node(2, "hört", "VERB", 0),
    "",
]


@pytest.mark.parametrize("folder", ["udpos/ud/German-X", "ud-treebanks-v2.5/UD_German-X"])
@pytest.mark.parametrize("dataset", ["ud", "udpos"])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (HDT, "line 3: word id 1 starts again after 2"),
        (["# sent_id = 1", *HDT[:2], "# sent_id = 2", *HDT[2:]], "line 5: word id 1 starts again after 2"),
        ([*HDT[:2], node("1-2", "Zum", "_", "_"), *HDT[2:]], "line 3: word id 1-2 starts again after 2"),
        ([HDT[0], HDT[0], HDT[1], ""], "line 2: word id 1 starts again after 1"),
        ([HDT[0], node(3, "singt", "VERB", 0), ""], "line 2: word id 3 where 2 should stand after 1"),
        ([HDT[1], ""], "line 1: word id 2 where 1 should stand after 0"),
    ],
)
def test_ids_that_do_not_count_up_name_the_line(tmp_path, folder, dataset, rows, message):
    """UD_German-HDT issue 2: without an empty line the words of the second sentence took the place of the first's."""
    release.write(tmp_path / folder / "de_x-ud-dev.conllu", "\n".join(rows) + "\n")
    with pytest.raises(UserError, match=rf"de_x-ud-dev.conllu, {message}") as raised:
        read_table(tmp_path, dataset, "de", "dev")
    assert "an empty line between two sentences is missing" in raised.value.fix


def withheld(*tags):
    return [*(node(n, "_", tag, n - 1) for n, tag in enumerate(tags, start=1)), ""]


@pytest.mark.parametrize("dataset", ["ud", "udpos"])
def test_withheld_sentences_are_left_out_and_counted(tmp_path, dataset):
    rows = [*withheld("DET", "NOUN", "PUNCT"), node(1, "Oui", "INTJ", 0), node(2, "_", "PUNCT", 1), node(3, ".", "PUNCT", 1), "",
            *withheld("DET", "NOUN"), *withheld("VERB")]  # fmt: skip
    release.write(tmp_path / "ud-treebanks-v2.5/UD_French-FTB/fr_ftb-ud-train.conllu", "\n".join(rows) + "\n")
    table, counts = read_with_counts(tmp_path, dataset, "fr", "train")
    assert table["words"].to_pylist() == [["Oui", "_", "."]]
    assert counts["left_out"] == {"withheld_words": [f"fr_ftb-ud-train.conllu, line {line}" for line in (1, 9, 12)]}
    (checked,) = surveyed(tmp_path, dataset)
    assert [(rule["rule"], rule["count"]) for rule in checked.warnings] == [("withheld_words_left_out", 3)]
    assert not checked.violations


def test_multiword_tokens_that_are_not_withheld_do_not_save_a_sentence_of_syntactic_words(tmp_path):
    rows = [node("1-2", "du", "_", "_"), node(1, "_", "ADP", 3), node(2, "_", "DET", 3), node(3, "_", "NOUN", 0),
            node("4-5", "au", "_", "_"), node(4, "_", "ADP", 6), node(5, "_", "DET", 6), node(6, "_", "NOUN", 3),
            node(7, "_", "PUNCT", 3), ""]  # fmt: skip
    turkish = [node("1-2", "iyiydi", "_", "_"), node(1, "iyi", "ADJ", 0), node(2, "_", "AUX", 1), ""]
    for dataset, kept in (("ud", [["iyi", "_"]]), ("udpos", [["du", "_", "au", "_", "_"], ["iyiydi"]])):
        path = tmp_path / "ud-treebanks-v2.5/UD_French-FTB/fr_ftb-ud-train.conllu"
        release.write(path, "\n".join(rows + turkish) + "\n")
        assert read_table(tmp_path, dataset, "fr", "train")["words"].to_pylist() == kept


def test_two_columns_without_an_empty_line_at_the_end(tmp_path):
    release.write(tmp_path / "panx/train-de.tsv", "A\tB-PER\nB\tI-PER\n\n\nC\tO")
    table, counts = read_with_counts(tmp_path, "panx", "de", "train")
    assert table["words"].to_pylist() == [["A", "B"], ["C"]]
    assert table["tags"].to_pylist() == [["B-PER", "I-PER"], ["O"]]
    assert counts["tokens"] == 3
    assert counts["labels"] == {"B-PER": 1, "I-PER": 1, "O": 1}


def test_wikiann_as_released_has_a_prefix(tmp_path):
    release.write(tmp_path / "panx_dataset/de-train", "de:Berlin\tB-LOC\nde::\tO\n\n")
    assert read_table(tmp_path, "panx", "de", "train")["words"].to_pylist() == [["Berlin", ":"]]


def test_a_prefix_that_was_left_is_a_violation(tmp_path):
    """WikiANN's files under XTREME's names: every word begins with `de:`, which a model must not learn."""
    sentences = "de:Anna\tB-PER\nde:wohnt\tO\n\nde:Rom\tB-LOC\n\n"
    clean = "Anna\tB-PER\nwohnt\tO\n\nfr:Rom\tB-LOC\n\nde:\tO\n:\tO\n\n"
    for content, bad in ((sentences * 8, 16), (clean * 8, 0), (clean * 8 + sentences, 1)):
        release.write(tmp_path / "panx/train-de.tsv", content)
        (table,) = surveyed(tmp_path, "panx")
        found = {rule["rule"]: rule["count"] for rule in table.violations}
        assert found.get("words_unprefixed", 0) == bad


def test_three_columns_name_the_line(tmp_path):
    release.write(tmp_path / "panx/train-de.tsv", "A\tO\n\nB\tX\tO\n")
    with pytest.raises(UserError, match=r"train-de.tsv, line 3: 3 columns instead of 2"):
        read_table(tmp_path, "panx", "de", "train")


WORD = st.text(st.characters(categories=("Lu", "Ll", "Nd", "Po")), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(WORD, st.sampled_from(release.NER)), min_size=1, max_size=6), max_size=6))
def test_sentences_are_read_back(tmp_path_factory, sentences):
    folder = tmp_path_factory.mktemp("tags")
    text = "".join("".join(f"{w}\t{t}\n" for w, t in sentence) + "\n" for sentence in sentences)
    release.write(folder / "panx/train-de.tsv", text)
    table = read_table(folder, "panx", "de", "train")
    assert [list(zip(r["words"], r["tags"], strict=True)) for r in table.to_pylist()] == sentences


def test_supertags_may_have_bars_in_their_words(tmp_path):
    release.write(tmp_path / "ccg/train.stagged", "a|b|NN|N/N goes|VBZ|S\\NP\n\nhere|RB|N\n")
    table = read_table(tmp_path, "ccg", "en", "train")
    assert table["words"].to_pylist() == [["a|b", "goes"], ["here"]]
    assert table["tags"].to_pylist() == [["N/N", "S\\NP"], ["N"]]
    release.write(tmp_path / "ccg/train.stagged", "fine|NN|N\nbad|NN\n")
    with pytest.raises(UserError, match=r"line 2: a token that is not word\|POS\|category"):
        read_table(tmp_path, "ccg", "en", "train")
