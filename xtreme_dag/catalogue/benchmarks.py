"""What the benchmarks themselves list: an average is official over these tasks and languages alone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from xtreme_dag.core.yaml import read_yaml

Official = Mapping[str, tuple[str, ...]]
"""Task -> languages."""


@lru_cache(maxsize=1)
def official() -> Mapping[str, Official]:
    """Benchmark (`xtreme`, `xtreme-r`) -> its tasks, whatever else the catalogue has."""
    text = Path(__file__).with_name("benchmarks.yaml").read_text(encoding="utf-8")
    return {
        name: {task: tuple(languages.split()) for task, languages in tasks.items()}
        for name, tasks in read_yaml(text).items()
    }
