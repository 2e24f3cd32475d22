"""The kinds of stages of a study, each declared once; tasks, phases, device leases and the audit follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xtreme_dag.engine.graph import Figure, Graph, Kind

_TENSORS = ("torch", "transformers", "numpy")
_MODELS = ("torch", "transformers.modeling_utils", "xtreme_dag.model.weights")
_FIGURES = (
    Figure(name="loss", text="loss {:.4f}"),
    Figure(name="tokens_per_s", text="{:,.0f} tokens/s"),
    Figure(name="examples_per_s", text="{:,.1f} examples/s"),
    Figure(name="mfu", text="MFU {:.1f} %", times=100.0),
    Figure(name="memory_mb", text="{:,.0f} MB"),
)


@dataclass(frozen=True, kw_only=True)
class StageKind(Kind):
    """A kind of stage of a study.

    Attributes:
        doing: what a person is told that such a stage does, in a word or two.
        phase: the flow that runs such stages without the rest of the study; empty if they run only as what others need.
        trains: whether its artifact is a trained model.
    """

    doing: str = ""
    phase: str = ""
    trains: bool = False


def _training(name: str, doing: str, title: str, phase: str, drops: tuple[str, ...] = ()) -> StageKind:
    """A kind whose artifact is a trained model."""
    return StageKind(
        name=name,
        doing=doing,
        title=title,
        libraries=_TENSORS,
        imports=_MODELS,
        device=True,
        seconds=200.0,
        figures=_FIGURES,
        phase=phase,
        trains=True,
        drops=drops,
    )


# Seconds are medians of `studies/real_small.yaml` on two cores.
PREPARE = StageKind(
    name="prepare", doing="preparing data", title="Raw files of one dataset, language and split -> a canonical table.",
    libraries=("pyarrow",), seconds=0.1, phase="prepare_data",
)  # fmt: skip
CHECK = StageKind(
    name="check", doing="checking data", title="Holds one canonical table against its data contract.",
    libraries=("great-expectations", "pyarrow"), imports=("great_expectations",), seconds=0.1, phase="prepare_data",
)  # fmt: skip
AUDIT = StageKind(
    name="audit", doing="looking for leaked tests", title="Looks for the examples of tests in one table that something is trained or selected on.",
    libraries=("numpy", "pyarrow"), seconds=0.2, phase="prepare_data",
)  # fmt: skip
ENCODE = StageKind(
    name="encode", doing="tokenising", title="Tokenises one canonical table.",
    libraries=("pyarrow", "tokenizers", "transformers"), seconds=0.1, phase="prepare_data",
)  # fmt: skip
PRETRAIN = _training(
    "pretrain", "pretraining", "Makes the pretrained encoder where a study has no ready one.", "train_intermediate"
)
TRANSLATE = StageKind(
    name="translate", doing="translating", title="Translates one canonical table.", libraries=("pyarrow",), device=True,
    seconds=10.0,
)  # fmt: skip
INTERMEDIATE = _training(
    "intermediate", "intermediate training", "Intermediate training of one condition and seed.", "train_intermediate"
)
TRIAL = _training(
    "trial", "trying combinations", "Target training of one task, condition and seed with one combination of a grid.",
    "train_target", drops=("*.safetensors",),
)  # fmt: skip
CHOOSE = StageKind(
    name="choose", doing="choosing among trials", title="Chooses among the trials of a grid on English dev.", seconds=0.1,
    phase="train_target",
)  # fmt: skip
TARGET = _training(
    "target",
    "target training",
    "Target training of one task, condition and seed, in English.",
    "train_target",
    drops=("*.safetensors",),
)
SEARCH = StageKind(
    name="search", doing="searching pools", title="One search of a multilingual pool for the queries of all languages.",
    libraries=_TENSORS, imports=_MODELS, device=True, seconds=10.0,
)  # fmt: skip
EVALUATE = StageKind(
    name="evaluate", doing="evaluating", title="Zero-shot evaluation of one model, task and language.",
    libraries=_TENSORS, imports=_MODELS, device=True, seconds=4.0, phase="evaluate",
)  # fmt: skip

_ALL = (PREPARE, CHECK, AUDIT, ENCODE, PRETRAIN, TRANSLATE, INTERMEDIATE, TRIAL, CHOOSE, TARGET, SEARCH, EVALUATE)
KINDS: Mapping[str, StageKind] = {kind.name: kind for kind in _ALL}


def kinds_of(phase: str) -> frozenset[str]:
    """Names of the kinds that a phase is for."""
    return frozenset(name for name, kind in KINDS.items() if kind.phase == phase)


def doings(graph: Graph) -> dict[str, str]:
    """Name of a stage -> what a person is told that it does."""
    return {stage.name: KINDS[stage.kind].doing or stage.kind for stage in graph}


def devices_of(params: Mapping[str, Any]) -> int:
    """How many devices a stage's recipe asks for; one if it says none, or what the stage will refuse."""
    wanted = (params.get("recipe") or {}).get("devices", 1)
    return wanted if isinstance(wanted, int) else 1
