"""Views against the same figures computed in Python."""

import statistics
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.core.home import Home
from xtreme_dag.results.facts import Evaluation, LanguageFacts, StageFacts, TaskFacts
from xtreme_dag.results.landing import land
from xtreme_dag.results.query import reader
from xtreme_dag.scoring.combine import FAMILIES

TASKS = {"xnli": "accuracy", "udpos": "tagging", "xquad": "answers", "tatoeba": "accuracy"}


@pytest.fixture(scope="module")
def made_and_landed(tmp_path_factory):
    from tests.results.synthetic_study import make_study

    home = tmp_path_factory.mktemp("views") / "home"
    made = make_study(home, tasks=TASKS, languages=("en", "de", "sw"), n=40)
    land(Home(home), *made.arguments)
    return made, home


@pytest.fixture(scope="module")
def scores(made_and_landed):
    """(condition, task, language, split) -> primary figures by seed, read from the artifacts."""
    import json

    found: dict[tuple, dict[int, float]] = {}
    for row in made_and_landed[0].evaluations:
        value = json.loads((row.artifact / "scores.json").read_text())["metrics"][row.primary]
        found.setdefault((row.condition, row.task, row.language, row.split), {})[row.seed] = value
    return found


def ask(home, sql, *values):
    with reader(Home(home)) as connection:
        cursor = connection.execute(sql, list(values))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def mean(values):
    return statistics.fmean(values)


def task_score(scores, condition, task, split="test"):
    return mean([mean(v.values()) for k, v in scores.items() if (k[0], k[1], k[3]) == (condition, task, split)])


def test_per_language(made_and_landed, scores):
    rows = ask(made_and_landed[1], "FROM per_language")
    assert len(rows) == len(scores)
    for row in rows:
        values = list(scores[row["condition"], row["task"], row["language"], row["split"]].values())
        assert row["value"] == pytest.approx(mean(values))
        assert row["seed_sd"] == pytest.approx(statistics.stdev(values))
        assert (row["seeds"], row["n"]) == (2, 40)


def test_leaderboard(made_and_landed, scores):
    rows = {row["condition"]: row for row in ask(made_and_landed[1], "FROM leaderboard WHERE split = 'test'")}
    for condition in ("none", "english", "mixed"):
        by_task = {task: task_score(scores, condition, task) for task in TASKS}
        assert {task: rows[condition][task] for task in TASKS} == pytest.approx(by_task)
        assert rows[condition]["average"] == pytest.approx(mean(by_task.values()))
        others = [value for task, value in by_task.items() if task != "tatoeba"]
        assert rows[condition]["without_retrieval"] == pytest.approx(mean(others))
        assert rows[condition]["xtreme_average"] is None  # three languages are no benchmark
    order = sorted(rows, key=lambda name: -rows[name]["average"])
    assert [rows[name]["rank"] for name in order] == [1, 2, 3]


def test_deltas_and_the_macros(made_and_landed, scores):
    home = made_and_landed[1]
    rows = ask(home, "FROM deltas WHERE split = 'test'")
    assert len(rows) == 2 * 4 * 3
    for row in rows:
        cell = (row["task"], row["language"], row["split"])
        ours, theirs = scores[row["condition"], *cell], scores["none", *cell]
        assert row["delta"] == pytest.approx(mean([ours[seed] - theirs[seed] for seed in ours]))
    assert sorted(map(str, ask(home, "FROM delta('xnli')"))) == sorted(
        map(str, ask(home, "FROM deltas WHERE task = 'xnli'"))
    )
    for row in ask(home, "FROM compare('english', 'mixed') WHERE split = 'test'"):
        cell = (row["task"], row["language"], "test")
        expected = mean(scores["mixed", *cell].values()) - mean(scores["english", *cell].values())
        assert row["delta"] == pytest.approx(expected)
    backwards = {
        (r["task"], r["language"], r["split"]): r["delta"] for r in ask(home, "FROM compare('mixed', 'english')")
    }
    for row in ask(home, "FROM compare('english', 'mixed')"):
        assert row["delta"] == pytest.approx(-backwards[row["task"], row["language"], row["split"]])


def test_transfer_gap(made_and_landed, scores):
    rows = ask(made_and_landed[1], "FROM transfer_gap WHERE split = 'test'")
    assert len(rows) == 3 * 4
    for row in rows:
        cell = {
            language: mean(scores[row["condition"], row["task"], language, "test"].values())
            for language in ("en", "de", "sw")
        }
        assert row["gap"] == pytest.approx(cell["en"] - (cell["de"] + cell["sw"]) / 2)


def test_the_best_is_chosen_on_dev_and_reported_on_test(made_and_landed, scores):
    rows = ask(made_and_landed[1], "FROM best_per_target")
    assert {row["task"] for row in rows} == set(TASKS)
    for row in rows:
        dev = {name: task_score(scores, name, row["task"], "dev") for name in ("none", "english", "mixed")}
        chosen = max(dev, key=dev.__getitem__)
        assert row["condition"] == chosen and row["dev_value"] == pytest.approx(dev[chosen]) and row["seeds"] == 2
        gains = []
        for seed, other in ((1, 2), (2, 1)):  # what the other seed chooses
            by_seed = {name: of_seed(scores, name, row["task"], "dev", other) for name in dev}
            picked = max(by_seed, key=by_seed.__getitem__)
            gains.append(
                of_seed(scores, picked, row["task"], "test", seed) - of_seed(scores, "none", row["task"], "test", seed)
            )
        assert row["gain"] == pytest.approx(mean(gains))


def of_seed(scores, condition, task, split, seed):
    return mean(by_seed[seed] for (c, t, _, s), by_seed in scores.items() if (c, t, s) == (condition, task, split))


def test_slices_by_what_a_language_is(made_and_landed, scores):
    home = made_and_landed[1]
    family = {
        row["family"]: row
        for row in ask(home, "FROM by_family WHERE condition = 'mixed' AND task = 'xnli' AND split = 'test'")
    }
    expected = mean([mean(scores["mixed", "xnli", language, "test"].values()) for language in ("en", "de")])
    assert family["Indo-European"]["value"] == pytest.approx(expected) and family["Indo-European"]["languages"] == 2
    script = ask(home, "FROM by_script WHERE condition = 'none' AND task = 'xnli' AND split = 'test'")
    assert [(row["script"], row["languages"], row["delta"]) for row in script] == [("Latin", 3, None)]
    seen = ask(home, "FROM seen_in_pretraining WHERE condition = 'mixed' AND task = 'xnli' AND split = 'test'")
    assert [(row["seen_in_pretraining"], row["languages"]) for row in seen] == [(True, 3)]
    split = ask(home, "FROM without_retrieval WHERE condition = 'mixed' AND split = 'test'")[0]
    assert split["retrieval_only"] == pytest.approx(task_score(scores, "mixed", "tatoeba"))
    assert split["all_tasks"] == pytest.approx((3 * split["without_retrieval"] + split["retrieval_only"]) / 4)


def columns_of(row):
    return pq.read_table(row.artifact / "predictions.parquet").to_pydict()


@pytest.fixture(scope="module")
def diagnosed(tmp_path_factory):
    """A landed study whose predictions have token counts and labels, as an evaluation writes them."""
    from tests.results.synthetic_study import make_study

    home = tmp_path_factory.mktemp("diagnosed") / "home"
    made = make_study(home, tasks=TASKS, languages=("en", "de"), conditions={"none": 0.6, "mixed": 0.8}, n=30)
    random = np.random.default_rng(1)
    for row in made.evaluations:
        path = row.artifact / "predictions.parquet"
        table = pq.read_table(path)
        words = random.integers(1, 4, len(table)) if row.task == "udpos" else np.ones(len(table), int)
        for side in ("gold", "prediction"):
            text = [" ".join(random.choice(["X", "NOUN", "VERB"], count)) for count in words]
            table = table.set_column(table.column_names.index(side), side, pa.array(text))
        pq.write_table(table.append_column("tokens", pa.array(random.integers(1, 70, len(table)), pa.int32())), path)
    made.settle()
    land(Home(home), *made.arguments)
    return made, home


def test_scores_by_length(diagnosed):
    made, home = diagnosed
    rows = ask(home, "FROM by_length WHERE condition = 'mixed' AND language = 'de' AND split = 'test'")
    found = {(row["task"], row["tokens_from"], row["tokens_to"]): (row["examples"], row["value"]) for row in rows}
    assert {cell[1:] for cell in found} == {(1, 16), (17, 32), (33, 64), (65, 128)}
    for (task, low, high), (examples, value) in found.items():
        counts, values = [], []
        for row in made.evaluations:
            if (row.condition, row.task, row.language, row.split) == ("mixed", task, "de", "test"):
                columns = columns_of(row)
                inside = [low <= tokens <= high for tokens in columns["tokens"]]
                sums = {
                    name: np.sum([value for value, there in zip(column, inside, strict=True) if there])
                    for name, column in columns.items()
                    if name.startswith("s_")
                }
                if sum(inside):
                    counts.append(sum(inside))
                    family = FAMILIES[TASKS[task]]
                    primary = next(metric for metric in family.metrics if metric.name == family.primary)
                    values.append(float(primary.combine({**sums, "n": float(sum(inside))})))
        assert examples == max(counts) and value == pytest.approx(mean(values))


def test_label_confusion(diagnosed):
    made, home = diagnosed
    rows = ask(home, "FROM label_confusion WHERE condition = 'none' AND language = 'en' AND split = 'test'")
    assert {row["task"] for row in rows} == {"xnli", "udpos"}
    for task in ("xnli", "udpos"):
        expected = Counter()
        for row in made.evaluations:
            if (row.condition, row.task, row.language, row.split) == ("none", task, "en", "test"):
                columns = columns_of(row)
                for gold, prediction in zip(columns["gold"], columns["prediction"], strict=True):
                    expected.update(zip(gold.split(), prediction.split(), strict=True))
        mine = {(row["gold"], row["prediction"]): row for row in rows if row["task"] == task}
        assert {cell: row["labels"] for cell, row in mine.items()} == expected
        for (gold, _), row in mine.items():
            of_gold = sum(count for (label, _), count in expected.items() if label == gold)
            assert row["share"] == pytest.approx(row["labels"] / of_gold)


def test_predictions_have_the_statistics_of_every_family(made_and_landed):
    names = {row["column_name"] for row in ask(made_and_landed[1], "DESCRIBE predictions")}
    assert names >= {name for family in FAMILIES.values() for name in family.columns} | {"tokens"}
    # These artifacts have no token counts: nothing can be told by length, and nothing fails.
    assert ask(made_and_landed[1], "FROM by_length") == []


def test_published_numbers_have_sources_and_stand_beside_ours(made_and_landed):
    home = made_and_landed[1]
    assert ask(home, "SELECT count(*) AS n FROM published_scores WHERE source = '' OR note IS NULL")[0]["n"] == 0
    rows = ask(
        home,
        "FROM beside_published WHERE task = 'udpos' AND language = 'en' AND ours IS NOT NULL AND condition = 'mixed'",
    )
    assert {row["metric"] for row in rows} == {"f1", "token_accuracy"}
    for row in rows:
        assert row["difference"] == pytest.approx(row["ours"] - row["published"])
    deltas = ask(home, "FROM beside_published WHERE is_delta")
    assert deltas and all(row["ours"] is None for row in deltas)


def cost_study(made):
    """A study whose stages have costs that are easy to add up."""
    stages = [
        StageFacts(key="pool", kind="prepare", name="pool", digest="d-pool", seconds=1.0),
        StageFacts(key="m1", kind="intermediate", name="m1", digest="d-m1", inputs={"data": "d-pool"}, seconds=10.0,
                   device="cuda", figures={"tokens_per_s": 100.0, "seconds": 9.0, "device_name": "NVIDIA H100 80GB HBM3"}),
        StageFacts(key="e0", kind="evaluate", name="e0", digest="d-e0", inputs={"data": "d-pool"}, seconds=2.0),
        StageFacts(key="e1", kind="evaluate", name="e1", digest="d-e1", inputs={"model": "d-m1", "data": "d-pool"},
                   seconds=4.0, device="cpu", figures={"tokens": 5, "energy_wh": 0.25}),
    ]  # fmt: skip
    first, second = (
        row for row in made.evaluations if (row.task, row.language, row.split, row.seed) == ("xnli", "en", "test", 1)
    )
    return [replace(first, stage_key="e0"), replace(second, stage_key="e1")], stages


def test_cost_counts_shared_stages_once_per_condition(make, home):
    made = make(conditions={"none": 0.5, "mixed": 0.6}, seeds=(1,), n=5)
    evaluations, stages = cost_study(made)
    land(Home(home), made.study, evaluations, [], stages)
    rows = {row["condition"]: row for row in ask(home, "FROM cost")}
    none, mixed = rows["none"], rows["mixed"]
    assert (none["stages"], none["seconds"], none["own_seconds"], none["gpu_seconds"], none["tokens"]) == (
        2,
        3.0,
        2.0,
        0.0,
        None,
    )
    assert (mixed["stages"], mixed["seconds"], mixed["own_seconds"], mixed["gpu_seconds"]) == (3, 15.0, 14.0, 10.0)
    assert mixed["tokens"] == 905
    assert mixed["energy_wh"] == pytest.approx(0.25 + 10 / 3600 * 700)


@pytest.mark.parametrize(
    ("device", "watts"),
    [("NVIDIA H100 PCIe", 350), ("NVIDIA H100 80GB HBM3", 700), ("NVIDIA H200", 700), ("NVIDIA A100-SXM4-80GB", 400),
     ("Tesla T4", 70), ("NVIDIA L4", 72), ("NVIDIA L40S", 350), ("cpu", None), ("NVIDIA Unheard-of", None)],
)  # fmt: skip
def test_energy_is_estimated_for_known_devices_only(make, home, device, watts):
    made = make(conditions={"none": 0.5, "mixed": 0.6}, seeds=(1,), n=5)
    stage = StageFacts(key="k", kind="target", name="t", digest="d", seconds=3600.0, device=device)
    land(Home(home), made.study, made.evaluations, [], [stage])
    assert ask(home, "SELECT energy_wh FROM stage_cost")[0]["energy_wh"] == (
        None if watts is None else pytest.approx(watts)
    )


def official_study(made, home, *, complete=True):
    """All cells of two small benchmarks, each score planted as tens for the task and units for the language."""
    from tests.results.synthetic_study import write_artifact

    benchmarks = {"tagging_task": ("tagging", ["en", "de"]), "qa_task": ("qa", ["en", "ar", "sw"])}
    tasks = tuple(
        TaskFacts(name=name, title=name, group=group, benchmarks={"xtreme": languages})
        for name, (group, languages) in benchmarks.items()
    ) + tuple(TaskFacts(name=name, title=name, group="qa") for name in load_catalogue().tasks)  # in no benchmark here
    evaluations = []
    for task, (_, languages) in benchmarks.items():
        for language in [*languages, "fr"]:  # fr is scored but not in the benchmark
            folder = home / "store" / f"{task}-{language}"
            right = {"en": 9, "de": 5, "ar": 4, "sw": 2, "fr": 0}[language]
            write_artifact(
                folder, ids=[str(i) for i in range(10)], language=language, family="accuracy", task=task, split="test",
                columns={"s_correct": [1.0] * right + [0.0] * (10 - right)},
            )  # fmt: skip
            evaluations.append(
                Evaluation(stage_key=f"{task}-{language}", condition="none", task=task, language=language, split="test",
                           seed=1, primary="accuracy", artifact=folder, digest="d")
            )  # fmt: skip
    if not complete:
        evaluations = [row for row in evaluations if (row.task, row.language) != ("qa_task", "sw")]
    study = replace(made.study, tasks=tasks, languages=(LanguageFacts(code="fr", name="French"),))
    return study, evaluations


def test_the_official_average_is_over_official_languages(make, home):
    made = make(conditions={"none": 0.5, "mixed": 0.6}, seeds=(1,), n=5)
    study, evaluations = official_study(made, home)
    land(Home(home), study, evaluations, [], [])
    row = ask(home, "FROM xtreme_average WHERE condition = 'none'")[0]
    assert row["value"] == pytest.approx(((90 + 50) / 2 + (90 + 40 + 20) / 3) / 2) and row["complete"]
    assert ask(home, "SELECT xtreme_average FROM leaderboard")[0]["xtreme_average"] == pytest.approx(row["value"])
    study, evaluations = official_study(made, home, complete=False)
    land(Home(home), study, evaluations, [], [])
    row = ask(home, "FROM xtreme_average WHERE condition = 'none'")[0]
    assert row == {"study": "demo", "condition": "none", "value": None, "complete": False, "missing": "qa_task 2/3"}


def test_the_catalogue_gives_nine_and_ten_tasks(made_and_landed):
    rows = ask(
        made_and_landed[1],
        "SELECT benchmark, count(DISTINCT task) AS tasks, count(*) AS cells FROM benchmark_languages GROUP BY ALL",
    )
    assert {row["benchmark"]: row["tasks"] for row in rows} == {"xtreme": 9, "xtreme-r": 10}
    assert {row["benchmark"]: row["cells"] for row in rows}["xtreme"] == 15 + 7 + 33 + 40 + 11 + 7 + 9 + 4 + 36


def test_lineage_reaches_the_raw_data(made_and_landed):
    home = made_and_landed[1]
    key = "key-evaluate-demo/mixed/xnli/de/test/1"
    rows = ask(home, f"FROM lineage('{key}')")
    assert [row["stage_key"] for row in rows if row["depth"] == 0] == [key]
    assert [(row["depth"], row["input"]) for row in rows if row["stage_key"] == "raw:raw-digest"] == [(2, "raw")]
    kinds = {row["kind"] for row in rows} - {None}
    assert kinds == {"evaluate", "target", "intermediate", "prepare"}
