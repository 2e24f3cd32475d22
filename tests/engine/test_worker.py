"""A worker over many stages: what a stage leaves behind does not add up."""

import sys
import threading
import time

import psutil
import pytest

from xtreme_dag.engine.calls import PoolClosed, Request
from xtreme_dag.engine.pool import WorkerPool

CODE = '''
import gc
import os

class Knot:
    """Bytes in a cycle: reference counts alone never free them."""

    def __init__(self, size):
        self.bytes = bytearray(os.urandom(1 << 20) * (size >> 20))
        self.me = self

def leave(params, inputs, context):
    Knot(params["size"])
    return {"pid": os.getpid()}

def looks(params, inputs, context):
    """How often Python has looked at all objects."""
    return {"looks": gc.get_stats()[2]["collections"]}

kept = []

def scatter(params, inputs, context):
    """Many blocks too small to be mapped each by itself; the last of them stays, and with it the heap below it."""
    blocks = [os.urandom(1 << 16) for _ in range(params["size"] >> 16)]
    kept.append(blocks[-1])
    return {"pid": os.getpid()}
'''
SIZE = 96 << 20
LIBRARY = f"""
import os, time
bytes_of_it = os.urandom(1 << 20) * {2 * SIZE >> 20}
time.sleep(1)
"""


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Calls a function of `CODE` in one and the same worker."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "knots.py").write_text(CODE)
    (tmp_path / "code" / "library.py").write_text(LIBRARY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "code"))
    with WorkerPool(1, tmp_path / "logs") as pool:

        def call_in_pool(function, size, imports=()):
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            for name in ("out", "scratch"):
                (folder / name).mkdir(parents=True)
            return pool.call(
                Request(
                    function=f"knots:{function}",
                    params={"size": size},
                    inputs={},
                    out=folder / "out",
                    scratch=folder / "scratch",
                    imports=imports,
                ),
                lambda event: None,
            )

        yield call_in_pool


def resident(answer):
    return psutil.Process(answer["figures"]["pid"]).memory_info().rss


def test_what_stages_leave_in_cycles_does_not_add_up(call):
    sizes = [resident(call("leave", SIZE)) for _ in range(12)]
    # Two are left at most before a collection, and the answer comes before it: without it there would be twelve.
    assert max(sizes) < sizes[0] + 4 * SIZE


def test_a_library_is_neither_garbage_nor_the_stages_time(call):
    answers = [call("looks", 0, imports=("library",)) for _ in range(3)]
    assert len({answer["figures"]["looks"] for answer in answers}) == 1
    assert all(answer["seconds"] < 1 for answer in answers)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can begin the peak anew")
def test_the_peak_is_that_of_the_stage(call):
    peaks = [call("scatter", size)["peak_memory_bytes"] for size in (1 << 20, 3 * SIZE, 1 << 20)]
    assert peaks[1] > peaks[0] + 2 * SIZE and peaks[2] < peaks[1] - 2 * SIZE


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heap")
def test_freed_memory_goes_back_to_the_system(call):
    before = resident(call("scatter", 1 << 20))
    call("scatter", 3 * SIZE)
    assert resident(call("scatter", 1 << 20)) < before + SIZE


def test_a_closed_pool_starts_nothing_and_blames_nobody(tmp_path, monkeypatch):
    (tmp_path / "naps.py").write_text("import time\ndef nap(params, inputs, context):\n    time.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    request = Request(function="naps:nap", params={}, inputs={}, out=tmp_path, scratch=tmp_path)
    pool, ends = WorkerPool(1, tmp_path / "logs"), []

    def ask():
        with pytest.raises(PoolClosed):
            pool.call(request, lambda event: None)
        ends.append(True)

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    while not pool._all:
        time.sleep(0.01)
    pool.close()
    for thread in asking:
        thread.join(60)
    assert len(ends) == 3 and len(pool._all) == 1


def test_a_process_that_cannot_be_started_leaves_nothing_open(tmp_path):
    (tmp_path / "logs").write_text("no folder")
    request = Request(function="none:none", params={}, inputs={}, out=tmp_path, scratch=tmp_path)
    before = psutil.Process().num_fds()
    for size in (1, 2):
        with WorkerPool(size, tmp_path / "logs") as pool, pytest.raises(FileExistsError):
            pool.call(request, lambda event: None)
    assert psutil.Process().num_fds() == before
