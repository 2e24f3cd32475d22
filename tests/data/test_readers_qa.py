"""Questions and answers, and what is retrieved."""

from __future__ import annotations

import json

import pytest

from tests.data import release_files as release
from tests.data.read_tables import read_table, read_with_counts
from xtreme_dag.core.errors import UserError


def dump(folder, path, value):
    return release.write(folder / path, json.dumps(value, ensure_ascii=False))


def test_squad_json(tmp_path):
    release.xquad(tmp_path)
    rows = read_table(tmp_path, "xquad", "de", "test").to_pylist()
    assert len(rows) == 24
    assert rows[0]["id"] == "q0-0-0"
    assert rows[0]["title"] == "T0"
    for row in rows:
        answer = row["answers"][0]
        assert row["context"][answer["start"] :].startswith(answer["text"])
        assert row["answerable"] is True


def test_unanswerable_questions_have_no_answer(tmp_path):
    release_file = release.squad_json("en", 8)
    for qa in release_file["data"][0]["paragraphs"][0]["qas"]:
        qa["is_impossible"], qa["answers"] = True, []
    dump(tmp_path, "squad/train-v2.0.json", release_file)
    table = read_table(tmp_path, "squad_v2", "en", "train")
    assert table["answerable"].to_pylist() == [False, False] + [True] * 6


def test_squad_dev_leaves_out_what_xquad_translates(tmp_path):
    """Selecting on SQuAD dev would read the English originals of XQuAD."""
    dump(tmp_path, "squad/train-v1.1.json", release.squad_json("en", 8, first=50))
    dump(tmp_path, "squad/dev-v1.1.json", release.squad_json("en", 24))
    dump(tmp_path, "xquad/xquad.en.json", release.squad_json("en", 8))
    table, counts = read_with_counts(tmp_path, "squad_v1", "en", "dev")
    assert set(table["title"].to_pylist()) == {"T2", "T3", "T4", "T5"}
    assert counts["read"] == 24


def test_squad_splits_by_a_list_of_ids(tmp_path):
    dump(tmp_path, "squad/dev-v1.1.json", release.squad_json("en", 12))
    ids = {"xquad": ["q0-0-0"], "train_standin": ["q1-0-0", "q1-0-1"], "dev_heldout": ["q2-1-1"]}
    dump(tmp_path, "squad/splits-v1.1.json", {"ids": ids})
    assert read_table(tmp_path, "squad_v1", "en", "train")["id"].to_pylist() == ["q1-0-0", "q1-0-1"]
    assert read_table(tmp_path, "squad_v1", "en", "dev")["id"].to_pylist() == ["q2-1-1"]


def test_squad_es_keeps_the_answers_that_the_translation_kept(tmp_path):
    release_file = release.squad_json("es", 4)
    for article in release_file["data"]:
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                qa["answers"].insert(0, {"text": "", "answer_start": -1})
    dump(tmp_path, "squad_es/train-v1.1-es_small.json", release_file)
    assert all(len(row) == 1 for row in read_table(tmp_path, "squad_es", "es", "train")["answers"].to_pylist())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", "no field 'data'"),
        ('{"data": {}}', "'data' is not a list"),
        ('{"data": [{"title": "t"}]}', "no field 'paragraphs' .*it has title"),
        ('{"data": [{"paragraphs": [{"context": "c", "qas": [{"id": "1", "answers": []}]}]}]}', "no field 'question'"),
        (
            '{"data": [{"paragraphs": [{"context": "c", "qas": [{"id": "1", "question": "q", "answers": '
            '[{"text": "c", "answer_start": "zero"}]}]}]}]}',
            "column answers",
        ),
    ],
)
def test_a_wrong_json_is_named(tmp_path, content, message):
    release.write(tmp_path / "xquad/xquad.de.json", content)
    with pytest.raises(UserError, match=rf"xquad/de/test, xquad/xquad.de.json.*{message}"):
        read_table(tmp_path, "xquad", "de", "test")


def test_tatoeba_pairs_lines(tmp_path):
    release.tatoeba(tmp_path)
    table = read_table(tmp_path, "tatoeba", "ru", "test")
    assert table["english"].to_pylist()[3] == release.text("en", "ru 3")
    assert table["text"].to_pylist()[3] == release.text("ru", "3")
    release.write(tmp_path / "tatoeba/tatoeba.rus-eng.eng", "one line\n")
    with pytest.raises(UserError, match=r"tatoeba.rus-eng.rus: 40 lines for 1 in tatoeba.rus-eng.eng"):
        read_table(tmp_path, "tatoeba", "ru", "test")


def test_bucc_without_test_gold_is_read_for_predictions(tmp_path):
    release.bucc(tmp_path)
    (tmp_path / "bucc2018/de-en.test.gold").unlink()
    assert not any(read_table(tmp_path, "bucc2018", "de", "test")["gold"].to_pylist())


def test_bucc_halves_keep_pairs_together_and_apart(tmp_path):
    release.bucc(tmp_path, pairs_count=40, distractors=60)
    for name in ("de", "en", "gold"):
        (tmp_path / f"bucc2018/de-en.test.{name}").unlink()
    dev, test = (read_table(tmp_path, "bucc2018", "de", split) for split in ("dev", "test"))
    assert set(dev["id"].to_pylist()).isdisjoint(test["id"].to_pylist())
    assert len(dev) + len(test) == 200
    pairs = 0
    for table in (dev, test):
        ids = set(table["id"].to_pylist())
        gold = [row["gold"] for row in table.to_pylist() if row["side"] == "foreign" and row["gold"]]
        assert all(set(one) <= ids for one in gold)
        pairs += len(gold)
    assert pairs == 40


def test_wrong_bucc_files_are_named(tmp_path):
    release.bucc(tmp_path)
    gold = tmp_path / "bucc2018/de-en.test.gold"
    gold.write_text(gold.read_text() + "de-00001\ten-99999\n")
    with pytest.raises(UserError, match=r"gold id 'en-99999' is not in de-en.test.en"):
        read_table(tmp_path, "bucc2018", "de", "test")
    pool = tmp_path / "bucc2018/de-en.test.de"
    pool.write_text(pool.read_text() + "de-00001\tagain\n")
    with pytest.raises(UserError, match="line 39: id 'de-00001' occurs twice"):
        read_table(tmp_path, "bucc2018", "de", "test")
    pool.write_text("no tab here\n")
    with pytest.raises(UserError, match="line 1: 1 column instead of 2"):
        read_table(tmp_path, "bucc2018", "de", "test")


def test_lareqa_points_at_the_sentence_in_which_the_answer_starts(tmp_path):
    release.lareqa(tmp_path)
    german, english = (read_table(tmp_path, "lareqa", code, "test").to_pylist() for code in ("de", "en"))
    by_id = {row["id"]: row for row in german}
    questions = [row for row in german if row["side"] == "question"]
    assert len(questions) == 24
    assert {row["id"] for row in questions} == {row["id"] for row in english if row["side"] == "question"}
    for row in questions:
        (gold,) = row["gold"]
        assert by_id[gold]["side"] == "candidate"
        assert gold.startswith("de:")
        assert by_id[gold]["text"] in by_id[gold]["context"]
    candidates = [row["id"] for row in german + english if row["side"] == "candidate"]
    assert len(candidates) == len(set(candidates)) == 2 * 36


def test_squad_as_retrieval_is_cut_by_rule(tmp_path):
    context = 'Mr. Ash left. "Why?" she asked. It rained 3.5 inches! 12 people came. no capital here.'
    qa = {"id": "a", "question": "q", "answers": [{"text": "3.5", "answer_start": context.index("3.5")}]}
    dump(tmp_path, "squad/train-v1.1.json", {"data": [{"paragraphs": [{"context": context, "qas": [qa]}]}]})
    rows = read_table(tmp_path, "squad_retrieval", "en", "train").to_pylist()
    sentences = [row["text"] for row in rows if row["side"] == "candidate"]
    assert sentences == [
        "Mr.", "Ash left.", '"Why?" she asked.', "It rained 3.5 inches!", "12 people came. no capital here.",
    ]  # fmt: skip
    assert rows[0]["gold"] == ["en:0.0.3"]


def test_mewslix(tmp_path):
    release.mewslix(tmp_path)
    table, counts = read_with_counts(tmp_path, "mewslix", "de", "test")
    assert counts["sides"] == {"entity": 17, "mention": 12}
    assert counts["read"] == 12
    mention = table.to_pylist()[3]
    assert mention["gold"] == ["Q3"]
    assert f"{{{mention['text']}}}" in mention["context"]
    train = read_table(tmp_path, "mewslix", "en", "train")
    assert train["side"].to_pylist()[:2] == ["mention", "entity"]


def test_plain_text_by_documents(tmp_path):
    release.write(tmp_path / "text/wo.txt", "a\nb\n\n\nc\n")
    table = read_table(tmp_path, "plain_text", "wo", "train")
    assert list(zip(table["text"].to_pylist(), table["document"].to_pylist(), strict=True)) == [
        ("a", "0"), ("b", "0"), ("c", "1"),
    ]  # fmt: skip
    (tmp_path / "text/wo.txt").unlink()
    release.write(tmp_path / "text/wo/1.txt", "a\n")
    release.write(tmp_path / "text/wo/2.txt", "b\n\n")
    release.write(tmp_path / "text/wo/3.txt", "c\n")
    assert read_table(tmp_path, "plain_text", "wo", "train")["document"].to_pylist() == ["0", "1", "2"]


def test_parallel_text_keeps_the_order_of_a_dialogue(tmp_path):
    release.write(tmp_path / "parallel_text/de-en.de", "ja\nnein\n\ndoch\n")
    release.write(tmp_path / "parallel_text/de-en.en", "yes\nno\n\nstill\n")
    rows = read_table(tmp_path, "parallel_text", "de", "train").to_pylist()
    assert [(r["text"], r["english"], r["document"], r["turn"]) for r in rows] == [
        ("ja", "yes", "0", 0), ("nein", "no", "0", 1), ("doch", "still", "1", 0),
    ]  # fmt: skip
