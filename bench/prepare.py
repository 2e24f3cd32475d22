"""Half a million and two million sentence pairs through `prepare` and `check`: rows a second, memory.

    python -m bench.prepare [--rows 500000 2000000] [--runs 3]

Prints JSON. The peer in the same run is pyarrow's CSV reader over the same file, which parses and does nothing else.
Memory is the peak of a fresh process less what it had before it started, the table included. It should depend on nothing
but the formats: neither stage holds the table, so the target is that a row adds (next to) nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
BAR = 100_000  # rows a second of a core
# Bytes that a row may add: next to none. Over 1,500,000 rows, 8 are the 12 MB by which resident sizes scatter.
GROWTH = 8.0
LABELS = ("contradiction", "entailment", "neutral")


def write(path: Path, rows: int) -> None:
    """A tab-separated file in the size of MultiNLI's sentences, without repeats."""
    first = "the committee that had met on the second floor wrote report number {n} before it went home that evening"
    second = "somebody in the building wrote report number {n} on that day"
    with path.open("w") as sink:
        for n in range(rows):
            sink.write(f"{first.format(n=n)}\t{second.format(n=n)}\t{LABELS[n % 3]}\n")


def run(folder: Path) -> dict[str, float]:
    """One run of both stages, and of the peer, in this process."""
    import pyarrow.csv as pacsv

    from xtreme_dag.catalogue.catalogue import load_catalogue
    from xtreme_dag.catalogue.sources import open_source
    from xtreme_dag.contracts.check import check
    from xtreme_dag.contracts.counts import Count
    from xtreme_dag.contracts.engine import judge
    from xtreme_dag.contracts.odcs import Rule, contract_path
    from xtreme_dag.core.context import StageContext
    from xtreme_dag.data.prepare.prepare import prepare
    from xtreme_dag.tables.canonical import read_table

    rule = Rule(name="r", expectation="expect_column_values_to_be_unique", kwargs={"column": "id"})
    judge([Count(rule=rule, judged=1)])  # the import of Great Expectations is paid once in a worker's life
    dataset = load_catalogue().dataset("mnli")
    located = open_source("folder", {"path": str(folder)}).locate(dataset, "en", "train")
    facts = {"dataset": "mnli", "language": "en", "split": "train"}
    params = {
        **located.params,
        **facts,
        "format": dataset.format,
        "labels": list(dataset.labels),
        "limit": None,
        "whole": False,
    }
    before = peak()
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryDirectory() as verdict:
        started, busy = time.perf_counter(), time.process_time()
        prepare(params, located.files, StageContext(out=Path(out), scratch=Path(out)))
        prepared = time.perf_counter()
        inputs = {"table": Path(out), "contract": contract_path("mnli")}
        check({**facts, "source": "folder", "limit": None}, inputs, StageContext(out=Path(verdict), scratch=Path(out)))
        checked, done = time.perf_counter(), time.process_time()
        after = peak()
        table = read_table(Path(out))
    options = {"parse_options": pacsv.ParseOptions(delimiter="\t", quote_char=False),
               "read_options": pacsv.ReadOptions(column_names=["a", "b", "label"], use_threads=False)}  # fmt: skip
    begun = time.perf_counter()
    pacsv.read_csv(located.files["table"], **options)
    return {
        "prepare_s": prepared - started,
        "check_s": checked - prepared,
        "cpu_s": done - busy,
        "rows_per_s": len(table) / (checked - started),
        "rows_per_cpu_s": len(table) / (done - busy),
        "peer_parse_s": time.perf_counter() - begun,
        "table_bytes": table.nbytes,
        "peak_beyond_start_bytes": after - before,
    }


def peak() -> int:
    """Largest resident size of this process so far, in bytes."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if platform.system() == "Darwin" else size * 1024


def measured(rows: int, runs: int) -> dict[str, float]:
    """The middle figures of some runs over a file, each in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "xnli" / "train-en.tsv"
        path.parent.mkdir()
        write(path, rows)
        command = [sys.executable, __file__, "--one", folder]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        found = [
            json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
            for _ in range(runs)
        ]
    return {key: statistics.median(one[key] for one in found) for key in found[0]}


def main() -> None:
    """Runs the benchmark and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs=2, default=(500_000, 2_000_000), metavar=("FEWER", "MORE"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(run(given.one)))
        return
    fewer, more = given.rows
    found = {rows: measured(rows, given.runs) for rows in (fewer, more)}
    growth = (found[more]["peak_beyond_start_bytes"] - found[fewer]["peak_beyond_start_bytes"]) / (more - fewer)
    speed = min(one["rows_per_cpu_s"] for one in found.values())
    report = {
        "runs": given.runs,
        "cores": 1,
        "sizes": [
            {
                "rows": rows,
                **{key: round(value, 3) if key.endswith("_s") else int(value) for key, value in middle.items()},
                "times_the_peers_parse": round((middle["prepare_s"] + middle["check_s"]) / middle["peer_parse_s"], 2),
            }
            for rows, middle in found.items()
        ],
        "bar_rows_per_cpu_s": BAR,
        "meets_bar": speed >= BAR,
        "growth_bytes_a_row": round(growth, 1),
        "target_growth_bytes_a_row": GROWTH,
        "meets_target": growth <= GROWTH,
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
