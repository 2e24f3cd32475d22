"""What `import xtreme_dag` offers, on a finished study: the examples in the docstrings, the notebook, frames, a run."""

import hashlib
import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest
from click.testing import CliRunner
from nbclient import NotebookClient

from tests.e2e.conftest import STUDY
from xtreme_dag.program.commands import model

pytestmark = pytest.mark.xdist_group("finished")

DOCTESTS = """
import doctest
import xtreme_dag as xd
from xtreme_dag.program import face, face_answers
study = xd.load("study.yaml", home="home", frames="pandas")
print(*map(sum, zip(*(doctest.testmod(module, extraglobs={"study": study}) for module in (face, face_answers)))))
"""


def python(checkout, code, *arguments):
    """A script in the checkout; what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=checkout.folder,
        env=checkout.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_imported_at_once_and_loads_nothing_heavy(finished):
    code = "import sys, time; t = time.perf_counter(); import xtreme_dag as xd; t = time.perf_counter() - t\n"
    code += "import json; print(json.dumps([t, sorted(sys.modules), xd.__all__, dir(xd)]))"
    found = [json.loads(python(finished, code)) for _ in range(3)]
    assert statistics.median(seconds for seconds, *_ in found) < 0.2
    assert not {"torch", "prefect", "duckdb", "pyarrow", "pandas", "click"} & set(found[0][1])
    assert set(found[0][2]) <= set(found[0][3])


def test_the_examples_in_the_docstrings_are_true(finished):
    told = python(finished, DOCTESTS)
    failed, attempted = map(int, told.splitlines()[-1].split())
    assert failed == 0 and attempted >= 15, told


def test_frames_are_equal_in_every_form(finished):
    code = """
import json, xtreme_dag as xd
found = {}
for kind in ("pandas", "arrow"):
    study = xd.load("study.yaml", home="home", frames=kind)
    frames = study.scores(), study.compare("english", "mixed"), study.examples(task="xquad", wrong=True), study.curves(), study.plan()
    found[kind] = [json.loads(f.to_json(orient="records")) if kind == "pandas" else f.to_pylist() for f in frames]
print(json.dumps(found))
"""
    found = json.loads(python(finished, code))
    for pandas, arrow in zip(found["pandas"], found["arrow"], strict=True):
        assert len(pandas) == len(arrow) > 0 and pandas[0].keys() == arrow[0].keys()
        strip = lambda rows: [{k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()} for row in rows]  # noqa: E731
        assert strip(pandas) == strip(arrow)
    assert {row["measure"] for row in found["arrow"][3]} >= {"loss", "tokens_per_s", "memory_mb"}
    assert all(not row["correct"] and row["context"] and row["question"] for row in found["arrow"][2])


def test_the_face_says_what_the_commands_say(finished):
    code = """
import json, xtreme_dag as xd
study = xd.load("study.yaml", home="home", frames="arrow")
print(json.dumps([study.compare().to_pylist(), study.sql("SELECT count(*) AS n FROM examples").to_pylist()]))
"""
    rows, count = json.loads(python(finished, code).splitlines()[-1])
    told = json.loads(finished.call("compare", "--study", "tiny", "--json").stdout)
    deltas = {(one["condition"], effect["task"]): effect["delta"] for one in told for effect in one["tasks"]}
    ours = {(row["condition"], row["task"]): row["delta"] for row in rows if row["task"] and row["part"] != "seen"}
    assert ours == pytest.approx(deltas, abs=1e-6)
    sql = "SELECT count(*) AS n FROM predictions"
    assert count == json.loads(finished.call("sql", sql, "--format", "json").stdout)
    assert count[0]["n"] > 0


def test_a_model_is_what_the_command_exports(finished):
    """Of a task that trains nothing it is the condition's encoder; without any training there is none to export."""
    code = """
import hashlib, json, sys, xtreme_dag as xd
study = xd.load("study.yaml", home="home")
made = study.model(task="udpos", condition="english", seed=1, out=sys.argv[1])
kept = [study.model(task="udpos", condition="english") for _ in range(2)]
encoder = study.model(task="tatoeba", condition="english", out=sys.argv[2])
digest = lambda folder: {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}
print(json.dumps([digest(made), digest(kept[0]), kept[0] == kept[1], sorted(p.name for p in encoder.iterdir())]))
for asked in ({"task": "udpo", "condition": "english"}, {"task": "udpos", "condition": "english", "seed": 9}):
    try:
        study.model(**asked)
    except xd.UserError as error:
        print(" ".join(str(error).split()))
"""
    out = finished.folder / "by-python"
    told = python(finished, code, str(out), str(finished.folder / "encoder-by-python")).splitlines()
    made, kept, same, encoder = json.loads(told[-3])
    command = finished.folder / "by-command"
    words = ["export", "target[udpos | english | seed 1]", str(command), "--home", str(finished.folder / "home")]
    assert CliRunner().invoke(model.command, words).exit_code == 0
    assert made == kept == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in command.iterdir()}
    assert same and "model.safetensors" in encoder
    assert "udpos" in told[-2] and "seed 9" in told[-1]


def test_mistakes_are_named(finished):
    code = """
import xtreme_dag as xd
study = xd.load("study.yaml", home="home")
for call in (
    lambda: xd.load("studdy.yaml"), lambda: xd.load("study.yaml", seds=[1]), lambda: xd.load("study.yaml", frames="panda"),
    lambda: study.scores(metric="acc"), lambda: study.examples(task="xnlu"), lambda: study.compare("english", "mixd"),
    lambda: xd.load("study.yaml", home="nowhere").scores(), lambda: xd.load("study.yaml", home="home", study="other").curves(),
    lambda: study.run(track="wandb:x"),
):
    try:
        call()
    except xd.UserError as error:
        print(" ".join(str(error).split()))
"""
    lines = python(finished, code).splitlines()
    for line, words in zip(
        lines,
        ["study.yaml", "seds", "pandas", "accuracy", "xnli", "mixed", "no results yet", "'other'", "mlflow:URI"],
        strict=True,
    ):
        assert words in line


RUN = """
import json, sys, xtreme_dag as xd
if __name__ == "__main__":
    study = xd.load("study.yaml", home=sys.argv[1], targets=["xnli"], seeds=[1], study="here", frames="arrow")
    new = sum(status != "cached" for status in study.plan()["status"].to_pylist())
    for force in (["target[xnli | none | seed 1]"], []):
        print(json.dumps({"new": new} | study.run(server=False, workers=1, force=force, track=sys.argv[2])))
"""


def test_a_run_without_a_server_lands_reports_and_is_logged(finished):
    """What the finished study shares with it is cached, but for the one target training that is to run again."""
    from mlflow import MlflowClient

    home = finished.copy_home("without-server")
    database = finished.folder / "mlflow.db"
    told = python(finished, RUN, home, f"mlflow:sqlite:///{database}").splitlines()[-2:]
    outcome, again = map(json.loads, told)
    assert outcome["stages"]["failed"] == 0 and outcome["stages"]["succeeded"] == outcome["new"] + 1 < 5
    assert Path(finished.folder / outcome["report"]).is_file()
    scores = "SELECT condition, language, value FROM scores WHERE study = '{}' AND task = 'xnli' ORDER BY ALL"
    queries = (
        scores.format("here"),
        scores.format("tiny"),
        "SELECT count(*) AS n FROM stages WHERE study = 'here' AND current",  # stages of one key are one
        "SELECT value FROM training_curves WHERE study = 'here' AND measure = 'loss' AND condition = 'none' ORDER BY optimizer_step",
    )
    ours, theirs, stages, curve = (
        json.loads(done.stdout)
        for done in finished.calls(*(("sql", query, "--format", "json") for query in queries), home=home)
    )
    assert ours == theirs
    assert again["stages"]["succeeded"] == 0

    client = MlflowClient(tracking_uri=f"sqlite:///{database}")
    experiment = client.get_experiment_by_name("here").experiment_id
    runs = {run.info.run_name: run for run in client.search_runs([experiment], max_results=1000)}
    assert len(runs) == stages[0]["n"] + 1 and 0 < stages[0]["n"] <= sum(again["stages"].values())
    parent, target = runs["here"], runs["target[xnli | none | seed 1]"]
    assert target.data.tags["mlflow.parentRunId"] == parent.info.run_id
    plan = {stage["name"]: stage["key"] for stage in finished.plan()["stages"]}
    assert target.data.tags["xtreme_dag.key"] == plan["target[xnli | none | seed 1]"]
    assert target.data.tags["xtreme_dag.digest"] == finished.digests()["target[xnli | none | seed 1]"]
    assert target.data.params["seed"] == "1" and len(target.data.params) > 3
    losses = client.get_metric_history(target.info.run_id, "loss")
    assert [metric.value for metric in sorted(losses, key=lambda metric: metric.step)] == [
        row["value"] for row in curve
    ]
    evaluated = runs["evaluate[xnli | de | mixed | seed 1]"]
    assert 0 <= evaluated.data.metrics["accuracy"] <= 100


def test_a_tracking_server_that_is_away_fails_nothing(finished):
    started = time.monotonic()
    done = finished.call("run", "study.yaml", "--track", "mlflow:http://127.0.0.1:9")
    assert "warning: MLflow http://127.0.0.1:9" in done.stderr and "nothing to do" in done.stdout
    assert time.monotonic() - started < 120


def test_tensorboard_files_hold_every_point(finished):
    from tensorboardX.proto.event_pb2 import Event

    def scalars(path):
        """The values of an event file: records of a length, a checksum, the event and another checksum."""
        data, place, found = path.read_bytes(), 0, []
        while place < len(data):
            length = int.from_bytes(data[place : place + 8], "little")
            event = Event.FromString(data[place + 12 : place + 12 + length])
            found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
            place += 12 + length + 4
        return found

    sql = "SELECT measure, optimizer_step, value FROM training_curves WHERE target = 'xnli' AND condition = 'mixed'"
    export = ("curves", "export", "--tensorboard", "runs")
    done = finished.calls(export, export, ("sql", sql, "--format", "json"))  # exported again, they replace themselves
    assert not any(one.returncode for one in done)
    rows = json.loads(done[-1].stdout)
    (file,) = (finished.folder / "runs" / "tiny" / "xnli" / "mixed" / "seed-1").iterdir()
    found = sorted(scalars(file))
    expected = sorted(
        (row["measure"].replace(" ", "/"), row["optimizer_step"], np.float32(row["value"])) for row in rows
    )
    assert [(tag, step) for tag, step, _ in found] == [(tag, step) for tag, step, _ in expected] and found
    np.testing.assert_allclose([value for *_, value in found], [value for *_, value in expected], rtol=1e-6)
    assert len(list((finished.folder / "runs").rglob("events*"))) == 1 + 2 + len(STUDY["intermediate"]) * 3


def test_the_notebook_runs_from_top_to_bottom_and_draws(finished, repository, monkeypatch):
    notebook = nbformat.read(repository / "examples" / "analysis.ipynb", as_version=4)
    for name, value in finished.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STUDY", str(finished.folder / "study.yaml"))
    monkeypatch.setenv("XTREME_DAG_HOME", str(finished.folder / "home"))
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(finished.folder)}}).execute()
    drawn = [
        ElementTree.fromstring(output.data["image/svg+xml"])
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/svg+xml" in output.get("data", {})
    ]
    charts = sum("alt.Chart(" in cell.source for cell in notebook.cells)
    assert len(drawn) == charts == 3
    for picture in drawn:
        marks = [
            shape
            for group in picture.iter("{http://www.w3.org/2000/svg}g")
            if re.search(r"mark-(rule|symbol|rect|line) role-mark", group.get("class", ""))
            for shape in group
            if _has_extent(shape)
        ]
        assert len(marks) >= 3


def _has_extent(shape):
    """Whether a shape of an SVG draws something: a path that goes somewhere, a line with two ends."""
    if shape.tag.endswith("line"):
        return any(float(shape.get(name, 0)) for name in ("x2", "y2"))
    return len(set(re.findall(r"-?[\d.]+", shape.get("d", "")))) > 1
