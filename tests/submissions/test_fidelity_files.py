"""More figures of docs/fidelity.md: what files that are not as the official scorer wants them weigh on real data."""

import json
import random
import re

import numpy as np
import pytest

from tests.scoring import lareqa
from tests.scoring.hostile_answers import disturbed_tags
from tests.scoring.official_rules import squad_v2_best_threshold
from tests.scoring.real_files import gold_tags, text_of
from tests.scoring.test_fidelity_figures import encode, pooled_questions, tatoeba_sides
from xtreme_dag.core.errors import UserError
from xtreme_dag.formats.bitext_mining import judge_pairs
from xtreme_dag.formats.entity_linking import judge_linking
from xtreme_dag.formats.judging import judge_labels
from xtreme_dag.formats.multiple_choice import judge_choices
from xtreme_dag.formats.span_qa import judge_squad
from xtreme_dag.formats.tagging import judge_tags
from xtreme_dag.scoring import mining, squad_v2
from xtreme_dag.scoring.columns import column_sums
from xtreme_dag.scoring.combine import values
from xtreme_dag.scoring.tatoeba import sorted_rows

pytestmark = pytest.mark.real
CLOSE = 0.005


@pytest.fixture
def scored(tmp_path):
    """Writes labels and predictions, judges them: figures and warnings."""

    def run(judge, family, labels, predictions, language="en"):
        paths = [tmp_path / "labels", tmp_path / "predictions"]
        for path, content in zip(paths, (labels, predictions), strict=True):
            path.write_text(content, encoding="utf-8", newline="")
        found = judge(*paths, language)
        figures = values(family, column_sums(found.statistics))
        return {name: float(value) for name, value in figures.items()}, found.warnings

    return run


def tag_file(sentences):
    return "".join("".join(f"{tag}\n" for tag in tags) + "\n" for tags in sentences)


def release(path):
    """A SQuAD-format file, and id -> its first gold answer."""
    text = text_of(path)
    questions = [qa for a in json.loads(text)["data"] for p in a["paragraphs"] for qa in p["qas"]]
    return text, {qa["id"]: qa["answers"][0]["text"] for qa in questions}


def test_truncated_sentences_that_are_filled_up(shared_data, scored):
    """Right tags up to the fiftieth word: evaluate.py stops; filled with the last class; with words, as jiant does."""
    gold = gold_tags(next((shared_data / "udpos" / "xtreme_ud2.5").glob("dev-ar.tsv*")))
    cut = [tags[:50] for tags in gold]
    with pytest.raises(UserError, match="gold tags and 50 predicted"):
        scored(judge_tags, "tagging", tag_file(gold), tag_file(cut))
    assert (sum(len(tags) > 50 for tags in gold), len(gold)) == (82, 909)
    found = []
    for filler in ("X", "word"):
        given = [[*tags, *[filler] * (len(whole) - 50)] for tags, whole in zip(cut, gold, strict=True)]
        found.append(scored(judge_tags, "tagging", tag_file(gold), tag_file(given))[0]["f1"])
    assert found == pytest.approx([97.95, 97.76], abs=CLOSE)


def test_a_word_before_the_tag(shared_data, scored):
    """No tag is right, yet what follows the hyphen is, so that chunks are found."""
    gold = gold_tags(shared_data / "panx" / "dev-en.tsv.gz")
    given = [[f"word\t{tag}" for tag in tags] for tags in gold]
    found, warnings = scored(judge_tags, "tagging", tag_file(gold), tag_file(given))
    assert (found["f1"], found["token_accuracy"]) == pytest.approx((66.15, 0.0), abs=CLOSE)
    assert "a line is a tag as a whole" in warnings[0]


def test_an_eighteenth_class_for_parts_of_speech(shared_data, scored):
    """XTREME's reader puts O among the tags: right tags, but one in a hundred is O, or X."""
    gold = gold_tags(next((shared_data / "udpos" / "xtreme_ud2.5").glob("dev-en.tsv*")))
    found = []
    for kind in ("O", "X"):
        given = disturbed_tags(random.Random(1), gold, [kind], 0.01)
        found.append(scored(judge_tags, "tagging", tag_file(gold), tag_file(given))[0]["f1"])
    assert found == pytest.approx([99.39, 98.90], abs=CLOSE)


def test_characters_after_9fa5(shared_data):
    """None of the Chinese texts at hand has one."""
    late = re.compile("[\u9fa6-\u9fff\u3400-\u4dbf\U00020000-\U0003ffff]")
    chinese = re.compile("[\u4e00-\u9fa5]")
    files = ["mlqa/MLQA_V1/dev/dev-context-zh-question-zh.json.gz", "xquad/xquad.zh.json.gz"]
    texts = [json.dumps(json.loads(text_of(shared_data / file)), ensure_ascii=False) for file in files]
    assert [len(late.findall(text)) for text in texts] == [0, 0]
    assert sum(len(chinese.findall(text)) for text in texts) == 168826


def test_answers_that_lack_and_answers_too_many(shared_data, scored):
    """Right answers to nine questions in ten; then all, and a wrong one once more for one in ten."""
    text, right = release(shared_data / "xquad" / "xquad.en.json.gz")
    tenth = dict.fromkeys(list(right)[::10], "something else")
    some = {name: answer for name, answer in right.items() if name not in tenth} | {"stranger": "x"}
    found, warnings = scored(judge_squad, "answers", text, json.dumps(some))
    assert (found["exact_match"], found["f1"]) == pytest.approx((90.0, 90.0))
    assert "119 of 1190 have no prediction and score 0" in warnings[0]
    assert "1 predictions have an unknown id and do not count" in warnings[1]
    doubled = json.dumps(right)[:-1] + ", " + json.dumps(tenth)[1:]
    found, warnings = scored(judge_squad, "answers", text, doubled)
    assert found["exact_match"] == pytest.approx(90.0)
    assert "119 ids stand there twice, the last one counts" in warnings[0]


def test_empty_answers_to_blanked_questions(shared_data, scored):
    """Empty answers, and the right ones, to questions whose answers were blanked."""
    text, right = release(shared_data / "xquad" / "xquad.en.json.gz")
    content = json.loads(text)
    for qa in (qa for article in content["data"] for paragraph in article["paragraphs"] for qa in paragraph["qas"]):
        qa["answers"] = [{"text": "", "answer_start": 0}]
    for given, figures in ((dict.fromkeys(right, ""), (100.0, 0.0)), (right, (0.0, 0.0))):
        found, warnings = scored(judge_squad, "answers", json.dumps(content), json.dumps(given))
        assert (found["exact_match"], found["f1"]) == figures
        assert "the labels were blanked" in warnings[0]


def test_squad_v2_thresholds(shared_data):
    """Seven answers in ten right, probabilities in tenths: what is called the best F1, and what its threshold gives.

    Then finer probabilities, 202 questions: the threshold chosen on them, and on 202 others.
    """
    articles = json.loads(text_of(shared_data / "squad" / "dev-v2.0.json.gz"))["data"]
    golds = [[a["text"] for a in qa["answers"]] for x in articles for p in x["paragraphs"] for qa in p["qas"]]
    chance = random.Random(0)
    filled = [texts for texts in golds if texts]
    given = [texts[0] if texts and chance.random() < 0.7 else chance.choice(filled)[0] for texts in golds]

    def probabilities():
        return [min(max(chance.gauss(0.4 if texts else 0.6, 0.15), 0.0), 1.0) for texts in golds]

    def f1(rows, none, threshold):
        columns = squad_v2.statistics(
            [golds[r] for r in rows], [given[r] for r in rows], [none[r] for r in rows], threshold
        )
        return 100 * float(columns["s_f1"].mean())

    def best(rows, none):
        columns = squad_v2.statistics([golds[r] for r in rows], [given[r] for r in rows])
        answers_of_rows, none_of_rows = [given[r] for r in rows], [none[r] for r in rows]
        return squad_v2_best_threshold(columns["s_f1"], columns["s_answerable"], answers_of_rows, none_of_rows)

    rows, tenths = range(len(golds)), [round(probability, 1) for probability in probabilities()]
    called, threshold = best(rows, tenths)
    possible = max(f1(rows, tenths, candidate) for candidate in (-1.0, *set(tenths)))
    assert (called, f1(rows, tenths, threshold), possible) == pytest.approx((64.64, 61.54, 64.60), abs=CLOSE)
    fine = probabilities()
    scored, others = rows[:: len(golds) // 200], rows[1 :: len(golds) // 200]
    assert len(scored) == 202
    own = best(scored, fine)[0], f1(scored, fine, best(others, fine)[1])
    assert own == pytest.approx((66.83, 65.84), abs=CLOSE)


def test_question_ids_that_repeat(shared_data):
    repeated = {}
    for language in ("en", "ko", "sw"):
        articles = json.loads(text_of(shared_data / "tydiqa" / f"tydiqa.goldp.{language}.train.json.gz"))["data"]
        names = [qa["id"] for article in articles for paragraph in article["paragraphs"] for qa in paragraph["qas"]]
        repeated[language] = (len(names), len(set(names)))
    assert repeated == {"en": (3696, 89), "ko": (1625, 94), "sw": (2755, 74)}


def test_labels_written_otherwise(shared_data, scored):
    """Right Spanish Tatoeba rows with three digits, right Italian XCOPA choices as texts, a mark before XNLI's labels."""
    rows = sorted_rows(tatoeba_sides(shared_data, "spa")[1])
    plain, padded = ("".join(f"{row:{form}}\n" for row in rows) for form in ("d", "03d"))
    assert scored(judge_labels, "accuracy", plain, padded)[0]["accuracy"] == 90.0
    labels = text_of(next((shared_data / "xcopa" / "data" / "it").glob("test*")))
    texts = "".join(json.dumps({"label": str(json.loads(line)["label"])}) + "\n" for line in labels.splitlines())
    found, warnings = scored(judge_choices, "accuracy", labels, texts)
    assert found["accuracy"] == 0.0
    assert "the labels are texts" in warnings[0]
    gold = (shared_data / "xnli" / "test-labels.txt").read_text(encoding="utf-8")
    found, warnings = scored(judge_labels, "accuracy", gold, "\ufeff" + gold)
    assert found["accuracy"] == pytest.approx(99.98, abs=CLOSE)
    assert "byte order mark" in warnings[0]
    with pytest.raises(UserError, match="5011 lines for 5010 labels"):
        scored(judge_labels, "accuracy", gold, gold + "\n")


def test_the_sweep_at_its_end(shared_data):
    """Afrikaans: the best state takes all mutual neighbours, where the official sweep has no next score."""
    foreign, english = map(encode, tatoeba_sides(shared_data, "afr"))
    scores = english @ foreign.T
    forward, back = scores.argmax(axis=1), scores.argmax(axis=0)
    mutual = np.flatnonzero(back[forward] == np.arange(len(scores)))
    candidates, right = scores[mutual, forward[mutual]], forward[mutual] == mutual
    threshold = mining.best_threshold(candidates, right, len(scores))
    assert threshold == pytest.approx(float(candidates.min()))
    taken = mining.accepted(candidates, threshold)
    assert taken.all() and abs(len(taken) - 259) <= 2
    assert 200 * float(right.sum()) / (len(taken) + len(scores)) == pytest.approx(20.8, abs=0.5)


def test_a_blank_line_among_pairs(shared_data, scored):
    """Every other gold pair of zh-en dev, and the same with a blank line at the end of both files."""
    gold = text_of(shared_data / "bucc2018" / "zh-en.dev.gold")
    half = "".join(f"{line}\n" for line in gold.splitlines()[::2])
    assert scored(judge_pairs, "mining", gold, half)[0]["f1"] == pytest.approx(66.84, abs=CLOSE)
    found, warnings = scored(judge_pairs, "mining", f"{gold}\n", f"{half}\n")
    assert found["f1"] == pytest.approx(67.01, abs=CLOSE)
    assert len(warnings) == 2


def test_linking_predictions_as_they_should_not_be(shared, scored):
    """The English mention of the mock submission: as it is, with a blank after each id, with a text for the list."""
    sides = [
        shared / "golden" / "xtreme_mock" / side / "mewslix" / "test-en.json" for side in ("labels", "predictions")
    ]
    gold, given = (path.read_text(encoding="utf-8") for path in sides)
    lists = json.loads(given)
    blanks = {key: [f"{name} " for name in names] for key, names in lists.items()}
    texts = {key: names[0] for key, names in lists.items()}
    found = [scored(judge_linking, "ranking", gold, json.dumps(side)) for side in (lists, blanks, texts)]
    assert [figures["map@20"] for figures, _ in found] == pytest.approx([8.33, 0.0, 0.0], abs=CLOSE)
    assert "1 predictions are a text, not a list; they score 0" in found[2][1][0]


def test_equal_scores_in_lareqa(shared_data):
    """Three languages pooled, letter trigrams in whole numbers: of equal scores the lower row first, or last."""
    questions, candidates, right = pooled_questions(shared_data)
    vectors = [np.round(20 * encode(texts).astype(np.float64)) for texts in (questions, candidates)]
    last = len(candidates) - 1
    reverse = np.ascontiguousarray(vectors[1][::-1]), [[last - row for row in rows] for rows in right]
    found = [
        float(values("ranking_full", column_sums(lareqa.statistics(vectors[0], pool, gold)))["map@20"])
        for pool, gold in ((vectors[1], right), reverse)
    ]
    assert found == pytest.approx([24.41, 24.37], abs=CLOSE)
