"""Workers that are forked from a template: one import for all, and no process is lost, however it ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.servers import until
from tests.workers import started_since
from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.calls import PoolClosed, Request, StageFailed, StageTimedOut
from xtreme_dag.engine.forks import Starter
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.engine.worker import TOLD

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks workers")

HEAVY = """
import os, time
with open(os.environ["IMPORTS"], "a") as file:
    file.write(f"{os.getpid()}\\n")
time.sleep(float(os.environ.get("IMPORT_SECONDS", "0")))
print("imported", flush=False)
state = os.getpid()
"""
STAGES = """
import os, signal, sys, time

def tell(params, inputs, context):
    import heavy
    time.sleep(params.get("seconds", 0))
    return {"pid": os.getpid(), "parent": os.getppid(), "group": os.getpgrp(), "imported_by": heavy.state,
            "streams": [os.readlink(f"/proc/self/fd/{n}") for n in (0, 1, 2)],
            "open": len(os.listdir("/proc/self/fd"))}

def plain(params, inputs, context):
    return {"pid": os.getpid(), "heavy": "heavy" in sys.modules}

def shout(params, inputs, context):
    print("said by", os.getpid())
    return {"pid": os.getpid()}

def child(params, inputs, context):
    import subprocess
    grandchild = subprocess.Popen(["sleep", "600"])
    (context.out / "pid").write_text(str(grandchild.pid))
    time.sleep(600)

def end(params, inputs, context):
    os.kill(os.getpid(), params["signal"]) if params["signal"] else os._exit(7)
"""


@pytest.fixture
def code(tmp_path, monkeypatch):
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "heavy.py").write_text(HEAVY)
    (folder / "stages.py").write_text(STAGES)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("IMPORTS", str(tmp_path / "imports"))
    return folder


class Caller:
    """Calls functions of `STAGES` in a pool, several at a time."""

    def __init__(self, pool, folder):
        self.pool, self.folder, self.number = pool, folder, 0

    def request(self, function, imports=("heavy",), timeout=None, **params):
        self.number += 1
        out, scratch = (self.folder / f"{kind}{self.number}" for kind in ("out", "scratch"))
        out.mkdir()
        scratch.mkdir()
        return Request(function=f"stages:{function}", params=params, inputs={}, out=out, scratch=scratch,
                       imports=imports, timeout=timeout)  # fmt: skip

    def __call__(self, function, **more):
        return self.pool.call(self.request(function, **more), lambda event: None)["figures"]

    def together(self, count, function, **more):
        found, requests = [], [self.request(function, **more) for _ in range(count)]

        def call(request):
            try:
                found.append(self.pool.call(request, lambda event: None)["figures"])
            except Exception as error:
                found.append(error)

        threads = [threading.Thread(target=call, args=(request,)) for request in requests]
        for thread in threads:
            thread.start()
        return threads, found


@pytest.fixture
def caller(code, tmp_path, nothing_left):
    with WorkerPool(3, tmp_path / "logs") as pool:
        yield Caller(pool, tmp_path)


@pytest.fixture
def nothing_left():
    """No process is left of a test; what runs since before it is other tests'."""
    before = set(psutil.Process().children(recursive=True))
    yield
    gone(started_since(before))


def gone(processes):
    """All of them end within seconds."""
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert not alive


def joined(threads):
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_pools_one_after_another_may_share_what_is_imported(code, tmp_path, nothing_left):
    """A pool that is closed ends its own workers, and not what they are forked from."""
    found = []
    with closing(Starter(1, forks=True)) as starter:
        for number in range(2):
            (tmp_path / f"calls{number}").mkdir()
            with WorkerPool(1, tmp_path / "logs", starter=starter) as pool:
                found.append(Caller(pool, tmp_path / f"calls{number}")("tell"))
            until(lambda one=found[-1]: not psutil.pid_exists(one["pid"]), 20)
            assert psutil.pid_exists(found[-1]["parent"])
    assert found[0]["pid"] != found[1]["pid"] and found[0]["parent"] == found[1]["parent"]
    assert len((tmp_path / "imports").read_text().split()) == 1


def test_what_workers_need_is_imported_once(caller, tmp_path):
    threads, found = caller.together(3, "tell", seconds=0.5)
    joined(threads)
    assert len({one["pid"] for one in found}) == 3
    (template,) = {one["parent"] for one in found}
    assert {one["imported_by"] for one in found} == {template}
    assert (tmp_path / "imports").read_text().split() == [str(template)]


def test_a_forked_process_leads_its_group_and_holds_its_own_streams_alone(caller):
    (one,) = [caller("tell")]
    assert one["group"] == one["pid"]
    assert one["streams"][0].startswith("pipe:") and one["streams"][1] == one["streams"][2]  # prints go to the log
    threads, found = caller.together(3, "tell", seconds=0.3)
    joined(threads)
    assert max(two["open"] for two in found) <= one["open"]  # no pipes of other workers


def test_a_worker_that_lacks_a_module_gives_way_to_one_that_has_it(caller):
    before = caller("plain", imports=())
    assert not before["heavy"]
    after = caller("tell")
    assert after["pid"] != before["pid"] and after["imported_by"] == after["parent"]
    gone([psutil.Process(before["pid"])] if psutil.pid_exists(before["pid"]) else [])
    assert caller("plain", imports=())["pid"] == after["pid"]  # which serves what needs less, too


def test_what_cannot_be_imported_is_left_to_the_stage(caller):
    assert not caller("plain", imports=("no_such_module",))["heavy"]
    with pytest.raises(StageFailed, match="division"):
        (caller.folder / "code" / "broken.py").write_text("1 / 0\n")
        (caller.folder / "code" / "uses.py").write_text("def call(params, inputs, context):\n    import broken\n")
        request = caller.request("tell", imports=("broken",))
        caller.pool.call(Request(**{**vars(request), "function": "uses:call"}), lambda event: None)


def test_prints_are_in_the_log_once(caller, tmp_path):
    pid = caller("shout")["pid"]
    caller.pool.close()
    text = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert text.count("imported") == 1 and text.count(f"said by {pid}") == 1


@pytest.mark.parametrize(("number", "says"), [(signal.SIGKILL, "SIGKILL: probably out of memory"), (0, "exit code 7"), (signal.SIGSEGV, "SIGSEGV")])  # fmt: skip
def test_how_a_worker_died_is_said(caller, number, says):
    with pytest.raises(StageFailed, match=says):
        caller("end", signal=int(number))
    assert caller("tell")["pid"]  # the next stage has a new one


def test_a_stage_that_takes_too_long_ends_with_its_children(caller):
    request = caller.request("child", timeout=1.5)
    with pytest.raises(StageTimedOut):
        caller.pool.call(request, lambda event: None)
    grandchild = int((request.out / "pid").read_text())
    gone([psutil.Process(grandchild)] if psutil.pid_exists(grandchild) else [])


def test_stages_run_again_where_the_template_was_killed(caller):
    template = caller("tell")["parent"]
    threads, found = caller.together(2, "tell", seconds=2)
    workers = []
    while len(workers) < 2:
        time.sleep(0.02)
        workers = psutil.Process(template).children()
    os.kill(template, signal.SIGKILL)
    joined(threads)
    (again,) = {one["parent"] for one in found}
    assert again != template
    gone(workers)


def test_a_template_that_takes_its_time_to_end_is_not_asked_again(caller):
    """A library ends the template that imports it: its socket closes, and the process lives on for seconds."""
    (caller.folder / "code" / "ends.py").write_text(
        "import atexit, os, pathlib, time\n"
        "ended = pathlib.Path(os.environ['IMPORTS'])\n"
        "if not ended.exists():\n"
        "    ended.touch()\n"
        "    atexit.register(time.sleep, 3)\n"
        "    raise SystemExit\n"
    )
    threads, found = caller.together(2, "plain", imports=("ends",))
    joined(threads)
    assert all(one["pid"] for one in found)


@pytest.fixture
def heeded():
    """The signals that tell a process to end are not ignored, as some are in a job in the background of a script."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in TOLD}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", TOLD)
def test_a_template_that_is_told_to_end_stays_for_its_workers_which_end_by_themselves(heeded, caller, number):
    template = caller("tell")["parent"]
    os.kill(template, number)
    threads, found = caller.together(1, "tell", seconds=2)
    time.sleep(0.5)
    (worker,) = psutil.Process(template).children()
    worker.send_signal(number)
    joined(threads)
    assert found[0]["parent"] == template and found[0]["pid"] != worker.pid


def test_a_pool_that_is_closed_while_its_template_imports_ends_at_once(code, tmp_path, monkeypatch, nothing_left):
    monkeypatch.setenv("IMPORT_SECONDS", "600")
    pool = WorkerPool(2, tmp_path / "logs", grace=1.0)
    threads, found = Caller(pool, tmp_path).together(2, "tell")
    while not (tmp_path / "imports").exists():
        time.sleep(0.02)
    start = time.monotonic()
    pool.close()
    joined(threads)
    assert time.monotonic() - start < 30 and [type(one) for one in found] == [PoolClosed] * 2


def test_nothing_is_left_of_a_process_that_was_killed(code, tmp_path):
    """The pool's own process is killed: template and workers see their pipes close."""
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from tests.engine.test_forks import Caller
from xtreme_dag.engine.pool import WorkerPool
threads, _ = Caller(WorkerPool(2, Path({str(tmp_path / "logs")!r})), Path({str(tmp_path)!r})).together(2, "tell", seconds=600)
print("started", flush=True)
threads[0].join()
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "started\n"
    family = []
    while len(family) < 3:
        time.sleep(0.05)
        family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    process.stdout.close()
    gone(family)


def test_a_pool_of_one_starts_its_worker_directly(code, tmp_path):
    with WorkerPool(1, tmp_path / "logs") as pool:
        one = Caller(pool, tmp_path)("tell")
    assert one["parent"] == os.getpid() and one["imported_by"] == one["pid"]


def test_the_users_mistake_comes_through(caller):
    (caller.folder / "code" / "uses.py").write_text(
        "from xtreme_dag.core.errors import UserError\ndef call(params, inputs, context):\n    raise UserError('no', where='here')\n"
    )
    request = caller.request("tell")
    with pytest.raises(UserError, match="no"):
        caller.pool.call(Request(**{**vars(request), "function": "uses:call"}), lambda event: None)
