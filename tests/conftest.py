"""Shared fixtures: quiet, single-threaded, offline, and the real data beside the checkout."""

import os
from pathlib import Path

import pytest

from xtreme_dag.home import Home
from xtreme_dag.server import server

for name, value in {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "TOKENIZERS_PARALLELISM": "false",
}.items():
    os.environ.setdefault(name, value)

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and reference cases beside the checkout; CI fails without it, others skip."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "data" / "MANIFEST.tsv").is_file():
        message = f"{folder / 'data'} is missing: real-data tests need the benchmark folder beside the checkout"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def shared_data(shared: Path) -> Path:
    """Real benchmark data."""
    return shared / "data"


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory):
    """One real Prefect server on loopback for all whole-study tests of this process."""
    environment = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PREFECT_")}
    with server(Home(tmp_path_factory.mktemp("prefect-home")).ensure(), print) as api:
        yield api
    os.environ.update(environment)
