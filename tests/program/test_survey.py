"""`data check` in the engine's workers: none of them outlives it, and what did not change is not done again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.data import release_files as release
from tests.data.read_tables import surveyed
from xtreme_dag.engine.calls import StageFailed
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.ledger import DONE, Ledger


def started(home):
    """A check that takes a while, in a process group of its own."""
    return psutil.Popen(
        [sys.executable, "-m", "xtreme_dag", "data", "check", "--source", "miniworld", "--home", str(home)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_check(how, tmp_path):
    """From a terminal an interruption goes to the whole group; the parent alone acts on it."""
    parent = started(tmp_path)
    while not list((tmp_path / "store" / "records").glob("*/*")):
        assert parent.poll() is None
        time.sleep(0.05)
    family = parent.children(recursive=True)
    assert family
    os.killpg(parent.pid, how)
    assert not psutil.wait_procs([parent, *family], timeout=30)[1]
    assert parent.communicate()[1].strip() == ("stopped" if how == signal.SIGINT else "")


def ran(folder):
    entries = Ledger(folder / ".home" / "ledger.jsonl").entries()
    return [entry["stage"] for entry in entries if entry["outcome"] == DONE]


def test_a_changed_file_is_checked_again_and_no_other(tmp_path):
    release.xquad(tmp_path, ("de", "en"))
    first = surveyed(tmp_path, "xquad")
    before = ran(tmp_path)
    assert surveyed(tmp_path, "xquad") == first
    assert ran(tmp_path) == before
    content = json.loads((tmp_path / "xquad/xquad.de.json").read_text())
    del content["data"][0]["paragraphs"][0]["qas"][0]
    (tmp_path / "xquad/xquad.de.json").write_text(json.dumps(content))
    assert surveyed(tmp_path, "xquad") != first
    again = ran(tmp_path)[len(before) :]
    assert sorted(again) == ["check[across | xquad]", "check[xquad | de | test]", "prepare[xquad | de | test]"]


def test_a_table_whose_worker_dies_is_named_and_stops_no_other(tmp_path, monkeypatch):
    release.xquad(tmp_path, ("de", "en"))
    execute = Executor.execute

    def dying(self, stage, *rest):
        if stage.name == "prepare[xquad | de | test]":
            raise StageFailed("its process died (SIGKILL: probably out of memory)")
        return execute(self, stage, *rest)

    monkeypatch.setattr(Executor, "execute", dying)
    found = {table.language: table for table in surveyed(tmp_path, "xquad")}
    (violation,) = found["de"].violations
    assert (violation["rule"], "out of memory" in violation["error"]) == ("readable", True)
    assert "readable" not in {rule["rule"] for rule in found["en"].rules}
    assert len(found["en"].rules) > 5
