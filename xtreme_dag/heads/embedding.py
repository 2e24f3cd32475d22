"""Retrieval without training (Tatoeba, BUCC), and whole pools: one sequence per row of a table, to be embedded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xtreme_dag.heads import Head

if TYPE_CHECKING:
    from xtreme_dag.heads import signatures as t


def sequences(table: t.Table, params: t.EncodeParams, tokenizer: t.TextTokenizer) -> t.Encoded:
    """One sequence per row of a retrieval pool or text, or a text and its English side."""
    import numpy as np
    import pyarrow as pa

    from xtreme_dag import formats
    from xtreme_dag.heads.encoding import Encoded, side_numbers, texts
    from xtreme_dag.heads.sides import both_sides, merge, side_texts

    if "english" in table.column_names:
        return both_sides(table, params, tokenizer)
    rows = np.arange(table.num_rows)
    sides = formats.get(params.format).sides
    if sides is None:
        side = np.zeros(len(rows), np.int8)
        flat = tokenizer.encode(texts(table, "text"), None, params.max_length)
    else:
        side, written = side_numbers(table, params.format), side_texts(table, params.format)
        asking = params.max_length if sides.alike else params.query_length
        first, second = (
            tokenizer.encode([written[row] for row in np.flatnonzero(side == number)], None, limit)
            for number, limit in ((0, asking), (1, params.max_length))
        )
        flat = merge(first, second, side)
    return Encoded(rows=rows, example=rows, flat=flat, sequences={"side": pa.array(side)})


HEAD = Head(
    name="embedding",
    formats=("parallel", "parallel_text", "bitext_mining", "qa_retrieval", "entity_linking", "plain_text"),
    sequences=sequences,
    may_read=("dual",),
    evaluate={
        "parallel": "xtreme_dag.evaluation.tatoeba:evaluate_tatoeba",
        "bitext_mining": "xtreme_dag.evaluation.bucc:evaluate_bucc",
        "qa_retrieval": "xtreme_dag.evaluation.ranking:evaluate_lareqa",
        "entity_linking": "xtreme_dag.evaluation.ranking:evaluate_mewslix",
    },
)
