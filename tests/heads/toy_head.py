"""A head from outside the package: classes from the mean over all tokens instead of the first one."""

import numpy as np
import pyarrow as pa
import torch

from xtreme_dag.evaluation.engine import head_name, infer, model_of, sequences_of, settings_of
from xtreme_dag.evaluation.labels import write_labels
from xtreme_dag.heads import Head, Training
from xtreme_dag.heads.batches import grid
from xtreme_dag.heads.encoding import Encoded, texts
from xtreme_dag.model.layers import Projection, cross_entropy
from xtreme_dag.tables.canonical import read_table
from xtreme_dag.tables.encoded import open_encoded
from xtreme_dag.tables.predictions import rows_in_order


def sequences(table, params, tokenizer):
    """The first text alone."""
    labels = [-1 if label is None else params.labels.index(label) for label in table["label"].to_pylist()]
    rows = np.arange(table.num_rows)
    flat = tokenizer.encode(texts(table, "text_a"), None, params.max_length)
    return Encoded(rows=rows, example=rows, flat=flat, examples={"label": pa.array(labels, pa.int32())})


def build(spec, config, embeddings):
    return Projection(config.hidden_size, len(spec.labels), reads="every")


def gold(batch):
    return {"label": batch.example_gold["label"].astype(np.int64), **grid(batch.token_bounds[:-1], batch.lengths)}


def means(scores, rows, inside):
    """`[tokens, classes]` to `[sequences, classes]`."""
    return (scores.float()[rows] * inside[..., None]).sum(dim=1) / inside.sum(dim=1, keepdim=True)


def loss(layers, scores, gold):
    return cross_entropy(means(scores, gold["rows"], gold["inside"]), gold["label"])


def right(scores, gold):
    return (means(scores, gold["rows"], gold["inside"]).argmax(dim=1) == gold["label"]).sum()


def shuffle(table, rows, random):
    labels = table.per_example("label").copy()
    labels[rows] = random.permutation(labels[rows])
    return {"label": labels}


def evaluate(params, inputs, context):
    settings, table = settings_of({}, context), open_encoded(inputs["encoded"])
    model = model_of(inputs, settings.device)
    name = head_name(model, "mean", params["task"], params["labels"])
    chosen, scores = np.zeros(len(table), np.int64), np.zeros(len(table))

    def classify(tokens, _):
        found = model.scores(name, tokens).float()
        total = found.new_zeros(tokens.sequences, found.shape[1]).index_add_(0, tokens.sequence_of_token(), found)
        best = (total / torch.tensor(tokens.lengths)[:, None]).softmax(dim=-1).max(dim=-1)
        return best.indices, best.values

    for rows, (index, value) in infer(sequences_of([table]), classify, settings):
        chosen[rows], scores[rows] = index.numpy(), value.numpy()
    given = rows_in_order(read_table(inputs["table"]), table.example_ids, params["task"])["label"].to_pylist()
    write_labels(
        context.out,
        params,
        table=table,
        gold=given,
        predictions=[model.specs[name].labels[index] for index in chosen.tolist()],
        scores=scores,
    )
    return {"examples": len(table)}


HEAD = Head(
    name="mean",
    formats=("pair_classification",),
    labels=True,
    sequences=sequences,
    training=Training(
        build=build, columns={"example": ("label",)}, gold=gold, units=len, loss=loss, right=right, shuffle=shuffle
    ),
    evaluate={"pair_classification": "tests.heads.toy_head:evaluate"},
    libraries=("pytest",),
)
