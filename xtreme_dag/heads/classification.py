"""Classification of texts and pairs of texts (XNLI, PAWS-X): one label per example, scored from the first token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xtreme_dag.heads import Export, Head, HeadSpec, Training

if TYPE_CHECKING:
    from xtreme_dag.heads import signatures as t


def sequences(table: t.Table, params: t.EncodeParams, tokenizer: t.TextTokenizer) -> t.Encoded:
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


def build(spec: HeadSpec, config: Any, embeddings: t.Tensor) -> t.HeadModule:
    """RoBERTa's classifier."""
    from xtreme_dag.model.layers import Classifier, head_dropout

    return Classifier(int(config.hidden_size), len(spec.labels), head_dropout(config))


def gold(batch: t.HostBatch) -> dict[str, t.Array]:
    """`label` int64 `[examples]`."""
    return {"label": batch.example_gold["label"].astype("int64")}


def loss(layers: t.HeadModule, scores: t.Tensor, gold: dict[str, t.Tensor]) -> t.Tensor:
    """Cross entropy of `[examples, classes]` scores."""
    from xtreme_dag.model.layers import cross_entropy

    return cross_entropy(scores, gold["label"])


def right(scores: t.Tensor, gold: dict[str, t.Tensor]) -> t.Tensor:
    """Examples whose best class is the gold label."""
    return (scores.argmax(dim=1) == gold["label"]).sum()


def shuffle(table: t.EncodedTable, rows: t.Ints, random: t.Generator) -> dict[str, t.Array]:
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
    training=Training(
        build=build, columns={"example": ("label",)}, gold=gold, units=len, loss=loss, right=right, shuffle=shuffle
    ),
    evaluate={"pair_classification": "xtreme_dag.evaluation.classification:evaluate_classification"},
)
EXPORT = Export(
    task="SequenceClassification",
    names=(
        {"dense": "classifier.dense", "out": "classifier.out_proj"},  # RoBERTa's family
        {"dense": "{base}.pooler.dense", "out": "classifier"},  # BERT's
    ),
    pipeline="text-classification",
    formula='torch.tanh(first @ head["dense.weight"].T + head["dense.bias"]) @ head["out.weight"].T + head["out.bias"]',
    usage='print(pipe({"text": "the first text", "text_pair": "the second text"}, truncation=True))',
)
