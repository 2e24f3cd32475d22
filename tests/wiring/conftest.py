"""The home in which small studies run."""

import pytest

from tests.wiring.small_studies import Bench
from tests.workers import shared_worker
from xtreme_dag.core.home import Home


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """One home for all tests of this folder: what one has made, another finds."""
    return Bench(Home(tmp_path_factory.mktemp("conditions") / "home").ensure(), shared_worker())
