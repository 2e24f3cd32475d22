"""Multiple choice (XCOPA, Social IQa, ...): one score per choice from its first token, the best choice is the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xtreme_dag.heads import Export, Head, HeadSpec, Training

if TYPE_CHECKING:
    from xtreme_dag.heads import signatures as t


def sequences(table: t.Table, params: t.EncodeParams, tokenizer: t.TextTokenizer) -> t.Encoded:
    """One sequence per choice: context and question, then the choice; `label` is the right one, -1 for unknown."""
    import numpy as np
    import pyarrow as pa

    from xtreme_dag.heads.encoding import Encoded

    choices = table["choices"].to_pylist()
    counts = np.array([len(options) for options in choices], dtype=np.int64)
    prompts = [
        " ".join(part for part in (context, question) if part)
        for context, question in zip(table["context"].to_pylist(), table["question"].to_pylist(), strict=True)
    ]
    first = [prompt for prompt, count in zip(prompts, counts, strict=True) for _ in range(count)]
    second = [choice for options in choices for choice in options]
    rows = np.arange(table.num_rows)
    labels = table["label"].combine_chunks().fill_null(-1).cast(pa.int32())
    return Encoded(
        rows=rows,
        example=np.repeat(rows, counts),
        flat=tokenizer.encode(first, second, params.max_length),
        examples={"label": labels},
    )


def build(spec: HeadSpec, config: Any, embeddings: t.Tensor) -> t.HeadModule:
    """A classifier with one score for each choice."""
    from xtreme_dag.model.layers import Classifier, head_dropout

    return Classifier(int(config.hidden_size), 1, head_dropout(config))


def gold(batch: t.HostBatch) -> dict[str, t.Array]:
    """`label` int64 `[examples]`; `rows`, `inside`: where the scores of an example's choices are."""
    from xtreme_dag.heads.batches import grid

    return {
        "label": batch.example_gold["label"].astype("int64"),
        **grid(batch.sequence_bounds[:-1], batch.per_example),
    }


def loss(layers: t.HeadModule, scores: t.Tensor, gold: dict[str, t.Tensor]) -> t.Tensor:
    """Cross entropy over each example's choices, of `[sequences]` scores."""
    from xtreme_dag.model.layers import cross_entropy, ragged

    return cross_entropy(ragged(scores, gold), gold["label"])


def right(scores: t.Tensor, gold: dict[str, t.Tensor]) -> t.Tensor:
    """Examples whose best choice is the right one."""
    from xtreme_dag.model.layers import ragged

    return (ragged(scores, gold).argmax(dim=1) == gold["label"]).sum()


def shuffle(table: t.EncodedTable, rows: t.Ints, random: t.Generator) -> dict[str, t.Array]:
    """A choice drawn uniformly from each example's own."""
    import numpy as np

    return {"label": random.integers(np.diff(table.first_sequence)).astype(np.int32)}


HEAD = Head(
    name="multiple_choice",
    formats=("multiple_choice",),
    default_for=("multiple_choice",),
    sequences=sequences,
    sequences_per_example=4,
    training=Training(
        build=build, columns={"example": ("label",)}, gold=gold, units=len, loss=loss, right=right, shuffle=shuffle
    ),
    evaluate={"multiple_choice": "xtreme_dag.evaluation.multiple_choice:evaluate_multiple_choice"},
)
EXPORT = Export(
    task="MultipleChoice",
    names=({"dense": "{base}.pooler.dense", "out": "classifier"},),
    formula='(torch.tanh(first @ head["dense.weight"].T + head["dense.bias"]) @ head["out.weight"].T + head["out.bias"])[:, 0]',
    usage="""choices = ["one choice", "another choice"]
inputs = tokenizer(["context question"] * len(choices), choices, truncation=True, padding=True, return_tensors="pt")
with torch.no_grad():
    print(model(**{name: value[None] for name, value in inputs.items()}).logits.softmax(-1))""",
)
