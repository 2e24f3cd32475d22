"""Tokenisation: our `encode` stage against `datasets.map(batched=True)` with the same tokenizer and process count.

    python -m bench.tokenise [--rounds 5] [--languages 15] [--json]

XNLI dev pairs. Both write Arrow to disk and use one process; the tokenizer's own threads are the same for both (one,
unless TOKENIZERS_PARALLELISM=true). Ours also counts truncations and unknown tokens. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from bench.peers import LABELS, Clock, Seconds, interleaved, make_tokenizer, summary, xnli_rows
from bench.training import XNLI


def ours(table: Path, tokenizer: Path) -> Seconds:
    """What the stage takes, from the canonical table to the Arrow files."""
    from xtreme_dag.core.context import StageContext
    from xtreme_dag.heads.encoding import encode

    with tempfile.TemporaryDirectory() as folder:
        context = StageContext(out=Path(folder), scratch=Path(folder))
        params = {"format": "pair_classification", "head": "classification", "labels": LABELS, "max_length": 128}
        with Clock() as clock:
            encode(params, {"table": table, "tokenizer": tokenizer}, context)
    return clock.spent


def peer(table: Path, tokenizer: Path) -> Seconds:
    """What `datasets` takes: read the same Parquet file, map in batches, save."""
    from datasets import Dataset, disable_caching, disable_progress_bars
    from transformers import AutoTokenizer

    disable_caching()
    disable_progress_bars()
    with tempfile.TemporaryDirectory() as folder, Clock() as clock:
        loaded = AutoTokenizer.from_pretrained(str(tokenizer), trust_remote_code=False)
        rows = Dataset.from_parquet(str(table / "table.parquet"), cache_dir=folder)
        numbers = {label: number for number, label in enumerate(LABELS)}

        def encode(batch: dict) -> dict:
            made = loaded(batch["text_a"], batch["text_b"], truncation=True, max_length=128)
            return {"input_ids": made["input_ids"], "label": [numbers[label] for label in batch["label"]]}

        rows.map(encode, batched=True, remove_columns=["text_a", "text_b", "split"]).save_to_disk(f"{folder}/out")
    return clock.spent


def main() -> None:
    """Runs both in turn and prints JSON."""
    import pyarrow as pa

    from xtreme_dag.tables.canonical import SCHEMAS, write_table

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--languages", type=int, default=len(XNLI))
    parser.add_argument("--json", action="store_true", help="one line")
    asked = parser.parse_args()
    rows = xnli_rows(XNLI[: asked.languages], 2_490)
    folder = Path(tempfile.mkdtemp())
    write_table(pa.Table.from_pylist(rows, schema=SCHEMAS["pair_classification"]), folder / "table.parquet")
    texts = [row[side] for row in rows[::5] for side in ("text_a", "text_b")]
    tokenizer = make_tokenizer(texts, 8_000)
    runs = {"ours": lambda: ours(folder, tokenizer), "datasets_map": lambda: peer(folder, tokenizer)}
    for call in runs.values():
        call()  # imports
    results = interleaved(runs, asked.rounds, lambda line: print(line, file=sys.stderr, flush=True))
    report = {
        "load": os.getloadavg(),
        "tokenizers_parallelism": os.environ.get("TOKENIZERS_PARALLELISM", "unset"),
        **summary(results, len(rows)),
    }
    print(json.dumps(report, indent=None if asked.json else 1))


if __name__ == "__main__":
    main()
