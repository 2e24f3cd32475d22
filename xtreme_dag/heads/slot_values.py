"""Slots and their values (dialogue state tracking): one choice for each slot of the ontology, from the turn's tokens.

An informable slot is a choice among `none`, `dontcare` and its values, a requestable one is asked for or not: its sigmoid
is the softmax over its score and 0. So the scores are `[turns, slots, classes]`, minus infinity where a slot has no such
class. The labels are in the order of the English ontology, so that value k of a language is value k of any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xtreme_dag.core.dialogue import NONE, informed, ontology
from xtreme_dag.heads import Export, Head, HeadSpec, Training

if TYPE_CHECKING:
    from xtreme_dag.core.dialogue import Ontology
    from xtreme_dag.heads import signatures as t


def sequences(table: t.Table, params: t.EncodeParams, tokenizer: t.TextTokenizer) -> t.Encoded:
    """One sequence per turn: the user's words, then the system's acts; `classes` are the choices, -1 without labels."""
    import numpy as np
    import pyarrow as pa

    from xtreme_dag.heads.encoding import Encoded, texts

    known = ontology(params.labels)
    classes = np.array([_classes(labels, known) for labels in table["labels"].to_pylist()], dtype=np.int32)
    width = len(known.classes) + len(known.requests)
    acts = ["; ".join(acts or ()) for acts in table["acts"].to_pylist()]
    flat = tokenizer.encode(texts(table, "text"), acts, params.max_length)
    rows = np.arange(table.num_rows)
    column = pa.FixedSizeListArray.from_arrays(pa.array(classes.ravel()), width)
    return Encoded(rows=rows, example=rows, flat=flat, examples={"classes": column})


def _classes(labels: list[str] | None, known: Ontology) -> list[int]:
    """The choice for each slot; a value that the ontology lacks is none of them, as for the reference."""
    if labels is None:
        return [-1] * (len(known.classes) + len(known.requests))
    said = informed(labels)
    values = ((classes, said.get(slot, NONE)) for slot, classes in known.classes.items())
    return [
        *(classes.index(value) if value in classes else 0 for classes, value in values),
        *(int(f"request={slot}" in labels) for slot in known.requests),
    ]


def open_set(labelled: t.Table, table: t.Table) -> tuple[list[str], t.Table]:
    """The labels that the turns and states of a labelled table have, sorted; the table as it is."""
    columns = (labelled[name].to_pylist() for name in ("labels", "state"))
    return sorted({label for column in columns for labels in column for label in labels or ()}), table


def build(spec: HeadSpec, config: Any, embeddings: t.Tensor) -> t.HeadModule:
    """Attention over the turn's tokens for each slot, then RoBERTa's classifier."""
    from xtreme_dag.model.layers import SlotScores, head_dropout

    known = ontology(spec.labels)
    sizes = [len(classes) for classes in known.classes.values()]
    return SlotScores(int(config.hidden_size), sizes, len(known.requests), head_dropout(config))


def gold(batch: t.HostBatch) -> dict[str, t.Array]:
    """`classes` int64 `[turns, slots]`."""
    return {"classes": batch.example_gold["classes"].astype("int64")}


def loss(layers: t.HeadModule, scores: t.Tensor, gold: dict[str, t.Tensor]) -> t.Tensor:
    """Cross entropies of `[turns, slots, classes]` scores, summed over the slots."""
    from xtreme_dag.model.layers import cross_entropy

    return cross_entropy(scores.flatten(0, 1), gold["classes"].flatten())


def right(scores: t.Tensor, gold: dict[str, t.Tensor]) -> t.Tensor:
    """Turns of which every slot is right."""
    return (scores.argmax(dim=-1) == gold["classes"]).all(dim=-1).sum()


def shuffle(table: t.EncodedTable, rows: t.Ints, random: t.Generator) -> dict[str, t.Array]:
    """The labels of whole turns permuted over the drawn ones."""
    import numpy as np

    classes = table.per_example("classes").copy()
    drawn = np.unique(rows)
    classes[drawn] = random.permutation(classes[drawn])
    return {"classes": classes}


HEAD = Head(
    name="slot_values",
    formats=("dialogue_state",),
    default_for=("dialogue_state",),
    labels=True,
    sequences=sequences,
    open_set=open_set,
    training=Training(
        build=build, columns={"example": ("classes",)}, gold=gold, units=len, loss=loss, right=right, shuffle=shuffle
    ),
    evaluate={"dialogue_state": "xtreme_dag.evaluation.dialogue:evaluate_dialogues"},
)
EXPORT = Export(
    # Flat: none, dontcare and the values of each informable slot, then a score for each requestable one.
    formula=(
        'torch.einsum("skh,kh->sk", torch.tanh(torch.einsum("stk,sth->skh", '
        '(states @ head["query.weight"].T).softmax(1)[..., head["slot"]], states) @ head["dense.weight"].T + head["dense.bias"]), '
        'head["out.weight"]) + head["out.bias"]'
    ),
)
