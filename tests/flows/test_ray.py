"""The engine Ray: a cluster of this machine's own, and the same answers as without one."""

import pytest
import yaml

from tests.flows import tiny_study
from tests.flows.test_engines import api, database, digests, run
from xtreme_dag.core.home import Home

__all__ = ["api"]  # a fixture
pytestmark = pytest.mark.xdist_group("prefect")


def test_a_study_on_ray_answers_as_on_threads(api, tmp_path, monkeypatch):
    """Its processes listen on loopback alone, and end with the run."""
    place = tmp_path / "study"
    place.mkdir()
    (place / "study.yaml").write_text(yaml.safe_dump({**tiny_study.STUDY, "study": "rays"}))
    alone, rays = Home(tmp_path / "alone"), Home(tmp_path / "rays")
    run(place, alone, workers=2)
    monkeypatch.setenv("PYTHONPATH", ".")
    _, outcome = run(place, rays, engine="ray", workers=2)
    assert not outcome["stages"]["failed"] and outcome["stages"]["succeeded"] == len(digests(alone)), outcome
    assert digests(rays) == digests(alone)
    assert database(rays) == database(alone)
