"""Classification of texts and pairs of texts (XNLI, PAWS-X): one label per example, scored from the first token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xtreme_dag.heads import Head, HeadSpec, Training

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from torch import Tensor

    from xtreme_dag.heads.batches import HostBatch
    from xtreme_dag.heads.encoding import Encoded, EncodeParams
    from xtreme_dag.model.layers import HeadModule
    from xtreme_dag.tables.encoded import EncodedTable
    from xtreme_dag.tables.tokenizer import TextTokenizer


def sequences(table: pa.Table, params: EncodeParams, tokenizer: TextTokenizer) -> Encoded:
    """One sequence per pair of texts; `label` is the label's number, -1 for an unknown (null) label."""
    import numpy as np
    import pyarrow as pa

    from xtreme_dag.heads.encoding import Encoded, label_number, texts

    position = {label: number for number, label in enumerate(params.labels)}
    labels = np.full(table.num_rows, -1, dtype=np.int32)
    for row, label in enumerate(table["label"].to_pylist()):
        if label is not None:
            labels[row] = label_number(label, position, table, row)
    flat = tokenizer.encode(texts(table, "text_a"), texts(table, "text_b"), params.max_length)
    rows = np.arange(table.num_rows)
    return Encoded(rows=rows, example=rows, flat=flat, examples={"label": pa.array(labels)})


def build(spec: HeadSpec, config: Any, embeddings: Tensor) -> HeadModule:
    """RoBERTa's classifier."""
    from xtreme_dag.model.layers import Classifier, head_dropout

    return Classifier(int(config.hidden_size), len(spec.labels), head_dropout(config))


def columns(table: EncodedTable) -> dict[str, tuple[str, ...]]:
    """The label of each example."""
    return {"example": ("label",)}


def gold(batch: HostBatch) -> dict[str, npt.NDArray[Any]]:
    """`label` int64 `[examples]`."""
    return {"label": batch.example_gold["label"].astype("int64")}


def units(batch: HostBatch) -> int:
    """Examples."""
    return len(batch)


def loss(layers: HeadModule, scores: Tensor, gold: dict[str, Tensor]) -> Tensor:
    """Cross entropy of `[examples, classes]` scores."""
    from xtreme_dag.model.layers import cross_entropy

    return cross_entropy(scores, gold["label"])


def right(scores: Tensor, gold: dict[str, Tensor]) -> Tensor:
    """Examples whose best class is the gold label."""
    return (scores.argmax(dim=1) == gold["label"]).sum()


def shuffle(table: EncodedTable, rows: npt.NDArray[np.int64], random: np.random.Generator) -> dict[str, Any]:
    """Labels permuted over the drawn examples."""
    import numpy as np

    labels = table.per_example("label").copy()
    drawn = np.unique(rows)
    labels[drawn] = random.permutation(labels[drawn])
    return {"label": labels}


HEAD = Head(
    name="classification",
    formats=("pair_classification",),
    default_for=("pair_classification",),
    labels=True,
    sequences=sequences,
    training=Training(build=build, columns=columns, gold=gold, units=units, loss=loss, right=right, shuffle=shuffle),
    evaluate={"pair_classification": "xtreme_dag.evaluation.classification:evaluate_classification"},
)
