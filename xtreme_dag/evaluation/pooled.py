"""Search one multilingual pool for the queries of all languages: LAReQA and Mewsli-X.

Candidates of all languages compete for every query. `rank_pool` searches them once for the queries of all languages,
and each language's evaluation reads its own rows from it: nothing is embedded twice, and a repaired metric searches
nothing again. Candidates are embedded and searched block by block and never kept together, so that a pool of a million
needs no more memory than one of thousands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError
from xtreme_dag.evaluation.embeddings import embed, special_ids
from xtreme_dag.evaluation.engine import Settings, model_of, sequences_of, settings_of
from xtreme_dag.evaluation.ranks import right_ranks
from xtreme_dag.evaluation.search import Neighbours, TopK
from xtreme_dag.heads.trained import TrainedModel
from xtreme_dag.tables.canonical import read_table
from xtreme_dag.tables.encoded import EncodedTable, open_encoded
from xtreme_dag.tables.predictions import rounded, rows_in_order, write_parquet

# mAP@20 and MRR@20: XTREME-R's cut-off.
DEPTH = 20
BLOCK = 20_000
# Up to here the vectors of a pool are kept and every right candidate is ranked, however far down it stands.
RANKED_POOL = 100_000


@dataclass(frozen=True, kw_only=True)
class Pool:
    """One language's queries and candidates.

    Attributes:
        language: the language.
        encoded: the encoded table.
        rows: its canonical rows, without their texts: `id`, `gold`.
        queries: rows of the queries.
        candidates: rows of the candidates.
    """

    language: str
    encoded: EncodedTable
    rows: pa.Table
    queries: NDArray[np.int64]
    candidates: NDArray[np.int64]


def rank_pool(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Searches the pooled candidates of all languages for the queries of all languages.

    Args:
        params: `task`, `recipe`: `pooling` (`dual`, the default where the model has a dual head, or `mean`,
            `mean_without_special`, `cls` with `layer`), `precision`.
        inputs: `model`; for each language `encoded:<language>` and `table:<language>`, of formats `qa_retrieval` or
            `entity_linking`. Tables may hold queries, candidates or both.
        context: `out` receives `ranked.parquet`, one row per query: id, language, gold, the `DEPTH` nearest
            candidates with languages and cosines; and, for pools of up to `RANKED_POOL` candidates, for each right
            candidate its exact rank in the pool, among its own language, and outside the query's language (0 if it is
            in it), with its language.
    """
    table, candidates = _search(params, inputs, context, _pools(inputs, str(params["task"])))
    write_parquet(table, context.out / "ranked.parquet")
    return {"queries": table.num_rows, "candidates": candidates}


def ranked_rows(params: Mapping[str, Any], inputs: Mapping[str, Path]) -> list[dict[str, Any]]:
    """The rows of `rank_pool` for one language's queries, in canonical order.

    Args:
        params: `task`, `language`.
        inputs: `ranked`, the artifact of `rank_pool`.

    Raises:
        UserError: there are no queries in the language.
    """
    language = str(params["language"])
    table = pq.read_table(inputs["ranked"] / "ranked.parquet")
    rows: list[dict[str, Any]] = table.filter(pc.equal(table["language"], language)).to_pylist()
    if not rows:
        raise UserError(f"the pool has no queries in {language!r}", where=str(params["task"]))
    return rows


def _pools(inputs: Mapping[str, Path], task: str) -> list[Pool]:
    """The tables by language, in alphabetical order; a candidate that stands in several tables counts once."""
    pools: list[Pool] = []
    seen: set[bytes] = set()
    for language in sorted(name.partition(":")[2] for name in inputs if name.startswith("encoded:")):
        encoded = open_encoded(inputs[f"encoded:{language}"])
        if encoded.head != "embedding":
            raise UserError(
                f"the table of {language} was encoded for training, without its pool", where=task,
                fix="encode it for the head `embedding`",
            )  # fmt: skip
        rows = read_table(inputs[f"table:{language}"], ("id", "gold"))
        # The names of a million candidates as Python strings only where the orders differ.
        if not rows["id"].equals(encoded.examples["id"]):
            rows = rows_in_order(rows, encoded.example_ids, task)
        asks = encoded.per_sequence("side") == 0  # one sequence a row
        pools.append(
            Pool(
                language=language,
                encoded=encoded,
                rows=rows,
                queries=np.flatnonzero(asks),
                candidates=_first_seen(encoded, np.flatnonzero(~asks), seen),
            )
        )
    if not any(len(pool.queries) for pool in pools) or not any(len(pool.candidates) for pool in pools):
        raise UserError("there are no queries or no candidates", where=task, fix="inputs: encoded:<language> for each")
    return pools


def _first_seen(encoded: EncodedTable, rows: NDArray[np.int64], seen: set[bytes]) -> NDArray[np.int64]:
    """The candidates whose id and tokens were not seen before (each language's Mewsli-X table has all entities)."""
    names, ids, bounds = encoded.examples["id"].to_pylist(), encoded.ids, encoded.offsets.tolist()
    kept = []
    for row in rows.tolist():
        mark = blake2b(names[row].encode(), digest_size=16)
        mark.update(ids[bounds[row] : bounds[row + 1]].tobytes())
        if mark.digest() not in seen:
            seen.add(mark.digest())
            kept.append(row)
    return np.array(kept, dtype=np.int64)


def _search(
    params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext, pools: Sequence[Pool]
) -> tuple[pa.Table, int]:
    """One row per query, and the number of candidates."""
    recipe = dict(params.get("recipe") or {})
    settings = settings_of(recipe, context)
    model = model_of(inputs, settings.device)
    if recipe.get("pooling") is None:
        recipe["pooling"] = "dual" if any(spec.kind == "dual" for spec in model.specs.values()) else "mean"

    def embedded(pool: Pool, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return _embedded(pool, rows, model, settings, str(params["task"]), recipe)

    queries = np.concatenate([embedded(pool, pool.queries) for pool in pools])
    total = sum(len(pool.candidates) for pool in pools)
    search, kept, done = TopK(queries, min(DEPTH, total), device=settings.device), [queries[:0]], 0
    for pool in pools:
        for low in range(0, len(pool.candidates), BLOCK):
            block = embedded(pool, pool.candidates[low : low + BLOCK])
            search.add(block)
            kept.append(block if total <= RANKED_POOL else queries[:0])
            done += len(block)
            context.progress(done, total)
    candidates = np.concatenate(kept) if total <= RANKED_POOL else None
    return _ranked(pools, search.result(), queries, candidates, settings), total


def _embedded(
    pool: Pool,
    rows: NDArray[np.int64],
    model: TrainedModel,
    settings: Settings,
    task: str,
    recipe: Mapping[str, Any],
) -> NDArray[np.float32]:
    """Vectors of some rows of a table (one sequence each)."""
    sequences = sequences_of([pool.encoded]).take(rows)
    return embed(sequences, special_ids(pool.encoded), model, settings, task=task, recipe=recipe)


def _ranked(
    pools: Sequence[Pool],
    found: Neighbours,
    queries: NDArray[np.float32],
    candidates: NDArray[np.float32] | None,
    settings: Settings,
) -> pa.Table:
    """One row per query; a query that stands in several languages' tables has all of their gold candidates."""
    names = [name for pool in pools for name in pool.rows["id"].take(pa.array(pool.candidates)).to_pylist()]
    languages = np.repeat([pool.language for pool in pools], [len(pool.candidates) for pool in pools])
    gold: dict[str, dict[str, None]] = {}
    for pool in pools:
        for row in pool.rows.select(["id", "gold"]).take(pa.array(pool.queries)).to_pylist():
            gold.setdefault(row["id"], {}).update(dict.fromkeys(row["gold"] or ()))
    ids = [name for pool in pools for name in pool.rows["id"].take(pa.array(pool.queries)).to_pylist()]
    right = [list(gold[name]) for name in ids]
    asking = np.repeat([pool.language for pool in pools], [len(pool.queries) for pool in pools])
    columns = {
        "id": pa.array(ids, pa.string()),
        "language": pa.array(asking.tolist(), pa.string()),
        "tokens": pa.array(np.concatenate([pool.encoded.example_lengths[pool.queries] for pool in pools]), pa.int32()),
        "gold": pa.array(right, pa.list_(pa.string())),
        "candidates": pa.array([[names[row] for row in rows] for rows in found.rows.tolist()]),
        "candidate_languages": pa.array([languages[rows].tolist() for rows in found.rows]),
        "cosines": pa.array(list(rounded(found.cosines)), pa.list_(pa.float32())),
    }
    if candidates is not None:
        columns |= _rank_columns(right, names, asking, languages, queries, candidates, settings)
    return pa.table(columns)


def _rank_columns(
    gold: Sequence[Sequence[str]],
    ids: Sequence[str],
    asking: NDArray[np.str_],
    languages: NDArray[np.str_],
    queries: NDArray[np.float32],
    candidates: NDArray[np.float32],
    settings: Settings,
) -> dict[str, pa.Array]:
    """Exact ranks of all right candidates; a gold id is right in every language that has a candidate of that id."""
    places: dict[str, list[int]] = {}
    for row, name in enumerate(ids):
        places.setdefault(name, []).append(row)
    right = [sorted(row for name in dict.fromkeys(names) for row in places.get(name, ())) for names in gold]
    names = sorted({*asking.tolist(), *languages.tolist()})
    number = {name: index for index, name in enumerate(names)}
    counts = np.array([len(rows) for rows in right], dtype=np.int64)
    flat = np.array([row for rows in right for row in rows], dtype=np.int64)
    ranks = right_ranks(
        queries,
        candidates,
        np.repeat(np.arange(len(right)), counts),
        flat,
        query_groups=np.array([number[name] for name in asking.tolist()], dtype=np.int64),
        candidate_groups=np.array([number[name] for name in languages.tolist()], dtype=np.int64),
        device=settings.device,
    )
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    return {
        "right_languages": pa.ListArray.from_arrays(offsets, pa.array(languages[flat].tolist(), pa.string())),
        "right_ranks": pa.ListArray.from_arrays(offsets, pa.array(ranks.pooled)),
        "right_ranks_own": pa.ListArray.from_arrays(offsets, pa.array(ranks.own)),
        "right_ranks_foreign": pa.ListArray.from_arrays(offsets, pa.array(ranks.foreign)),
    }
