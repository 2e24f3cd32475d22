"""The encoder of response masking: a context, and a response of which every token is to be predicted."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from xtreme_dag.tables.encode.parts import Encoded, EncodeParams, ragged, texts
from xtreme_dag.tables.encode.parts import flatten as flat_array
from xtreme_dag.tables.tokenizer import Flat, TextTokenizer


def encode_response(table: pa.Table, params: EncodeParams, tokenizer: TextTokenizer) -> Encoded:
    """One sequence per row: the first text, then the second, whose tokens have 1 in the column `masked`.

    A context that is too long loses its beginning, a response its end; a context keeps at least half of the room.
    """
    frame = tokenizer.frame(pair=True)
    room = params.max_length - frame.size
    ids, types, masked, truncated = [], [], [], 0
    contexts, responses = tokenizer.pieces(texts(table, "text")), tokenizer.pieces(texts(table, "english"))
    for (context, _), (response, _) in zip(contexts, responses, strict=True):
        kept = response[: max(room - len(context), room // 2)]
        before = context[max(0, len(context) - (room - len(kept))) :]
        truncated += len(kept) + len(before) < len(context) + len(response)
        pieces = [np.array(frame.before), before, np.array(frame.between), kept, np.array(frame.after)]
        ids.append(flat_array(pieces, np.int32))
        sizes = [len(piece) for piece in pieces]
        masked.append(np.repeat(np.array([0, 0, 0, 1, 0], np.int8), sizes))
        marks = [
            np.zeros(sizes[0] + sizes[1]),
            np.array(frame.between_type),
            np.full(sizes[3] + sizes[4], frame.second_type),
        ]
        types.append(flat_array(marks, np.int8))
    rows = np.arange(table.num_rows)
    flat = Flat(
        ids=flat_array(ids, np.int32),
        lengths=np.array([len(one) for one in ids], dtype=np.int64),
        type_ids=flat_array(types, np.int8) if tokenizer.type_ids else None,
        truncated=truncated,
    )
    return Encoded(rows=rows, example=rows, flat=flat, sequences={"masked": ragged(masked, np.int8)})
