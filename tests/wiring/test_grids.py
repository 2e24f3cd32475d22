"""Grids of hyperparameters: the trials, the choice on dev, what is stored, shared, counted, landed and shown."""

import json
from types import SimpleNamespace

import pytest

from tests.wiring.small_studies import mixture, small
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.dropping import Dropping
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.plan import CACHED, Planner
from xtreme_dag.engine.store import Store
from xtreme_dag.program.publish import land_study
from xtreme_dag.report.content import read_content
from xtreme_dag.report.html import page
from xtreme_dag.report.model_export import export_stage
from xtreme_dag.results.query import reader
from xtreme_dag.wiring.build import build
from xtreme_dag.wiring.forecast.composition import condition_table
from xtreme_dag.wiring.forecast.costs import cost
from xtreme_dag.wiring.forecast.disk import disk
from xtreme_dag.wiring.forecast.overview import grid_lines
from xtreme_dag.wiring.forecast.sizes import Sizes
from xtreme_dag.wiring.supervision import by_condition

EN = {"dataset": "socialiqa"}
RATES = [1e-6, 3e-3, 1e-3]
STEPS = {"epochs": 2, "select_every": 3}
KEPT = {"rank": 2, "merge": False}


def gridded(*, grid=None, conditions=None, more=None, **study):
    """A study with a grid for XNLI."""
    target = {"xnli": {**STEPS, "grid": grid or {"learning_rate": RATES}, **(more or {})}}
    recipe = {"name": "quick", "intermediate": {"default": {"epochs": 1, "lora": KEPT}}, "target": target}
    found = {"none": None, "en": mixture(EN)} if conditions is None else conditions
    return small(found, **{"study": "grids", "seeds": [1, 2], "recipe": recipe, **study})


def plain(**settings):
    """The same study with settings instead of a grid."""
    recipe = gridded().recipe
    target = {"xnli": {**STEPS, **settings}}
    return gridded(study="plain").model_copy(update={"recipe": {**recipe, "target": target}})


def names(graph, *kinds):
    return [stage.name for stage in graph if stage.kind in kinds]


@pytest.fixture(scope="module")
def done(bench):
    """The study, run: its graph and, of each stage, its key and artifact."""
    study = gridded()
    graph = bench.run(study, "evaluate")
    artifacts = {stage.name: bench.artifact(stage.name) for stage in graph}
    return SimpleNamespace(study=study, graph=graph, keys=bench.keys, at=artifacts, home=bench.home)


def choice(done, condition="none"):
    return json.loads((done.at[f"choose[xnli | {condition} | seed 1]"] / "choice.json").read_text())


def test_the_first_seed_tries_and_the_others_take_what_it_chose(done):
    trials = [f"trial[xnli | {name} | seed 1 | learning_rate {rate}]" for name in ("none", "en")
              for rate in ("1e-06", "0.003", "0.001")]  # fmt: skip
    assert names(done.graph, "trial") == trials
    assert names(done.graph, "choose") == ["choose[xnli | none | seed 1]", "choose[xnli | en | seed 1]"]
    assert names(done.graph, "target") == [
        f"target[xnli | {name} | seed {seed}]" for seed in (1, 2) for name in ("none", "en")
    ]
    every = build(gridded(more={"grid_seeds": "all"})).graph
    assert len(names(every, "trial")) == 12 and len(names(every, "choose")) == 4


def test_the_best_on_dev_is_chosen_by_the_figure_of_model_selection(done):
    for condition in ("none", "en"):
        made = choice(done, condition)
        looks = []
        for rate in ("1e-06", "0.003", "0.001"):
            report = done.at[f"trial[xnli | {condition} | seed 1 | learning_rate {rate}]"] / "training.json"
            looks.append(max(look["mean"] for look in json.loads(report.read_text())["selection"]))
        assert [trial["dev"] for trial in made["trials"]] == looks
        assert made["chosen"] == looks.index(max(looks)) and len(set(looks)) > 1
        settings = json.loads((done.at[f"choose[xnli | {condition} | seed 1]"] / "settings.json").read_text())
        assert settings == made["trials"][made["chosen"]]["settings"]


def test_the_chosen_model_is_stored_once(done):
    rate = choice(done)["trials"][choice(done)["chosen"]]["settings"]["learning_rate"]
    assert done.at["target[xnli | none | seed 1]"] == done.at[f"trial[xnli | none | seed 1 | learning_rate {rate}]"]


def test_a_study_with_the_chosen_settings_finds_all_of_it(done, bench):
    """Trials are trainings like others: what the grid has made, a plain study has, to the last evaluation."""
    rate = choice(done)["trials"][choice(done)["chosen"]]["settings"]["learning_rate"]
    alone = {"none": None}
    study = plain(learning_rate=rate).model_copy(update={"intermediate": {"none": done.study.intermediate["none"]}})
    assert list(study.intermediate) == list(alone)
    graph = bench.run(study, "evaluate")
    assert not [name for name in bench.executed if "seed 1" in name]
    # The other seed was trained with the same settings, given in another way, and gives the same bytes.
    assert bench.executed == ["target[xnli | none | seed 2]"]
    assert bench.artifact("target[xnli | none | seed 2]") == done.at["target[xnli | none | seed 2]"]
    assert len(graph) < len(done.graph)


def test_conditions_and_seeds_share_equal_trials(done, bench):
    """A condition of another name that trains the same, and a grid over fewer values, train nothing."""
    bench.run(gridded(conditions={"another": None}, seeds=[1]), "evaluate")
    assert not bench.executed
    best = choice(done)["trials"][choice(done)["chosen"]]["settings"]["learning_rate"]
    fewer = gridded(conditions={"none": None}, seeds=[1, 2], grid={"learning_rate": [RATES[0], best]})
    bench.run(fewer, "evaluate")
    assert [name.partition("[")[0] for name in bench.executed] == ["choose", "target"]
    assert bench.artifact("target[xnli | none | seed 1]") == done.at["target[xnli | none | seed 1]"]


def test_a_further_value_that_loses_trains_one_trial_and_evaluates_nothing(done, bench):
    more = gridded(conditions={"none": None}, grid={"learning_rate": [*RATES, 1e-7]})
    bench.run(more, "evaluate")
    assert bench.executed == [
        "trial[xnli | none | seed 1 | learning_rate 1e-07]",
        "choose[xnli | none | seed 1]",
        "target[xnli | none | seed 1]",
    ]


def test_without_looks_in_the_recipe_a_trial_has_one_at_its_end():
    graph = build(gridded(more={"select_every": 0}, conditions={"none": None}, seeds=[1, 2])).graph
    trials = [stage for stage in graph if stage.kind == "trial"]
    assert all("select" in stage.inputs and stage.params["recipe"]["select_every"] > 10**6 for stage in trials)
    other = graph["target[xnli | none | seed 2]"]
    assert "select" not in other.inputs and other.params["recipe"]["select_every"] == 0


def test_weights_that_lost_are_dropped_where_a_study_keeps_its_scores(bench):
    study = gridded(study="dropping", conditions={"none": None}, seeds=[1], grid={"batch_size": [16, 20]})
    graph = build(study).graph
    executor = Executor(bench.home, study.study, bench._pool)
    run_local(graph, executor, dropping=Dropping(bench.home, study.study, graph))
    store = Store(bench.home.store)
    for name in names(graph, "trial", "target"):
        record = store.read(executor.known[name])
        assert store.is_dropped(record), name
    plan = Planner(bench.home, study.study).plan(graph)
    assert {planned.status for planned in plan.stages} == {CACHED}


def test_supervision_is_that_of_the_trials(done):
    without = by_condition(build(plain()).graph)
    assert by_condition(done.graph) == without and without["none"]["xnli"]["en"] == "source"


def test_trials_wait_for_the_audits_of_their_data():
    graph = build(gridded(conditions={"none": None})).graph
    gates = {"audit[mnli | en | train]", "audit[xnli | en | dev | selection]"}
    for stage in graph:
        if stage.kind == "trial":
            assert gates <= set(stage.after)


def test_it_lands_and_the_report_shows_it(done, bench):
    land_study(done.home, done.study, build(done.study), done.keys)
    with reader(done.home) as connection:
        sql = "SELECT condition, seed, trial, settings->>'learning_rate', dev, chosen FROM grid_trials WHERE study = 'grids'"
        rows = connection.execute(f"{sql} ORDER BY ALL").fetchall()
        assert [row[:3] for row in rows] == [(name, 1, number) for name in ("en", "none") for number in (1, 2, 3)]
        of_none = [row for row in rows if row[0] == "none"]
        assert [float(row[3]) for row in of_none] == RATES
        assert [row[5] for row in of_none].index(True) == choice(done)["chosen"]
        # What a trial drew or lost is not counted as if it were the model's.
        assert connection.execute(
            "SELECT count(*) FROM trained_on WHERE study = 'grids' AND target = 'xnli'"
        ).fetchone() == (4,)
        kinds = connection.execute("SELECT DISTINCT kind FROM training_curves WHERE study = 'grids' ORDER BY 1")
        assert kinds.fetchall() == [("intermediate",), ("pretrain",), ("target",)]
        warned = connection.execute(
            "SELECT DISTINCT kind FROM stage_warnings JOIN stages USING (study, stage_key) WHERE study = 'grids'"
        )
        assert ("trial",) not in warned.fetchall()
    content = read_content(done.home, "grids", resamples=50)
    html = page(content)
    assert "What the grids chose" in html
    best = choice(done)["trials"][choice(done)["chosen"]]
    assert f"learning_rate {best['settings']['learning_rate']}" in html and f"{best['dev']:.3f}" in html


def looked_at(study, home):
    graph, home = build(study).graph, Home(home)
    plan = Planner(home, study.study).plan(graph)
    sizes = Sizes(graph, plan, Store(home.store))
    return graph, cost(study, graph, plan, sizes, condition_table(study, graph, sizes)), disk(
        study, graph, plan, sizes, home
    )  # fmt: skip


def test_a_plan_counts_the_trials(tmp_path):
    """80 examples of 64 tokens, two epochs: three trials and, for the second seed, one more training."""
    alone = {"none": None}
    graph, estimate, room = looked_at(gridded(conditions=alone), tmp_path / "home")
    assert list(grid_lines(graph)) == [
        "grid: xnli: learning_rate 1e-06, 0.003, 0.001: 3 trials in 1 condition, seed 1: 3 trainings, chosen on dev"
    ]
    assert estimate.training_tokens == 4 * 2 * 80 * 64 and room.models == room.targets == 4
    both = gridded(conditions={"none": None, "again": None})
    graph, same, room = looked_at(both, tmp_path / "home")
    assert same.training_tokens == estimate.training_tokens and room.models == 4, "conditions share what is equal"
    longer = gridded(conditions=alone, grid={"epochs": [1, 3]})
    _, estimate, _ = looked_at(longer, tmp_path / "home")
    assert estimate.training_tokens == (1 + 3 + 3) * 80 * 64


def test_a_plan_counts_what_adapters_take(tmp_path):
    text = {"kind": "text", "seed": 1, "vocabulary_size": 1000, "text": {"xnli": {"train": ["en"]}},
            "recipe": {"learning_rate": 1e-3, "steps": 2}}  # fmt: skip
    whole = 4 * (2 * 12 * 128 * 128 + (1000 + 514) * 128)
    for lora, stored in ((KEPT, 4 * 2 * 2 * 2 * 256), ({"rank": 2}, whole)):
        recipe = {"name": "quick", "target": {"default": {"epochs": 1, "lora": lora}}}
        study = small({"none": None}, model={"pretrain": text}, recipe=recipe)
        _, estimate, room = looked_at(study, tmp_path / "home")
        assert room.target_bytes == stored and room.model_bytes == whole + stored
        assert estimate.adapter_tokens == estimate.training_tokens == 80 * 64
        assert f"(0 tokens x 6 + {80 * 64:,} x 4 + " in estimate.in_words()
        assert room.training == whole, "the pretraining is what takes most"


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="no dev data to choose on") as raised:
        build(
            small({"none": None}, targets=["xcopa"], recipe={"name": "quick", "target": {"grid": {"epochs": [1, 2]}}})
        )
    assert raised.value.where == "recipe.target: grid of xcopa"
    both = {"strategy": "fsdp"}
    with pytest.raises(UserError, match="take strategy: ddp") as raised:
        build(gridded(more=both, grid={"lora": [None, {"rank": 2}]}))
    assert raised.value.where == "recipe.target: grid of xnli (lora (rank 2))"


def test_adapters_among_trials_bring_their_base(done):
    """Whichever is chosen, what reads the model can load it."""
    grid = {"lora": [None, KEPT]}
    graph = build(gridded(grid=grid)).graph
    for name in ("evaluate[xnli | qaa | en | seed 1]", "evaluate[xnli | qaa | en | seed 2]"):
        assert [key for key in graph[name].inputs if key.startswith(("model", "base"))] == ["model", "base/1", "base/2"]
        assert "peft" in graph[name].libraries
    # The trained intermediate adapter of `done` needs its base alone, and a model without one none.
    assert "base/1" not in done.graph["evaluate[xnli | qaa | en | seed 1]"].inputs
    assert "base/1" in done.graph["target[xnli | en | seed 2]"].inputs


def test_chosen_models_and_adapters_are_exported(done, tmp_path):
    said = export_stage(done.home, "target[xnli | en | seed 1]", tmp_path / "chosen", study="grids")
    card = (tmp_path / "chosen/README.md").read_text()
    assert said.class_name == "AutoModelForSequenceClassification" and not said.merged
    assert (
        f'"learning_rate": {choice(done, "en")["trials"][choice(done, "en")["chosen"]]["settings"]["learning_rate"]}'
        in card
    )
    said = export_stage(done.home, "intermediate[en | seed 1]", tmp_path / "merged", study="grids")
    assert said.merged and "merged into its base model" in (tmp_path / "merged/README.md").read_text()


def test_an_adapter_on_a_folder_is_exported_with_that_folder(done, bench, tmp_path):
    base = done.at["pretrain[planted]"]
    recipe = {"name": "quick", "target": {"default": {"steps": 2, "lora": KEPT}}}
    study = small({"none": None}, study="folder", model={"folder": str(base)}, recipe=recipe)
    bench.run(study, "evaluate")
    name = "target[xnli | none | seed 1]"
    with pytest.raises(UserError, match="keeps an adapter, and its base model") as raised:
        export_stage(done.home, name, tmp_path / "out", study="folder")
    assert raised.value.fix == "name its folder: --base FOLDER"
    with pytest.raises(UserError, match="is not the base model"):
        export_stage(done.home, name, tmp_path / "out", study="folder", base=done.at["target[xnli | none | seed 1]"])
    assert export_stage(done.home, name, tmp_path / "out", study="folder", base=base).merged
