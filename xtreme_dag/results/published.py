"""Numbers that others have published: only those with a source that was read."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("published.csv")


@lru_cache(maxsize=1)
def published_rows() -> list[dict[str, Any]]:
    """The rows of `published_scores`: system, task, language, split, metric, value, is_delta, source, note."""
    with FILE.open(encoding="utf-8", newline="") as lines:
        return [
            row | {"value": float(row["value"]), "is_delta": row["is_delta"] == "true"} for row in csv.DictReader(lines)
        ]
