"""The proof of exact resume holds for stages that resume, and catches those that do not.

That it holds for training is tested with its command, in `tests/program/commands/test_verify_resume.py`.
"""

import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.pool import Request
from xtreme_dag.program.resume_proof import verify_resume


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
