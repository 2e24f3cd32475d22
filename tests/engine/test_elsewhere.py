"""Another project's DAG on the engine: no linguistics, no package of ours but `engine` and `core`, the stdlib alone."""

import json
import os
import subprocess
import sys

import pytest

STAGES = '''
"""Word counts of files: stage functions of another project."""
import json, sys
from counting import rules

def count(params, inputs, context):
    text = inputs["text"].read_text()
    if params.get("fail"):
        raise ValueError("no counting today")
    found = {}
    for word in text.split():
        word = rules.folded(word)
        found[word] = found.get(word, 0) + 1
    context.progress(1, 1, words=len(found))
    (context.out / "counts.json").write_text(json.dumps(found, sort_keys=True))

def judge(params, inputs, context):
    from xtreme_dag.engine.gates import write_verdict
    counts = json.loads((inputs["counts"] / "counts.json").read_text())
    write_verdict(context.out, "a bad word" if "bad" in counts else "")

def total(params, inputs, context):
    whole = {}
    for name in sorted(inputs):
        for word, number in json.loads((inputs[name] / "counts.json").read_text()).items():
            whole[word] = whole.get(word, 0) + number
    (context.out / "counts.json").write_text(json.dumps(whole, sort_keys=True))
    outside = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names) - {"counting", "xtreme_dag"}
    return {"outside": sorted(outside)}
'''

RULES = """
def folded(word):
    return word.lower().strip(".,")
"""

DRIVER = '''
"""Runs the DAG and prints what became of it; refuses every import but that of the engine and the standard library."""
import json, sys
from collections import Counter
from pathlib import Path

ALLOWED = ("xtreme_dag.engine", "xtreme_dag.core")
before = set(sys.modules)

class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        ours = name == "xtreme_dag" or name in ALLOWED or name.startswith(tuple(f"{room}." for room in ALLOWED))
        if ours or top in sys.stdlib_module_names or top == "counting":
            return None
        raise ImportError(f"{name} is neither the engine nor of the standard library")

sys.meta_path.insert(0, Guard())

import importlib, pkgutil
for room in ALLOWED:
    for module in pkgutil.iter_modules(importlib.import_module(room).__path__):
        importlib.import_module(f"{room}.{module.name}")

from xtreme_dag.core.home import Home
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.fingerprint import CodeBase
from xtreme_dag.engine.graph import Figure, Graph, Kind, Output, Source, Stage
from xtreme_dag.engine.keys import Keys
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.plan import Planner
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.engine.store import Store

COUNT = Kind(name="count", title="Counts words.", figures=(Figure(name="words", text="{:,.0f} words"),))
JUDGE, TOTAL = Kind(name="judge"), Kind(name="total", seconds=5.0)

def graph(folder, fail=""):
    made = Graph()
    for path in sorted(folder.glob("*.txt")):
        name = path.stem
        params = {"fail": True} if name == fail else {}
        made.add(Stage(of=COUNT, name=f"count {name}", function="counting.stages:count", params=params,
                       inputs={"text": Source(path=path)}))
        made.add(Stage(of=JUDGE, name=f"judge {name}", function="counting.stages:judge", gates=f"count {name}",
                       inputs={"counts": Output(stage=f"count {name}")}))
    counts = [stage.name for stage in made if stage.of is COUNT]
    made.add(Stage(of=TOTAL, name="total", function="counting.stages:total",
                   inputs={name: Output(stage=name) for name in counts},
                   after=tuple(gate for name in counts for gate in made.gates_of(name))))
    return made

root = Path(sys.argv[1])
home, package = Home(root / "home").ensure(), root / "code" / "counting"
told = []

def keys():
    return Keys(CodeBase(package, "counting"))

def run(name, *, forced=frozenset(), fail=""):
    with WorkerPool(2, home.logs) as pool:
        executor = Executor(home, "words", pool, keys=keys(), forced=forced)
        wanted = graph(root / "texts", fail)
        outcomes = run_local(wanted, executor)
        reasons = {stage.name: executor.failure(stage) for stage in wanted if executor.failure(stage)}
        told.append({"run": name, "outcomes": outcomes, "reasons": reasons})
        return executor

first = run("first")
record = Store(home.store).read(first.known["total"])
figures = record.manifest["figures"]
total = json.loads((Store(home.store).artifact(record.digest) / "counts.json").read_text())
run("second")
run("forced", forced=frozenset({"count a"}))
(root / "texts" / "b.txt").write_text("Two words, TWO.")  # counted as before: what comes after stays
run("early cutoff")
(root / "texts" / "c.txt").write_text("a bad word")
run("gate")
(root / "texts" / "c.txt").write_text("a good word")
run("failure", fail="a")
rules = package / "rules.py"
rules.write_text(rules.read_text().replace("lower", "upper"))
plan = Planner(home, "words", keys=keys()).plan(graph(root / "texts"))
outside = {name.partition(".")[0] for name in set(sys.modules) - before}
outside -= {*sys.stdlib_module_names, "xtreme_dag"}
print(json.dumps({
    "runs": told, "total": total, "figures": figures, "outside": sorted(outside),
    "plan": {stage.stage.name: [stage.status, *stage.reasons] for stage in plan.stages},
}))
'''


@pytest.fixture(scope="module")
def done(tmp_path_factory, repository):
    root = tmp_path_factory.mktemp("elsewhere")
    package = root / "code" / "counting"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "stages.py").write_text(STAGES)
    (package / "rules.py").write_text(RULES)
    (root / "texts").mkdir()
    for name, text in {"a": "One word", "b": "two words, two", "c": "a word"}.items():
        (root / "texts" / f"{name}.txt").write_text(text)
    (root / "driver.py").write_text(DRIVER)
    path = os.pathsep.join([str(repository), str(root / "code")])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [sys.executable, "driver.py", str(root)], cwd=root, env=environment, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_nothing_but_the_standard_library_is_imported(done):
    assert done["outside"] == []
    bare = subprocess.run([sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True)
    # What an environment's own .pth files import is in every process.
    assert set(done["figures"]["outside"]) <= {*bare.stdout.split(), "__main__"}


def test_the_dag_counts_words_and_runs_what_is_stale_only(done):
    assert done["total"] == {"a": 1, "one": 1, "two": 2, "word": 2, "words": 1}
    ran = {run["run"]: {n for n, outcome in run["outcomes"].items() if outcome == "succeeded"} for run in done["runs"]}
    assert len(ran["first"]) == 7 and ran["second"] == set()
    assert ran["forced"] == {"count a"} and ran["early cutoff"] == {"count b"}


def test_a_gate_and_a_failure_stop_what_depends_on_them_only(done):
    runs = {run["run"]: run for run in done["runs"]}
    gate, failure = runs["gate"], runs["failure"]
    stopped = {name: outcome for name, outcome in gate["outcomes"].items() if outcome in ("failed", "not run")}
    assert stopped == {"judge c": "failed", "total": "not run"} and gate["reasons"]["judge c"].startswith("a bad word")
    stopped = {name: outcome for name, outcome in failure["outcomes"].items() if outcome in ("failed", "not run")}
    assert stopped == {"count a": "failed", "judge a": "not run", "total": "not run"}
    assert failure["reasons"] == {"count a": "ValueError: no counting today"}


def test_the_plan_says_which_name_changed(done):
    status, *reasons = done["plan"]["count a"]
    assert status == "stale" and any("folded" in reason for reason in reasons), reasons
