"""What conditions reach beside one answer to everything: planted levels are found, chance is not called more."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from tests.results.synthetic_study import make_study
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.program.commands.compare import command
from xtreme_dag.results.landing import land
from xtreme_dag.results.levels import levels


def with_gold(made, labels=("a", "b", "c"), weights=(0.5, 0.3, 0.2)):
    """Gold labels for accuracies, in proportion; gold tags for taggers, all O. The same for all runs of a language."""
    for row in made.evaluations:
        path = row.artifact / "predictions.parquet"
        table = pq.read_table(path)
        n = table.num_rows
        if "s_tokens" in table.column_names:
            gold = [" ".join(["O"] * int(k)) for k in table["s_tokens"].to_pylist()]
        else:
            gold = np.repeat(labels, np.ceil(np.array(weights) * n).astype(int))[:n].tolist()
        place = table.column_names.index("gold")
        pq.write_table(table.set_column(place, "gold", pa.array(gold)), path)
    made.settle()
    return made


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """`none` guesses as well as the most frequent label does, `mixed` is far above."""
    home = tmp_path_factory.mktemp("levels") / "home"
    made = make_study(home, conditions={"none": 0.5, "mixed": 0.8}, n=200, seeds=(1, 2, 3), slope=0.0)
    land(Home(home), *with_gold(made).arguments)
    return home


def test_a_level_is_the_mean_over_languages_and_seeds(home):
    landed, found = levels(Home(home), resamples=200)
    assert landed.study == "demo" and len(found) == 6  # 2 conditions, 3 tasks; nothing says what was trained
    scores = {(row.condition, row.effect.task): row.effect for row in found}
    assert all(effect.part == "all" and effect.seeds == 3 and effect.n == 600 for effect in scores.values())
    for task in ("xnli", "xquad"):
        files = list((home / "store").rglob("scores.json"))
        read = [json.loads(path.read_text()) for path in files]
        values = [one["metrics"][one["primary"]] for one in read if one["task"] == task and one["split"] == "test"]
        both = [scores[condition, task].value for condition in ("none", "mixed")]
        assert np.mean(both) == pytest.approx(np.mean(values))
    assert scores["mixed", "xnli"].baseline_value == 50.0  # the share of the most frequent label
    assert scores["mixed", "xquad"].baseline_value == 0.0  # no answer at all
    assert scores["mixed", "udpos"].baseline_value == 0.0  # O throughout


def test_chance_is_not_called_more(home):
    above = {(one.condition, one.effect.task): one.above for one in levels(Home(home), resamples=400)[1]}
    assert not above["none", "xnli"] and above["mixed", "xnli"] and above["mixed", "udpos"] and above["mixed", "xquad"]


@pytest.mark.parametrize("seeds", [(1,), (1, 2, 3)])
def test_runs_at_the_constant_answer_are_seldom_found_above_it(tmp_path, seeds):
    """60 conditions that are as good as the constant answer: their own p is below 5 % in 5 %, the corrected one in none."""
    conditions = {f"c{number}": 0.5 for number in range(60)}
    made = make_study(tmp_path, conditions=conditions, tasks={"xnli": "accuracy"}, languages=("en", "de"), n=80,
                      seeds=seeds, splits=("test",), slope=0.0)  # fmt: skip
    land(Home(tmp_path), *with_gold(made).arguments)
    found = levels(Home(tmp_path), resamples=200)[1]
    assert len(found) == 60 and not any(one.above for one in found)
    assert sum(one.effect.p < 0.05 for one in found) <= 8  # P(9 or more of 60 at 5 %) = 0.003


def test_seen_languages_are_a_line_of_their_own(tmp_path):
    """`mixed` was trained on the task in German too, `none` in English alone."""
    made = make_study(tmp_path, conditions={"none": 0.5, "mixed": 0.8}, tasks={"xnli": "accuracy"}, splits=("test",))
    known = {("none", "en"): "source", ("mixed", "en"): "source", ("mixed", "de"): "same task"}
    made.evaluations[:] = [
        replace(row, supervision=known.get((row.condition, row.language), "none")) for row in made.evaluations
    ]
    land(Home(tmp_path), *with_gold(made).arguments)
    found = {(one.condition, one.effect.part): one.effect.n for one in levels(Home(tmp_path))[1]}
    assert found == {("none", "unseen"): 120, ("none", "seen"): 60, ("mixed", "unseen"): 60, ("mixed", "seen"): 120}


def test_the_command_says_it(home):
    told = CliRunner().invoke(command, ["--home", str(home), "--levels", "--resamples", "200"])
    assert told.exit_code == 0, told.output
    lines = [line.split() for line in told.output.splitlines()]
    assert lines[0][:3] == ["task", "languages", "condition"]
    (none,) = [line for line in lines if line[:3] == ["xnli", "all", "none"]]
    (mixed,) = [line for line in lines if line[:3] == ["xnli", "all", "mixed"]]
    assert none[-1] != "above" and mixed[-1] == "above" and "50.00" in mixed
    told = CliRunner().invoke(command, ["--home", str(home), "--levels", "--resamples", "200", "--json"])
    rows = json.loads(told.output)
    assert {"condition", "task", "part", "value", "constant", "difference", "low", "high", "above"} <= rows[0].keys()
    refused = CliRunner().invoke(command, ["--home", str(home), "--levels", "--task", "xnli"])
    assert refused.exit_code == 2 and "leave out --task" in refused.output
    refused = CliRunner().invoke(command, ["--home", str(home), "--levels", "--best"])
    assert refused.exit_code == 2 and "one at a time" in refused.output


def test_damaged_predictions_are_named(home, tmp_path):
    made = make_study(tmp_path, tasks={"xnli": "accuracy"})
    land(Home(tmp_path), *with_gold(made).arguments)
    path = made.evaluations[-1].artifact / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="not what was recorded"):
        levels(Home(tmp_path))
