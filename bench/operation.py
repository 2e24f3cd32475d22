"""A large graph through a real Prefect server on SQLite and on PostgreSQL: time per stage, and nothing lost.

    python -m bench.operation [--stages 2000] [--databases sqlite,postgresql] [--workers 2]
    python -m bench.operation --outage 600 [--databases postgresql]

Every stage writes a few bytes: what is measured is what running a stage costs beside its work. Reads back from the server
what became of every task run, and from its log whether the database was ever locked. With `--outage`, a training that a
worker runs loses its server for so many seconds, and is cancelled when it is back. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from tests.flows.test_outage import LONG
from tests.servers import Server, postgresql, until
from xtreme_dag.program.server import _BATCHES

CODE = """
def touch(params, inputs, context):
    (context.out / "number").write_text(str(params["number"]))
"""
CHAINS = 20
_http = httpx.Client(timeout=120)


def graph_of(stages: int) -> Any:
    """Chains side by side."""
    from xtreme_dag.engine.graph import Graph, Kind, Output, Stage
    from xtreme_dag.wiring.kinds import KINDS

    graph, of = Graph(), next(kind for kind in KINDS.values() if not kind.device)
    assert isinstance(of, Kind)
    for number in range(stages):
        before = f"stage[{number - CHAINS}]"
        inputs = {"before": Output(stage=before)} if number >= CHAINS else {}
        graph.add(
            Stage(
                of=of, name=f"stage[{number}]", function="tiny.stages:touch", params={"number": number}, inputs=inputs
            )
        )
    return graph


def drive(folder: Path, stages: int, workers: int) -> dict[str, Any]:
    """Runs the graph in a flow of this process, whose environment names the server."""
    from prefect import flow

    from flows._alive import Watch, alive, current_run
    from flows._drive import runner
    from flows._graph import run_graph
    from tasks._stage import Session
    from xtreme_dag.core.home import Home
    from xtreme_dag.engine.execute import Executor
    from xtreme_dag.engine.fingerprint import CodeBase
    from xtreme_dag.engine.keys import Keys
    from xtreme_dag.engine.pool import WorkerPool

    home, graph = Home(folder / "home").ensure(), graph_of(stages)

    @flow(name="operation", task_runner=runner())
    def operation() -> tuple[str, dict[str, str], float]:
        with WorkerPool(workers, home.logs) as pool, alive(home), Watch(pool.close):
            executor = Executor(home, "operation", pool, keys=Keys(CodeBase(folder / "code" / "tiny", "tiny")))
            with Session(graph, executor, lambda event: None) as session:
                started = time.monotonic()
                outcomes = run_graph(session)
                return str(current_run().id), outcomes, time.monotonic() - started

    flow_run, outcomes, seconds = operation()
    return {"flow_run": flow_run, "outcomes": dict(Counter(outcomes.values())), "seconds": seconds}


def recorded(api: str, flow_run: str, expected: int) -> dict[str, int]:
    """State -> number of task runs, once the server has recorded all or nothing more comes for 30 s."""
    found: dict[str, int] = {}
    end = time.monotonic() + 30
    while time.monotonic() < end and found.get("COMPLETED") != expected:
        now = {}
        for state in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED", "RUNNING", "PENDING"):
            question = {"flow_runs": {"id": {"any_": [flow_run]}}, "task_runs": {"state": {"type": {"any_": [state]}}}}
            if count := int(_http.post(f"{api}/task_runs/count", json=question).text):
                now[state] = count
        if now != found:
            found, end = now, time.monotonic() + 30
        time.sleep(0.5)
    return found


def measured(folder: Path, database: str, stages: int, workers: int) -> dict[str, Any]:
    """One run on one database, with the settings of the home's own server."""
    package = folder / "code" / "tiny"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "stages.py").write_text(CODE)
    with postgresql() if database == "postgresql" else nullcontext({}) as settings:
        (folder / "server").mkdir()
        server = Server(folder / "server", {**_BATCHES, **settings})
        server.start()
        try:
            path = os.pathsep.join([str(folder / "code"), os.environ.get("PYTHONPATH", "")])
            os.environ |= {"PREFECT_API_URL": server.api, "PYTHONPATH": path, "PREFECT_HOME": str(folder / "client")}
            os.environ |= {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR"}
            told = drive(folder, stages, workers)
            states = recorded(server.api, told["flow_run"], stages)
            run = _http.get(f"{server.api}/flow_runs/{told['flow_run']}").json()
        finally:
            server.stop()
    log = (folder / "server" / "log").read_text(errors="replace")
    return {
        "database": database,
        "stages": stages,
        "workers": workers,
        "outcomes": told["outcomes"],
        "task_runs": states,
        "flow_run": run["state"]["type"],
        "database_is_locked": log.count("database is locked"),
        "errors_in_server_log": sum(" ERROR " in line for line in log.splitlines()),
        "seconds": round(told["seconds"], 1),
        "ms_per_stage": round(1000 * told["seconds"] / stages, 1),
    }


def outlived(folder: Path, database: str, away: float) -> dict[str, Any]:
    """A run whose server is away for so many seconds, and that is cancelled then."""
    (folder / "long.yaml").write_text(yaml.safe_dump(LONG))
    with postgresql() if database == "postgresql" else nullcontext({}) as settings:
        (folder / "server").mkdir()
        server = Server(folder / "server", {**_BATCHES, **settings})
        server.start()
        environment = {**os.environ, "PREFECT_API_URL": server.api, "PREFECT_HOME": str(folder / "client")}

        def start(*arguments: str) -> psutil.Popen:
            return psutil.Popen([sys.executable, "-m", *arguments], cwd=folder, env=environment, stdout=sys.stderr)

        def state() -> str:
            return str(_http.get(f"{server.api}/flow_runs/{run}").json()["state"]["type"])

        start("xtreme_dag", "deploy", "long.yaml", "--home", "home").wait()
        deployment = _http.get(f"{server.api}/deployments/name/study/long").json()["id"]
        run = _http.post(f"{server.api}/deployments/{deployment}/create_flow_run", json={}).json()["id"]
        worker = start("prefect", "worker", "start", "--pool", "xtreme-dag")
        try:
            until(lambda: state() == "RUNNING", 120)
            until(lambda: any("xtreme_dag.engine." in " ".join(each.cmdline()) for each in worker.children(True)), 120)
            family = worker.children(recursive=True)
            names = {each.pid: " ".join(each.cmdline())[:100] for each in family}
            server.stop()
            time.sleep(away)
            lived = all(process.is_running() for process in family)
            server.start()
            time.sleep(30)  # whoever takes the run for dead has time to say so
            before = state()
            asked = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
            _http.post(f"{server.api}/flow_runs/{run}/set_state", json=asked).raise_for_status()
            began = time.monotonic()
            until(lambda: state() == "CANCELLED", 120)
            took = time.monotonic() - began
            left = psutil.wait_procs(family, timeout=40)[1]
        finally:
            for process in [*worker.children(recursive=True), worker]:
                process.kill()
            server.stop()
    kept = sorted(path.name for path in (folder / "home" / "work").rglob("step-*"))
    return {
        "database": database,
        "server_away_s": away,
        "processes_lived": lived,
        "state_when_back": before,
        "cancelled_after_s": round(took, 1),
        "processes_left": [names[each.pid] for each in left],
        "checkpoints": kept,
    }


def _measure(database: str, given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="xtreme-dag-operation-") as folder:
        place = Path(folder)
        if given.outage:
            found = outlived(place, database, given.outage)
        else:
            found = measured(place, database, given.stages, given.workers)
    print(json.dumps(found), flush=True)


def main() -> None:
    """Measures each database in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--stages", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--outage", type=float, default=0.0, metavar="SECONDS")
    given = parser.parse_args()
    for database in given.databases.split(","):
        child = multiprocessing.get_context("spawn").Process(target=_measure, args=(database, given))
        child.start()  # Prefect remembers a process's server
        child.join()
        if child.exitcode:
            sys.exit(f"{database}: failed")


if __name__ == "__main__":
    main()
