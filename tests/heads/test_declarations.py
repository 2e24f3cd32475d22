"""The declarations of the heads: light to import, and the code of each in the keys of the stages that use it alone."""

import subprocess
import sys

import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.keys import Keys
from xtreme_dag.heads import HEADS, head_of_format, training_of
from xtreme_dag.study.file import load_study
from xtreme_dag.tables.canonical import SCHEMAS
from xtreme_dag.wiring.build import build


@pytest.fixture(scope="module")
def stages(repository):
    """The demo's stages, each with the names of the code that is in its key."""
    keys = Keys()
    graph = build(load_study(repository / "studies" / "demo.yaml")).graph
    return [(stage, set(keys.code(*stage.roots)[1])) for stage in graph]


def functions(head, *names):
    training = HEADS[head].training
    found = [getattr(training, name) for name in names]
    return {f"{one.__module__}.{one.__qualname__}" for one in found if one not in (None, len)}


def test_they_are_listed_without_heavy_imports():
    script = "import sys, xtreme_dag.heads as h; print(sorted(h.HEADS), [m for m in ('torch', 'numpy', 'pyarrow') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == f"{sorted(HEADS)} []"


def test_formats_and_defaults_exist():
    for head in HEADS.values():
        assert set(head.formats) <= set(SCHEMAS) and set(head.default_for) <= set(head.formats)
        assert set(head.evaluate) <= set(head.formats)
    usual = {name: found.name for name in SCHEMAS if (found := head_of_format(name)) is not None}
    assert usual == {
        "pair_classification": "classification", "multiple_choice": "multiple_choice", "tagging": "tagging",
        "span_qa": "span", "plain_text": "mlm", "parallel_text": "mlm",
        "dialogue_state": "slot_values",
    }  # fmt: skip
    with pytest.raises(UserError, match="cannot be trained"):
        training_of("embedding")


def test_an_encoding_depends_on_its_own_head_alone(stages):
    encodings = [(stage, code) for stage, code in stages if stage.kind == "encode"]
    assert encodings
    for stage, code in encodings:
        name = stage.params["head"]
        assert f"xtreme_dag.heads.{name}.sequences" in code
        others = {f"xtreme_dag.heads.{other}.sequences" for other in HEADS if other != name}
        assert not code & others and not any(".model." in one for one in code)


def test_training_depends_on_what_it_runs_of_its_heads(stages):
    seen = set()
    for stage, code in stages:
        if stage.kind not in ("target", "intermediate"):
            continue
        heads = [stage.params["head"]] if stage.kind == "target" else [each["head"] for each in stage.params["mixture"]]
        for name in heads:
            assert functions(name, "build", "gold", "units", "loss", "right", "masking", "pull") <= code
            assert (functions(name, "shuffle") <= code) == (stage.params.get("control") is not None)
        assert not [one for one in code if one.endswith(".sequences") and ".heads." in one]
        others = {
            one for other in HEADS if other not in heads and HEADS[other].training for one in functions(other, "build")
        }
        assert not code & others
        seen.add(stage.kind)
    assert seen == {"target", "intermediate"}


def test_an_evaluation_depends_on_its_heads_layers_and_on_no_loss(stages):
    for stage, code in stages:
        if stage.kind == "evaluate":
            name = stage.params["head"]
            assert functions("dual" if name == "embedding" else name, "build") <= code
            assert not [one for one in code if ".heads." in one and one.endswith((".loss", ".shuffle", ".sequences"))]


def test_pretraining_depends_on_masked_language_modelling(stages):
    for stage, code in stages:
        if stage.kind == "pretrain":
            assert {"xtreme_dag.heads.mlm.sequences", "xtreme_dag.heads.mlm.TokenMasking"} <= code
