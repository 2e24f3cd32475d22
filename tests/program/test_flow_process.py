"""The child process that uses Prefect: what reaches it when the program is told to end."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.servers import until
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.program.flow_process import ask_flows

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


def test_the_child_is_told_once_the_server_answers(tmp_path, monkeypatch):
    (tmp_path / "child.py").write_text(
        "import json, pathlib, sys\n"
        "answer = pathlib.Path(json.loads(sys.argv[1])['answer'])\n"
        "pathlib.Path('imported').touch()\n"
        "word = sys.stdin.readline()\n"
        "answer.write_text(json.dumps({'word': word, 'answered': pathlib.Path('answered').exists()}))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def answers():
        until((tmp_path / "imported").exists, 60)
        (tmp_path / "answered").touch()

    assert ask_flows("child", {}, Home(tmp_path), "", answers) == {"word": "\n", "answered": True}


@pytest.mark.parametrize("trouble", [UserError("the server did not start"), KeyboardInterrupt()])
def test_without_a_server_the_child_ends_and_has_done_nothing(tmp_path, monkeypatch, trouble):
    (tmp_path / "child.py").write_text(
        "import os, pathlib, sys\n"
        "pathlib.Path('pid').write_text(str(os.getpid()))\n"
        "sys.stdin.readline()\n"
        "pathlib.Path('done').touch()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def answers():
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), 60)
        raise trouble

    with pytest.raises(type(trouble)):
        ask_flows("child", {}, Home(tmp_path), "", answers)
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text())) and not (tmp_path / "done").exists()


def test_a_child_that_cannot_be_imported_is_told_of(tmp_path):
    with pytest.raises(UserError, match="ended early"):
        ask_flows("there.is.none", {}, Home(tmp_path), "", lambda: time.sleep(1))
