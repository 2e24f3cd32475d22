"""Whole studies through Prefect: what a change invalidates, and what it does not."""

import copy
import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tests import servers
from tests.e2e.conftest import STUDY

pytestmark = pytest.mark.xdist_group("finished")


def by_status(plan):
    found = {}
    for stage in plan["stages"]:
        found.setdefault(stage["status"], {})[stage["name"]] = stage["reasons"]
    return found


def kinds(names):
    return {re.match(r"\w+", name).group() for name in names}


def sha(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_finished_is_all_cached_and_a_run_touches_nothing(finished):
    plan = finished.plan()
    assert plan["summary"] == {"cached": len(plan["stages"])} and plan["outputs_current"]
    files = [finished.folder / "home" / "results.duckdb", finished.folder / "home" / "reports" / "tiny.html"]
    before = [sha(path) for path in files]
    outcome = finished.run()
    assert outcome["stages"] == {"succeeded": 0, "cached": len(plan["stages"]), "failed": 0, "not run": 0}
    assert [sha(path) for path in files] == before
    assert outcome["results"] == str(files[0]) and outcome["report"] == str(files[1])


def test_every_kind_ran_and_scores_are_in_sql(finished):
    plan = finished.plan()
    assert kinds(stage["name"] for stage in plan["stages"]) >= {
        "prepare",
        "check",
        "encode",
        "pretrain",
        "intermediate",
        "target",
        "evaluate",
    }
    query = "SELECT study, condition, task, language, split, seed, metric, value, n, stage_key FROM scores"
    rows = json.loads(finished.call("sql", query, "--format", "json").stdout)
    cells = {(row["condition"], row["task"], row["language"]) for row in rows}
    expected = {
        (condition, task, language)
        for condition in STUDY["intermediate"]
        for task in STUDY["targets"]
        for language in STUDY["languages"]
        if not (task == "tatoeba" and language == "en")
    }
    assert cells == expected
    keys = {stage["key"] for stage in plan["stages"] if stage["kind"] == "evaluate"}
    assert {row["stage_key"] for row in rows} == keys
    assert all(0 <= row["value"] <= 100 for row in rows if row["metric"] != "n")


def test_another_machine_pulls_the_study_from_the_mirror(finished):
    mirror = str(finished.folder / "mirror")
    total = len(finished.plan()["stages"])
    assert finished.run("--mirror", mirror)["stages"]["cached"] == total  # made before there was a mirror: pushed
    there = {"home": "elsewhere", "study": "smaller.yaml"}
    elsewhere = finished.plan("--mirror", mirror, **there)
    assert elsewhere["summary"] == {"cached": len(elsewhere["stages"])}
    outcome = finished.run("--mirror", mirror, **there)
    assert outcome["stages"] == {"succeeded": 0, "cached": len(elsewhere["stages"]), "failed": 0, "not run": 0}
    assert finished.digests(**there).items() <= finished.digests().items()


def test_prefect_shows_every_stage_by_name(finished):
    found = servers.post(
        f"{finished.api}/task_runs/filter", json={"limit": 200, "task_runs": {"name": {"like_": "target["}}}
    ).json()
    names = {run["name"] for run in found}
    assert "target[xnli | mixed | seed 1]" in names
    killed = "the process of its flow run is gone"  # other tests kill runs, which the next run of their home marks
    assert {run["state"]["message"] for run in found if run["state_type"] == "CRASHED"} <= {killed}
    assert {run["state_type"] for run in found} <= {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}


def test_prefect_shows_the_report_in_short(finished):
    query = {"artifacts": {"key": {"any_": ["report-tiny", "differences-tiny", "outcome-tiny"]}}}
    found: dict[str, list] = {}
    for row in servers.post(f"{finished.api}/artifacts/filter", json=query).json():
        found.setdefault(row["key"], []).append(row)
    # Runs of other homes, with fewer conditions, have shown theirs on the same server.
    start = "## Does it work?\n\nNot all of the published data were used: mnli train (en) has 60 of"
    texts = [each["data"] for each in found["report-tiny"] if each["type"] == "markdown"]
    assert any(text.startswith(start) and "\n\n- " in text for text in texts)
    rows = [json.loads(each["data"]) for each in found["differences-tiny"]]
    wanted = {(condition, task) for condition in ("none", "mixed") for task in (*STUDY["targets"], "all tasks")}
    assert wanted in [{(row["condition"], row["task"]) for row in each} for each in rows]
    assert "outcome-tiny" in found


def test_degenerate_models_are_warned_of_at_the_end_of_a_run_and_in_prefect(finished):
    warnings = finished.run()["warnings"]
    assert any(line.startswith("none on xnli: ") and "languages" in line for line in warnings), (
        "nothing has been learnt"
    )
    assert f"warning: {warnings[0]}" in finished.call("run", "study.yaml").stdout
    flows = servers.post(f"{finished.api}/flow_runs/filter", json={"flows": {"name": {"any_": ["study"]}}}).json()
    said = [run["state"]["message"] or "" for run in flows]
    assert any(message.startswith(f"done, with warnings: {warnings[0]}") for message in said)
    query = {"limit": 200, "task_runs": {"name": {"like_": "evaluate[xnli"}}}
    tasks = servers.post(f"{finished.api}/task_runs/filter", json=query).json()
    assert any((run["state"]["message"] or "").startswith("warning: ") for run in tasks)


def test_conditions_are_chosen_on_dev_and_reported_on_test(finished):
    """The release has English dev data of one task only."""
    stages = finished.plan()["stages"]
    on_dev = {stage["name"] for stage in stages if stage["kind"] == "evaluate" and " dev " in stage["name"]}
    assert on_dev == {f"evaluate[xnli | en dev | {condition} | seed 1]" for condition in STUDY["intermediate"]}
    query = "SELECT task, condition, dev_value, test_value, gain FROM best_per_target"
    rows = json.loads(finished.call("sql", query, "--format", "json").stdout)
    assert [row["task"] for row in rows] == ["xnli"]
    assert [name for name, value in rows[0].items() if value is None] == ["gain"]  # one seed says nothing of others
    assert finished.call("audit").returncode == 0


def test_comments_docstrings_and_formatting_invalidate_nothing(finished):
    comment, header = "\n# Standard deviation", "def canonical(value: Any) -> str:"
    with (
        finished.edited("xtreme_dag/training/target.py", comment, f"\n# A comment.{comment}"),
        finished.edited("xtreme_dag/data/prepare/prepare.py", '"""', '"""Other words. '),
        finished.edited("xtreme_dag/core/files.py", header, "def canonical(\n    value: Any,\n) -> str:"),
    ):
        plan = finished.plan()
    assert set(plan["summary"]) == {"cached"}


def test_moved_renamed_and_reworded_code_invalidates_nothing(finished):
    package = finished.folder / "xtreme_dag"
    before = {path: path.read_text() for path in package.rglob("*.py")}
    words = Counter(word for text in before.values() for word in set(re.findall(r"\w+", text)))
    stages, moved = package / "training" / "stages.py", package / "training" / "moved_stages.py"
    try:
        for path, text in before.items():
            anew = re.sub(r'UserError\((\s*f?)"', r'UserError(\1"Reworded: ', text)
            anew = anew.replace("training.stages", "training.moved_stages")
            for name in re.findall(r"^def (_[a-z]\w*)", text, re.MULTILINE) if "training" in path.parts else ():
                if words[name] == 1 and not re.search(rf"[.'\"]{name}\b|\b{name}\b[=:]", text):
                    anew = re.sub(rf"\b{name}\b", f"{name}_anew", anew)
            path.write_text(anew)
        stages.rename(moved)
        plan = finished.plan()
    finally:
        moved.unlink()
        for path, text in before.items():
            path.write_text(text)
    assert set(plan["summary"]) == {"cached"}


def test_a_constant_of_target_training_makes_exactly_the_targets_stale(finished):
    with finished.edited("xtreme_dag/training/target.py", "TARGET_HEAD_STD = 0.02", "TARGET_HEAD_STD = 0.03"):
        found = by_status(finished.plan())
    assert kinds(found["stale"]) == {"target"} and len(found["stale"]) == 9
    assert all(
        reasons == ["code xtreme_dag.training.target.TARGET_HEAD_STD changed"] for reasons in found["stale"].values()
    )
    evaluations = {
        name for name in by_status(finished.plan())["cached"] if name.startswith("evaluate[") and "tatoeba" not in name
    }
    assert set(found["waiting"]) == evaluations
    assert set(found) == {"stale", "waiting", "cached"}


def test_a_metric_function_makes_only_evaluations_stale(finished):
    path = "xtreme_dag/scoring/squad.py"
    text = (finished.folder / path).read_text()
    body = next(line for line in text.splitlines() if re.match(r"\s+return ", line))
    indent = re.match(r"\s+", body).group()
    with finished.edited(path, body, f"{indent}assert True is not False\n{body}"):
        found = by_status(finished.plan())
    assert kinds(found["stale"]) == {"evaluate"} and set(found) == {"stale", "cached"}
    assert all("xquad" in name for name in found["stale"])


def test_a_changed_row_reaches_its_language_and_nothing_else(finished):
    path = finished.folder / "release" / "xnli" / "test-de.tsv"
    before = path.read_text()
    lines = before.splitlines(keepends=True)
    premise, hypothesis = lines[3].rstrip("\n").split("\t")
    path.write_text("".join([*lines[:3], f"{premise} {premise}\t{hypothesis}\n", *lines[4:]]))
    try:
        found = by_status(finished.plan())
    finally:
        path.write_text(before)
    assert set(found["stale"]) == {"prepare[xnli | de | test]"}
    conditions = STUDY["intermediate"]
    assert set(found["waiting"]) == {
        "check[xnli | de | test]",
        "encode[xnli | de | test]",
        # What is trained or selected on is held against it.
        "audit[mnli | en | train]",
        "audit[xnli | de | train]",
        "audit[xnli | en | train]",
        "audit[xnli | en | dev | selection]",
        *(f"evaluate[xnli | de | {condition} | seed 1]" for condition in conditions),
    }


def test_an_edited_contract_re_checks_and_nothing_else(finished):
    home = finished.copy_home("home-contract")
    path = finished.folder / "data_contracts" / "xnli.odcs.yaml"
    before = path.read_text()
    path.write_text(before + "\n# looked at again\n")
    try:
        found = by_status(finished.plan(home=home))
        # An audit has its tolerances from the contract.
        assert kinds(found["stale"]) == {"audit", "check"}
        assert all("xnli" in name for name in found["stale"] if name.startswith("check"))
        assert set(found) == {"stale", "cached"}
        stale = by_status(finished.plan(home=home, study="smaller.yaml"))["stale"]
        assert kinds(stale) == {"audit", "check"}
        outcome = finished.run(home=home, study="smaller.yaml")
        assert outcome["stages"]["succeeded"] == len(stale) and outcome["stages"]["failed"] == 0
        assert set(finished.plan(home=home, study="smaller.yaml")["summary"]) == {"cached"}
    finally:
        path.write_text(before)


def test_another_seed_and_another_name_run_nothing_again(finished):
    renamed = copy.deepcopy(STUDY)
    renamed["intermediate"]["blend"] = renamed["intermediate"].pop("mixed")
    finished.write_study(renamed, "renamed.yaml")
    plans = (("study.yaml",), ("study.yaml", "--set", "seeds=[1,2]"), ("renamed.yaml",))
    plan, seeds, other = (
        json.loads(done.stdout) for done in finished.calls(*(("plan", *words, "--json") for words in plans))
    )
    cached, found = by_status(plan)["cached"], by_status(seeds)
    assert set(found["cached"]) >= set(cached) and set(found) == {"cached", "new"}
    assert all("seed 2" in name for name in found["new"])
    # Retrieval with the bare encoder has no seed: the second seed finds the first one's evaluation.
    assert {name for name in found["cached"] if name not in cached} == {
        f"evaluate[tatoeba | {code} | none | seed 2]" for code in ("de", "ru")
    }
    assert set(other["summary"]) == {"cached"}


def test_a_parameter_is_named_with_both_values(finished):
    found = by_status(finished.plan("--set", "recipe.target.default.learning_rate=1e-05"))
    assert all(
        "parameter learning_rate 0.0007 -> 1e-05" in reasons
        for name, reasons in found["stale"].items()
        if name.startswith("target[")
    )
