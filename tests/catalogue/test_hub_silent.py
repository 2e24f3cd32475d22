"""A hub that takes connections and never answers: nobody waits for it without end."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys

import pytest

ASK = """
import sys
from xtreme_dag.core import hub_client
from xtreme_dag.core.errors import UserError
hub_client.SECONDS = 0.5
try:
    if sys.argv[1] == "revisions":
        from xtreme_dag.catalogue.catalogue import load_catalogue
        from xtreme_dag.catalogue.sources import open_source
        from xtreme_dag.data.revisions import current_revisions
        current_revisions([load_catalogue().dataset("xnli")], open_source("hub"))
    elif sys.argv[1] == "take":
        from pathlib import Path
        from xtreme_dag.data.taking import take
        take("us/data", Path("nowhere"))
    else:
        import os
        from huggingface_hub import HfApi
        hub_client.limit_waiting()
        HfApi(endpoint=os.environ["HF_ENDPOINT"]).list_repo_refs("us/model")
except UserError as error:
    print(error)
except Exception as error:
    print(type(error).__name__)
"""


@pytest.fixture
def silent():
    """The URL of a server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("what", "said"),
    [("revisions", "the hub cannot be reached"), ("take", "the hub cannot be asked"), ("refs", "ReadTimeout")],
)
def test_nobody_waits_for_a_hub_that_does_not_answer(silent, tmp_path, what, said):
    """What a repository has (`revisions`) and its branches (`refs`) were asked for without a limit."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": silent, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ASK, what], env=environment, capture_output=True, text=True, timeout=40
    )
    assert done.returncode == 0 and said in done.stdout, done.stderr


def test_whoever_asks_the_hub_limits_how_long_it_waits(repository):
    askers = set()
    for path in sorted((repository / "xtreme_dag").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "huggingface_hub":
                names = {alias.name for alias in node.names}
                if names & {"HfApi", "snapshot_download", "hf_hub_download"}:
                    askers.add(path)
                    assert "limit_waiting()" in path.read_text(), f"{path}:{node.lineno}"
    assert len(askers) > 3
