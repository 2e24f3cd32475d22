"""All twelve target tasks in one study on the real data, and `score` against the database, figure by figure.

    python -m bench.twelve [--home DIR] [--set KEY=VALUE ...] > twelve.json

Runs `studies/real_twelve.yaml` as a user would (`run`, `export`, `score --json`, `sql`), with Mewsli-X as the twelfth
task. Its release is not in the folder of real data, so its files are made here: mentions and entities of the miniworld
in the release's layout, beside links to everything else. They are fewer than published, which the contracts would
refuse, so these are off. For each condition and both benchmarks the run is exported and scored; every figure of `score`
is held against the database's. Exits with 1 if one differs by more than 1e-9 or a task is not there.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import yaml
from click.testing import CliRunner

from xtreme_dag.miniworld.source import table
from xtreme_dag.program import cli

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
STUDY = ROOT / "studies" / "real_twelve.yaml"
# Languages of Mewsli-X, and the generated one whose words stand under the code.
LANGUAGES = {"en": "en", "de": "qaa"}
TOLERANCE = 1e-9


def with_mewslix(folder: Path, *, rows: int, lareqa: Iterable[str] = ()) -> Path:
    """A folder of links to the real data, and a release of Mewsli-X with so many mentions a language.

    Args:
        folder: a new folder.
        rows: mentions, and as many entities; for training, twice as many.
        lareqa: languages of LAReQA's pool; all by default.
    """
    folder.mkdir(parents=True)
    for entry in DATA.iterdir():
        if entry.name != "lareqa" or not lareqa:
            (folder / entry.name).symlink_to(entry)
    for language in lareqa:
        (folder / "lareqa" / "xquad-r").mkdir(parents=True, exist_ok=True)
        (folder / "lareqa" / "xquad-r" / f"{language}.json.gz").symlink_to(
            DATA / "lareqa" / "xquad-r" / f"{language}.json.gz"
        )
    release = folder / "mewslix"
    release.mkdir()
    made = {code: entity_linking(code, "test", rows) for code in LANGUAGES}
    mentions = [mention(code, row) for code, some in made.items() for row in some if row["side"] == "mention"]
    write(release / "wikinews_mentions-test.jsonl", [{"context": c, "mentions": [m]} for c, m in mentions])
    write(release / "candidate_set_entities.jsonl", [entity(row) for row in made["en"] if row["side"] == "entity"])
    for split, count in (("train", 2 * rows), ("dev", rows)):
        pool = entity_linking("en", split, count)
        known = {row["id"]: entity(row) for row in pool if row["side"] == "entity"}
        pairs = [(*mention("en", row), known[row["gold"][0]]) for row in pool if row["side"] == "mention"]
        write(
            release / f"wikipedia_pairs-{split}.jsonl",
            [{"contextual_mention": {"context": c, "mention": m}, "entity": e} for c, m, e in pairs],
        )
    return folder


def entity_linking(code: str, split: str, rows: int) -> list[dict]:
    made = table("entity_linking", dataset="d", language=LANGUAGES[code], split=split, rows=2 * rows, seed=5)
    return made.to_pylist()


def mention(code: str, row: dict) -> tuple[dict, dict]:
    """The context and the mention, as the release writes them."""
    start = row["context"].index("{")
    text = row["context"].replace("{", "").replace("}", "")
    span = {"start": start, "end": start + len(row["text"]), "text": row["text"]}
    context = {"language": code, "text": text, "sentence_spans": [[0, len(text)]]}
    return context, {"example_id": f"{code}-{row['id']}", "mention_span": span, "entity_id": row["gold"][0]}


def entity(row: dict) -> dict:
    return {"entity_id": row["id"], "description": f"{row['text']}. {row['context']}"}


def write(path: Path, records: list[dict]) -> None:
    path.write_text("".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records), encoding="utf-8")


def told(*arguments: object) -> str:
    """What a command of the program prints."""
    done = CliRunner().invoke(cli.program, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def compared(home: Path, study: str, condition: str, folder: Path) -> dict:
    """Exports and scores one run for both benchmarks; how many figures agree with the database's, and which do not."""
    query = (
        f"SELECT task, language, metric, value FROM scores WHERE study = '{study}' AND condition = '{condition}'"
        " AND split = 'test' AND seed = 1 AND metric <> 'n'"
    )
    rows = json.loads(told("sql", query, "--format", "json", "--home", home))
    known = {(row["task"], row["language"], row["metric"]): row["value"] for row in rows}
    found: dict[tuple[str, str, str], float] = {}
    missing: list[str] = []
    for benchmark in ("xtreme", "xtreme-r"):
        parts = [folder / f"{condition}-{benchmark}-{part}" for part in ("submission", "labels")]
        done = json.loads(
            told("export", "--study", study, "--condition", condition, "--seed", 1, "--benchmark", benchmark, "--out",
                 parts[0], "--labels", parts[1], "--home", home, "--json")
        )  # fmt: skip
        missing += [line for line in done["warnings"] if "no labels" in line]
        scored = json.loads(
            told("score", "--predictions", parts[0], "--labels", parts[1], "--benchmark", benchmark, "--json")
        )
        for task, languages in scored["tasks"].items():
            for language, metrics in languages.items():
                found |= {(task, language, metric): value for metric, value in metrics.items()}
    differ = {
        " ".join(cell): [value, known.get(cell)]
        for cell, value in found.items()
        if cell not in known or abs(known[cell] - value) > TOLERANCE
    }
    return {
        "tasks": sorted({task for task, *_ in found}),
        "cells": len({cell[:2] for cell in found}),
        "figures": len(found),
        "largest_difference": max((abs(known[cell] - value) for cell, value in found.items() if cell in known)),
        "differ": differ,
        "only_in_database": sorted({" ".join(cell[:2]) for cell in known} - {" ".join(cell[:2]) for cell in found}),
        "without_labels": sorted(set(missing)),
        "between_0_and_100": sorted({task for (task, *_), value in found.items() if 0 < value < 100}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="where the study runs (a new temporary folder)")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="as for `xtreme-dag run`")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    home = given.home or folder / "home"
    data = with_mewslix(folder / "data", rows=60)
    targets = [*yaml.safe_load(STUDY.read_text(encoding="utf-8"))["targets"], "mewslix"]
    settings = [f"data.folder={data}", "data.contracts=false", f"targets=[{', '.join(targets)}]", *given.settings]
    start = time.perf_counter()
    ran = json.loads(
        told("run", STUDY, *(part for one in settings for part in ("--set", one)), "--home", home, "--json")
    )
    found: dict = {"stages": ran["stages"], "run_wall_s": round(time.perf_counter() - start, 1)}
    for condition in ("none", "english"):
        found[condition] = compared(home, "real_twelve", condition, folder)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    found["processor_s"] = round(sum(part.ru_utime + part.ru_stime for part in used), 1)
    print(json.dumps(found, indent=1))
    wrong = [name for name in ("none", "english") if found[name]["differ"] or found[name]["tasks"] != sorted(targets)]
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
