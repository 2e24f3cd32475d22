"""Metrics that a task adds to its family, from outside of the package: written, landed, compared, scored, in the key."""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.scoring.toy_metric import ERRORS, LETTERS
from xtreme_dag.catalogue import catalogue
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.graph import Stage
from xtreme_dag.engine.keys import Keys
from xtreme_dag.evaluation.labels import write_labels
from xtreme_dag.results.compare import compare_conditions
from xtreme_dag.results.facts import Condition, Evaluation, StudyFacts
from xtreme_dag.results.landing import land
from xtreme_dag.results.query import reader
from xtreme_dag.scoring.columns import metric_at
from xtreme_dag.submissions.folder import score_folder
from xtreme_dag.wiring.kinds import EVALUATE

NAMES = ["tests.scoring.toy_metric:LETTERS", "tests.scoring.toy_metric:ERRORS"]
LABELS = ("entailment", "neutral", "contradiction")


@pytest.fixture(autouse=True)
def named_by_xnli(tmp_path, monkeypatch):
    """The catalogue as it is, but for one line of XNLI's entry."""
    folder = tmp_path / "catalogue"
    folder.mkdir()
    for path in catalogue.FOLDER.glob("*.yaml"):
        text = path.read_text()
        if path.stem == "xnli":
            text = text.replace("  metric: accuracy\n", f"  metric: accuracy\n  metrics: {json.dumps(NAMES)}\n")
        (folder / path.name).write_text(text)
    monkeypatch.setattr(catalogue, "FOLDER", folder)
    forget()
    yield
    forget()


def forget():
    """The catalogue is read again."""
    catalogue._shipped.cache_clear()
    catalogue._loaded.cache_clear()


def outcomes(right, n=200):
    rng = np.random.default_rng(round(100 * right))
    gold = [LABELS[row] for row in rng.integers(0, 3, n)]
    return gold, [label if rng.random() < right else LABELS[rng.integers(0, 3)] for label in gold]


def by_hand(gold, predicted):
    weights = [2 if label == "entailment" else 1 for label in gold]
    right = [weight for weight, a, b in zip(weights, gold, predicted, strict=True) if a[0] == b[0]]
    return 100 * sum(right) / sum(weights)


def evaluate(folder, right, unknown=0):
    """What the evaluation of XNLI writes; the outcome of the first examples is not known."""
    gold, predicted = outcomes(right)
    folder.mkdir(parents=True)
    task = catalogue.load_catalogue().task("xnli")
    params = {"task": "xnli", "language": "de", "split": "test", "metric": task.metric, "metrics": list(task.metrics)}
    write_labels(
        folder,
        params,
        table=SimpleNamespace(
            example_ids=[str(row) for row in range(len(gold))],
            languages=["de"] * len(gold),
            example_lengths=np.ones(len(gold)),
        ),
        gold=[None if row < unknown else label for row, label in enumerate(gold)],
        predictions=predicted,
        scores=np.ones(len(gold)),
    )
    return gold[unknown:], predicted[unknown:]


def test_the_evaluation_writes_its_columns_and_its_figure(tmp_path):
    gold, predicted = evaluate(tmp_path / "out", 0.7, unknown=5)
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert list(scores["metrics"]) == ["accuracy", "letters", "error_free"] and scores["primary"] == "accuracy"
    assert scores["metrics"]["letters"] == pytest.approx(by_hand(gold, predicted))
    assert scores["metrics"]["error_free"] == scores["metrics"]["accuracy"]
    rows = pq.read_table(tmp_path / "out" / "predictions.parquet")
    assert rows["s_letters"].null_count == 5 and scores["n"] == 195


def test_it_is_compared_and_ranked(tmp_path):
    home, expected, evaluations = tmp_path / "home", {}, []
    for condition, right in (("none", 0.5), ("mixed", 0.8)):
        folder = home / "store" / condition
        expected[condition] = by_hand(*evaluate(folder, right))
        evaluations.append(
            Evaluation(
                stage_key=condition,
                condition=condition,
                task="xnli",
                language="de",
                split="test",
                seed=1,
                primary="accuracy",
                artifact=folder,
                digest=condition,
            )
        )
    conditions = tuple(Condition(name=name) for name in expected)
    land(Home(home), StudyFacts(name="s", question="?", baseline="none", conditions=conditions), evaluations, [], [])
    (one,) = compare_conditions(Home(home), metric="letters", resamples=200)
    assert (one.overall.value, one.overall.baseline_value) == pytest.approx((expected["mixed"], expected["none"]))
    assert one.tasks[0].metric == "letters" and one.overall.verdict == "better"
    with reader(Home(home)) as connection:
        ranked = connection.execute("SELECT condition, average, tasks FROM by_metric('letters')").fetchall()
        assert ranked == [(name, pytest.approx(expected[name]), "xnli") for name in ("mixed", "none")]
        assert connection.execute("SELECT sum(s_letters) > 400 FROM predictions").fetchone() == (True,)


def test_a_folder_is_scored_with_it(tmp_path):
    gold, predicted = outcomes(0.7)
    for side, lines in (("labels", gold), ("predictions", predicted)):
        (tmp_path / side / "xnli").mkdir(parents=True)
        (tmp_path / side / "xnli" / "test-de.tsv").write_text("".join(f"{line}\n" for line in lines))
    report = score_folder(tmp_path / "predictions", tmp_path / "labels")
    assert report["tasks"]["xnli"]["de"]["letters"] == pytest.approx(by_hand(gold, predicted))
    # The official average stays what it is.
    assert report["averages"]["tasks"]["xnli"]["avg_metric"] == report["tasks"]["xnli"]["de"]["accuracy"]


def test_its_code_is_in_the_key():
    stage = Stage(of=EVALUATE, name="e", function="xtreme_dag.evaluation.labels:write_labels", code=tuple(NAMES))
    keys = Keys()
    assert set(keys.code(*stage.roots)[1]) - set(keys.code(stage.function)[1]) == {"tests.scoring.toy_metric"}
    inside = keys.code(stage.function, "xtreme_dag.scoring.mining:FAMILY")[1]
    assert "xtreme_dag.scoring.mining.FAMILY" in inside
    with pytest.raises(UserError, match="no module 'nowhere'"):
        keys.code(stage.function, "nowhere:X")


def test_names_that_are_no_metric_are_said():
    assert [metric_at(name) for name in NAMES] == [LETTERS, ERRORS]
    with pytest.raises(UserError, match="has no metric 'LETERS'"):
        metric_at("tests.scoring.toy_metric:LETERS")
    for name in ("nowhere:X", "macro_f1"):
        with pytest.raises(UserError, match="no metric"):
            metric_at(name)
