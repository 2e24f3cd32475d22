"""The figures of docs/fidelity.md: how much each oddity of the reference code weighs on real data."""

import json
import random
import re
import unicodedata
import zlib
from collections import Counter

import numpy as np
import pytest

from tests.scoring import lareqa
from tests.scoring.hostile_answers import disturbed_tags
from tests.scoring.official_rules import squad_tokens
from tests.scoring.real_files import UPOS, gold_answers, gold_tags, text_of
from xtreme_dag.scoring import accuracy, mining, mlqa, squad, tagging
from xtreme_dag.scoring.columns import column_sums
from xtreme_dag.scoring.combine import values
from xtreme_dag.scoring.tatoeba import sorted_rows

pytestmark = pytest.mark.real
CLOSE = 0.02


def answers(columns):
    row = values("answers", column_sums(columns))
    return float(row["exact_match"]), float(row["f1"])


def tagged(shared_data, language):
    gold = gold_tags(next((shared_data / "udpos" / "xtreme_ud2.5").glob(f"dev-{language}.tsv*")))
    return gold, disturbed_tags(random.Random(language), gold, UPOS, 0.1)


def encode(texts, width=1024):
    """Unit vectors of hashed letter trigrams: a retrieval model that needs no download."""
    vectors = np.zeros((len(texts), width), np.float32)
    for row, text in enumerate(texts):
        padded = f"  {text.lower()} "
        for place in range(len(padded) - 2):
            vectors[row, zlib.crc32(padded[place : place + 3].encode()) % width] += 1
    vectors = np.sqrt(vectors)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def tatoeba_sides(shared_data, code):
    paths = [shared_data / "tatoeba" / f"tatoeba.{code}-eng.{side}" for side in (code, "eng")]
    return [path.read_text(encoding="utf-8").split("\n")[:-1] for path in paths]


def test_chunk_f1_of_parts_of_speech_lies_below_token_accuracy(shared_data):
    gaps = {}
    for language in ("en", "ja", "vi"):
        row = values("tagging", column_sums(tagging.statistics(*tagged(shared_data, language))))
        gaps[language] = float(row["token_accuracy"] - row["f1"])
    assert gaps == pytest.approx({"en": 1.60, "ja": 2.74, "vi": 2.81}, abs=CLOSE)


def chunk_f1(sums):
    return float(values("tagging", sums)["f1"])


def test_an_x_makes_the_order_of_sentences_count(shared_data):
    """Chunk F1 with the sentences in reverse, and as the sum of sentences scored one by one, less the official one."""
    differences = {}
    for language in ("ar", "vi", "en"):
        gold, predicted = tagged(shared_data, language)
        official = chunk_f1(column_sums(tagging.statistics(gold, predicted)))
        reverse = chunk_f1(column_sums(tagging.statistics(gold[::-1], predicted[::-1])))
        alone = [column_sums(tagging.statistics([a], [b])) for a, b in zip(gold, predicted, strict=True)]
        apart = chunk_f1({name: np.sum([sums[name] for sums in alone], axis=0) for name in alone[0]})
        differences[language] = (reverse - official, apart - official)
    assert differences["ar"] == pytest.approx((0.0, 0.0094), abs=1e-4)
    assert differences["vi"] == pytest.approx((-0.0199, 0.0), abs=1e-4)
    assert differences["en"] == pytest.approx((0.0, 0.0), abs=1e-4)


def test_squad_rules_treat_chinese_and_thai_as_one_token(shared_data):
    """Answers without their last character: F1 by SQuAD's rules, and by MLQA's for Chinese."""
    cut = {}
    for language in ("zh", "th", "en"):
        golds = gold_answers(shared_data / "xquad" / f"xquad.{language}.json.gz")
        given = [texts[0][:-1] if len(texts[0]) > 1 else texts[0] for texts in golds]
        cut[language] = answers(squad.statistics(golds, given))[1]
        if language == "zh":
            cut["zh by MLQA"] = answers(mlqa.statistics(golds, given, "zh"))[1]
            one_token = np.mean([len(squad.tokens(texts[0])) == 1 for texts in golds])
    assert cut == pytest.approx({"zh": 7.88, "zh by MLQA": 78.55, "th": 20.77, "en": 43.16}, abs=CLOSE)
    assert 100 * one_token == pytest.approx(92.3, abs=0.05)


def test_english_articles_go_in_every_language(shared_data):
    changed = {}
    for language in ("es", "ro", "de", "vi", "zh"):
        golds = gold_answers(shared_data / "xquad" / f"xquad.{language}.json.gz")
        kept = [
            "".join(c for c in texts[0].lower() if c not in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") for texts in golds
        ]
        changed[language] = sum(text.split() != squad_tokens(text) for text in kept)
    assert changed == {"es": 47, "ro": 49, "de": 19, "vi": 13, "zh": 3}


def test_only_ascii_punctuation_goes(shared_data):
    """Right answers without any punctuation: exact match by SQuAD's rules, which keep what is not ASCII."""
    found = {}
    for language in ("zh", "ar", "ru", "en"):
        golds = gold_answers(shared_data / "xquad" / f"xquad.{language}.json.gz")
        bare = ["".join(c for c in texts[0] if not unicodedata.category(c).startswith("P")) for texts in golds]
        found[language] = answers(squad.statistics(golds, bare))[0]
    assert found == pytest.approx({"zh": 84.12, "ar": 97.56, "ru": 98.15, "en": 99.16}, abs=CLOSE)


def test_a_perfect_answer_can_score_less_than_100(shared_data):
    """One Spanish MLQA answer consists of an article: right answers have exact match 100 and F1 99.8."""
    golds = gold_answers(shared_data / "mlqa" / "MLQA_V1" / "dev" / "dev-context-es-question-es.json.gz")
    assert sum(not mlqa.tokens(texts[0], "es") for texts in golds) == 1
    assert answers(mlqa.statistics(golds, [texts[0] for texts in golds], "es")) == pytest.approx((100.0, 99.8))
    english = gold_answers(shared_data / "squad" / "dev-v1.1.json.gz")
    assert sum(any(not squad.tokens(text) for text in texts) for texts in english) == 3


def test_the_arabic_article_goes_inside_words_too(shared_data):
    golds = gold_answers(shared_data / "mlqa" / "MLQA_V1" / "dev" / "dev-context-ar-question-ar.json.gz")
    inside = sum(re.search(r"\wال", texts[0]) is not None for texts in golds)
    assert (sum("ال" in texts[0] for texts in golds), inside, len(golds)) == (266, 81, 517)
    # Right answers without their articles: all right by MLQA's rules, half wrong by SQuAD's.
    bare = [re.sub(r"\bال", "", texts[0]) for texts in golds]
    assert answers(mlqa.statistics(golds, bare, "ar")) == pytest.approx((100.0, 100.0))
    assert answers(squad.statistics(golds, bare)) == pytest.approx((51.64, 71.63), abs=CLOSE)


def test_accuracy_against_blanked_labels(shared_data):
    """XTREME's download blanks test labels: the right answers of XNLI then score a third."""
    gold = (shared_data / "xnli" / "test-labels.txt").read_text(encoding="utf-8").split()
    blanked = [gold[0]] * len(gold)
    figures = values("accuracy", column_sums(accuracy.statistics(blanked, gold)))
    assert float(figures["accuracy"]) == pytest.approx(100 / 3, abs=0.01)


def test_tatoeba_labels_without_the_permutation(shared_data):
    """Who takes the sorted English file for the aligned one scores next to nothing with right answers."""
    figures = []
    for path in sorted((shared_data / "tatoeba").glob("*.eng")):
        rows = sorted_rows(path.read_text(encoding="utf-8").split("\n")[:-1])
        figures.append(100 * np.mean([row == line for line, row in enumerate(rows)]))
    assert len(figures) == 41
    assert float(np.mean(figures)) == pytest.approx(0.12, abs=0.01)


def test_tatoeba_direction(shared_data):
    """English asks. Asked the other way round the same vectors give another figure."""
    found = {}
    for code in ("afr", "deu", "spa"):
        foreign, english = map(encode, tatoeba_sides(shared_data, code))
        scores = english @ foreign.T
        own = np.arange(len(scores))
        found[code] = [100 * float(np.mean(scores.argmax(axis) == own)) for axis in (1, 0)]
    assert found["afr"] == pytest.approx([17.0, 16.4], abs=0.3)
    assert found["deu"] == pytest.approx([16.1, 14.7], abs=0.3)
    assert found["spa"] == pytest.approx([14.6, 16.4], abs=0.3)


def test_a_threshold_chosen_on_test_flatters(shared_data):
    """Mutual neighbours in Dutch Tatoeba, two parts in five without a translation: threshold from dev, or from test."""
    foreign, english = map(encode, tatoeba_sides(shared_data, "nld"))
    found = {}
    parts = []
    for part in (slice(0, 500), slice(500, 1000)):
        scores = (english[part] @ foreign[part].T)[:300]
        forward, back = scores.argmax(axis=1), scores.argmax(axis=0)
        mutual = np.flatnonzero(back[forward] == np.arange(300))
        parts.append((scores[mutual, forward[mutual]], forward[mutual] == mutual))
    for name, (scores, right) in zip(("dev", "test"), parts, strict=True):
        taken = mining.accepted(parts[1][0], mining.best_threshold(scores, right, 300))
        tp = float((taken & parts[1][1]).sum())
        found[name] = 100 * 2 * tp / (float(taken.sum()) + 300)
    assert found == pytest.approx({"dev": 29.85, "test": 31.25}, abs=0.5)


def test_repeated_sentences_in_bucc(shared_data):
    """The official id map drops sentences that occur twice; in zh-en dev no gold pair is lost by that."""
    folder = shared_data / "bucc2018"
    sides = [
        [line.split("\t", 1) for line in text_of(folder / f"zh-en.dev.{side}.gz").split("\n") if line]
        for side in ("zh", "en")
    ]
    repeated = []
    for side in sides:
        count = Counter(text.strip() for _, text in side)
        repeated.append({name for name, text in side if count[text.strip()] > 1})
    gold = [line.split("\t") for line in text_of(folder / "zh-en.dev.gold").split("\n") if line.strip()]
    assert [len(names) for names in repeated] == [18, 28]
    assert sum(source in repeated[0] or target in repeated[1] for source, target in gold) == 0
    assert len(gold) == 257


def pooled_questions(shared_data):
    """English, German and Spanish LAReQA: questions, candidate sentences, rows of the right ones of each question."""
    questions, candidates, ids, right = [], [], [], {}
    for language in ("en", "de", "es"):
        articles = json.loads(text_of(shared_data / "lareqa" / "xquad-r" / f"{language}.json.gz"))["data"]
        for paragraph in (paragraph for article in articles for paragraph in article["paragraphs"]):
            first = len(candidates)
            breaks = paragraph["sentence_breaks"]
            candidates += [paragraph["context"][start:end] for start, end in breaks]
            for qa in paragraph["qas"]:
                at = qa["answers"][0]["answer_start"]
                questions.append(qa["question"])
                ids.append(qa["id"])
                sentence = next(place for place, (start, end) in enumerate(breaks) if start <= at < end)
                right.setdefault(qa["id"], []).append(first + sentence)
    return questions, candidates, [right[name] for name in ids]


def test_map_at_20_is_not_the_full_map(shared_data):
    """LAReQA's paper gives the full mAP, XTREME-R cuts at 20: German, English and Spanish pooled, letter trigrams."""
    questions, candidates, right = pooled_questions(shared_data)
    columns = lareqa.statistics(encode(questions), encode(candidates), right)
    figures = values("ranking_full", column_sums(columns))
    assert (len(questions), len(candidates)) == (3570, 3671)
    assert (float(figures["map@20"]), float(figures["map"])) == pytest.approx((28.26, 28.95), abs=0.05)
