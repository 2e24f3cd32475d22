"""The proof of exact resume holds for stages that resume, and catches those that do not."""

import pytest

from tests.training.worlds import LABELS, make_base, make_encoded
from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.calls import Request
from xtreme_dag.program.resume_proof import verify_resume
from xtreme_dag.wiring.kinds import TARGET


def toy(name, tmp_path, steps=12):
    return Request(function=f"tests.program.toy_stages:{name}", params={"steps": steps}, inputs={},
                   out=tmp_path, scratch=tmp_path)  # fmt: skip


def test_a_stage_that_resumes_passes(tmp_path):
    said = []
    verdict = verify_resume(toy("counting", tmp_path), tmp_path / "runs", kills=3, seed=1, say=said.append)
    assert verdict.equal and verdict.steps == 12 and list(verdict.files) == ["total.json"]
    assert len(verdict.killed_after) == 3 and sorted(verdict.killed_after) == list(verdict.killed_after)
    assert len(verdict.resumed) == 3 and len(said) == 5


def test_a_stage_that_starts_over_is_caught(tmp_path):
    verdict = verify_resume(toy("forgetful", tmp_path), tmp_path / "runs", kills=2)
    assert not verdict.equal and verdict.differing == ("attempts.json",)


def test_too_few_steps_to_kill(tmp_path):
    with pytest.raises(UserError, match="2 steps, too few"):
        verify_resume(toy("counting", tmp_path, steps=2), tmp_path / "runs", kills=2)


@pytest.mark.slow
def test_training_passes(tmp_path):
    base = make_base(tmp_path / "base", dropout=0.1)
    train = make_encoded(tmp_path / "train", "classification", 120, base)
    dev = make_encoded(tmp_path / "dev", "classification", 30, base, seed=1, split="dev")
    recipe = {"learning_rate": 1e-3, "batch_size": 8, "epochs": 2, "select_every": 6}
    request = Request(
        function="xtreme_dag.training.stages:target",
        params={"seed": 1, "task": "t", "dataset": "t", "head": "classification", "labels": LABELS, "recipe": recipe},
        inputs={"model": base, "train": train, "select": dev}, out=tmp_path, scratch=tmp_path,
        imports=TARGET.imports,
    )  # fmt: skip
    verdict = verify_resume(request, tmp_path / "runs", kills=2, seed=3)
    assert verdict.equal and verdict.steps == 30 and len(verdict.resumed) == 2
    assert "encoder/model.safetensors" in verdict.files
