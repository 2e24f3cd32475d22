"""Inference: a model loaded once, its sequences in one length-sorted packed stream, results by row.

Up to rounding, the result for a sequence does not depend on the batch size, the order or the other sequences of its
batch: sequences attend only within themselves and nothing is padded.
"""

from __future__ import annotations

import gc
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError, refuse_unknown
from xtreme_dag.heads.trained import TrainedModel, bases_of, load_model
from xtreme_dag.model import PackedTokens, pack
from xtreme_dag.model.encoder import PackedEncoder
from xtreme_dag.model.memory import ran_out_of_memory
from xtreme_dag.tables.encoded import EncodedTable, places

Result = TypeVar("Result")
Rows = NDArray[np.int64]

# Large enough to keep the matrix products busy, small enough for the activations to stay in the cache: with one thread,
# encoders of 256 and of 768 dimensions take 13 and 18 % longer for a token in batches of 4,096 (bench/evaluation.py).
CPU_BATCH_TOKENS = 1024
# In bf16 twice as many have the same size, and the weights are converted once for each batch.
CPU_HALF_BATCH_TOKENS = 2048
CUDA_BATCH_TOKENS = 65_536
# A model's languages come one after another, so models kept beyond the one in use rarely help, and every worker
# process of a study keeps as much.
CACHE_BYTES = 1 << 30
PRECISIONS = ("float32", "bfloat16")
_WEIGHTS = (".safetensors", ".bin")

_loaded: OrderedDict[tuple[str, ...], TrainedModel] = OrderedDict()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How inference runs.

    Attributes:
        device: where.
        batch_tokens: tokens of a batch at most; a longer sequence is a batch of its own.
        precision: `float32` or `bfloat16` (autocast). It can change the result, so it comes from the recipe.
    """

    device: torch.device
    batch_tokens: int
    precision: str = "float32"


def settings_of(recipe: Mapping[str, Any], context: StageContext) -> Settings:
    """The settings of a stage: `precision` from its recipe; `device`, `batch_tokens`, `threads` from its options.

    Raises:
        UserError: an unknown precision, or no such device.
    """
    precision = recipe.get("precision") or "float32"
    refuse_unknown([precision], PRECISIONS, what="precision", where="recipe.precision")
    threads = context.options.get("threads")
    if threads:
        torch.set_num_threads(int(threads))
    try:
        device = torch.device(context.options.get("device") or "cpu")
    except RuntimeError as error:
        raise UserError(f"there is no device {context.options['device']!r}", fix="cpu, cuda or cuda:0") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError("there is no CUDA device here", where="options.device", fix="leave it out, or set it to cpu")
    on_cpu = CPU_BATCH_TOKENS if precision == "float32" else CPU_HALF_BATCH_TOKENS
    default = CUDA_BATCH_TOKENS if device.type == "cuda" else on_cpu
    return Settings(
        device=device, batch_tokens=int(context.options.get("batch_tokens") or default), precision=precision
    )


def model_of(inputs: Mapping[str, Path], device: torch.device) -> TrainedModel:
    """The model of an evaluation: its input `model`, and what that stands on where it is an adapter."""
    return cached_model(inputs["model"], device, bases=bases_of(inputs))


def cached_model(
    folder: Path, device: torch.device, *, bases: Sequence[Path] = (), budget: int = CACHE_BYTES
) -> TrainedModel:
    """A model, loaded once per process for all its languages.

    The least recently used models go before another is loaded, so that the parameters kept and those that come stay
    within `budget` bytes together; the one asked for always stays. An artifact's folder is named by its digest: models
    of equal content are one. Other folders are told apart by path and their files' names, sizes and times.

    Args:
        folder: a model folder or base model, see `load_model`.
        device: where its weights are.
        bases: see `load_model`.
        budget: bytes of parameters to keep.
    """
    files = {
        path: path.stat() for each in (folder, *bases) for path in sorted(each.resolve().rglob("*")) if path.is_file()
    }
    marks = (f"{path} {state.st_size} {state.st_mtime_ns}" for path, state in files.items())
    key = (str(folder.resolve()), str(device), *marks)
    if key not in _loaded:
        coming = sum(state.st_size for path, state in files.items() if path.suffix in _WEIGHTS)
        _make_room(coming, budget, keep=0)
        _loaded[key] = load_model(folder, bases=bases, device=device)
    _loaded.move_to_end(key)
    _make_room(0, budget, keep=1)
    return _loaded[key]


def _make_room(coming: int, budget: int, *, keep: int) -> None:
    """Forgets the least recently used models until `coming` bytes more fit in, all but the `keep` last."""
    before = len(_loaded)
    while len(_loaded) > keep and coming + sum(map(_bytes, _loaded.values())) > budget:
        _loaded.popitem(last=False)
    if len(_loaded) < before:
        # An encoder's hooks refer back to it: without the collector, models would stay for hundreds of stages.
        gc.collect()


def _bytes(model: TrainedModel) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())


def head_name(model: TrainedModel, kind: str, task: str, labels: Sequence[str] = ()) -> str:
    """The model's head for a task: the one named after it, else the only one of the kind (and labels).

    Args:
        model: the model.
        kind: name of the head in `xtreme_dag.heads.HEADS`.
        task: the task's name.
        labels: the task's labels, where it has some.

    Raises:
        UserError: no head fits, or several do.
    """
    fitting = [
        name
        for name, spec in model.specs.items()
        if spec.kind == kind and (not labels or not spec.labels or sorted(spec.labels) == sorted(labels))
    ]
    if task in fitting or len(fitting) == 1:
        return task if task in fitting else fitting[0]
    found = ", ".join(f"{name} ({spec.kind})" for name, spec in model.specs.items()) or "none"
    raise UserError(
        f"the model has {'no' if not fitting else 'more than one'} {kind} head for the task {task!r}",
        where="evaluate",
        fix=f"train the target stage of {task!r} first; heads of this model: {found}",
    )


def states_of_layer(encoder: PackedEncoder, tokens: PackedTokens, layer: int, *, firsts: bool = False) -> Tensor:
    """Hidden states behind one layer; later layers are not computed (10 of 24 where XTREME's layer 14 is wanted).

    Args:
        encoder: the encoder.
        tokens: the packed batch.
        layer: 0 (the embeddings) to the number of layers.
        firsts: of the first token of each sequence only.

    Returns:
        (tokens, hidden), equal to `encoder.every_layer(tokens)[layer]`, or its rows of first tokens.
    """
    run = encoder.first_states if firsts else encoder
    if layer < encoder.layers and not encoder.shortens:
        states = encoder.every_layer(tokens)[layer]
        return states.index_select(0, tokens.first) if firsts else states
    with encoder.running(encoder.own_layers()[:layer]) if layer < encoder.layers else nullcontext():
        found: Tensor = run(tokens)
    return found


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """Token sequences of one or several encoded tables, end to end.

    Attributes:
        ids: int32 (tokens,).
        offsets: int64 (sequences + 1,).
        type_ids: int8 (tokens,), where the encoder uses them.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    type_ids: NDArray[np.int8] | None

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sequence."""
        return np.diff(self.offsets)

    def tokens_of(self, rows: Rows) -> NDArray[np.int64]:
        """Positions in `ids` of the tokens of some sequences, end to end."""
        return places(self.offsets[rows], self.lengths[rows])

    def take(self, rows: Rows) -> Sequences:
        """Some sequences, in the order given."""
        at = self.tokens_of(rows)
        return Sequences(
            ids=self.ids[at],
            offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lengths[rows])]),
            type_ids=None if self.type_ids is None else self.type_ids[at],
        )

    def packed(self, rows: Rows, device: torch.device) -> PackedTokens:
        """Some sequences as a packed batch."""
        at = self.tokens_of(rows)
        types = None if self.type_ids is None else self.type_ids[at]
        return pack(self.ids[at], self.lengths[rows], type_ids=types, device=device)


def sequences_of(tables: Sequence[EncodedTable]) -> Sequences:
    """The sequences of encoded tables, one table after the other."""
    counts = [np.zeros(1, np.int64), *(table.lengths for table in tables)]
    types = [table.per_token("token_type_ids") for table in tables if table.has_type_ids]
    ids = [table.ids for table in tables]
    return Sequences(
        ids=ids[0] if len(ids) == 1 else np.concatenate(ids),
        offsets=np.cumsum(np.concatenate(counts)),
        type_ids=np.concatenate(types) if len(types) == len(tables) else None,
    )


def infer(
    sequences: Sequences,
    compute: Callable[[PackedTokens, Rows], Result],
    settings: Settings,
    *,
    progress: Callable[..., None] | None = None,
) -> Iterator[tuple[Rows, Result]]:
    """Runs `compute` over all sequences in length-sorted batches; halves the batch when memory runs out.

    Args:
        sequences: what to run.
        compute: a packed batch and its rows -> whatever the caller keeps of it.
        settings: device, batch size, precision.
        progress: told (done tokens, all tokens, tokens_per_s=...) now and then.

    Yields:
        The rows of each batch and what `compute` returned for them.

    Raises:
        UserError: a single sequence does not fit in memory.
    """
    lengths = sequences.lengths
    order = np.argsort(-lengths, kind="stable")  # the longest first: what does not fit in memory shows at once
    total, done, limit, told = int(lengths.sum()), 0, settings.batch_tokens, time.perf_counter()
    started, low = told, 0
    while low < len(order):
        ends = np.cumsum(lengths[order[low : low + limit]])
        rows = order[low : low + max(1, int(np.searchsorted(ends, limit, side="right")))]
        with torch.inference_mode(), _autocast(settings):
            result = _attempt(lambda rows=rows: compute(sequences.packed(rows, settings.device), rows))  # type: ignore[misc]
        if result is None:
            if len(rows) == 1:
                raise UserError(
                    f"a sequence of {lengths[rows[0]]} tokens does not fit in the memory of {settings.device}",
                    fix="encode with a smaller max_length, or use a larger device",
                )
            limit = max(1, int(lengths[rows].sum()) // 2)
            continue
        yield rows, result[0]
        low += len(rows)
        done += int(lengths[rows].sum())
        now = time.perf_counter()
        if progress and (now - told > 2 or low == len(order)):
            told = now
            progress(done, total, tokens_per_s=round(done / (now - started)))


def _attempt(compute: Callable[[], Result]) -> tuple[Result] | None:
    """The result, or None where memory ran out; nothing of the failed attempt stays alive."""
    try:
        return (compute(),)
    except (RuntimeError, MemoryError) as error:
        if not ran_out_of_memory(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _autocast(settings: Settings) -> AbstractContextManager[Any]:
    if settings.precision == "bfloat16":
        return torch.autocast(settings.device.type, dtype=torch.bfloat16)
    return nullcontext()
