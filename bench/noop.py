"""Nothing to do, a thousand stages: our plan and run against `snakemake -n` and `dvc repro`, in one run.

    python -m bench.noop [--stages 1000] [--rounds 3] [--no-peers] [--no-prefect]

Ours: a miniworld study of about that many stages, its store filled with small artifacts under the true keys, landed
and reported for real. Peers: a graph of the same number of stages in the same proportions (roots, middle, leaves), every
stage up to date; they are installed into a folder of their own. Whole processes, in turn; medians. Prints JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from xtreme_dag.core.home import Home
from xtreme_dag.engine.gates import write_verdict
from xtreme_dag.engine.graph import Output
from xtreme_dag.engine.keys import Keys
from xtreme_dag.engine.ledger import CACHED, Ledger
from xtreme_dag.engine.provenance import described
from xtreme_dag.engine.store import Store
from xtreme_dag.program.publish import land_study, write_study_report
from xtreme_dag.program.server import server, wait_recorded
from xtreme_dag.results.stamp import mark_published, publication
from xtreme_dag.study.file import load_study
from xtreme_dag.wiring.build import build

REPOSITORY = Path(__file__).resolve().parents[1]
PEERS = ("dvc==3.67.1", "snakemake==9.27.1")


def write_study(folder: Path, stages: int) -> tuple[Path, int]:
    """A study of about `stages` stages; returns the file and the true number."""
    document = yaml.safe_load((REPOSITORY / "studies" / "demo.yaml").read_text())
    document["study"] = "wide"
    path = folder / "wide.yaml"
    seeds, count = 0, 0
    while count < stages:
        seeds += 1
        document["seeds"] = list(range(seeds))
        path.write_text(yaml.safe_dump(document))
        count = len(build(load_study(path)).graph)
    return path, count


def fill(home: Home, path: Path) -> None:
    """Commits a small artifact under each stage's true key, lands and reports."""
    study = load_study(path)
    built = build(study)
    store, keys, ledger = Store(home.store), Keys(), Ledger(home.ledger)
    done: dict[str, str] = {}
    entries = []
    for stage in built.graph:
        inputs = {}
        for name, source in stage.inputs.items():
            if isinstance(source, Output):
                record = store.read(done[source.stage])
                inputs[name] = record.part_digest(source.part)
            else:
                inputs[name] = hashlib.sha256(source.path.read_bytes()).hexdigest()
        key = keys.key(stage, inputs)
        out = home.work / key
        out.mkdir(parents=True, exist_ok=True)
        write_artifact(stage, key, out)
        code, names = keys.code(*stage.roots)
        store.keep_code(code, names)
        figures = {
            "started": "2026-01-01T00:00:00+00:00",
            "seconds": 1.0,
            "peak_memory_bytes": 1,
            "host": "bench",
            "git_commit": "",
        }
        manifest = {
            "kind": stage.kind,
            "name": stage.name,
            **keys.identity(stage, inputs),
            "inputs": described(stage, inputs, done),
            "options": {},
            "figures": {},
        }
        store.commit(key, out, {**manifest, **figures})
        done[stage.name] = key
        entries.append(
            {
                "time": "",
                "run": "bench",
                "study": study.study,
                "stage": stage.name,
                "kind": stage.kind,
                "key": key,
                "outcome": CACHED,
            }
        )
    ledger.append(entries)
    land_study(home, study, built, done)
    _path, short = write_study_report(home, study)
    artifacts = {name: (key, store.read(key).digest) for name, key in done.items()}
    mark_published(home, study, publication(study, artifacts, keys), [], short.answer)


def write_artifact(stage, key: str, out: Path) -> None:
    """What readers of this kind of artifact need, and nothing more."""
    (out / "content.txt").write_text(key)
    if stage.kind == "pretrain":
        (out / "tokenizer").mkdir()
        (out / "tokenizer" / "tokenizer.json").write_text(key)
    if stage.kind == "prepare":
        pq.write_table(
            pa.table({"id": list("abcd"), "language": [stage.labels["language"]] * 4}), out / "table.parquet"
        )
        (out / "counts.json").write_text(json.dumps({"rows": 4, "read": 4}))
    if stage.kind in ("pretrain", "intermediate", "target"):
        course = {"composition": [], "loss_curve": [1.0, 0.5], "steps_done": 2, "steps": 2, "selection": []}
        (out / "training.json").write_text(json.dumps(course))
    if stage.kind == "audit":
        (out / "overlap.json").write_text(json.dumps({"seen": stage.name, "use": "train", "findings": []}))
        write_verdict(out)
    if stage.kind == "check":
        facts = {name: stage.params[name] for name in ("dataset", "language", "split")}
        (out / "outcome.json").write_text(json.dumps({"ok": True, **facts, "rules": []}))
        write_verdict(out)
    if stage.kind == "evaluate":
        labels = stage.labels
        scores = {name: labels[name] for name in ("task", "language", "split")}
        metrics = {"metrics": {"accuracy": 50.0}, "primary": "accuracy", "n": 4}
        (out / "scores.json").write_text(json.dumps({**scores, **metrics}))
        rows = {
            "id": list("abcd"),
            "language": [labels["language"]] * 4,
            "gold": list("xxyy"),
            "prediction": list("xyxy"),
        }
        correct = [1.0, 0.0, 0.0, 1.0]
        pq.write_table(
            pa.table({**rows, "score": pa.array([1.0] * 4, pa.float32()), "s_correct": correct}),
            out / "predictions.parquet",
        )


# A process starts with its parent's peak memory on its account: a small process must be the parent.
_STOPWATCH = """
import json, os, sys, time
start = time.perf_counter()
child = os.fork()
if child == 0:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - start
print(json.dumps([os.waitstatus_to_exitcode(status), wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
"""


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> dict[str, float]:
    """Wall and CPU seconds and peak MiB (largest process) of a whole process."""
    done = subprocess.run([sys.executable, "-S", "-c", _STOPWATCH, *command], cwd=folder, env=environment, capture_output=True, text=True, check=True)  # fmt: skip
    code, wall, cpu, peak = json.loads(done.stdout)
    if code != 0:
        raise SystemExit(f"{command}: {done.stderr[-2000:]}")
    return {"wall": wall, "cpu": cpu, "peak_mib": peak}


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Median of each figure, and the range of the wall time."""
    found = {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0]}
    return {
        **found,
        "wall_min": round(min(run["wall"] for run in runs), 3),
        "wall_max": round(max(run["wall"] for run in runs), 3),
    }


def peer_graphs(folder: Path, stages: int) -> None:
    """The peers' projects: 2 % roots, 20 % middle, the rest leaves; each stage copies its input and is up to date."""
    roots, middle = max(1, stages // 50), stages // 5
    parents: dict[str, str] = {f"root{i}": "seed.txt" for i in range(roots)}
    parents |= {f"mid{i}": f"root{i % roots}.txt" for i in range(middle)}
    parents |= {f"leaf{i}": f"mid{i % middle}.txt" for i in range(stages - roots - middle)}
    content = "x\n"
    digest = hashlib.md5(content.encode()).hexdigest()
    lock, pipeline, rules = {}, {}, ["rule all:\n    input: " + ", ".join(f"'{name}.txt'" for name in parents)]
    for name in ("seed", *parents):
        for place in ("dvc", "snakemake"):
            (folder / place).mkdir(exist_ok=True)
            (folder / place / f"{name}.txt").write_text(content)
            os.utime(folder / place / f"{name}.txt", (1e9 + len(pipeline), 1e9 + len(pipeline)))
        if name == "seed":
            continue
        command = f"cp {parents[name]} {name}.txt"
        pipeline[name] = {"cmd": command, "deps": [parents[name]], "outs": [{f"{name}.txt": {"cache": False}}]}
        entry = {"hash": "md5", "md5": digest, "size": len(content)}
        lock[name] = {
            "cmd": command,
            "deps": [{"path": parents[name], **entry}],
            "outs": [{"path": f"{name}.txt", **entry}],
        }
        rules.append(
            f"rule {name}:\n    input: '{parents[name]}'\n    output: '{name}.txt'\n    shell: 'cp {{input}} {{output}}'"
        )
    (folder / "dvc" / "dvc.yaml").write_text(yaml.safe_dump({"stages": pipeline}))
    (folder / "dvc" / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": lock}))
    (folder / "snakemake" / "Snakefile").write_text("\n\n".join(rules) + "\n")


def install_peers(folder: Path) -> Path:
    """A virtual environment with the peers; returns its bin."""
    if not (folder / "bin" / "dvc").exists():
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "pip", "install", "-q", *PEERS], check=True)
    return folder / "bin"


def through_prefect(study: Path, home: Home, environment: dict[str, str], folder: Path) -> dict[str, float]:
    """The same no-op as a flow run of an idle server, until all task runs are recorded."""
    answer = folder / "answer.json"
    request = {"study_file": str(study), "settings": {"home": str(home.root), "device": "cpu"}, "answer": str(answer)}
    start = time.perf_counter()
    command = [sys.executable, "-m", "flows.study", json.dumps(request)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # A line tells the flow's process that the server answers; it ends when its standard input does.
    with subprocess.Popen(command, env=environment, cwd=folder, stdin=subprocess.PIPE, **quiet) as process:
        process.stdin.write(b"\n")
        process.stdin.flush()
        if process.wait() != 0:
            raise SystemExit("the flow failed")
    flow = time.perf_counter() - start
    outcome = json.loads(answer.read_text())
    recorded = wait_recorded(environment["PREFECT_API_URL"], outcome["flow_run"], outcome["task_runs"])
    return {"wall": time.perf_counter() - start, "flow": flow, "task_runs": outcome["task_runs"], "recorded": recorded}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--no-prefect", action="store_true")
    parser.add_argument("--peers", type=Path, default=Path(tempfile.gettempdir()) / "xtreme-dag-bench-peers")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="xtreme-dag-noop-"))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "DVC_NO_ANALYTICS": "1"}
    try:
        home = Home(folder / "home").ensure()
        study, count = write_study(folder, given.stages)
        fill(home, study)
        program = [sys.executable, "-m", "xtreme_dag"]
        commands = {
            "plan": ([*program, "plan", str(study), "--json", "--home", str(home.root)], folder),
            "run": ([*program, "run", str(study), "--json", "--home", str(home.root)], folder),
        }
        plan = json.loads(subprocess.run(commands["plan"][0], capture_output=True, check=True, env=environment).stdout)
        assert plan["summary"] == {"cached": count} and plan["outputs_current"], Counter(
            s["status"] for s in plan["stages"]
        )
        if not given.no_peers:
            tools = install_peers(given.peers)
            peer_graphs(folder, given.stages)
            subprocess.run(["git", "init", "-q", str(folder / "dvc")], check=True)
            subprocess.run([tools / "dvc", "init", "-q", "-f"], cwd=folder / "dvc", check=True, env=environment)
            commands["snakemake -n"] = ([str(tools / "snakemake"), "-n", "--quiet", "-c", "1"], folder / "snakemake")
            commands["dvc repro"] = ([str(tools / "dvc"), "repro", "-q"], folder / "dvc")
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
        for _ in range(given.rounds):
            for name, (command, place) in commands.items():
                runs[name].append(timed(command, place, environment))
        found: dict[str, object] = {"stages": count, **{name: medians(values) for name, values in runs.items()}}
        if not given.no_prefect:
            kept = {name: value for name, value in environment.items() if not name.startswith("PREFECT_")}
            for name in [name for name in os.environ if name.startswith("PREFECT_")]:
                del os.environ[name]
            with server(Home(folder / "server-home").ensure(), lambda _line: None) as api:
                time.sleep(5)
                rounds = [
                    through_prefect(study, home, {**kept, "PREFECT_API_URL": api}, folder) for _ in range(given.rounds)
                ]
            found["through Prefect"] = {
                **medians(rounds),
                "task_runs": rounds[0]["task_runs"],
                "recorded": min(r["recorded"] for r in rounds),
            }
        for ours in ("plan", "run", "through Prefect"):
            for peer in ("snakemake -n", "dvc repro"):
                if ours in found and peer in found:
                    found[f"{peer} / {ours}"] = round(found[peer]["wall"] / found[ours]["wall"], 2)
        print(json.dumps(found, indent=1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
