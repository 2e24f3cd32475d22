"""One study on engines: two Dask machines with S3 between, Ray on this one; the same answers as without an engine."""

import json
import os
import platform
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path

import dask
import duckdb
import fsspec
import psutil
import pytest
import yaml
from distributed import Client
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.study import study
from tests import servers
from tests.flows import tiny_study
from tests.flows.test_outcome import task_runs
from tests.servers import until
from tests.workers import started_since
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.graph import Figure, Kind, Output, Source, Stage
from xtreme_dag.engine.ledger import Ledger
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.orders import stage_json, stage_of
from xtreme_dag.engine.store import Store

pytestmark = pytest.mark.xdist_group("prefect")
STUDY = {**tiny_study.CHECKED, "study": "spread"}
# What differs between any two runs of the same on one machine: when, how fast, with how much memory. The digest of a
# landing document is over these, too. (Hosts would differ; here all machines are one.)
NOT_COMPARED = {"started", "seconds", "peak_memory_bytes", "figures", "landing_digest"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spread")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    return folder


@pytest.fixture
def api(prefect_api):
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        yield prefect_api


@pytest.fixture(scope="module")
def alone(place, prefect_api, tmp_path_factory):
    """The home of a run without an engine."""
    home = Home(tmp_path_factory.mktemp("alone"))
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        run(place, home, workers=1)
    return home


@pytest.fixture
def mirror(monkeypatch):
    """URL of a folder in a bucket of a server that speaks S3's protocol, on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("spread")
    yield "s3://spread/store"
    server.stop()


class Machines:
    """A Dask scheduler and its workers: processes of their own, each worker with a home of its own."""

    def __init__(self, folder, stack, repository):
        self._folder, self._stack = folder, stack
        self._environment = {**os.environ, "PYTHONPATH": str(repository), "PREFECT_HOME": str(folder / "none")}
        self._environment |= {
            "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
            "DASK_LOGGING__DISTRIBUTED": "error",
        }
        file = folder / "scheduler.json"
        loopback = ["--host", "127.0.0.1"]
        self._start("dask_scheduler", *loopback, "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
        until(file.is_file, 60)
        self.address = yaml.safe_load(file.read_text())["address"]
        self._loopback = [*loopback, "--no-dashboard"]

    def _start(self, program, *arguments, **environment):
        process = psutil.Popen(
            [sys.executable, "-m", f"distributed.cli.{program}", *arguments],
            env={**self._environment, **environment}, cwd=self._folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._stack.callback(self.kill, process)
        return process

    def worker(self, name):
        """A machine; its home."""
        home = Home(self._folder / name)
        arguments = [self.address, "--nthreads", "1", "--no-nanny", *self._loopback]
        return self._start("dask_worker", *arguments, XTREME_DAG_HOME=str(home.root)), home

    @staticmethod
    def kill(process):
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            for child in process.children(recursive=True):
                child.send_signal(signal.SIGKILL)
            process.send_signal(signal.SIGKILL)
        process.wait()


@contextmanager
def machines(folder, repository):
    with ExitStack() as stack:
        yield Machines(folder, stack, repository)


def run(place, home, **settings):
    """Runs the study; its flow run and what it says."""
    state = study(str(place / "study.yaml"), home=str(home.root), device="cpu", return_state=True, **settings)
    outcome = state.result(raise_on_failure=False)
    if isinstance(outcome, UserError):
        raise outcome
    assert isinstance(outcome, dict), outcome
    return str(state.state_details.flow_run_id), outcome


def digests(home, mirror=None):
    """Stage -> digest, of what a home's ledger or a mirror knows."""
    keys = {entry["stage"]: entry["key"] for entry in Ledger(home.ledger).entries() if entry["key"]}
    read = Store(home.store).intact if mirror is None else Mirror(mirror).look
    return {name: read(key).digest for name, key in keys.items()}


def database(home):
    """What landed: every row of every table, but for when and where it was made."""
    found = {}
    with duckdb.connect(str(home.results), read_only=True) as connection:
        tables = connection.execute("select table_name from duckdb_tables()").fetchall()
        for (table,) in tables:
            columns = [name for name, *_ in connection.execute(f'describe "{table}"').fetchall()]
            kept = [name for name in columns if name not in NOT_COMPARED]
            query = f"""select {", ".join(f'"{name}"' for name in kept)} from "{table}\""""
            if table == "training_curves":  # how fast and with how much memory is told there, too
                query += " where measure in ('loss', 'dev')"
            found[table] = (kept, sorted(map(repr, connection.execute(query).fetchall())))
    return found


def machine_tables(api, flow_run):
    """The tables of what runs where that a flow run has shown, one after another."""
    question = {"artifacts": {"flow_run_id": {"any_": [flow_run]}, "key": {"any_": ["machines-spread"]}}}
    found = servers.post(f"{api}/artifacts/filter", json=question).raise_for_status().json()
    assert all(row["type"] == "table" and row["description"].startswith("What runs where, of spread") for row in found)
    return [json.loads(row["data"]) for row in found]


def test_two_machines_one_of_them_killed_answer_as_one_does(
    api, place, alone, mirror, repository, tmp_path, monkeypatch
):
    driver = Home(tmp_path / "driver")
    for name in ("_LOOK_SECONDS", "_SHOW_SECONDS"):  # or the run would be over before it is shown what runs where
        monkeypatch.setattr(f"flows._overview.{name}", 0.5)
    with machines(tmp_path, repository) as cluster:
        first, home = cluster.worker("first")

        def kill():
            until(lambda: list(home.store.glob("records/*/*.json")), 120)
            cluster.worker("second")  # it comes when the run is under way
            with Client(cluster.address) as client:
                client.wait_for_workers(2, timeout=120)
            Machines.kill(first)

        killer = threading.Thread(target=kill)
        killer.start()
        flow_run, outcome = run(place, driver, engine="dask", address=cluster.address, mirror=mirror)
        killer.join()
        assert not outcome["stages"]["failed"] and outcome["stages"]["succeeded"], outcome
        # It has brought what is landed: of evaluations all, of trainings and tables what they say of themselves.
        brought = {path.name for path in driver.store.glob("objects/*/*/**/*") if path.is_file()}
        assert brought >= {"predictions.parquet", "training.json", "encode.json", "counts.json"}
        assert not brought & {"model.safetensors", "table.parquet", "sequences.arrow"}
        assert digests(driver, mirror) == digests(alone)
        assert database(driver) == database(alone)
        found = task_runs(api, flow_run, len(digests(alone)) + 2)  # landing and report, too
        assert {state["type"] for state in found.values()} == {"COMPLETED"}
        assert {name for name in digests(alone) if " on " not in found[name]["message"]} == set()
        # Trainings are claimed from their first second on, as what runs for long.
        tables = machine_tables(api, flow_run)
        stages = [[row["stage"] for row in table] for table in tables]
        assert all(names and len(names) == len(set(names)) for names in stages)
        assert {"pretrain[planted]"} <= set(chain(*stages)) <= set(digests(alone))
        assert {row["machine"] for table in tables for row in table} == {platform.node()}
        # Everything is there: nobody is asked again.
        _, again = run(place, driver, engine="dask", address=cluster.address, mirror=mirror)
        assert again["stages"] == {"succeeded": 0, "cached": len(digests(alone)), "failed": 0, "not run": 0}
    assert not Mirror(mirror).files.listing("claims")


def test_a_study_on_ray_answers_as_on_threads(api, place, alone, repository, tmp_path, monkeypatch):
    """Its processes listen on loopback alone, and end with the run."""
    monkeypatch.setenv("PYTHONPATH", str(repository))
    here, rays = psutil.Process(), Home(tmp_path)
    before, family, listened = set(here.children(recursive=True)), set(), set()
    over = threading.Event()

    def look():
        while not over.wait(0.5):
            family.update(started_since(before))
            listened.update(servers.listened_on({process.pid for process in family}))

    watching = threading.Thread(target=look)
    watching.start()
    try:
        _, outcome = run(place, rays, engine="ray", workers=1)
    finally:
        over.set()
        watching.join()
    assert not outcome["stages"]["failed"] and outcome["stages"]["succeeded"] == len(digests(alone)), outcome
    assert digests(rays) == digests(alone)
    assert database(rays) == database(alone)
    assert {address.removeprefix("::ffff:") for address in listened} == {"127.0.0.1"}
    assert not psutil.wait_procs(family, timeout=60)[1]


def test_nobody_at_the_address(api, place, tmp_path):
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(UserError, match=r"no dask at tcp://127\.0\.0\.1:9"),
    ):
        run(place, Home(tmp_path), engine="dask", address="tcp://127.0.0.1:9")


def test_a_stage_survives_the_way_to_another_machine():
    kind = Kind(
        name="x", libraries=("numpy",), device=True, drops=("*.x",), figures=(Figure(name="loss", text="{:.1f}"),)
    )
    stage = Stage(
        of=kind, name="x[1]", function="a.b:c", code=("a.b:d",), params={"a": [1, {"b": None}]},
        inputs={"table": Output(stage="y", part="p"), "raw": Source(path=Path("setup").absolute())},
        after=("z",), more_libraries=("scipy",), options={"o": 1}, devices=2, gates="y", step=3, labels={"l": "m"},
    )  # fmt: skip
    assert stage_of(json.loads(json.dumps(stage_json(stage)))) == stage
