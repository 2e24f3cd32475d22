"""Files as people write them: what the official scorer scores, what it passes over, and what it fails on."""

import json
import re

import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.formats.bitext_mining import judge_pairs
from xtreme_dag.formats.dialogue_state import judge_turns
from xtreme_dag.formats.entity_linking import judge_linking
from xtreme_dag.formats.judging import judge_labels
from xtreme_dag.formats.multiple_choice import judge_choices
from xtreme_dag.formats.qa_retrieval import judge_retrieval
from xtreme_dag.formats.span_qa import judge_mlqa, judge_squad
from xtreme_dag.formats.tagging import judge_tags
from xtreme_dag.scoring.columns import column_sums
from xtreme_dag.scoring.combine import values
from xtreme_dag.submissions.folder import score_folder


@pytest.fixture
def judged(tmp_path):
    """Writes two files and judges them; JSON values are dumped."""

    def run(judge, labels, predictions, language="en"):
        paths = []
        for name, content in (("labels", labels), ("predictions", predictions)):
            path = tmp_path / name
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                text = content if isinstance(content, str) else json.dumps(content)
                path.write_text(text, encoding="utf-8", newline="")
            paths.append(path)
        return judge(*paths, language)

    return run


def squad(answers):
    """A SQuAD-format file: (id, gold answers) pairs."""
    qas = [
        {"id": name, "question": "?", "answers": [{"text": t, "answer_start": 0} for t in golds]}
        for name, golds in answers
    ]
    return {"version": "1.1", "data": [{"title": "", "paragraphs": [{"context": "", "qas": qas}]}]}


def figures(family, found):
    return {name: float(value) for name, value in values(family, column_sums(found.statistics)).items()}


def test_labels_are_stripped_lines(judged):
    found = judged(judge_labels, "entailment \r\nneutral\r\n contradiction", "entailment\nneutral\ncontradiction\n")
    assert found.statistics["s_correct"].tolist() == [1, 1, 1]
    assert found.ids == ["0", "1", "2"]
    assert found.warnings == []


def test_numbers_are_compared_as_text(judged):
    assert judged(judge_labels, "7\n8\n", "07\n8\n").statistics["s_correct"].tolist() == [0, 1]


def test_a_blank_line_at_the_end_is_one_line_too_many(judged):
    with pytest.raises(UserError, match="3 lines for 2 labels"):
        judged(judge_labels, "a\nb\n", "a\nb\n\n")


def test_blanked_labels_are_noticed(judged):
    found = judged(judge_labels, "neutral\n" * 12, "neutral\n" * 6 + "entailment\n" * 6)
    assert figures("accuracy", found)["accuracy"] == 50.0
    assert "all 12 labels are 'neutral', they look blanked" in found.warnings[0]


def test_a_byte_order_mark_belongs_to_the_first_label(judged):
    found = judged(judge_labels, "a\nb\n", "\ufeffa\nb\n")
    assert found.statistics["s_correct"].tolist() == [0, 1]
    assert "byte order mark" in found.warnings[0]


def test_choices_are_compared_as_json_values(judged):
    labels = '{"label": 1, "premise": "x"}\n{"label": 0}\n{"label": 1}\n'
    found = judged(judge_choices, labels, '{"label": 1.0}\n{"label": false}\n{"label": "1"}\n')
    assert found.statistics["s_correct"].tolist() == [1, 1, 0]
    with pytest.raises(UserError, match="line 2 is not a JSON object with a label"):
        judged(judge_choices, labels, '{"label": 1}\n{"lable": 0}\n{"label": 1}\n')
    with pytest.raises(UserError, match="line 1 is not a JSON object with a label"):
        judged(judge_choices, labels, "1\n0\n1\n")
    with pytest.raises(UserError, match="line 1 is not a JSON object with a label"):
        judged(judge_choices, labels, ('{"label": ' + "1" * 5000 + "}\n") * 3)
    with pytest.raises(UserError, match="not a number or a text"):
        judged(judge_choices, labels, '{"label": []}\n' * 3)


def test_two_blank_lines_are_an_empty_sentence(judged):
    found = judged(judge_tags, "B-PER\nI-PER\n\n\nO\n\n", "B-PER\nI-PER\n\n\nO")
    assert found.statistics["s_tokens"].tolist() == [2, 0, 1]
    assert list(found.gold) == ["B-PER I-PER", "", "O"]
    with pytest.raises(UserError, match="3 predicted sentences for 2 gold"):
        judged(judge_tags, "O\n\nO\n", "O\n\nO\n\n\n")
    with pytest.raises(UserError, match="sentence 1 has 2 gold tags and 1 predicted"):
        judged(judge_tags, "O\nO\n\nO\n", "O\n\nO\nO\n")


def test_a_line_is_a_tag_as_a_whole(judged):
    found = judged(judge_tags, "B-PER\n\nO\n", "Ann\tB-PER\n\nO\n")
    assert found.statistics["s_tokens_correct"].tolist() == [0, 1]
    assert "a line is a tag as a whole, also 'Ann\\tB-PER'" in found.warnings[0]


def test_questions_without_an_answer_and_answers_without_a_question(judged):
    labels = squad([("q1", ["a cat"]), ("q2", ["dog"]), ("q3", ["x"])])
    found = judged(judge_squad, labels, {"q1": "Cat!", "q2": "", "q9": "dog"})
    assert found.statistics["s_em"].tolist() == [1, 0, 0]
    assert found.predictions == ["Cat!", "", None]
    assert len(found.warnings) == 2
    assert "1 of 3 have no prediction and score 0, as 'q3'" in found.warnings[0]
    assert "1 predictions have an unknown id and do not count, as 'q9'" in found.warnings[1]


def test_of_a_doubled_id_the_last_answer_counts(judged):
    found = judged(judge_squad, squad([("q1", ["x"])]), '{"q1": "y", "q1": "x"}')
    assert found.statistics["s_em"].tolist() == [1]
    assert "1 ids stand there twice, the last one counts, as 'q1'" in found.warnings[0]


def test_a_question_that_stands_twice_counts_twice(judged):
    found = judged(judge_squad, squad([("q1", ["x"]), ("q1", ["y"])]), {"q1": "x"})
    assert found.ids == ["q1", "q1#2"]
    assert figures("answers", found)["exact_match"] == 50.0


def test_blanked_answers_are_noticed(judged):
    found = judged(judge_squad, squad([("q1", [""]), ("q2", [""])]), {"q1": "x", "q2": ""})
    assert any("every gold answer is empty, the labels were blanked" in warning for warning in found.warnings)
    # An empty answer even "matches" a blanked one; its F1 is 0.
    assert (figures("answers", found)["exact_match"], figures("answers", found)["f1"]) == (50.0, 0.0)


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        (squad([("q1", [])]), {"q1": "x"}, "question 'q1' has no gold answer"),
        ({"data": [{"paragraphs": [{"qas": [{"id": "q1"}]}]}]}, {}, "not labels of SQuAD format, 'answers' is missing"),
        ({"q1": "x"}, {"q1": "x"}, "not labels of SQuAD format\n.*folders swapped"),
        (squad([("q1", [3])]), {"q1": "x"}, "question 'q1' has an id or an answer that is not a text"),
        (squad([(1, ["x"])]), {"1": "x"}, "question 1 has an id or an answer that is not a text"),
        (squad([("q1", ["x"])]), {"q1": 3}, "the answer to 'q1' is not a text"),
        (squad([("q1", ["x"])]), {"q1": None}, "the answer to 'q1' is not a text"),
        (squad([("q1", ["x"])]), ["x"], "not a JSON object with ids as keys"),
        (squad([("q1", ["x"])]), "{", "not JSON"),
        (squad([("q1", ["x"])]), " \n", "the file is empty"),
        (squad([("q1", ["x"])]), "[" * 100_000, "not JSON"),
        (squad([("q1", ["x"])]), '{"q1": ' + "1" * 5000 + "}", "not JSON"),
        (squad([("q1", ["x"])]), b"\xff\xfe", "byte 0 is not UTF-8"),
        (squad([]), {}, "no examples"),
    ],
)
def test_what_the_official_scorer_fails_on(judged, labels, predictions, message):
    with pytest.raises(UserError) as error:
        judged(judge_squad, labels, predictions)
    assert re.search(message, str(error.value))
    assert len(str(error.value).splitlines()) <= 2


def test_mlqa_rules_go_by_the_language_of_the_file(judged):
    labels = squad([("q1", ["北京大学"])])
    assert figures("answers", judged(judge_mlqa, labels, {"q1": "北京"}, "zh"))["f1"] == pytest.approx(200 / 3)
    assert figures("answers", judged(judge_squad, labels, {"q1": "北京"}, "zh"))["f1"] == 0.0
    with pytest.raises(UserError, match="no rules for language 'fr'"):
        judged(judge_mlqa, labels, {"q1": "北京"}, "fr")


def test_pairs_are_sets(judged):
    found = judged(judge_pairs, "f1\te1\nf2\te2\n", "f1\te1\nf1\te1\nf1\te3\nf3\te2\n")
    assert found.ids == ["f1", "f2", "f3"]
    assert found.gold == ["e1", "e2", ""]
    assert found.predictions == ["e1 e3", "", "e2"]
    result = figures("mining", found)
    assert (result["precision"], result["recall"]) == pytest.approx((100 / 3, 50.0))
    assert "1 pairs stand there twice and count once" in found.warnings[0]


def test_a_blank_line_is_a_pair_to_the_official_scorer(judged):
    found = judged(judge_pairs, "f1\te1\n\n", "f1\te1\n\nf2 e2\n")
    assert figures("mining", found)["precision"] == pytest.approx(200 / 3)
    assert len(found.warnings) == 2
    assert "2 lines are not two ids" in found.warnings[1]
    empty = judged(judge_pairs, "", "f1\te1\n")
    assert figures("mining", empty)["f1"] == 0.0
    assert "no gold pairs" in empty.warnings[0]


def test_linking_takes_the_first_gold_entity_stripped(judged):
    labels = {"m1": [" Q1 ", "Q2"], "m2": ["Q3"], "m3": ["Q4"], "m4": ["Q5"]}
    found = judged(judge_linking, labels, {"m1": ["Q2", "Q1"], "m2": ["x"] * 20 + ["Q3"], "m3": "Q4", "m9": []})
    assert found.statistics["s_rr"].tolist() == [0.5, 0, 0, 0]
    assert found.statistics["s_ap"].tolist() == [0.5, 0, 0, 0]
    joined = "\n".join(found.warnings)
    assert "1 of 4 have no prediction and score 0, as 'm4'" in joined
    assert "1 predictions have an unknown id" in joined
    assert "1 predictions are a text, not a list" in joined
    with pytest.raises(UserError, match="the prediction for 'm2' is not a list of ids"):
        judged(judge_linking, labels, {"m2": 3})
    with pytest.raises(UserError, match="the label of 'm1' is not a list of ids"):
        judged(judge_linking, {"m1": []}, {})


def test_an_entity_that_is_a_number_equals_no_id(judged):
    assert judged(judge_linking, {"m": ["1"]}, {"m": [1, "1"]}).statistics["s_rr"].tolist() == [0.5]
    assert judged(judge_linking, {"m": [" "]}, {"m": [None, 0, [], ""]}).statistics["s_rr"].tolist() == [0.25]


def test_retrieval_takes_all_gold_candidates(judged):
    found = judged(judge_retrieval, {"q": ["en_1_0", "de_1_0"]}, {"q": ["de_1_0", "x", "en_1_0"]})
    assert found.statistics["s_ap"].tolist() == pytest.approx([(1 + 2 / 3) / 2])


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


def test_a_folder_names_all_bad_files_of_a_task(tmp_path):
    labels = write(tmp_path / "labels", {f"xnli/test-{name}.tsv": "a\nb\n" for name in ("en", "de", "fr")})
    bad = {"xnli/test-en.tsv": "a\n", "xnli/test-de.tsv": "a\nb\nc\n", "xnli/test-fr.tsv": "a\nb\n"}
    with pytest.raises(UserError) as error:
        score_folder(write(tmp_path / "predictions", bad), labels)
    assert "2 files cannot be scored" in error.value.what
    assert "3 lines for 2 labels" in error.value.what
    assert "1 lines for 2 labels" in error.value.what


def test_a_folder_names_all_bad_files_of_all_tasks(tmp_path):
    good = {"xnli/test-en.tsv": "a\nb\n", "pawsx/test-en.tsv": "0\n", "panx/test-en.tsv": "O\n"}
    bad = {"xnli/test-en.tsv": "a\n", "pawsx/test-en.tsv": "0\n1\n", "panx/test-en.tsv": "O\n"}
    with pytest.raises(UserError) as error:
        score_folder(write(tmp_path / "predictions", bad), write(tmp_path / "labels", good))
    assert [line.split(": ")[-1] for line in error.value.what.splitlines()] == [
        "2 files cannot be scored",
        "2 lines for 1 labels",
        "1 lines for 2 labels",
    ]
    assert "one line per test example" in error.value.fix


@pytest.mark.parametrize(
    ("path", "message"), [("xnli", "is a file, not a folder"), ("xnli/test-en.tsv", "cannot be read")]
)
def test_files_and_folders_that_are_the_other(tmp_path, path, message):
    folder = write(tmp_path / "predictions", {"panx/test-en.tsv": "O\n"})
    labels = write(tmp_path / "labels", {"panx/test-en.tsv": "O\n", "xnli/test-en.tsv": "a\n"})
    if path == "xnli":
        (folder / path).write_text("")
    else:
        (folder / path).mkdir(parents=True)
    with pytest.raises(UserError, match=message):
        score_folder(folder, labels)


def test_many_doubled_ids_are_counted_in_no_time(judged):
    """Counting each among all of them would take minutes."""
    twice = ", ".join(f'"q{row}": "x"' for row in [*range(50_000), *range(50_000)])
    found = judged(judge_squad, squad([("q1", ["x"])]), f"{{{twice}}}")
    assert "50000 ids stand there twice" in found.warnings[0]


def test_a_folder_says_what_it_passes_over(tmp_path):
    files = {"xnli/test-en.tsv": "a\nb\n", "xnli/test-xx.tsv": "a\n", "notes/readme.txt": ""}
    report = score_folder(write(tmp_path / "predictions", files), write(tmp_path / "labels", files))
    assert report["tasks"] == {"xnli": {"en": {"accuracy": 100.0}}}
    assert "notes: not scored, it is not a task of xtreme" in report["warnings"]
    assert "xnli: not scored, as the benchmark lists no such test-<language>.tsv: test-xx.tsv" in report["warnings"]
    assert any(warning.startswith("xnli: no predictions and no labels for ar") for warning in report["warnings"])


def test_nothing_to_score(tmp_path):
    with pytest.raises(UserError, match="no task of xtreme has both"):
        score_folder(write(tmp_path / "predictions", {"xnli/other": ""}), write(tmp_path / "labels", {"panx/x": ""}))
    one_up = write(tmp_path / "up", {"mine/xnli/test-en.tsv": "a\n"})
    with pytest.raises(UserError) as error:
        score_folder(one_up, tmp_path / "labels")
    assert error.value.fix == f"the folders of the tasks are in {one_up / 'mine'}"
    with pytest.raises(UserError, match="no such folder"):
        score_folder(tmp_path / "nowhere", tmp_path / "labels")


def lists(**ranked):
    return json.dumps(ranked)


@pytest.mark.parametrize(
    ("judge", "labels", "predictions", "shown"),
    [
        (judge_labels, "contradiction\nneutral\n", "0\n1\n", r"'0', '1'\) occurs in .*'contradiction', 'neutral'\)"),
        (judge_labels, "0\n1\n", "entailment\nneutral\n", r"'entailment', 'neutral'\)"),
        (judge_labels, "entailment\nneutral\n", "Entailment\nNeutral\n", r"'Entailment', 'Neutral'\)"),
        (judge_labels, "2\n0\n1\n", "0\t2\n1\t0\n2\t1\n", r"'0\\t2'"),  # Tatoeba: pairs for rows
        (judge_choices, '{"label": 0}\n{"label": 1}\n', '{"label": "0"}\n{"label": "1"}\n', "the labels are texts, as \"0\""),
        (judge_choices, '{"label": 0}\n{"label": 1}\n', '{"label": 2}\n{"label": 3}\n', r"\(as 2, 3\) .* \(as 0, 1\)"),
        (judge_choices, '{"label": "0"}\n{"label": "1"}\n', '{"label": 0}\n{"label": 1}\n', r"\(as 0, 1\) .* \(as '0', '1'\)"),
        (judge_tags, "O\nB-PER\n\nO\n\n", "0\n1\n\n0\n\n", r"'O', 'B-PER'\)"),
        (judge_tags, "ÄRT\nB-PER\n\nO\n\n", "0\n1\n\n0\n\n", r"'ÄRT', 'B-PER', 'O'\)"),
        (judge_tags, "NOUN\nVERB\n\n", "noun\nverb\n\n", r"'noun', 'verb'\)"),
        (judge_pairs, "de-1\ten-1\nde-2\ten-2\n", "en-1\tde-1\nen-2\tde-2\n", "the sides are swapped"),
        (judge_pairs, "de-1\ten-1\nde-2\ten-2\n", "1\t1\n2\t2\n", r"\(as '1', '2'\) .* \(as 'de-1', 'de-2'\)"),
        (judge_pairs, "de-1\ten-1\nde-2\ten-2\n", "de-1\t1\nde-2\t2\n", r"\(as '1', '2'\) .* \(as 'en-1', 'en-2'\)"),
        (judge_retrieval, lists(q1=["a"], q2=["b"]), lists(q1=["0", "1"], q2=["1"]), r"\(as '0', '1'\) .* \(as 'a', 'b'\)"),
        (judge_linking, lists(m1=["Q1"], m2=["Q2"]), lists(m1=["1"], m2=["2"]), r"\(as '1', '2'\) .* \(as 'Q1', 'Q2'\)"),
    ],
)  # fmt: skip
def test_files_that_share_nothing_score_nothing_and_say_so(judged, judge, labels, predictions, shown):
    found = judged(judge, labels, predictions)
    [warning] = [text for text in found.warnings if "every score is 0" in text]
    assert re.search(shown, warning)
    right = [name for name in found.statistics if name in ("s_correct", "s_tp", "s_rr", "s_tokens_correct")]
    assert right
    assert all(not found.statistics[name].any() for name in right)


def test_tags_that_share_only_what_is_outside_say_so(judged):
    for line in ("O", " O"):  # read from its bytes, and as text
        found = judged(judge_tags, f"{line}\nB-PER\n\n", "O\nPERSON\n\n")
        assert "no entity is right" in found.warnings[0]
    for wrong in ("O", "B-LOC"):
        assert judged(judge_tags, "O\nB-PER\n\n", f"O\n{wrong}\n\n").warnings == []


def test_types_of_entities_of_another_corpus_say_so(judged):
    for line in ("O", " O"):
        found = judged(judge_tags, f"{line}\nB-PER\nB-LOC\n\n", "O\nB-PERSON\nB-GPE\n\n")
        assert "no entity is right" in found.warnings[0] and "B-PERSON" in found.warnings[0]
    assert judged(judge_tags, "O\nB-PER\nB-LOC\n\n", "O\nB-LOC\nB-ORG\n\n").warnings == []


def test_answers_that_share_no_word_with_any_right_one_say_so(judged):
    labels = squad([(f"q{n}", ["a red cat"]) for n in range(12)])
    found = judged(judge_squad, labels, {f"q{n}": str(n) for n in range(12)})
    [warning] = found.warnings
    assert "none of its 12 answers (as '0') shares a word with a right one (as 'a red cat')" in warning
    assert judged(judge_squad, labels, {f"q{n}": "cat" if n else "0" for n in range(12)}).warnings == []
    assert judged(judge_squad, squad([("q1", ["cat"])]), {"q1": "dog"}).warnings == []


def test_slots_of_another_ontology_say_so(judged):
    turns = {f"t{n}": {"dialogue": "d", "labels": ["food=thai"], "state": ["food=thai"]} for n in range(2)}
    [warning] = judged(judge_turns, turns, {name: ["essen=thai"] for name in turns}).warnings
    assert "'essen=thai'" in warning and "so no label is right" in warning
    for right in (["food=thai"], []):
        assert (
            judged(judge_turns, turns, {"t0": ["food=greek"], "t1": right} if right else {"t0": [], "t1": []}).warnings
            == []
        )


@pytest.mark.parametrize("case", ["s01-xnli-numbers", "s07-tags-ids", "s23-tatoeba-pairs"])
def test_reported_cases_score_nothing_and_say_so(shared, case):
    folder = shared / "cases" / case
    report = score_folder(folder / "pred", folder / "labels")
    [(task, languages)] = report["tasks"].items()
    assert set(languages["de"].values()) == {0.0}
    assert any(text.startswith(f"{task}/de: ") and "so every score is 0" in text for text in report["warnings"])
