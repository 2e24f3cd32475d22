"""An audit of a training table against a test: seconds, and which planted near duplicates are found.

    python -m bench.overlap [--rows 400000] [--tested 5000]

Prints JSON. The bar is a minute for 400,000 x 5,000 pairs of sentences.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
BAR = 60.0
PLANTED = 1000


def sentence(words: list[str], length: int, draw: random.Random) -> str:
    """Random words."""
    return " ".join(draw.choices(words, k=length))


def main() -> None:
    """One audit."""
    import pyarrow as pa

    from xtreme_dag import formats
    from xtreme_dag.contracts.overlap import overlap
    from xtreme_dag.core.context import StageContext
    from xtreme_dag.tables.canonical import schema_of, write_table

    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--tested", type=int, default=5_000)
    asked = parser.parse_args()
    draw = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(20_000)]
    rows = [[sentence(words, 15, draw), sentence(words, 8, draw)] for _ in range(asked.rows + asked.tested)]
    seen, tested = rows[: asked.rows], rows[asked.rows :]
    for number, place in enumerate(draw.sample(range(asked.rows), min(PLANTED, asked.tested))):
        seen[place] = [text[:9] + "x" + text[9:] for text in tested[number]]
    declared = formats.get("pair_classification")
    with tempfile.TemporaryDirectory() as folder:
        paths = {"seen": Path(folder) / "seen.parquet", "xnli/en/test": Path(folder) / "tested.parquet"}
        for path, texts in zip(paths.values(), (seen, tested), strict=True):
            columns = {
                "id": [f"{path.stem}-{number}" for number in range(len(texts))],
                "language": ["en"] * len(texts), "split": [path.stem] * len(texts),
                "text_a": [row[0] for row in texts], "text_b": [row[1] for row in texts],
                "label": ["neutral"] * len(texts),
            }  # fmt: skip
            write_table(pa.table(columns, schema_of(declared)), path)
        facts = {"language": "en", "format": declared.name}
        params = {
            "seen": {"dataset": "mnli", "split": "train", "use": "train", **facts},
            "tested": [{"dataset": "xnli", "split": "test", "use": "test", **facts}],
            "formats": {declared.name: declared.facts("columns", "sides", "texts", "compared", "read", "shared")},
            "allowed": {},
        }
        started, computed = time.perf_counter(), time.process_time()
        overlap(params, paths, StageContext(out=Path(folder), scratch=Path(folder)))
        seconds, computed = time.perf_counter() - started, time.process_time() - computed
        found = json.loads((Path(folder) / "overlap.json").read_text())["findings"][0]["found"]
    print(
        json.dumps(
            {
                "seconds": round(seconds, 1),
                "cpu": round(computed, 1),
                "bar": BAR,
                "planted": min(PLANTED, asked.tested),
                "found": found,
            }
        )
    )


if __name__ == "__main__":
    main()
