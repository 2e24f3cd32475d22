"""A mix helps beyond its own languages in a world that has what English cannot teach, and not in one that has not."""

from collections.abc import Callable, Iterator

import pytest

from xtreme_dag.core.home import Home
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.program.publish import land_study
from xtreme_dag.results.compare import compare_conditions
from xtreme_dag.results.effects import Comparison
from xtreme_dag.study.file import Study, read_study
from xtreme_dag.wiring.build import build

WORLDS = (11, 12, 13)  # fixed before anybody looked
EPOCHS = {"learning_rate": 2.5e-4, "beta2": 0.98, "epochs": 2}


def world(seed: int, opposites: str) -> Study:
    """English or a mix in a world. Ardish, whose words are the English ones to the model, is in neither.

    What English teaches of words it teaches for Ardish, so there is nothing left for a mix to add but the mark.
    """
    xnli = {"dataset": "xnli", "languages": ["en"]}
    return read_study(
        {
            "study": f"{opposites}-{seed}",
            "data": {
                "miniworld": {"seed": seed, "languages": ["en", "qaa", "qad", "qaf", "qag"], "test": 300},
                "contracts": False,
            },
            "model": {
                "pretrain": {
                    "kind": "planted",
                    "seed": seed,
                    "steps": 60,
                    "learning_rate": 3.0e-4,
                    "opposites": opposites,
                    "kinship": {"qaa": 1.0},
                }
            },
            "seeds": [1],
            "languages": ["en", "qaa", "qad"],
            "intermediate": {
                "english": {"mixture": [xnli], "budget": {"examples": 4000}},
                "mixed": {
                    "mixture": [{**xnli, "languages": ["en", "qad", "qaf", "qag"]}],
                    "budget": {"examples": 4000},
                },
            },
            "targets": ["xnli"],
            "recipe": {
                "name": "quick",
                "intermediate": {"default": EPOCHS},
                "target": {"xnli": {"learning_rate": 3.0e-4, "beta2": 0.98, "epochs": 6, "examples": 48}},
            },
            "compare": {"baseline": "english"},
        }
    )


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int, str], Comparison]]:
    """Runs a world and compares the mix with English."""
    home = Home(tmp_path_factory.mktemp("worlds")).ensure()
    with WorkerPool(2, home.logs) as pool:

        def compare(seed: int, opposites: str) -> Comparison:
            study = world(seed, opposites)
            built = build(study)
            executor = Executor(home, study.study, pool)
            assert set(run_local(built.graph, executor).values()) <= {"succeeded", "cached"}
            land_study(home, study, built, executor.known)
            (found,) = compare_conditions(home, study=study.study)
            return found

        yield compare


@pytest.mark.parametrize("seed", WORLDS)
def test_a_relation_that_english_cannot_teach_is_a_gain_in_an_unseen_language(compared, seed):
    one = compared(seed, "marked")
    assert {e.language for e in one.languages if e.part == "unseen"} == {"qaa"}
    assert one.overall.part == "unseen" and one.overall.verdict == "better" and one.overall.delta > 4
    assert f"beats english's model by {one.overall.delta:.1f} points on xnli in unseen languages" in one.sentence


@pytest.mark.parametrize("seed", WORLDS)
def test_without_it_there_is_none_though_the_mix_helps_where_it_has_labels(compared, seed):
    one = compared(seed, "words")
    assert one.overall.part == "unseen" and one.overall.verdict != "better" and one.overall.delta < 4
    assert not one.overall.degenerate
    (drevic,) = [e for e in one.languages if e.language == "qad"]
    assert drevic.part == "seen" and drevic.delta > 10
