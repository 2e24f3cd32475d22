"""Messages about damaged files of a home outside its store, for commands that read them and can go on without."""

from __future__ import annotations

from xtreme_dag.core.home import Home
from xtreme_dag.engine.digests import read_cache
from xtreme_dag.engine.ledger import Ledger

_CACHES = ("digests.json", "reads.json", "models.json")


def cache_troubles(home: Home) -> list[str]:
    """A line for each damaged cache."""
    return [line for name in _CACHES if (line := read_cache(home.caches / name)[1])]


def troubles(home: Home) -> list[str]:
    """A line for each damaged file among ledger, caches and landings."""
    landings = [
        f"{path} is damaged: delete it and {'run its study' if path.parent == home.landings else 'import'} again"
        for path in sorted(home.landings.rglob("*.json"))
        if read_cache(path)[1]
    ]
    return [*filter(None, [Ledger(home.ledger).trouble()]), *cache_troubles(home), *landings]
