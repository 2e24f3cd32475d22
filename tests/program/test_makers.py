"""A plan says whose results it finds: figures depend on the processor, and a mirror keeps those of whoever came first."""

from pathlib import Path

import pytest

from tests.drills.corpus import RECORD
from xtreme_dag.core.home import Home
from xtreme_dag.engine.graph import Stage
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.plan import CACHED, ON_THE_MIRROR, Plan, Planned
from xtreme_dag.engine.provenance import maker, processor
from xtreme_dag.engine.records import Record
from xtreme_dag.engine.store import Store
from xtreme_dag.program.makers import maker_lines
from xtreme_dag.wiring.kinds import KINDS

STAGE = Stage(of=KINDS["target"], name="target[xnli | none | seed 1]", function="a:b")


def trained(home: Path, weights: str, **made_by: str) -> tuple[Store, Record]:
    """A home with one training, whose model is `weights`."""
    place = Home(home).ensure()
    out = place.work / "out"
    out.mkdir()
    (out / "weights").write_text(weights)
    manifest = {name: value for name, value in RECORD.items() if name not in ("files", "digest", "key", "schema")}
    store = Store(place.store)
    return store, store.commit("c" * 64, out, {**manifest, "kind": "target", "name": STAGE.name, **made_by})


def plan(record: Record, *reasons: str) -> Plan:
    made = maker(record.manifest)
    planned = Planned(stage=STAGE, status=CACHED, key=record.key, digest=record.digest, reasons=reasons, maker=made)
    return Plan(study="s", stages=(planned,))


@pytest.fixture
def first(tmp_path: Path) -> Record:
    """What the mirror keeps."""
    store, record = trained(tmp_path / "first", "0.125", host="first", processor="EPYC, avx2")
    assert Mirror(str(tmp_path / "mirror")).push(store, record)
    return record


def test_what_a_mirror_has_of_another_processor_is_named(tmp_path, first):
    store, here = trained(tmp_path / "second", "0.126", host="second", processor=processor())
    mirror = Mirror(str(tmp_path / "mirror"))
    assert mirror.push(store, here)  # the first stays
    (line,) = maker_lines(plan(here), Mirror(str(tmp_path / "mirror")))
    assert STAGE.name in line and "of first (EPYC, avx2) 1, which came first" in line
    assert f"those here are of second ({processor()}) 1" in line


def test_what_comes_from_elsewhere_is_named(tmp_path, first):
    mirror = Mirror(str(tmp_path / "mirror"))
    for found in (plan(first, ON_THE_MIRROR), plan(first)):  # there, and pulled
        (line,) = maker_lines(found, mirror)
        assert line == "1 of the cached stages were made elsewhere: first (EPYC, avx2) 1"


@pytest.mark.parametrize("known", [processor(), ""])
def test_what_was_made_here_needs_no_words(tmp_path, known):
    _store, here = trained(tmp_path / "home", "0.125", host="another name of it", processor=known)
    assert list(maker_lines(plan(here), None)) == []
