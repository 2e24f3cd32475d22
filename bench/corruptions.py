"""Damaged copies of a folder's datasets: whether `xtreme-dag data check` names what is wrong, how fast.

    python -m bench.corruptions --source ../shared/data [--dataset xquad ...] [--json]

For each dataset that the folder has and each of nine kinds of damage (`tests/contracts/corruptions.py` makes them, for
the tests as well), one table's files are damaged in a copy of the folder and the program checks the whole dataset.
Prints what it named (what it did not say of the undamaged copy) and the seconds of the command, its start included.
Exit code 1 if a damage goes unnoticed, ends in a traceback or takes ten seconds or more.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]

LIMIT = 10.0  # seconds
ENGLISH_LAST = ("en",)
UNMARRED = ("de", "et", "ru")  # languages that are damaged if they are there: no contract tolerates anything in them


def check(folder: Path, dataset: str) -> tuple[int, list[dict[str, Any]], str, float]:
    """Exit code, tables, what went to stderr and seconds of `data check`, its start and end included."""
    command = [sys.executable, "-m", "xtreme_dag", "data", "check", "--source", f"folder:{folder}", "--json"]
    with tempfile.TemporaryDirectory() as home:  # nothing is cached
        command += ["--dataset", dataset, "--home", home]
        started = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
    try:
        tables = json.loads(done.stdout)["tables"]
    except ValueError:
        tables = []
    return done.returncode, tables, done.stderr, seconds


def violations(tables: list[dict[str, Any]]) -> dict[tuple[str, str, str, str], dict[str, Any]]:
    """(dataset, language, split, rule) -> the violation."""
    return {
        (table["dataset"], table["language"], table["split"], rule["rule"]): rule
        for table in tables
        for rule in table["rules"]
        if not rule["ok"] and rule["severity"] == "error"
    }


def targets(folder: Path, dataset: str) -> Iterator[Any]:
    """The tables of a dataset, one language a split, those for selection first: their labels are in the same file."""
    from tests.contracts.corruptions import target
    from xtreme_dag.catalogue.catalogue import load_catalogue
    from xtreme_dag.catalogue.sources import open_source

    source, entry = open_source("folder", {"path": str(folder)}), load_catalogue().dataset(dataset)
    for split in sorted(entry.splits.values(), key=lambda one: ("select", "train", "test").index(one.use)):
        there = source.languages(entry, split.name)
        codes = sorted(there, key=lambda code: (code in ENGLISH_LAST, code not in UNMARRED))
        if codes:
            yield target(source, dataset, codes[0], split.name)


def run(folder: Path, dataset: str) -> Iterator[dict[str, Any]]:
    """One entry for each kind of damage of a dataset."""
    from tests.contracts.corruptions import CORRUPTIONS

    found = list(targets(folder, dataset))
    before = violations(check(folder, dataset)[1])
    for damage in CORRUPTIONS:
        why = ""
        for one in found:
            kept = {path: path.read_bytes() for path in one.files.values()}
            try:
                if why := damage(one):
                    continue
                code, tables, err, seconds = check(folder, dataset)
            finally:
                for path, data in kept.items():
                    path.write_bytes(data)
            new = {key: rule for key, rule in violations(tables).items() if rule != before.get(key)}
            mine = {key: rule for key, rule in new.items() if key[1] == one.language}
            yield {
                "dataset": dataset,
                "damage": damage.__name__,
                "table": f"{one.language}/{one.split}",
                "named": [said(key, rule) for key, rule in mine.items()],
                "others": len(new) - len(mine),
                "exit_code": code,
                "seconds": round(seconds, 2),
                "ok": bool(mine) and code == 1 and seconds < LIMIT and not err,
                "stderr": err,
            }
            break
        else:
            yield {"dataset": dataset, "damage": damage.__name__, "not_applicable": why}


def said(key: tuple[str, str, str, str], rule: dict[str, Any]) -> str:
    """A violation in a line: split, rule, first ids or the message."""
    if "error" in rule:
        return f"{key[2]} {key[3]}: {' '.join(rule['error'].split())}"
    return f"{key[2]} {key[3]}: {rule['count']} ({', '.join(rule['first_ids'])})"


def main() -> None:
    """Runs the damages and prints what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="folder with datasets; it is copied")
    parser.add_argument("--dataset", action="append", help="only this one; may be given more than once")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()

    from xtreme_dag.catalogue.catalogue import load_catalogue
    from xtreme_dag.catalogue.sources import open_source

    source, catalogue = open_source("folder", {"path": str(given.source)}), load_catalogue()
    names = given.dataset or [
        name
        for name, entry in catalogue.datasets.items()
        if any(source.languages(entry, split) for split in entry.splits)
    ]
    entries = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "data"
        shutil.copytree(given.source, folder, copy_function=shutil.copyfile)
        for name in names:
            for entry in run(folder, name):
                entries.append(entry)
                if not given.json:
                    show(entry)
    tried = [entry for entry in entries if "ok" in entry]
    report = {
        "datasets": len(names),
        "damaged": len(tried),
        "noticed": sum(entry["ok"] for entry in tried),
        "not_applicable": len(entries) - len(tried),
        "slowest_s": max((entry["seconds"] for entry in tried), default=0.0),
    }
    print(json.dumps({**report, "entries": entries} if given.json else report, indent=1, ensure_ascii=False))
    if report["noticed"] < report["damaged"]:
        sys.exit(1)


def show(entry: dict[str, Any]) -> None:
    """One line of the table."""
    head = f"{entry['dataset']:<16} {entry['damage']:<20}"
    if "not_applicable" in entry:
        print(f"{head} -  {entry['not_applicable']}", flush=True)
        return
    told = "; ".join(one[:180] for one in entry["named"][:2]) or "NOTHING"
    verdict = "ok" if entry["ok"] else "NO"
    print(
        f"{head} {verdict} {entry['seconds']:5.2f} s  {entry['table']:<10} {told} {entry['stderr'][:200]}",
        flush=True,
    )


if __name__ == "__main__":
    main()
