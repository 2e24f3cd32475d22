"""Tagging (UD-POS, WikiANN, CCG): the label on each word's first piece, long sentences in windows of whole words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xtreme_dag.heads import IGNORED, Export, Head, HeadSpec, Training
from xtreme_dag.heads.classification import loss, right

if TYPE_CHECKING:
    from xtreme_dag.heads import signatures as t


def sequences(table: t.Table, params: t.EncodeParams, tokenizer: t.TextTokenizer) -> t.Encoded:
    """Windows of whole words; every word has exactly one labelled piece in exactly one window.

    A word without pieces, or with more than a window holds, becomes the unknown token, as XTREME's tagger does.
    """
    import numpy as np
    import pyarrow as pa

    from xtreme_dag.core.errors import UserError
    from xtreme_dag.heads.encoding import Encoded, flat, ragged

    frame = tokenizer.frame(pair=False)
    room = params.max_length - frame.size
    if room < 1:
        raise UserError(f"max_length {params.max_length} leaves no room beside {frame.size} special tokens")
    unknown = tokenizer.special_ids.get("unk", 0)
    sentences = table["words"].to_pylist()
    tags = _tag_numbers(table, params.labels)
    ids: list[t.Int32] = []
    labels: list[t.Int32] = []
    words: list[t.Int32] = []
    example: list[int] = []
    replaced = 0
    for row, (pieces, word_of) in enumerate(tokenizer.words(sentences)):
        pieces, word_of, lost = mend_words(pieces, word_of, len(sentences[row]), room, unknown)
        replaced += lost
        gold = np.array(tags[row], dtype=np.int32)
        for low, high in windows(word_of, room):
            window = frame_window(pieces[low:high], word_of[low:high], gold, frame)
            ids.append(window[0])
            labels.append(window[1])
            words.append(window[2])
            example.append(row)
    return Encoded(
        rows=np.arange(table.num_rows),
        example=np.array(example, dtype=np.int64),
        flat=flat(ids, [np.zeros(len(window), np.int8) for window in ids] if tokenizer.type_ids else None),
        examples={"words": pa.array([len(sentence) for sentence in sentences], pa.int32())},
        sequences={"labels": ragged(labels, np.int32), "word": ragged(words, np.int32)},
        counts={"words_as_unknown": replaced, "split_sentences": len(example) - len(set(example))},
    )


def _tag_numbers(table: t.Table, labels: tuple[str, ...]) -> list[list[int]]:
    """Tags of each sentence as positions in `labels`; `IGNORED` where a word has no tag."""
    from xtreme_dag.core.errors import UserError
    from xtreme_dag.heads.encoding import label_number

    position = {label: number for number, label in enumerate(labels)}
    rows: list[list[int]] = []
    for row, (words, tags) in enumerate(zip(table["words"].to_pylist(), table["tags"].to_pylist(), strict=True)):
        if tags is not None and len(tags) != len(words):
            raise UserError(f"row {table['id'][row].as_py()!r} has {len(words)} words and {len(tags)} tags")
        given = tags or [None] * len(words)
        rows.append([IGNORED if tag is None else label_number(tag, position, table, row) for tag in given])
    return rows


def mend_words(pieces: t.Int32, word_of: t.Int32, words: int, room: int, unknown: int) -> tuple[t.Int32, t.Int32, int]:
    """Gives each of `words` words at least one piece and at most `room`; returns also how many became unknown."""
    import numpy as np

    counts = np.bincount(word_of, minlength=words) if len(word_of) else np.zeros(words, np.int64)
    wrong = (counts == 0) | (counts > room)
    if not wrong.any():
        return pieces, word_of, 0
    kept = ~wrong[word_of] if len(word_of) else np.zeros(0, bool)
    lost = np.flatnonzero(wrong).astype(np.int32)
    all_words = np.concatenate([word_of[kept], lost])
    order = np.argsort(all_words, kind="stable")
    all_pieces = np.concatenate([pieces[kept], np.full(len(lost), unknown, np.int32)])
    return all_pieces[order], all_words[order], len(lost)


def windows(word_of: t.Int32, room: int) -> list[tuple[int, int]]:
    """Ranges of pieces, each at most `room` long, that end between words and together cover all of them in order."""
    import numpy as np

    ends = np.flatnonzero(np.append(word_of[1:] != word_of[:-1], True)) + 1 if len(word_of) else np.zeros(0, int)
    ranges: list[tuple[int, int]] = []
    low = 0
    while low < len(word_of):
        high = int(ends[np.searchsorted(ends, low + room, side="right") - 1])
        ranges.append((low, high))
        low = high
    return ranges or [(0, 0)]


def frame_window(pieces: t.Int32, word_of: t.Int32, gold: t.Int32, frame: t.Frame) -> tuple[t.Int32, t.Int32, t.Int32]:
    """Ids, labels (`IGNORED` off the first pieces) and word indices (-1 off them) of a window with special tokens."""
    import numpy as np

    before, after = np.array(frame.before, np.int32), np.array(frame.after, np.int32)
    first = np.ones(len(word_of), bool)
    first[1:] = word_of[1:] != word_of[:-1]
    labels = np.where(first, gold[word_of], IGNORED) if len(word_of) else np.zeros(0, np.int32)
    words = np.where(first, word_of, -1)
    around = (len(before), len(after))
    return (
        np.concatenate([before, pieces, after]),
        np.pad(labels, around, constant_values=IGNORED).astype(np.int32),
        np.pad(words, around, constant_values=-1).astype(np.int32),
    )


def open_set(labelled: t.Table, table: t.Table) -> tuple[list[str], t.Table]:
    """The tags of a labelled table, sorted, and a table with null where its tags are none of these (CCG)."""
    import pyarrow as pa

    tags = sorted({tag for tags in labelled["tags"].to_pylist() for tag in tags or () if tag is not None})
    known = frozenset(tags)
    rows = [
        None if tags is None else [tag if tag in known else None for tag in tags] for tags in table["tags"].to_pylist()
    ]
    place = table.column_names.index("tags")
    return tags, table.set_column(place, "tags", pa.array(rows, table.schema.field("tags").type))


def build(spec: HeadSpec, config: Any, embeddings: t.Tensor) -> t.HeadModule:
    """A linear layer on the first pieces."""
    from xtreme_dag.model.layers import Projection, head_dropout

    return Projection(int(config.hidden_size), len(spec.labels), reads="chosen", dropout=head_dropout(config))


def gold(batch: t.HostBatch) -> dict[str, t.Array]:
    """`at`, the labelled tokens, and `label`, their labels, both int64."""
    labels = batch.token_gold["labels"].astype("int64")
    (at,) = (labels != IGNORED).nonzero()
    return {"at": at, "label": labels[at]}


def units(batch: t.HostBatch) -> int:
    """Labelled tokens."""
    return int((batch.token_gold["labels"] != IGNORED).sum())


def shuffle(table: t.EncodedTable, rows: t.Ints, random: t.Generator) -> dict[str, t.Array]:
    """Tags permuted over all labelled words of the drawn examples."""
    import numpy as np

    tags = table.per_token("labels").copy()
    drawn = np.zeros(len(table), dtype=bool)
    drawn[rows] = True
    labelled = np.flatnonzero((tags != IGNORED) & np.repeat(drawn, table.example_lengths))
    tags[labelled] = random.permutation(tags[labelled])
    return {"labels": tags}


HEAD = Head(
    name="tagging",
    formats=("tagging",),
    default_for=("tagging",),
    labels=True,
    sequences=sequences,
    open_set=open_set,
    training=Training(
        build=build, columns={"token": ("labels",)}, gold=gold, units=units, loss=loss, right=right, shuffle=shuffle
    ),
    evaluate={"tagging": "xtreme_dag.evaluation.tagging:evaluate_tagging"},
)
EXPORT = Export(
    task="TokenClassification",
    names=({"out": "classifier"},),
    pipeline="token-classification",
    formula='states @ head["out.weight"].T + head["out.bias"]',
    usage="""# a word has the label of its first piece
print(pipe([["the", "words"]], is_split_into_words=True)[0])""",
)
