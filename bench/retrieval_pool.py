"""The stage function that searches Mewsli-X's pool, over synthetic tables, with its peak memory.

    python -m bench.retrieval_pool [--full] [--queries-of 1] [--threads 1] > retrieval_pool.json

Eleven languages' tables each hold all 1,003,893 entities (with --full; else an eighth of them) beside their mentions.
The encoder has no layers (1,024-dimensional word embeddings) and the texts are short, since it is the pool that is
measured; the answers of some queries are checked against double precision.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from bench.retrieval import ENTITIES, WIDTH, log, peak_gb
from xtreme_dag.core.context import StageContext
from xtreme_dag.evaluation import pooled
from xtreme_dag.evaluation.pooled import rank_pool
from xtreme_dag.evaluation.ranking import evaluate_mewslix
from xtreme_dag.evaluation.search import TopK
from xtreme_dag.model.folder import new_encoder
from xtreme_dag.tables.canonical import SCHEMAS, write_table
from xtreme_dag.tables.encoded import list_column, write_encoded

# Test mentions of Mewsli-X by language.
MENTIONS_OF = {
    "ar": 1501, "de": 1551, "en": 1490, "es": 1552, "fa": 458, "ja": 1519, "pl": 1562, "ro": 672, "ta": 1567, "tr": 1215,
    "uk": 1537,
}  # fmt: skip


def bench_pool(share: int, asking: int) -> dict:
    """The stage function itself over synthetic tables, in the shape of Mewsli-X: eleven languages, one set of entities."""
    from transformers import XLMRobertaConfig

    home = Path(tempfile.mkdtemp(prefix="bench-"))
    entities = ENTITIES // share
    random = np.random.default_rng(0)
    vocabulary = 20_000
    config = XLMRobertaConfig(
        vocab_size=vocabulary, hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=16, intermediate_size=WIDTH,
        max_position_embeddings=66, pad_token_id=1,
    )  # fmt: skip
    new_encoder(config, 0).backbone.save_pretrained(home / "model")
    lengths = random.integers(4, 11, entities)
    ids = random.integers(5, vocabulary, int(lengths.sum()), dtype=np.int32)
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    inputs, low, rows = {"model": home / "model"}, 0, synthetic_entities(entities)
    gold = random.integers(0, entities, sum(MENTIONS_OF.values()))
    for language, count in MENTIONS_OF.items():
        count //= asking
        asked = gold[low : low + count]
        low += count
        paths = synthetic_pool(home / language, language, rows, ids, bounds, asked, random)
        inputs |= {f"{name}:{language}": path for name, path in paths.items()}
    before = peak_gb()
    checked = CheckedTopK.watch(random.choice(low, 20, replace=False))
    context = StageContext(out=home / "ranked", scratch=home, listen=progress)
    context.out.mkdir()
    start = time.perf_counter(), time.process_time()
    params = {"task": "mewslix", "recipe": {"layer": 0, "pooling": "mean"}}
    figures = rank_pool(params, inputs, context)
    spent = [round(now - then, 1) for now, then in zip((time.perf_counter(), time.process_time()), start, strict=True)]
    scores = {}
    for language in MENTIONS_OF:
        context = StageContext(out=home / f"scores-{language}", scratch=home)
        context.out.mkdir()
        evaluate_mewslix(
            {"task": "mewslix", "language": language, "split": "test"}, {"ranked": home / "ranked"}, context
        )
        scores[language] = json.loads((context.out / "scores.json").read_text())["metrics"]["mrr@20"]
    ranked = pq.read_table(home / "ranked" / "ranked.parquet")["candidates"].to_pylist()
    same = all(
        [f"Q{row}" for row in best.tolist()] == ranked[query]
        for query, best in zip(checked.checked.tolist(), checked.best_rows, strict=True)
    )
    shutil.rmtree(home)
    return {
        **figures,
        "width": WIDTH,
        "peak_memory_gb": round(peak_gb(), 2),
        "peak_before_gb": round(before, 2),
        "index_would_be_gb": round(entities * WIDTH * 4 / 1e9, 2),
        "wall_processor_s": spent,
        "checked_queries_equal_to_double_precision": same,
        "mrr@20_planted": round(float(np.mean(list(scores.values()))), 2),
        "targets": {"peak_memory_gb": 8.0},
    }


def progress(event: dict) -> None:
    if event["event"] == "progress":
        log(f"pool: {event['done']:,} of {event['total']:,} candidates, peak {peak_gb():.2f} GB")


def synthetic_entities(count: int) -> pa.Table:
    """The entities as canonical rows, but for the language."""
    texts = pa.array([f"an entity of some kind, number {number}; " * 6 for number in range(1000)])
    columns = {
        "id": pa.array([f"Q{number}" for number in range(count)]),
        "split": pa.repeat("test", count),
        "side": pa.repeat("entity", count),
        "text": texts.take(pa.array(np.arange(count) % 1000)),
        "context": pa.nulls(count, pa.string()),
        "gold": pa.ListArray.from_arrays(pa.array(np.zeros(count + 1), pa.int32()), pa.array([], pa.string())),
    }
    return pa.table(columns)


def synthetic_pool(home: Path, language: str, entities: pa.Table, ids, bounds, asked, random) -> dict[str, Path]:
    """One language's table and encoding: mentions (an entity's tokens, one in three replaced) before all entities."""
    mentions, every = len(asked), len(asked) + entities.num_rows
    columns = {
        "id": [f"{language}{number}" for number in range(mentions)],
        "split": ["test"] * mentions,
        "side": ["mention"] * mentions,
        "text": ["a mention"] * mentions,
        "context": ["a sentence with {a mention} in braces"] * mentions,
        "gold": [[f"Q{number}"] for number in asked.tolist()],
    }
    rows = pa.concat_tables([pa.table(columns, schema=entities.schema), entities])
    rows = rows.append_column("language", pa.repeat(language, every)).select(SCHEMAS["entity_linking"].names)
    (home / "table").mkdir(parents=True)
    write_table(rows.cast(SCHEMAS["entity_linking"]), home / "table" / "table.parquet")
    own = [ids[bounds[row] : bounds[row + 1]].copy() for row in asked.tolist()]
    for some in own:
        some[random.random(len(some)) < 0.34] = random.integers(5, 20_000)
    lengths = np.concatenate([[len(some) for some in own], np.diff(bounds)]).astype(np.int64)
    sequences = pa.table({
        "example": pa.array(np.arange(every), pa.int32()),
        "input_ids": list_column(np.concatenate([*own, ids]), lengths),
        "side": pa.array((np.arange(every) >= mentions).astype(np.int8)),
    })  # fmt: skip
    info = {"format": "entity_linking", "head": "embedding", "special_ids": {"pad": 1, "cls": 0, "sep": 2}}
    (home / "encoded").mkdir()
    info |= {"splits": ["test"], "languages": [language]}
    write_encoded(home / "encoded", rows.select(["id", "language"]), sequences, info)
    return {"table": home / "table", "encoded": home / "encoded"}


class CheckedTopK(TopK):
    """A search that also keeps the true nearest rows of some queries, in double precision over whole blocks."""

    checked = np.zeros(0, np.int64)

    @classmethod
    def watch(cls, queries: np.ndarray) -> type[CheckedTopK]:
        cls.checked = np.sort(queries)
        pooled.TopK = cls
        return cls

    def __init__(self, queries: np.ndarray, k: int, **more) -> None:
        super().__init__(queries, k, **more)
        some = queries[self.checked].astype(np.float64)
        self._some = some / np.linalg.norm(some, axis=1, keepdims=True)
        self._best = np.full((len(some), k), -np.inf)
        type(self).best_rows = np.zeros((len(some), k), np.int64)
        self._low = 0

    def add(self, block: np.ndarray) -> None:
        super().add(block)
        right = block.astype(np.float64)
        right /= np.linalg.norm(right, axis=1, keepdims=True)
        joined = np.hstack([self._best, self._some @ right.T])
        own = np.broadcast_to(self._low + np.arange(len(block)), (len(self._some), len(block)))
        places = np.hstack([self.best_rows, own])
        order = np.argsort(-joined, axis=1, kind="stable")[:, : self._best.shape[1]]
        self._best = np.take_along_axis(joined, order, 1)
        type(self).best_rows = np.take_along_axis(places, order, 1)
        self._low += len(block)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all 1,003,893 candidates (a quarter of an hour or more)")
    parser.add_argument("--queries-of", type=int, default=1, help="ask one in so many of the queries")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(json.dumps(bench_pool(1 if given.full else 8, given.queries_of), indent=1))


if __name__ == "__main__":
    main()
