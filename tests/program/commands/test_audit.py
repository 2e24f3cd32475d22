"""`audit STUDY` looks at content before anything trains; `plan` repeats what it found, and where nobody has looked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.e2e.conftest import write_release
from tests.wiring.small_studies import mixture, small
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.store import Store
from xtreme_dag.program.cli import program

ALLOWED = [{"seen": f"{name}/en/train", "tested": "xnli/*/test", "reason": "planted by this test"}
           for name in ("xnli", "mnli")]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home, and data whose training sentences are those of the test."""
    folder = tmp_path_factory.mktemp("audit")
    write_release(folder / "release")
    xnli = folder / "release" / "xnli"
    labels = (xnli / "test-labels.txt").read_text().split()
    pairs = (xnli / "test-en.tsv").read_text().splitlines()
    (xnli / "train-en.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in zip(pairs, labels, strict=True)))
    return folder


def ask(
    place: Path, command: str, *arguments: str, trained_on: str = "xnli", allowed: Any = (), **changes: Any
) -> Result:
    data = {"folder": str(place / "release"), "contracts": False, "allow_overlap": list(allowed)}
    study = small(
        {"none": {}, "mixed": mixture({"dataset": trained_on})}, **{"data": data, "languages": ["en", "ru"], **changes}
    )
    path = place / "study.yaml"
    path.write_text(yaml.safe_dump(study.model_dump(mode="json", exclude_unset=True)))
    return CliRunner().invoke(program, [command, str(path), "--home", str(place / "home"), *arguments])


def test_a_leak_is_named_and_the_exit_says_so(place):
    done = ask(place, "audit")
    assert done.exit_code == 1
    leak = "LEAK: 24 of 24 examples of xnli/en/test are in xnli/en/train (24 by text"
    assert any(line.startswith(leak) for line in done.stdout.splitlines())
    assert "3 tables that are trained or selected on, 4 leaks, 0 allowed, 0 failed" in done.stdout
    kinds = {record.manifest["kind"] for record in Store(Home(place / "home").store).records()}
    assert kinds == {"prepare", "audit"}  # nothing is trained
    planned = ask(place, "plan")
    assert f"warning: {leak}" in planned.stdout


@pytest.mark.parametrize(("kind", "file"), [("audit", "overlap.json"), ("prepare", "counts.json")])
def test_a_plan_names_what_is_damaged(place, kind, file):
    assert ask(place, "audit").exit_code == 1
    store = Store(Home(place / "home").store)
    made = [record for record in store.records() if record.manifest["kind"] == kind]
    kept = {path: path.read_bytes() for path in (store.artifact(record.digest) / file for record in made)}
    for path, content in kept.items():
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    planned = ask(place, "plan")
    for path, content in kept.items():
        path.write_bytes(content)
    assert isinstance(planned.exception, UserError) and planned.exception.where.endswith(f"/{file}")
    assert planned.exception.what == "is gone or damaged" and ask(place, "plan").exit_code == 0


def test_what_the_study_allows_is_shown_with_its_reason(place):
    done = ask(place, "audit", "--json", allowed=ALLOWED)
    assert done.exit_code == 0
    shared = {(one["seen"], one["tested"]): one for one in json.loads(done.stdout)["shared"]}
    assert shared["xnli/en/train", "xnli/en/test"]["allowed"] == "planted by this test"
    said = ask(place, "plan", allowed=[*ALLOWED, {**ALLOWED[0], "tested": "udpos/en/test"}]).stdout
    assert "warning: allowed: 24 of 24 examples of xnli/en/test are in xnli/en/train" in said
    assert "data.allow_overlap: xnli/en/train is not held against udpos/en/test in this study" in said


def test_tables_of_the_same_items_are_named_before_anybody_looked(place):
    world = {"miniworld": {"languages": ["en", "qaa"]}}
    said = ask(place, "plan", trained_on="ud", data=world, languages=["en", "qaa"], targets=["udpos"])
    assert "ud/en/train and udpos/en/dev, udpos/en/test are made of the same items" in said.stdout
    assert "`xtreme-dag audit STUDY` now" in said.stdout
