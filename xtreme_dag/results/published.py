"""Numbers from elsewhere that the database has too: published scores, and the maximum power of devices."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path
from typing import Any

_ROOM = Path(__file__).parent


@lru_cache(maxsize=1)
def published_rows() -> list[dict[str, Any]]:
    """The rows of `published_scores`: system, task, language, split, metric, value, is_delta, source, note.

    Only figures with a source that was read.
    """
    with (_ROOM / "published.csv").open(encoding="utf-8", newline="") as lines:
        return [
            row | {"value": float(row["value"]), "is_delta": row["is_delta"] == "true"} for row in csv.DictReader(lines)
        ]


@lru_cache(maxsize=1)
def device_rows() -> list[dict[str, Any]]:
    """The rows of `device_power`: position, pattern, watts, source."""
    with (_ROOM / "device_power.csv").open(encoding="utf-8", newline="") as lines:
        return [
            row | {"position": position, "watts": float(row["watts"])}
            for position, row in enumerate(csv.DictReader(lines))
        ]
