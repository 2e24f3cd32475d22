"""Heads, one module each: how a task's data become sequences and gold, its layers, its loss and its decisions.

A module of this room declares its head as `HEAD`, and `HEADS` has them all; `register` adds one that lives elsewhere.
All other code asks the head and never its name. Importing this room loads no numpy, pyarrow or torch, so that a plan
stays light: functions of a head import what they need when they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtreme_dag.core.errors import UserError, nearest

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

# The gold of a token that has no label.
IGNORED = -100
# The head of pretraining and of objectives without labels.
TEXT_HEAD = "mlm"
# Modules of this room that heads share.
_SHARED = ("batches", "encoding", "export", "sides", "signatures", "trained")


@dataclass(frozen=True, kw_only=True)
class HeadSpec:
    """The kind of a model's head and its labels.

    Attributes:
        kind: name of a head in `HEADS`.
        labels: label names in the task's order, for heads that take labels.
    """

    kind: str
    labels: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> HeadSpec:
        """A spec from an entry of `heads.json` or from stage parameters."""
        return cls(kind=str(value["kind"]), labels=tuple(value.get("labels") or ()))


# The arguments of the functions below are in their descriptions: a type that is named here would be in the keys of all
# stages that look a head up.
@dataclass(frozen=True, kw_only=True)
class Training:
    """How a head is trained; `batch` is a `heads.batches.HostBatch`, `gold` what the head's own `gold` gives.

    Attributes:
        build: (spec, encoder's configuration, its input embeddings `[vocabulary, size]`) -> the head's layers, a
            `model.layers.HeadModule`, not initialised.
        columns: gold columns of the encoded table by what they have one value of, `example`, `sequence` or `token`; of
            these, those that the table has. An example whose own gold is negative (a number, or one of a row of them) or NaN has none.
        gold: (batch) -> arrays that the loss needs; `at` are the positions of the tokens that are scored.
        units: (batch) -> number of terms of the loss.
        loss: (layers, scores, gold) -> sum of the loss over its units, a scalar.
        right: (scores, gold) -> number of right decisions, a scalar, for selection on dev; larger is better.
        shuffle: (encoded table, drawn rows, random generator) -> gold columns that say nothing about the inputs; None
            for a head without labels.
        masking: (content of `encode.json`, share of tokens, task's name) -> a `heads.batches.Masking`, for a head
            whose gold is made from the text itself.
        pull: (layers, scores, gradient) -> the inner product of scores and gradient, for a loss over all examples of a
            step: the step's scores come first, then the gradient of its loss (gradient caching).
    """

    build: Callable[..., Any]
    columns: Mapping[str, tuple[str, ...]]
    gold: Callable[..., dict[str, npt.NDArray[Any]]]
    units: Callable[..., int]
    loss: Callable[..., Tensor]
    right: Callable[..., Tensor]
    shuffle: Callable[..., dict[str, npt.NDArray[Any]]] | None = None
    masking: Callable[..., Any] | None = None
    pull: Callable[..., Tensor] | None = None


@dataclass(frozen=True, kw_only=True)
class Head:
    """One head.

    Attributes:
        name: what studies, parameters and `heads.json` call it.
        formats: canonical formats that it can be encoded from.
        default_for: formats whose datasets are trained with it as intermediate tasks.
        labels: whether it takes the task's label names.
        sequences: (canonical table, `heads.encoding.EncodeParams`, tokenizer) -> `heads.encoding.Encoded`.
        open_set: (labelled table, table) -> the label set found in the first, and the second without other labels; None
            where a label set is always the dataset's.
        sequences_per_example: about how many, for forecasts.
        training: how it is trained, None for sequences that are only embedded.
        evaluate: format -> dotted name of the stage function that evaluates its datasets.
        rules: dataset -> dotted name of the stage function, where its metric is not that of its format.
        may_read: other heads of a model that the evaluations may take scores from.
        libraries: the distribution that a head from outside comes with: its version is in the keys, as its code is not.
    """

    name: str
    formats: tuple[str, ...]
    default_for: tuple[str, ...] = ()
    labels: bool = False
    sequences: Callable[..., Any]
    open_set: Callable[..., tuple[list[str], Any]] | None = None
    sequences_per_example: int = 1
    training: Training | None = None
    evaluate: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)
    may_read: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()

    @property
    def from_text(self) -> bool:
        """Whether its gold is made from the text itself, so that its data have no labels."""
        return self.training is not None and self.training.masking is not None

    @property
    def encode_code(self) -> tuple[str, ...]:
        """What the `encode` stage runs of this head, for `Stage.code`."""
        return _dotted(self.sequences, self.open_set)

    def train_code(self, *, control: bool = False) -> tuple[str, ...]:
        """What a training stage runs of this head, for `Stage.code`; with a control also what shuffles gold."""
        parts = vars(training_of(self.name)).items()
        return _dotted(*(part for name, part in parts if callable(part) and (control or name != "shuffle")))

    @property
    def score_code(self) -> tuple[str, ...]:
        """What an evaluation runs of this head, for `Stage.code`: its layers, and those that it may read instead."""
        heads = (self, *(head_of(name) for name in self.may_read))
        return _dotted(*(head.training.build for head in heads if head.training is not None))


@dataclass(frozen=True, kw_only=True)
class Export:
    """How a head leaves as a model of transformers: a head's module declares it as `EXPORT`, apart from `HEAD`, which is
    in the keys of stages.

    Attributes:
        task: end of the class's name, as in `AutoModelForTokenClassification`; empty where transformers has no such head.
        names: where the class keeps the head's layers, one mapping for each family of architectures: our name, of a
            layer or a tensor (of all of them if empty), -> theirs; `{base}` is the attribute that holds the encoder.
        pipeline: transformers' name of the pipeline; empty where it has none.
        formula: the head's scores as a line of Python, from `first` (states of the first tokens `[sequences, hidden]`) or
            `states` (of all, `[sequences, tokens, hidden]`), `embeddings` and the weights `head`.
        usage: lines of Python that use the exported class's `model` and `tokenizer`, or its pipeline.
    """

    task: str = ""
    names: tuple[Mapping[str, str], ...] = ()
    pipeline: str = ""
    formula: str
    usage: str = ""


HEADS: dict[str, Head] = {}


def register(head: Head) -> Head:
    """Adds a head.

    Raises:
        ValueError: another head has this name, or is the default for one of its formats.
    """
    for other in HEADS.values():
        if other.name == head.name or set(other.default_for) & set(head.default_for):
            raise ValueError(f"{head.name}: {other.name} has its name or is the default for {other.default_for}")
    HEADS[head.name] = head
    return head


def head_of(name: str, where: str = "") -> Head:
    """A head by name.

    Raises:
        UserError: there is no such head.
    """
    if name not in HEADS:
        raise UserError(f"there is no head {name!r}", where=where, fix=nearest(name, HEADS))
    return HEADS[name]


def training_of(name: str) -> Training:
    """How a head is trained.

    Raises:
        UserError: there is no such head, or it cannot be trained.
    """
    found = head_of(name).training
    if found is None:
        raise UserError(f"the head {name!r} cannot be trained")
    return found


def head_of_format(format: str) -> Head | None:
    """The head that a dataset of a format is trained with as an intermediate task; None where it cannot be one."""
    return next((head for head in HEADS.values() if format in head.default_for), None)


def export_of(name: str) -> Export | None:
    """How a head is exported: the `EXPORT` of the module that has its layers; None where that declares none."""
    build = training_of(name).build
    found = getattr(import_module(build.__module__), "EXPORT", None)
    return found if isinstance(found, Export) else None


def _dotted(*functions: Callable[..., Any] | None) -> tuple[str, ...]:
    """Dotted names of the functions that are this project's."""
    ours = __name__.split(".")[0] + "."
    names = [f"{one.__module__}:{one.__qualname__}" for one in functions if one is not None]
    return tuple(dict.fromkeys(name for name in names if name.startswith(ours)))


for _path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
    if _path.stem not in _SHARED:
        register(import_module(f"{__name__}.{_path.stem}").HEAD)
