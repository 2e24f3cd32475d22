"""What a study cannot ask for, and what the answer says."""

from dataclasses import replace

import pytest

from tests.wiring.small_studies import mixture, small
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.core.errors import UserError
from xtreme_dag.wiring.build import build

EN = {"dataset": "xnli", "languages": ["en"]}


def says(error: pytest.ExceptionInfo[UserError], *words: str) -> None:
    for word in words:
        assert word in str(error.value), str(error.value)


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"a": mixture({"dataset": "xnli", "languages": {"en": 0.5, "qaa": 0.4}})}, ["sum to 0.9"]),
        ({"a": mixture({**EN, "share": 0.5}, {"dataset": "qqp", "share": 0.4})}, ["sum to 0.9"]),
        ({"a": mixture({**EN, "share": 0.5}, sampling={"rule": "uniform"})}, ["shares of the mixture or `sampling`"]),
        ({"a": mixture(EN, EN)}, ["the same table twice"]),
        ({"a": {"mixture": [EN]}}, ["needs a budget"]),
        ({"a": {"then": [mixture(EN)]}}, ["nothing follows it"]),
        ({"a": mixture({**EN, "objective": "tml"})}, ["tml", "did you mean 'tlm'"]),
        ({"a": mixture({**EN, "objective": {"name": "mlm", "chunks": 5}})}, ["no chunks"]),
        ({"a": mixture({**EN, "translated": "lexicon"})}, ["not translated into English"]),
        ({"a": mixture({**EN, "translated": {"by": "model"}, "languages": ["qaa"]})}, ["needs `model`"]),
        ({"a": mixture({**EN, "sampling": {"rule": "temperature"}})}, ["belongs to the rule temperature"]),
        (
            {"a": mixture({**EN, "sampling": {"rule": "temperature", "temperature": float("inf")}})},
            ["an infinite temperature is `rule: uniform`"],
        ),
        ({"a": mixture(EN, budget={"examples": 5, "steps": 5})}, ["give one of"]),
        ({"a": mixture({**EN, "languges": ["en"]})}, ["languges", "did you mean 'languages'"]),
        ({"a": {"source_translated": "lexicon"}}, ["source_language"]),
    ],
)
def test_the_study_file_says_no(conditions, words):
    with pytest.raises(UserError) as error:
        small(conditions)
    says(error, *words)


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"a": mixture({"dataset": "xnli", "languages": ["qah"]})}, ["no language 'qah'", "it has: en qaa qac qag"]),
        ({"a": mixture({"dataset": "xnli", "split": "test"})}, ["nothing may be trained on it"]),
        ({"a": mixture({"dataset": "tatoeba", "split": "test"})}, ["nothing may be trained on it"]),
        ({"a": mixture({"dataset": "lareqa", "split": "test"})}, ["nothing may be trained on it"]),
        ({"a": mixture({"dataset": "squad_v1", "languages": ["qaa"], "objective": "tlm"})}, ["parallel text"]),
        ({"a": mixture({**EN, "objective": "tlm"})}, ["English alone is no pair"]),
        ({"a": mixture({"dataset": "xnlo"})}, ["xnlo", "did you mean 'xnli'"]),
        ({"a": mixture(EN, recipe={"learning_rat": 1})}, ["learning_rat", "did you mean 'learning_rate'"]),
        (
            {"a": mixture({**EN, "share": 0.5, "task": "t"}, {"dataset": "qqp", "share": 0.5, "task": "t"})},
            ["cannot share a head"],
        ),
        ({"a": mixture({"dataset": "qqp"}, keep_head=["xnli"])}, ["contradiction, entailment, neutral", "0, 1"]),
        ({"a": mixture(EN, keep_head=["xquad"])}, ["not among the targets"]),
        ({"a": {"source_language": "qaz"}}, ["no language 'qaz'"]),
    ],
)
def test_the_graph_says_no(conditions, words):
    with pytest.raises(UserError) as error:
        build(small(conditions))
    says(error, *words)


def test_a_task_whose_head_is_not_there(monkeypatch):
    catalogue = load_catalogue()
    tasks = {**catalogue.tasks, "xquad": replace(catalogue.task("xquad"), head="spam")}
    monkeypatch.setattr("xtreme_dag.wiring.build.load_catalogue", lambda: replace(catalogue, tasks=tasks))
    with pytest.raises(UserError) as error:
        build(small({"a": {}}, targets=["xquad"]))
    says(error, "xquad.yaml: target.head", "no head 'spam'", "did you mean 'span'")


def test_a_source_language_without_data_lists_those_that_have_it(shared):
    study = small(
        {"a": {"source_language": "tr"}}, data={"folder": str(shared / "data")}, languages=["en"], targets=["xquad"]
    )
    with pytest.raises(UserError) as error:
        build(study)
    says(error, "'tr'", "languages that have it: en es")


def test_a_budget_beyond_the_data_asks_for_repetition(bench):
    with pytest.raises(AssertionError) as error:
        bench.run(small({"a": mixture(EN, budget=81)}), "intermediate")
    assert "asks for 81 examples and there are 80" in str(error.value) and "repeat: true" in str(error.value)
    bench.run(small({"a": mixture(EN, budget=81, repeat=True)}), "intermediate")
    assert sum(bench.counts("intermediate[a | seed 1]").values()) == 81


def test_a_task_whose_head_nobody_has(monkeypatch):
    """The catalogue takes any name; which heads there are is known where the graph is built."""
    catalogue = load_catalogue()
    tasks = {**catalogue.tasks, "xnli": replace(catalogue.task("xnli"), head="clasification")}
    monkeypatch.setattr("xtreme_dag.wiring.build.load_catalogue", lambda: replace(catalogue, tasks=tasks))
    with pytest.raises(UserError) as error:
        build(small({"a": mixture(EN)}))
    says(error, "xnli.yaml: target.head: there is no head 'clasification'", "did you mean 'classification'")
