"""The child process that uses Prefect: what reaches it when the program is told to end."""

import signal
import subprocess
import sys

import pytest

CHILD = """
import json, pathlib, sys, time
request = json.loads(sys.argv[1])
print("started", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    pathlib.Path(request["log"]).write_text("interrupted")
    sys.exit(130)
"""
PROGRAM = """
import pathlib, sys
from xtreme_dag.core.home import Home
from xtreme_dag.program.flow_process import ask_flows
try:
    ask_flows("child", {"log": sys.argv[1]}, Home(pathlib.Path(sys.argv[2])), "")
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(
    ("number", "ignored"),
    [
        (signal.SIGINT, ()),
        (signal.SIGTERM, ()),
        (signal.SIGHUP, ()),
        (signal.SIGTERM, (signal.SIGINT,)),  # as in the background of a script
        (signal.SIGTERM, (signal.SIGINT, signal.SIGHUP)),  # and with nohup
    ],
)
def test_every_way_to_be_told_to_end_is_an_interruption(tmp_path, repository, monkeypatch, number, ignored):
    (tmp_path / "child.py").write_text(CHILD)
    log = tmp_path / "log.txt"
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{repository}")
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(log), str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: [
            signal.signal(each, signal.SIG_IGN if each in ignored else signal.SIG_DFL)
            for each in (signal.SIGINT, signal.SIGHUP)
        ],
    )  # fmt: skip
    assert process.stdout.readline() == "started\n"
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert (process.returncode, log.read_text()) == (130, "interrupted") and "what is done stays done" in said
