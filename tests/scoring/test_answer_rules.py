"""QA scores equal the official rules on every language that is at hand, with hostile answers."""

import random

import pytest

from tests.scoring.hostile_answers import hostile, noise
from tests.scoring.official_rules import (
    answer_scores,
    mlqa_tokens,
    squad_tokens,
    squad_v2_scores,
)
from tests.scoring.real_files import gold_answers
from xtreme_dag.scoring import mlqa, squad, squad_v2
from xtreme_dag.scoring.columns import column_sums
from xtreme_dag.scoring.combine import values

XQUAD = ["ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh"]


def figures(columns):
    row = values("answers", column_sums(columns))
    return float(row["exact_match"]), float(row["f1"])


def disturbed(golds, seed):
    """Hostile answers, some left out, and some gold answers made hostile too."""
    chance = random.Random(seed)
    every = [text for texts in golds for text in texts]
    answers = [
        None if chance.random() < 0.02 else hostile(chance, chance.choice(texts), chance.choice(every))
        for texts in golds
    ]
    wanted = [
        [hostile(chance, text, chance.choice(every)) if chance.random() < 0.1 else text for text in texts]
        for texts in golds
    ]
    return wanted, answers


@pytest.mark.real
@pytest.mark.parametrize("language", XQUAD)
def test_xquad(shared_data, language):
    golds, answers = disturbed(gold_answers(shared_data / "xquad" / f"xquad.{language}.json.gz"), language)
    expected = answer_scores(golds, answers, squad_tokens)
    assert figures(squad.statistics(golds, answers)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.real
@pytest.mark.parametrize("language", ["en", "ko", "sw"])
def test_tydiqa(shared_data, language):
    golds = gold_answers(shared_data / "tydiqa" / f"tydiqa.goldp.{language}.train.json.gz", 2000)
    golds, answers = disturbed(golds, language)
    expected = answer_scores(golds, answers, squad_tokens)
    assert figures(squad.statistics(golds, answers)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.real
@pytest.mark.parametrize("language", mlqa.LANGUAGES)
def test_mlqa(shared_data, language):
    name = f"dev-context-{language}-question-{language}.json.gz"
    golds, answers = disturbed(gold_answers(shared_data / "mlqa" / "MLQA_V1" / "dev" / name), language)
    expected = answer_scores(golds, answers, lambda text: mlqa_tokens(text, language))
    assert figures(mlqa.statistics(golds, answers, language)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.real
def test_several_gold_answers(shared_data):
    golds, answers = disturbed(gold_answers(shared_data / "squad" / "dev-v1.1.json.gz", 2000), 3)
    expected = answer_scores(golds, answers, squad_tokens)
    assert figures(squad.statistics(golds, answers)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("language", ["squad", *mlqa.LANGUAGES])
def test_tokens_of_noise(language):
    chance = random.Random(language)
    for _ in range(3000):
        text = noise(chance)
        if language == "squad":
            assert squad.tokens(text) == squad_tokens(text)
        else:
            assert mlqa.tokens(text, language) == mlqa_tokens(text, language)


@pytest.mark.parametrize(
    ("language", "text", "tokens"),
    [
        ("en", "The U.S.-based A-team", ["usbased", "ateam"]),
        ("en", "a—b", ["ab"]),
        ("de", "Der Rat der EU", ["rat", "eu"]),
        ("es", "los Ángeles", ["ángeles"]),
        ("vi", "những con mèo của tôi", ["con", "mèo", "tôi"]),
        ("ar", "الولايات المتحدة", ["ولايات", "متحدة"]),
        ("ar", "مجال", ["مج"]),
        ("hi", "भारत।", ["भारत"]),
        ("zh", "共28人，iPhone 7。", ["共", "28", "人", "iphone", "7"]),
        ("zh", "㐀龥龦", ["㐀", "龥", "龦"]),
        ("en", "＄5．５", ["＄5５"]),
    ],
)
def test_mlqa_rules_by_example(language, text, tokens):
    assert mlqa.tokens(text, language) == tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The cat, an ant", ["cat", "ant"]),
        ("«a» day", ["«", "»", "day"]),
        ("北京大学。", ["北京大学。"]),
        ("a\u00a0b\u3000c", ["b", "c"]),
        ("l'a b", ["la", "b"]),
    ],
)
def test_squad_rules_by_example(text, tokens):
    assert squad.tokens(text) == tokens


def test_an_answer_of_no_tokens_has_exact_match_without_f1():
    assert figures(squad.statistics([["The"]], ["..."])) == (100.0, 0.0)


def test_no_answer_scores_zero_and_wrong_shapes_are_errors():
    assert figures(squad.statistics([["x"], ["x"]], [None, "x"])) == (50.0, 50.0)
    with pytest.raises(ValueError, match="1 answers for 2 questions"):
        squad.statistics([["x"], ["x"]], ["x"])
    with pytest.raises(ValueError, match="without a gold answer"):
        squad.statistics([[]], ["x"])
    with pytest.raises(ValueError, match="no rules for language 'fr'"):
        mlqa.statistics([["x"]], ["x"], "fr")


@pytest.mark.real
def test_squad_v2(shared_data):
    golds = gold_answers(shared_data / "squad" / "dev-v2.0.json.gz", 4000)
    chance = random.Random(2)
    every = [text for texts in golds for text in texts]
    answers = [hostile(chance, chance.choice(texts or every), chance.choice(every)) for texts in golds]
    columns = squad_v2.statistics(golds, answers)
    em, f1 = squad_v2_scores(golds, answers)
    assert columns["s_em"].tolist() == em
    assert columns["s_f1"].tolist() == pytest.approx(f1, abs=1e-12)
    # A model that half knows which questions have no answer, with many equal probabilities.
    no_answer = [round(min(1, max(0, chance.gauss(0.35 if texts else 0.65, 0.2))), 2) for texts in golds]
    has = [bool(texts) for texts in golds]
    withheld = squad_v2.statistics(golds, answers, no_answer, 0.5)
    rows = zip(f1, has, no_answer, strict=True)
    kept = [float(not there) if chance_of > 0.5 else score for score, there, chance_of in rows]
    row = values("answers_v2", column_sums(withheld))
    assert float(row["f1"]) == pytest.approx(100 * sum(kept) / len(kept), abs=1e-9)
    parts = {
        there: [score for score, has_answer in zip(kept, has, strict=True) if has_answer == there]
        for there in (True, False)
    }
    assert float(row["has_answer_f1"]) == pytest.approx(100 * sum(parts[True]) / len(parts[True]), abs=1e-9)
    assert float(row["no_answer_accuracy"]) == pytest.approx(100 * sum(parts[False]) / len(parts[False]), abs=1e-9)


def test_squad_v2_differs_from_v1_on_nothing():
    columns = squad_v2.statistics([[], [], ["the"]], ["", "x", "a"])
    assert columns["s_em"].tolist() == [1, 0, 1]
    assert columns["s_f1"].tolist() == [1, 0, 1]
    assert columns["s_answerable"].tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match="2 answers for 1"):
        squad_v2.statistics([[]], ["", ""])
