"""Speed of `compare` on 10 million prediction rows, against scipy.stats.bootstrap called per language.

    python -m bench.compare [--rows 10000000] [--repeats 3]

Ours: `compare_conditions` from the Parquet files to the corrected effects, 1,000 resamples. The peer: only its
resampling, on arrays that are in memory already, one call per language. `examples` is like for like: every run is a
sample of `bootstrap(runs, paired=True)`, so that the same rows go in and examples are drawn for all runs together, as
`compare` does. `pairs` is `bootstrap((a, b), paired=True)` over all rows of the language, which counts the seeds of an
example as examples of their own; `differences` the same on a - b; `seed_means` is on a - b averaged over seeds
beforehand, what somebody would write who knows that a mean allows it (its cheapest form). Wall and CPU seconds, since the machine may be shared. Peak memory is that of this process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xtreme_dag.core.home import Home
from xtreme_dag.results.compare import compare_conditions
from xtreme_dag.results.facts import Condition, Evaluation, StudyFacts
from xtreme_dag.results.landing import land

LANGUAGES, SEEDS, CONDITIONS, RESAMPLES = 40, 3, ("none", "mixed"), 1000


def write(home: Path, rows: int, kind: str) -> None:
    """A study whose files have `rows` rows in all; every language has ids of its own."""
    n = rows // (LANGUAGES * SEEDS * len(CONDITIONS))
    rng = np.random.default_rng(0)
    evaluations = []
    for language in range(LANGUAGES):
        ids = pa.array([f"l{language:02d}-{index:06d}" for index in range(n)])
        hard = rng.normal(size=n)
        for condition, shift in zip(CONDITIONS, (0.0, 0.05), strict=True):
            for seed in range(SEEDS):
                quality = shift - hard + rng.normal(size=n)
                columns = statistics_of(kind, quality, rng)
                folder = home / "store" / f"{language}-{condition}-{seed}"
                folder.mkdir(parents=True)
                text = pa.array(np.where(quality > 0, "yes", "no"))
                table = pa.table({"id": ids, "language": pa.array([f"l{language:02d}"] * n), "gold": text, "prediction": text,
                                  "score": pa.array(quality, pa.float32()), **columns})  # fmt: skip
                pq.write_table(table, folder / "predictions.parquet", compression="zstd", row_group_size=65_536)
                primary = {"accuracy": "accuracy", "answers": "em_f1_mean", "tagging": "f1"}[kind]
                scores = {
                    "task": "t",
                    "language": "x",
                    "split": "test",
                    "n": n,
                    "metrics": {primary: 50.0},
                    "primary": primary,
                }
                (folder / "scores.json").write_text(json.dumps(scores))
                evaluations.append(
                    Evaluation(stage_key=folder.name, condition=condition, task="t", language=f"l{language:02d}", split="test",
                               seed=seed, primary=primary, artifact=folder, digest=folder.name)
                )  # fmt: skip
    study = StudyFacts(
        name="bench", question="?", baseline="none", conditions=tuple(Condition(name=c) for c in CONDITIONS)
    )
    land(Home(home), study, evaluations, [], [])


def statistics_of(kind: str, quality: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Sufficient statistics of examples of some quality."""
    right = quality > 0
    if kind == "accuracy":
        return {"s_correct": right.astype(float)}
    if kind == "answers":
        f1 = np.where(right, 1.0, np.clip(0.6 + quality / 3, 0, 1))
        return {"s_em": (f1 == 1.0).astype(float), "s_f1": f1}
    gold = rng.integers(0, 5, len(quality))
    hits = rng.binomial(gold, 1 / (1 + np.exp(-quality)))
    return {"s_tp": hits.astype(float), "s_pred": (hits + rng.binomial(2, 0.2, len(quality))).astype(float),
            "s_gold": gold.astype(float), "s_tokens_correct": gold * 3.0, "s_tokens": gold * 4.0}  # fmt: skip


def peer(home: Path, statistic: str, languages: int) -> dict[str, dict[str, float]]:
    """Wall and CPU seconds of scipy for all languages, scaled up from `languages` of them."""
    from scipy.stats import bootstrap

    def mean_difference(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        return a.mean(axis=axis) - b.mean(axis=axis)

    def mean_difference_of_runs(*runs: np.ndarray, axis: int) -> np.ndarray:
        means = [run.mean(axis=axis) for run in runs]
        return sum(means[:SEEDS]) / SEEDS - sum(means[SEEDS:]) / SEEDS

    spent = {name: [0.0, 0.0] for name in ("examples", "pairs", "differences", "seed_means")}
    for language in range(languages):
        theirs, ours = (
            np.stack([read(home / "store" / f"{language}-{condition}-{seed}", statistic) for seed in range(SEEDS)])
            for condition in CONDITIONS
        )
        for name, data, function, paired in (
            ("examples", (*ours, *theirs), mean_difference_of_runs, True),
            ("pairs", (ours.ravel(), theirs.ravel()), mean_difference, True),
            ("differences", ((ours - theirs).ravel(),), np.mean, False),
            ("seed_means", ((ours - theirs).mean(axis=0),), np.mean, False),
        ):
            wall, cpu = time.perf_counter(), time.process_time()
            bootstrap(data, function, n_resamples=RESAMPLES, method="percentile", batch=50, paired=paired,
                      rng=np.random.default_rng(0))  # fmt: skip
            spent[name][0] += time.perf_counter() - wall
            spent[name][1] += time.process_time() - cpu
    scale = LANGUAGES / languages
    return {name: {"wall": wall * scale, "cpu": cpu * scale} for name, (wall, cpu) in spent.items()}


def read(folder: Path, statistic: str) -> np.ndarray:
    """One column of a predictions file."""
    return pq.read_table(folder / "predictions.parquet", columns=[statistic])[statistic].to_numpy()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--kinds", default="accuracy,answers,tagging")
    parser.add_argument("--peer-languages", type=int, default=LANGUAGES, help="scipy runs on these and is scaled up")
    arguments = parser.parse_args()
    report: dict[str, object] = {
        "rows": arguments.rows,
        "resamples": RESAMPLES,
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
    }
    folder = Path(tempfile.mkdtemp())
    try:
        for kind in arguments.kinds.split(","):
            home = folder / kind
            write(home, arguments.rows, kind)
            wall, cpu = [], []
            for _ in range(arguments.repeats):
                start = time.perf_counter(), time.process_time()
                found = compare_conditions(Home(home), resamples=RESAMPLES)
                wall.append(time.perf_counter() - start[0])
                cpu.append(time.process_time() - start[1])
            row: dict[str, object] = {
                "wall": statistics.median(wall),
                "cpu": statistics.median(cpu),
                "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
                "effects": len(found[0].languages),
            }
            if kind != "tagging":  # scipy has no statistic of sums that it could vectorise
                theirs = peer(home, {"accuracy": "s_correct", "answers": "s_f1"}[kind], arguments.peer_languages)
                row["scipy"] = {
                    name: times | {f"{clock}_ratio": times[clock] / row[clock] for clock in ("wall", "cpu")}
                    for name, times in theirs.items()
                }
            report[kind] = row
            shutil.rmtree(home)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
