"""Target tasks on real data, trained, evaluated, exported and scored: a cut of `bench/twelve.py`, which has all twelve.

Here are one task that trains in each of three ways and the four of retrieval, whose scores hang on more than one table.
"""

from dataclasses import replace

import pytest
import yaml

from bench.twelve import STUDY, compared, with_mewslix
from tests.workers import shared_worker
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.core.home import Home
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.graph import Graph
from xtreme_dag.engine.local import run_local
from xtreme_dag.program.publish import land_study
from xtreme_dag.study.file import load_study
from xtreme_dag.wiring.build import build

TASKS = ["bucc2018", "lareqa", "mewslix", "tatoeba", "udpos", "xquad"]


@pytest.fixture(scope="module")
def home(shared_data, tmp_path_factory):
    """A home where the cut has landed: English, Chinese and what Mewsli-X has, a few rows of each, a tiny encoder."""
    folder = tmp_path_factory.mktemp("twelve")
    document = yaml.safe_load(STUDY.read_text())
    document["data"] = {
        "folder": str(with_mewslix(folder / "data", rows=12, lareqa=("en", "zh"))),
        "contracts": False,
        "limit": {"train": 32, "select": 8, "test": 8, "datasets": {"bucc2018": {"dev": 100, "test": 100}}},
    }
    document["languages"] = ["en", "zh"]
    document["targets"] = TASKS
    document["intermediate"] = {"none": None}
    document["model"]["pretrain"] |= {"text": {"xnli": {"train": ["en", "zh"]}}, "vocabulary_size": 500}
    document["model"]["pretrain"]["recipe"] |= {"steps": 5}
    (folder / "study.yaml").write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    study, home = load_study(folder / "study.yaml"), Home(folder / "home").ensure()
    built = build(study)
    tested = {stage.name for stage in built.graph if stage.kind == "evaluate" and stage.labels["split"] == "test"}
    needed, graph = built.graph.ancestors(tested), Graph()
    for stage in built.graph:
        if stage.name in needed:
            graph.add(stage)
    built = replace(built, graph=graph)
    executor = Executor(home, study.study, shared_worker())
    outcomes = run_local(built.graph, executor)
    assert set(outcomes.values()) == {"succeeded"}, outcomes
    land_study(home, study, built, dict(executor.known))
    return home


@pytest.mark.real
def test_scores_of_the_files_are_those_of_the_database(home, tmp_path):
    found = compared(home.root, "real_twelve", "none", tmp_path)
    assert found["tasks"] == TASKS
    assert found["differ"] == {} and found["largest_difference"] < 1e-9
    # BUCC and Tatoeba in Chinese, Mewsli-X in English, the other three in both.
    assert found["cells"] == 9 and found["figures"] > found["cells"]
    assert found["only_in_database"] == found["without_labels"] == []
    assert set(found["between_0_and_100"]) >= {"lareqa", "mewslix", "udpos"}


def test_the_study_and_what_is_made_here_are_all_twelve():
    targets = yaml.safe_load(STUDY.read_text())["targets"]
    of_benchmarks = {name for names in load_catalogue().benchmarks.values() for name in names}
    assert sorted([*targets, "mewslix"]) == sorted(of_benchmarks) and len(targets) == 11
