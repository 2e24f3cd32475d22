"""A worker over many stages: what a stage leaves behind does not add up."""

import psutil

from xtreme_dag.stages.pool import Request, WorkerPool

CODE = '''
import os

class Knot:
    """Bytes in a cycle: reference counts alone never free them."""

    def __init__(self, size):
        self.bytes = bytearray(os.urandom(1 << 20) * (size >> 20))
        self.me = self

def leave(params, inputs, context):
    Knot(params["size"])
    return {"pid": os.getpid()}
'''


def test_what_stages_leave_in_cycles_does_not_add_up(tmp_path, monkeypatch):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "knots.py").write_text(CODE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "code"))
    size, resident = 96 << 20, []
    with WorkerPool(1, tmp_path / "logs") as pool:
        for number in range(12):
            for name in ("out", "scratch"):
                (tmp_path / name / str(number)).mkdir(parents=True)
            request = Request(
                function="knots:leave",
                params={"size": size},
                inputs={},
                out=tmp_path / "out" / str(number),
                scratch=tmp_path / "scratch" / str(number),
            )
            pid = pool.call(request, lambda event: None)["figures"]["pid"]
            resident.append(psutil.Process(pid).memory_info().rss)
    # Two are left at most before a collection, and the answer comes before it: without it there would be twelve.
    assert max(resident) < resident[0] + 4 * size
