"""What the keys of stages count of formats: the fields that a stage asks for, no judge and no metric."""

import pytest

from xtreme_dag import formats
from xtreme_dag.engine.fingerprint import CodeBase
from xtreme_dag.study.file import load_study
from xtreme_dag.wiring.build import build

STAGES = [
    "xtreme_dag.data.prepare.prepare:prepare",
    "xtreme_dag.data.derive.objectives:make_text",
    "xtreme_dag.data.derive.translate:translate_by_lexicon",
    "xtreme_dag.data.derive.translate:translate_by_model",
    "xtreme_dag.contracts.check:check",
    "xtreme_dag.heads.encoding:encode",
]


@pytest.fixture(scope="module")
def stages(repository):
    studies = [load_study(repository / "studies" / f"{name}.yaml") for name in ("demo", "mini_mixed_vs_english")]
    return [stage for study in studies for stage in build(study).graph]


def test_a_stage_that_looks_a_format_up_has_what_it_uses_among_its_parameters(stages):
    asking = [stage for stage in stages if stage.function in STAGES]
    assert {stage.kind for stage in asking} == {"prepare", "check", "translate", "encode"}
    for stage in asking:
        declared = dict(stage.params["declared"])
        assert "columns" in declared or stage.kind == "encode"  # which has the columns in its input
        known = [format.facts(*declared) for format in formats.FORMATS.values()]
        assert declared in known, stage.name


@pytest.mark.parametrize("stage", STAGES)
def test_no_table_hangs_on_a_judge_or_a_metric(stage):
    reached = CodeBase.current().fingerprint(stage)
    assert "xtreme_dag.formats.get" in reached
    scoring = {name for name in reached if ".scoring." in name and ".scoring.columns." not in name}
    assert not scoring | {name for name in reached if name.startswith("xtreme_dag.formats.judging")}


def test_who_knows_its_format_counts_its_declaration():
    code = CodeBase.current()
    for stage in ("xtreme_dag.training.stages:pretrain_text", "xtreme_dag.data.derive.objectives:make_text"):
        assert "xtreme_dag.formats.plain_text.FORMAT" in code.fingerprint(stage)
