"""Averages: official ones, ours, and what is partial."""

import pytest

from xtreme_dag.scoring.averages import Listed, averages, task_averages

TASKS = {
    "xnli": Listed(languages=["en", "de"], group="classification"),
    "mlqa": Listed(languages=["en", "zh"], group="qa"),
    "tatoeba": Listed(languages=["de"], group="retrieval"),
}
FIGURES = {
    "xnli": {"en": {"accuracy": 90.0}, "de": {"accuracy": 70.0}, "fr": {"accuracy": 0.0}},
    "mlqa": {"en": {"exact_match": 60.0, "f1": 80.0}, "zh": {"exact_match": 20.0, "f1": 40.0}},
    "tatoeba": {"de": {"accuracy": 30.0}},
}


def test_qa_counts_with_the_mean_of_exact_match_and_f1():
    found = averages(FIGURES, "xtreme", TASKS)
    assert found["tasks"]["mlqa"] == {"avg_exact_match": 40.0, "avg_f1": 60.0, "avg_metric": 50.0}
    assert found["tasks"]["xnli"]["avg_metric"] == 80.0
    assert found["overall"]["all_task"] == pytest.approx((80 + 50 + 30) / 3)
    assert found["overall"]["qa"] == 50.0
    assert found["partial"] == {}


def test_ours_with_and_without_retrieval_and_english():
    ours = averages(FIGURES, "xtreme", TASKS)["ours"]
    assert ours["all_task"] == pytest.approx((80 + 50 + 30) / 3)
    assert ours["without_retrieval"] == pytest.approx((80 + 50) / 2)
    assert ours["without_english"] == pytest.approx((70 + 30 + 30) / 3)
    assert ours["without_english_and_retrieval"] == pytest.approx((70 + 30) / 2)


def test_what_is_missing_makes_an_average_partial():
    figures = {"xnli": {"de": {"accuracy": 70.0}}, "tatoeba": FIGURES["tatoeba"]}
    found = averages(figures, "xtreme", TASKS)
    assert found["overall"]["all_task"] == 50.0
    assert found["partial"]["tasks.xnli"] == ["en"]
    assert found["partial"]["overall.all_task"] == ["mlqa", "xnli (languages)"]
    assert found["partial"]["overall.classification"] == ["xnli (languages)"]
    assert "overall.qa" not in found["partial"]
    assert "qa" not in found["overall"]
    assert "overall.retrieval" not in found["partial"]


def test_xtreme_r_has_official_groups_but_no_official_overall_score():
    tasks = {
        "xcopa": Listed(languages=["et"], group="classification"),
        "lareqa": Listed(languages=["en"], group="retrieval"),
        "tatoeba": Listed(languages=["de"], group="retrieval"),
    }
    figures = {
        "xcopa": {"et": {"accuracy": 60.0}},
        "lareqa": {"en": {"map@20": 20.0}},
        "tatoeba": {"de": {"accuracy": 40.0}},
    }
    found = averages(figures, "xtreme-r", tasks)
    assert found["overall"] == {"classification": 60.0, "retrieval": 40.0, "multi_choice": 60.0}
    assert found["ours"]["all_task"] == 40.0
    assert found["ours"]["groups"]["retrieval"] == 30.0
    assert found["definition"].startswith("Ours")


def test_extra_metrics_do_not_change_what_a_task_counts_with():
    row = {"f1": 50.0, "precision": 40.0, "recall": 60.0, "token_accuracy": 90.0}
    assert task_averages([row, row])["avg_metric"] == 50.0
    assert task_averages([{"map@20": 10.0, "mrr@20": 20.0}])["avg_metric"] == 10.0
