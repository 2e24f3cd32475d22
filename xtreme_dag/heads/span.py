"""Span QA (XQuAD, MLQA, TyDiQA): the question before overlapping windows of the context, scores of start and end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xtreme_dag.heads import Export, Head, HeadSpec, Training

if TYPE_CHECKING:
    from xtreme_dag.heads import signatures as t


def sequences(table: t.Table, params: t.EncodeParams, tokenizer: t.TextTokenizer) -> t.Encoded:
    """Windows that start every `doc_stride` context tokens (less, where a window is shorter than that).

    A window is labelled with the first gold answer if it holds all of it, else with (0, 0), the first token. `offsets`
    are the characters of each token in the context. Every context is tokenised once, however many questions it has.
    """
    import numpy as np
    import pyarrow as pa

    from xtreme_dag.core.errors import UserError
    from xtreme_dag.heads.encoding import Encoded, flat, frame_pair, ragged, texts

    frame = tokenizer.frame(pair=True)
    questions = [pieces[: params.query_length] for pieces, _ in tokenizer.pieces(texts(table, "question"))]
    contexts = texts(table, "context")
    distinct = list(dict.fromkeys(contexts))
    pieces_of = dict(zip(distinct, tokenizer.pieces(distinct), strict=True))
    answers = table["answers"].to_pylist()
    ids: list[t.Int32] = []
    types: list[t.Int8] = []
    offsets: list[t.Int32] = []
    example: list[int] = []
    starts: list[int] = []
    ends: list[int] = []
    for row, (question, context) in enumerate(zip(questions, contexts, strict=True)):
        pieces, places = pieces_of[context]
        room = params.max_length - len(question) - frame.size
        if room < 1:
            raise UserError(f"max_length {params.max_length} leaves no room for a context beside the question")
        answer = answer_tokens(places, _first_answer(answers[row]))
        for low, high in span_windows(len(pieces), room, params.doc_stride):
            shift = len(frame.before) + len(question) + len(frame.between) - low
            window_ids, window_types = frame_pair(question, pieces[low:high], frame)
            ids.append(window_ids)
            types.append(window_types)
            around = ((shift + low, len(frame.after)), (0, 0))
            offsets.append(np.pad(places[low:high], around, constant_values=-1).reshape(-1))
            example.append(row)
            inside = answer is not None and low <= answer[0] and answer[1] < high
            starts.append(answer[0] + shift if inside and answer else 0)
            ends.append(answer[1] + shift if inside and answer else 0)
    answered = np.bincount(np.array(example, np.int64)[np.array(ends, np.int64) > 0], minlength=table.num_rows) > 0
    return Encoded(
        rows=np.arange(table.num_rows),
        example=np.array(example, dtype=np.int64),
        flat=flat(ids, types if tokenizer.type_ids else None),
        examples={"answerable": table["answerable"].combine_chunks()},
        sequences={
            "start": pa.array(starts, pa.int32()),
            "end": pa.array(ends, pa.int32()),
            "offsets": ragged(offsets, np.int32),
        },
        counts={"examples_without_labelled_window": int((~answered).sum())},
    )


def _first_answer(answers: list[dict[str, Any]] | None) -> tuple[int, int] | None:
    """Character range of the first gold answer, None where there is none or it is empty."""
    if not answers or not answers[0]["text"] or answers[0]["start"] is None:
        return None
    start = int(answers[0]["start"])
    return start, start + len(answers[0]["text"])


def answer_tokens(offsets: t.Int32, answer: tuple[int, int] | None) -> tuple[int, int] | None:
    """First and last context token that overlap a character range, or None.

    Args:
        offsets: int32 `[tokens, 2]` character ranges of the context's tokens.
        answer: first character and the character after the last.
    """
    if answer is None:
        return None
    (touching,) = (
        (offsets[:, 0] < answer[1]) & (offsets[:, 1] > answer[0]) & (offsets[:, 0] < offsets[:, 1])
    ).nonzero()
    return (int(touching[0]), int(touching[-1])) if len(touching) else None


def span_windows(tokens: int, room: int, stride: int) -> list[tuple[int, int]]:
    """Ranges of at most `room` context tokens whose starts are `stride` apart (`room`, if that is less)."""
    step = max(1, min(stride, room))
    ranges = []
    low = 0
    while True:
        high = min(low + room, tokens)
        ranges.append((low, high))
        if high == tokens:
            return ranges
        low += step


def build(spec: HeadSpec, config: Any, embeddings: t.Tensor) -> t.HeadModule:
    """A linear layer on every token, to a score as start and one as end; the first token stands for no answer."""
    from xtreme_dag.model.layers import Projection

    return Projection(int(config.hidden_size), 2, reads="every")


def gold(batch: t.HostBatch) -> dict[str, t.Array]:
    """`start` and `end` int64 `[windows]`; `rows`, `inside`: where the scores of a window's tokens are."""
    from xtreme_dag.heads.batches import grid

    start, end = (batch.sequence_gold[name].astype("int64") for name in ("start", "end"))
    return {"start": start, "end": end, **grid(batch.token_bounds[:-1], batch.lengths)}


def units(batch: t.HostBatch) -> int:
    """Windows."""
    return len(batch.lengths)


def loss(layers: t.HeadModule, scores: t.Tensor, gold: dict[str, t.Tensor]) -> t.Tensor:
    """Mean of the cross entropies over a window's tokens as start and as end, of `[tokens, 2]` scores."""
    from xtreme_dag.model.layers import cross_entropy, ragged

    start = cross_entropy(ragged(scores[:, 0], gold), gold["start"])
    end = cross_entropy(ragged(scores[:, 1], gold), gold["end"])
    return (start + end) / 2


def right(scores: t.Tensor, gold: dict[str, t.Tensor]) -> t.Tensor:
    """Windows whose best start and best end are both right."""
    from xtreme_dag.model.layers import ragged

    start = ragged(scores[:, 0], gold).argmax(dim=1) == gold["start"]
    return (start & (ragged(scores[:, 1], gold).argmax(dim=1) == gold["end"])).sum()


def shuffle(table: t.EncodedTable, rows: t.Ints, random: t.Generator) -> dict[str, t.Array]:
    """Each answer at a random place of its window's context, its length kept."""
    start, end = (table.per_sequence(name).copy() for name in ("start", "end"))
    context = table.per_token("offsets").reshape(-1, 2)[:, 0] >= 0
    for window in (end > 0).nonzero()[0]:
        low, high = int(table.offsets[window]), int(table.offsets[window + 1])
        (inside,) = context[low:high].nonzero()
        length = int(end[window] - start[window])
        place = int(random.integers(inside[0], max(inside[0], inside[-1] - length) + 1))
        start[window], end[window] = place, place + length
    return {"start": start, "end": end}


_SQUAD_V2 = "xtreme_dag.evaluation.qa:evaluate_span_squad_v2"
HEAD = Head(
    name="span",
    formats=("span_qa",),
    default_for=("span_qa",),
    sequences=sequences,
    training=Training(
        build=build,
        columns={"sequence": ("start", "end")},
        gold=gold,
        units=units,
        loss=loss,
        right=right,
        shuffle=shuffle,
    ),
    evaluate={"span_qa": "xtreme_dag.evaluation.qa:evaluate_span_squad"},
    rules={
        "mlqa": "xtreme_dag.evaluation.qa:evaluate_span_mlqa",
        "squad_v2": _SQUAD_V2,
        "squad_es_v2": _SQUAD_V2,
    },
)
EXPORT = Export(
    task="QuestionAnswering",
    names=({"out": "qa_outputs"},),
    formula='states @ head["out.weight"].T + head["out.bias"]',
    usage="""question, context = "the question", "the context that holds the answer"
inputs = tokenizer(question, context, truncation="only_second", return_offsets_mapping=True, return_tensors="pt")
places = inputs.pop("offset_mapping")[0].tolist()
inside = torch.tensor([part == 1 for part in inputs.sequence_ids(0)])
with torch.no_grad():
    output = model(**inputs)
# the best span of at most 30 tokens of the context
spans = output.start_logits[0][:, None] + output.end_logits[0][None, :]
allowed = torch.ones_like(spans).triu().tril(29).bool() & inside[:, None] & inside[None, :]
start, end = divmod(int(spans.masked_fill(~allowed, float("-inf")).argmax()), len(inside))
print(context[places[start][0] : places[end][1]].strip())""",
)
