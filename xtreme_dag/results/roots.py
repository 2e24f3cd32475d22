"""Which artifacts of a home's store its landings need, so that garbage collection keeps them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.garbage import Needed
from xtreme_dag.results.landed import Landing

_HASH = re.compile(rb"[0-9a-f]{64}")


def landed_needs(home: Home) -> Needed:
    """Keys and digests that landings and imports name: of their evaluations and the stages behind them.

    A landing that cannot be read keeps all that is in its bytes, and all of its study.
    """
    names: set[str] = set()
    studies, unreadable = set(), []
    for path in sorted(home.landings.rglob("*.json")):
        try:
            landing = Landing.read(path, what="a landing", fix="")
        except UserError as error:
            names |= {match.decode() for match in _HASH.findall(_bytes(path))}
            studies.add(unquote(path.stem if path.parent == home.landings else path.parent.name))
            unreadable.append(f"{path} {error.what}: all of its study is kept")
            continue
        for row in landing.evaluations:
            names |= {row.stage_key, row.digest, row.artifact.name}
        for stage in landing.stages:
            names |= {stage.key, stage.digest}
    return Needed(names=frozenset(names), studies=frozenset(studies), unreadable=tuple(unreadable))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
