"""A home with a landed synthetic study, for the commands that read results."""

from __future__ import annotations

from pathlib import Path

from tests.results.synthetic_study import make_study
from xtreme_dag.core.home import Home
from xtreme_dag.results.landing import land


def land_home(home: Path, **options: object) -> Path:
    """Lands a small study in a home."""
    made = make_study(home, **{"n": 40, "splits": ("test",), "seeds": (1, 2), **options})
    land(Home(home), *made.arguments)
    return home
