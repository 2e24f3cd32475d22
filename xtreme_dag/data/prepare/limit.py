"""A deterministic sample of a table."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from xtreme_dag import formats


def limited(table: pa.Table, kind: str, limit: int | None, seed: int) -> pa.Table:
    """At most `limit` rows, in the table's order; which ones depends on their ids and the seed alone.

    So parallel tables keep the same ids in every language, and a larger limit keeps all that a smaller one kept.
    Of a format whose rows make sense together alone (dialogues) whole groups are kept.
    In two-sided formats the limit holds for each side: queries with gold first, then what they point at, then the
    rest of the pool.

    Args:
        table: a canonical table.
        kind: its format.
        limit: rows, or rows a side; None for all.
        seed: which sample.
    """
    if limit is None or len(table) <= limit:
        return table
    ids = table["id"].to_pylist()
    order = np.argsort(_hashes(ids, seed), kind="stable")
    format = formats.get(kind)
    if format.cluster and not format.cluster_if_asked:
        return _wholes(table, table[format.cluster].to_pylist(), limit, seed)
    sides = format.sides
    if sides is None:
        return table.take(pa.array(np.sort(order[:limit])))
    side = np.array(table["side"].to_pylist())
    has_gold = np.array([bool(gold) for gold in table["gold"].to_pylist()])
    queries = side == sides.asking
    ranked = [n for n in order if queries[n] and has_gold[n]] + [n for n in order if queries[n] and not has_gold[n]]
    taken = ranked[:limit]
    golds = {gold for n in taken for gold in table["gold"][int(n)].as_py() or ()}
    pool = [n for n in order if not queries[n]]
    wanted = [n for n in pool if ids[n] in golds]
    rest = [n for n in pool if ids[n] not in golds]
    kept = np.sort(np.array([*taken, *wanted, *rest[: max(0, limit - len(wanted))]]))
    return table.take(pa.array(kept))


def _wholes(table: pa.Table, groups: Sequence[str], limit: int, seed: int) -> pa.Table:
    """Whole groups of rows (dialogues), one after the other until the next would be too many; at least one."""
    names, sizes = np.unique(groups, return_counts=True)
    order = np.argsort(_hashes(names.tolist(), seed), kind="stable")
    fitting = max(1, int(np.searchsorted(np.cumsum(sizes[order]), limit, side="right")))
    return table.filter(pa.array(np.isin(groups, names[order[:fitting]])))


def _hashes(ids: Sequence[str], seed: int) -> np.ndarray:
    """One number for each id, the same on every machine."""
    found = [hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest() for name in ids]
    return np.frombuffer(b"".join(found), dtype=">u8").astype(np.uint64)
