"""Masked language modelling, on text, on parallel text (TLM) and on responses to a context: the gold is the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xtreme_dag.heads import IGNORED, Head, HeadSpec, Training
from xtreme_dag.heads.classification import loss
from xtreme_dag.heads.tagging import gold, units

if TYPE_CHECKING:
    from xtreme_dag.heads import signatures as t

# Of the chosen tokens, the share that becomes the mask token and the share that becomes a random one (Devlin et al.
# 2019); the rest stays as it is.
_MASKED, _RANDOM = 0.8, 0.1


def sequences(table: t.Table, params: t.EncodeParams, tokenizer: t.TextTokenizer) -> t.Encoded:
    """One sequence per text; a text and its translation where the table is parallel (TLM, Conneau & Lample 2019)."""
    import numpy as np

    from xtreme_dag.heads.encoding import Encoded, texts

    if params.masked == "second":
        return _responses(table, params, tokenizer)
    second = texts(table, "english") if "english" in table.column_names else None
    rows = np.arange(table.num_rows)
    return Encoded(rows=rows, example=rows, flat=tokenizer.encode(texts(table, "text"), second, params.max_length))


def _responses(table: t.Table, params: t.EncodeParams, tokenizer: t.TextTokenizer) -> t.Encoded:
    """One sequence per row: the first text, then the second, whose tokens have 1 in the column `masked`.

    A context that is too long loses its beginning, a response its end; a context keeps at least half of the room.
    """
    import numpy as np

    from xtreme_dag.heads.encoding import Encoded, flat, frame_pair, ragged, texts

    frame = tokenizer.frame(pair=True)
    room = params.max_length - frame.size
    ids, types, masked, truncated = [], [], [], 0
    contexts, responses = tokenizer.pieces(texts(table, "text")), tokenizer.pieces(texts(table, "english"))
    for (context, _), (response, _) in zip(contexts, responses, strict=True):
        kept = response[: max(room - len(context), room // 2)]
        before = context[max(0, len(context) - (room - len(kept))) :]
        truncated += len(kept) + len(before) < len(context) + len(response)
        framed, marks = frame_pair(before, kept, frame)
        ids.append(framed)
        types.append(marks)
        around = (len(framed) - len(kept) - len(frame.after), len(frame.after))
        masked.append(np.pad(np.ones(len(kept), np.int8), around))
    rows = np.arange(table.num_rows)
    return Encoded(
        rows=rows,
        example=rows,
        flat=flat(ids, types if tokenizer.type_ids else None, truncated),
        sequences={"masked": ragged(masked, np.int8)},
    )


@dataclass(frozen=True, kw_only=True)
class TokenMasking:
    """How tokens are hidden: a pure function of (seed, step) and the batch.

    Attributes:
        mask: id of the mask token.
        special: ids that are never hidden.
        vocabulary: number of ids, for random replacements.
        probability: share of tokens that is predicted.
    """

    mask: int
    special: tuple[int, ...]
    vocabulary: int
    probability: float

    def apply(self, batch: t.HostBatch, seed: int, step: int) -> t.HostBatch:
        """The batch with hidden tokens and per-token gold `labels` (the token's id, or `IGNORED` where not asked).

        Where the text says which tokens are masked (response masking), those are, always, and no others.
        """
        import numpy as np

        if "masked" in batch.token_gold:
            given = batch.token_gold["masked"] != 0
            asked: t.Int32 = np.where(given, batch.ids, np.int32(IGNORED))
            return batch.with_tokens(np.where(given, np.int32(self.mask), batch.ids), labels=asked)
        random = np.random.default_rng([seed, step])
        size = len(batch.ids)
        chosen = (random.random(size) < self.probability) & ~np.isin(batch.ids, self.special)
        fate = random.random(size)
        other = random.integers(self.vocabulary, size=size, dtype=np.int32)
        hidden = np.where(chosen & (fate < _MASKED), np.int32(self.mask), batch.ids)
        hidden = np.where(chosen & (fate >= _MASKED) & (fate < _MASKED + _RANDOM), other, hidden)
        labels: t.Int32 = np.where(chosen, batch.ids, np.int32(IGNORED))
        return batch.with_tokens(hidden, labels=labels)


def masking(info: Mapping[str, Any], probability: float, where: str) -> TokenMasking:
    """The masking of an encoded table's tokenizer.

    Raises:
        UserError: the tokenizer has no mask token.
    """
    from xtreme_dag.core.errors import UserError

    special = info["special_ids"]
    if "mask" not in special:
        raise UserError("the tokenizer has no mask token, masked language modelling needs one", where=where)
    return TokenMasking(
        mask=special["mask"],
        special=tuple(sorted(special.values())),
        vocabulary=info["vocabulary_size"],
        probability=probability,
    )


def build(spec: HeadSpec, config: Any, embeddings: t.Tensor) -> t.HeadModule:
    """The output layers of transformers' masked language model of the encoder's architecture."""
    from xtreme_dag.model.masked import vocabulary_head

    return vocabulary_head(config, embeddings)


def right(scores: t.Tensor, gold: dict[str, t.Tensor]) -> t.Tensor:
    """The negative loss."""
    from xtreme_dag.model.layers import cross_entropy

    return -cross_entropy(scores, gold["label"])


HEAD = Head(
    name="mlm",
    formats=("plain_text", "parallel_text", "parallel"),
    default_for=("plain_text", "parallel_text"),
    sequences=sequences,
    training=Training(
        build=build,
        columns={"token": ("masked",)},
        gold=gold,
        units=units,
        loss=loss,
        right=right,
        masking=masking,
    ),
)
