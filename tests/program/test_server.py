"""The keeper of the local Prefect server."""

import json
import signal
import subprocess
import sys

import psutil
import pytest

from tests.servers import until


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
