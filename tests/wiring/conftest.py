"""The home in which small studies run."""

from collections.abc import Iterator

import pytest

from tests.wiring.small_studies import Bench
from xtreme_dag.core.home import Home
from xtreme_dag.engine.pool import WorkerPool


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One home and two workers for all tests of this folder: what one has made, another finds."""
    home = Home(tmp_path_factory.mktemp("conditions") / "home").ensure()
    with WorkerPool(2, home.logs) as pool:
        yield Bench(home, pool)
