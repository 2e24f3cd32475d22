"""A toy package with stage functions, so that its code can be edited, and a graph over it."""

import os
import sys
from pathlib import Path

import pytest

from xtreme_dag.core.home import Home
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.fingerprint import CodeBase
from xtreme_dag.engine.graph import Graph, Kind, Output, Source, Stage
from xtreme_dag.engine.keys import Keys
from xtreme_dag.engine.plan import Planner
from xtreme_dag.engine.pool import WorkerPool

PREPARE, CHECK, ENCODE = (Kind(name=name) for name in ("prepare", "check", "encode"))
TARGET = Kind(name="target", device=True)

FUNCTIONS = '''
"""Stage functions of a toy."""
import os, time
from toy import helpers

def read(params, inputs, context):
    text = inputs["raw"].read_text()
    (context.out / "text.txt").write_text(helpers.shout(text) if params["loud"] else text)

def join(params, inputs, context):
    time.sleep(params.get("sleep", 0))
    with open(params["log"], "a") as log:
        log.write(f"{params['name']}\\n")
    parts = [helpers.strip((inputs[name] / "text.txt").read_text()) for name in sorted(inputs)]
    (context.out / "text.txt").write_text("+".join(parts) + helpers.ENDING)
    return {"parts": len(parts)}

def judge(params, inputs, context):
    from xtreme_dag.engine.gates import write_verdict
    text = (inputs["table"] / "text.txt").read_text()
    write_verdict(context.out, "no bad words (1: 1)" if "bad" in text else "")

def die(params, inputs, context):
    os.kill(os.getpid(), 9)

def crash(params, inputs, context):
    raise ZeroDivisionError("toy")

def refuse(params, inputs, context):
    from xtreme_dag.core.errors import UserError
    raise UserError("does not fit", where="toy", fix="mend it")
'''

HELPERS = '''
"""Helpers."""
ENDING = "."

def shout(text):
    """Upper case."""
    return text.upper()  # loud

def strip(text):
    return text.strip()

def unused():
    return 1
'''


class Toy:
    """A home, a package that can be edited, and raw files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "code" / "toy"
        self.package.mkdir(parents=True)
        (self.package / "__init__.py").write_text("")
        (self.package / "functions.py").write_text(FUNCTIONS)
        (self.package / "helpers.py").write_text(HELPERS)
        self.home = Home(folder / "home").ensure()
        self.log = folder / "log.txt"
        self.raw = {name: folder / f"{name}.txt" for name in "abc"}
        for name, path in self.raw.items():
            path.write_text(f"{name}\n")

    def edit(self, old: str, new: str, file: str = "helpers.py") -> None:
        path = self.package / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def keys(self) -> Keys:
        return Keys(CodeBase(self.package, "toy"))

    def graph(self, *, loud: bool = False, gate: bool = False, sleep: float = 0.0) -> Graph:
        graph = Graph()
        for name, path in self.raw.items():
            graph.add(
                Stage(
                    of=PREPARE,
                    name=f"prepare[{name}]",
                    function="toy.functions:read",
                    params={"loud": loud},
                    inputs={"raw": Source(path=path)},
                )
            )
            after: tuple[str, ...] = ()
            if gate:
                check = Stage(
                    of=CHECK,
                    name=f"check[{name}]",
                    function="toy.functions:judge",
                    inputs={"table": Output(stage=f"prepare[{name}]")},
                    gates=f"prepare[{name}]",
                )
                after = (graph.add(check).name,)
            graph.add(
                Stage(
                    of=ENCODE,
                    name=f"encode[{name}]",
                    function="toy.functions:join",
                    params={"log": str(self.log), "name": name, "sleep": sleep},
                    inputs={"table": Output(stage=f"prepare[{name}]")},
                    after=after,
                )
            )
        graph.add(
            Stage(
                of=TARGET,
                name="target[all]",
                function="toy.functions:join",
                params={"log": str(self.log), "name": "all"},
                inputs={name: Output(stage=f"encode[{name}]") for name in self.raw},
            )
        )
        return graph

    def planner(self, *, home: Home | None = None, **options: object) -> Planner:
        return Planner(home or self.home, "toy", keys=self.keys(), **options)  # type: ignore[arg-type]

    def executor(self, pool: WorkerPool, *, home: Home | None = None, **options: object) -> Executor:
        return Executor(home or self.home, "toy", pool, keys=self.keys(), **options)  # type: ignore[arg-type]

    def executed(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    made = Toy(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(made.package.parent), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return made


@pytest.fixture
def pool(toy: Toy):
    with WorkerPool(2, toy.home.logs) as workers:
        yield workers
