"""Speed of the leaderboard over 1,000 conditions x 200 languages.

    python -m bench.leaderboard [--conditions 1000] [--languages 200] [--seeds 1]

The rows are put into a database as a landing would put them; what is timed is the query as `xtreme-dag sql` runs it
(in a process that has the database open), and the same in DuckDB's plainest form (GROUP BY over `scores`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from xtreme_dag.core.home import Home
from xtreme_dag.results import database
from xtreme_dag.results.facts import Condition, StudyFacts
from xtreme_dag.results.landed import Landing
from xtreme_dag.results.landing import rebuild
from xtreme_dag.results.query import reader
from xtreme_dag.results.rows import replace_study, rows_of
from xtreme_dag.results.views import refresh

QUERIES = {
    "leaderboard": "SELECT * FROM leaderboard",
    "per_language": "SELECT * FROM per_language",
    "deltas": "SELECT * FROM deltas",
    "transfer_gap": "SELECT * FROM transfer_gap",
    "plain_group_by": "SELECT condition, avg(value) FROM scores GROUP BY condition",
}


def fill(home: Path, conditions: int, languages: int, seeds: int) -> int:
    """Puts the scores of a large study into a new database."""
    rebuild(Home(home), [])
    names = [f"c{number:04d}" for number in range(conditions)]
    study = StudyFacts(
        name="large", question="?", baseline=names[0], conditions=tuple(Condition(name=n) for n in names)
    )
    rows = rows_of(Home(home), Landing(study=study, evaluations=(), contracts=(), stages=()), "digest")
    codes = ["en", *(f"l{number:03d}" for number in range(1, languages))]
    rows["scores"] = [
        {"study": "large", "condition": name, "task": "xnli", "language": code, "split": "test", "seed": seed,
         "metric": "accuracy", "value": 30 + (place * 7919 + number * 104729 + seed) % 6000 / 100, "is_primary": True,
         "n": 5010, "stage_key": f"{name}/{code}/{seed}"}
        for place, name in enumerate(names) for number, code in enumerate(codes) for seed in range(seeds)
    ]  # fmt: skip

    def change(connection: object) -> None:
        replace_study(connection, "large", rows)
        refresh(connection, Home(home))

    path = home / "results.duckdb"
    database.replace(path, change, start_from=path)
    return len(rows["scores"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--conditions", type=int, default=1000)
    parser.add_argument("--languages", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    home = Path(tempfile.mkdtemp())
    try:
        rows = fill(home, arguments.conditions, arguments.languages, arguments.seeds)
        report: dict[str, object] = {"rows": rows, "cpus": os.cpu_count(), "load": os.getloadavg()}
        with reader(Home(home)) as connection:
            for name, sql in QUERIES.items():
                wall, cpu = [], []
                for _ in range(arguments.repeats):
                    start = time.perf_counter(), time.process_time()
                    found = connection.execute(sql).fetchall()
                    wall.append(time.perf_counter() - start[0])
                    cpu.append(time.process_time() - start[1])
                report[name] = {"wall": statistics.median(wall), "cpu": statistics.median(cpu), "rows": len(found)}
        report["megabytes"] = (home / "results.duckdb").stat().st_size / 1e6
        print(json.dumps(report, indent=1))
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
