"""The keeper of the local Prefect server."""

import fcntl
import json
import signal
import subprocess
import sys

import httpx
import psutil
import pytest

from tests.servers import client, until


def answers(api):
    try:
        return client().get(f"{api}/health", timeout=5).text == "true"
    except httpx.HTTPError:
        return False


def ended(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE  # nobody may wait for an orphan, in a container
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_keeper_that_is_told_to_end_takes_its_server_along_without_a_word(tmp_path, number):
    (tmp_path / "prefect").mkdir()
    keeper = subprocess.Popen(
        [sys.executable, "-m", "xtreme_dag.program.server", str(tmp_path)], stderr=subprocess.PIPE
    )
    told = tmp_path / "prefect" / "server.json"
    until(told.exists, 60)
    server = psutil.Process(json.loads(told.read_text())["pid"])
    keeper.send_signal(number)
    _out, said = keeper.communicate(timeout=60)
    assert (keeper.returncode, said) == (0, b"")
    assert not server.is_running() and not told.exists()


def test_a_keeper_leaves_the_note_of_another_server_alone(tmp_path):
    """The folder was deleted while its server ran, and a new run made it anew, with a server of its own."""
    (tmp_path / "prefect").mkdir()
    keeper = subprocess.Popen([sys.executable, "-m", "xtreme_dag.program.server", str(tmp_path)])
    told = tmp_path / "prefect" / "server.json"
    until(told.exists, 60)
    other = json.dumps({"api": "http://127.0.0.1:9/api", "pid": 1})
    told.write_text(other)
    keeper.send_signal(signal.SIGTERM)
    assert keeper.wait(timeout=60) == 0
    assert told.read_text() == other


STARTS = """
import pathlib, sys
from xtreme_dag.core.home import Home
from xtreme_dag.core.locks import try_lock
from xtreme_dag.program.server import starting
home = Home(pathlib.Path(sys.argv[1])).ensure()
with starting(home, print) as (url, answers):
    print(url, try_lock(home.prefect / "server.start.lock", "another run") is None)
print(try_lock(home.prefect / "server.start.lock", "another run") is None)
"""


def test_a_run_that_ends_leaves_no_reader_of_its_output_waiting_for_its_server(tmp_path, monkeypatch):
    """The address is told at once; another run waits until the server answers, or the first one gives up."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))  # no profile of the user's
    done = subprocess.run([sys.executable, "-c", STARTS, tmp_path], capture_output=True, text=True, timeout=120)
    told = json.loads((tmp_path / "prefect" / "server.json").read_text())
    server = psutil.Process(told["pid"])
    assert server.is_running(), "its keeper would have ended it some seconds later"
    _, found, free = done.stdout.splitlines()
    assert (found, free, done.stderr) == (f"{told['api']} True", "False", "")
    until(lambda: ended(server), 60)


def test_a_server_ends_when_its_keeper_is_killed(tmp_path):
    """The server is up by then: one that has yet to import would end in any case. A folder of the user's is in no way."""
    (tmp_path / "prefect").mkdir()
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "__init__.py").write_text("raise SystemExit('not ours')")
    told = tmp_path / "prefect" / "server.json"
    with (tmp_path / "prefect" / "server.users.lock").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)  # as a run does, so that the keeper has no reason to end the server
        keeper = subprocess.Popen([sys.executable, "-m", "xtreme_dag.program.server", str(tmp_path)], cwd=tmp_path)
        try:
            until(told.exists, 60)
            said = json.loads(told.read_text())
            server = psutil.Process(said["pid"])
            until(lambda: ended(server) or answers(said["api"]), 300)
            assert not ended(server)
        finally:
            keeper.kill()
            keeper.wait()
        try:
            until(lambda: ended(server), 60)
            assert not answers(said["api"])
        finally:
            if not ended(server):
                server.kill()
