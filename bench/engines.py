"""One study on several machines: what an engine adds to a stage, what a second machine gives, and what is lost with one.

    python -m bench.engines [--engine dask|ray] [--only throughput|study] [--stages 320] [--waiting 60] [--seconds 0.5]

Workers are processes with homes of their own, on loopback; S3 is a moto server in this process. `throughput`: stages that
wait, on one worker and on two, and as many plain Prefect tasks that wait as long on the same engine; overhead is
(wall time x workers - time waited) / stages. `study`: a DAG of waiting stages on threads, then on two workers, of which
one is killed with SIGKILL in the middle and replaced, while S3 is away for a minute; digests are compared. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from pathlib import Path

import fsspec
import psutil
from moto.server import ThreadedMotoServer
from prefect import flow, task
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows._alive import current_run
from flows._elsewhere import Elsewhere
from flows._engines import engine_of
from flows._graph import run_graph
from tasks._stage import Session
from xtreme_dag.core.home import Home
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.graph import Graph, Kind, Output, Stage
from xtreme_dag.engine.keys import Keys
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.mirror import LONG, Mirror
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.engine.store import Store
from xtreme_dag.program.server import server

REPOSITORY = Path(__file__).resolve().parents[1]
PREPARE, TARGET, EVALUATE = Kind(name="prepare"), Kind(name="target"), Kind(name="encode")
FUNCTIONS = '''
"""Stages that wait."""
import hashlib, time

def wait(params, inputs, context):
    time.sleep(params["seconds"])
    total = hashlib.sha256(str(params["number"]).encode())
    for name in sorted(inputs):
        total.update((inputs[name] / "out.txt").read_bytes())
    (context.out / "out.txt").write_text(total.hexdigest() * 100)
'''


def stage(kind: Kind, number: int, seconds: float, *parents: str) -> Stage:
    return Stage(
        of=kind, name=f"{kind.name}[{number}]", function="waiting.stages:wait",
        params={"number": number, "seconds": seconds}, inputs={name: Output(stage=name) for name in parents},
    )  # fmt: skip


def waiting(count: int, seconds: float, salt: int) -> Graph:
    """Stages side by side."""
    graph = Graph()
    for number in range(count):
        graph.add(stage(EVALUATE, salt + number, seconds))
    return graph


def study(count: int, seconds: float) -> Graph:
    """A tenth of the stages prepare, a tenth train on two of them each, the rest evaluate."""
    graph, tenth = Graph(), max(2, count // 10)
    for number in range(tenth):
        graph.add(stage(PREPARE, number, seconds))
    for number in range(tenth):
        graph.add(stage(TARGET, number, seconds, f"prepare[{number}]", f"prepare[{(number + 1) % tenth}]"))
    for number in range(count - 2 * tenth):
        graph.add(stage(EVALUATE, number, seconds, f"target[{number % tenth}]"))
    return graph


class Bucket:
    """A server that speaks S3's protocol; what it has survives that it stops."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, self._port = self._server.get_host_and_port()
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://{host}:{self._port}", "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1",
        }  # fmt: skip
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("bench-engines")

    def away(self, seconds: float) -> None:
        self._server.stop()
        time.sleep(seconds)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()


class Cluster:
    """A scheduler and its workers, as processes; each worker is a machine with a home."""

    def __init__(self, engine: str, folder: Path, stack: ExitStack) -> None:
        self.engine, self.folder, self._stack = engine, folder, stack
        self.environment = {
            **os.environ,
            "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self._count = 0
        if engine == "dask":
            file = folder / f"scheduler-{time.monotonic_ns()}.json"
            self._start(["-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                         "--scheduler-file", str(file)])  # fmt: skip
            while not file.is_file():
                time.sleep(0.1)
            self.address = json.loads(file.read_text())["address"]
        else:
            # Ray takes a loopback address for one that others must reach, and looks for the machine's own instead,
            # unless it is told (before it is imported, and so are its processes) that there is one machine alone.
            os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
            from ray.cluster_utils import Cluster as Ray

            self._ray = Ray()
            stack.callback(self._ray.shutdown)
            self._ray.add_node(num_cpus=0, include_dashboard=False, node_ip_address="127.0.0.1")
            self.address = self._ray.address

    def _start(self, command: list[str], **more: str) -> psutil.Popen:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": self.folder}
        process = psutil.Popen([sys.executable, *command], env={**self.environment, **more}, **quiet)
        self._stack.callback(kill, process)
        return process

    def worker(self) -> object:
        self._count += 1
        home = str(self.folder / f"machine-{time.monotonic_ns()}")
        if self.engine == "dask":
            return self._start(["-m", "distributed.cli.dask_worker", self.address, "--nthreads", "1", "--no-nanny",
                                "--host", "127.0.0.1", "--no-dashboard"], XTREME_DAG_HOME=home)  # fmt: skip
        before, os.environ["XTREME_DAG_HOME"] = os.environ.get("XTREME_DAG_HOME", ""), home
        try:
            return self._ray.add_node(num_cpus=1, include_dashboard=False, node_ip_address="127.0.0.1")
        finally:
            os.environ["XTREME_DAG_HOME"] = before

    def kill(self, worker: object) -> None:
        if self.engine == "dask":
            kill(worker)
        else:
            self._ray.remove_node(worker, allow_graceful=False)


def kill(process: psutil.Popen) -> None:
    if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        for child in process.children(recursive=True):
            child.send_signal(signal.SIGKILL)
        process.send_signal(signal.SIGKILL)
    process.wait()


_WORK: list = []


def _work() -> object:
    return _WORK[-1]()


@flow(name="bench")
def _flow() -> object:
    return _work()


def in_a_flow(work):
    """Calls a function inside a flow; the flow itself, which engines send to their workers, holds nothing of it."""
    _WORK.append(work)
    return _flow()


def spread(graph: Graph, home: Home, cluster: Cluster, url: str, places: int) -> tuple[float, dict[str, str]]:
    """Runs a graph on a cluster; seconds, without the start of the flow, and digests."""

    def run() -> tuple[float, dict[str, str]]:
        mirror = Mirror(url, LONG)
        options = {"threads": 1, "cuda": "graphs", "timeout": None}
        with WorkerPool(1, home.ensure().logs) as pool:
            executor = Executor(home, "bench", pool, keys=Keys.of(home.caches, "waiting"), mirror=mirror)
            with (
                Session(graph, executor, lambda event: None) as session,
                engine_of(cluster.engine, cluster.address, places, 1) as engine,
                Elsewhere(session, engine, mirror, options=options, device="cpu", run=str(current_run().id)) as place,
            ):
                while engine.count()[0] < places:
                    time.sleep(0.1)
                start = time.perf_counter()
                outcomes = run_graph(session, place)
                seconds = time.perf_counter() - start
                # A machine that is killed after it pushed, and before it said so, leaves its stage to be found.
                lost = {name: outcome for name, outcome in outcomes.items() if outcome not in ("succeeded", "cached")}
                assert not lost, lost
                return seconds, {name: executor.record(key).digest for name, key in executor.known.items()}

    return in_a_flow(run)


def plain(count: int, seconds: float, cluster: Cluster, places: int) -> float:
    """As many tasks of Prefect's own that wait as long on the same engine; seconds."""

    @task(name="wait", persist_result=False)
    def wait(number: int) -> None:
        time.sleep(seconds)

    def run() -> float:
        with engine_of(cluster.engine, cluster.address, places, 1) as engine:
            while engine.count()[0] < places:
                time.sleep(0.1)
            start = time.perf_counter()
            for future in [engine.runner.submit(wait, {"number": number}) for number in range(count)]:
                future.wait()
            return time.perf_counter() - start

    return in_a_flow(run)


def throughput(engine: str, folder: Path, url: str, count: int, seconds: float) -> dict[str, object]:
    """One worker, then two; ours, then Prefect's own."""
    found: dict[str, object] = {"stages": count, "each waits s": seconds}
    walls = {}
    with ExitStack() as stack:
        cluster = Cluster(engine, folder, stack)
        for places in (1, 2):
            cluster.worker()
            # Every worker has imported what it needs before the clock runs.
            spread(waiting(4 * places, seconds, 10_000 * places), Home(folder / f"warm-{places}"), cluster, url, places)
            walls["ours", places], _ = spread(
                waiting(count, seconds, 1000 * places), Home(folder / f"driver-{places}"), cluster, url, places
            )
            walls["Prefect's own", places] = plain(count, seconds, cluster, places)
    for (whose, places), wall in walls.items():
        overhead = 1000 * (wall * places - count * seconds) / count
        found[f"{whose}, {places} workers"] = {"wall s": round(wall, 2), "overhead ms a stage": round(overhead, 1)}
    for whose in ("ours", "Prefect's own"):
        found[f"{whose}: 2 workers over 1"] = round(walls[whose, 1] / walls[whose, 2], 2)
    return found


def whole_study(engine: str, folder: Path, url: str, bucket: Bucket, count: int, away: float) -> dict[str, object]:
    """A study with accidents."""
    graph = study(count, 0.2)
    home = Home(folder / "threads").ensure()
    with WorkerPool(2, home.logs) as pool:
        executor = Executor(home, "bench", pool, keys=Keys.of(home.caches, "waiting"))
        start = time.perf_counter()
        run_local(graph, executor)
        alone = time.perf_counter() - start
        expected = {name: Store(home.store).read(key).digest for name, key in executor.known.items()}
    told = []
    with ExitStack() as stack:
        cluster = Cluster(engine, folder, stack)
        first = cluster.worker()
        cluster.worker()
        mirror = Mirror(url, LONG)

        def reached(share: float) -> None:
            while not running.done() and len(mirror.files.listing("records")) < before + share * count:
                time.sleep(0.5)

        before = len(mirror.files.listing("records"))
        # The run is in the thread: a node of Ray can be added in the main thread alone.
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(copy_context().run, spread, graph, Home(folder / "driver"), cluster, url, 2)
            reached(0.3)
            cluster.kill(first)
            cluster.worker()
            told.append("a worker was killed -9 and one added")
            reached(0.5)
            bucket.away(away)
            told.append(f"S3 was away for {away:.0f} s")
            wall, digests = running.result()
    return {
        "stages": count, "threads s": round(alone, 1), f"{engine} s": round(wall, 1), "accidents": told,
        "digests equal": digests == expected,
    }  # fmt: skip


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=["dask", "ray"], default="dask")
    parser.add_argument("--only", choices=["throughput", "study"])
    parser.add_argument("--stages", type=int, default=320)
    parser.add_argument("--waiting", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--away", type=float, default=60.0)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="xtreme-dag-engines-"))
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    (folder / "code" / "waiting").mkdir(parents=True)
    (folder / "code" / "waiting" / "__init__.py").write_text("")
    (folder / "code" / "waiting" / "stages.py").write_text(FUNCTIONS)
    sys.path.insert(0, str(folder / "code"))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), str(folder / "code")])
    bucket = Bucket()
    found: dict[str, object] = {"engine": given.engine}
    try:
        with server(Home(folder / "server").ensure(), lambda line: print(line, file=sys.stderr)) as api:
            os.environ["PREFECT_API_URL"] = api
            with temporary_settings({PREFECT_API_URL: api}):
                url = "s3://bench-engines/store"
                if given.only != "study":
                    found["throughput"] = throughput(given.engine, folder, url, given.waiting, given.seconds)
                if given.only != "throughput":
                    found["study"] = whole_study(given.engine, folder, url, bucket, given.stages, given.away)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    from bench import engines

    engines.main()  # what `__main__` has would be sent to the workers in full
