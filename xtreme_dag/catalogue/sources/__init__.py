"""Where raw data come from: a folder, the Hugging Face hub, or the miniworld.

A source only says what to read and how; reading happens in the `prepare` stage. Locating is cheap (directory listings,
no parsing, nothing heavy imported), because a plan locates every table of a study.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.catalogue.sources.base import Located, Source
from xtreme_dag.catalogue.sources.folder import FolderSource
from xtreme_dag.catalogue.sources.hub import HubSource
from xtreme_dag.catalogue.sources.miniworld import MiniworldSource
from xtreme_dag.core.errors import UserError, nearest, refuse_unknown

__all__ = ["KINDS", "Located", "Source", "open_source", "parse_source"]

KINDS = {"folder": {"path"}, "hub": {"revisions", "cache", "offline"}, "miniworld": {"seed", "rows", "languages"}}


def open_source(kind: str, settings: Mapping[str, Any] | None = None) -> Source:
    """Opens a source.

    Args:
        kind: `folder`, `hub` or `miniworld`.
        settings: folder: `path`. hub: `revisions` (dataset -> commit, where the catalogue has none or another is
            wanted), `cache` (folder), `offline`, and by the name of a dataset what is different of it, see
            `HubSource`. miniworld: `seed`, `rows` (split or use -> rows a language),
            `languages`.

    Raises:
        UserError: an unknown kind or setting, or a folder that does not exist.
    """
    given = dict(settings or {})
    if kind not in KINDS:
        raise UserError(f"no source {kind!r}", where="source", fix=nearest(kind, KINDS))
    if kind == "hub":
        changed = {name: given.pop(name) for name in [*given] if name in load_catalogue().datasets}
        refuse_unknown(given, KINDS[kind], what="setting, and no dataset,", where=f"source {kind}")
        return HubSource(**given, changed=changed)
    refuse_unknown(given, KINDS[kind], what="setting", where=f"source {kind}")
    if kind == "folder":
        if "path" not in given:
            raise UserError("a folder needs a path", where="source folder")
        return FolderSource(Path(given["path"]))
    return MiniworldSource(**given)


def parse_source(text: str) -> Source:
    """Opens the source that a command line names: `folder:PATH`, `hub`, `miniworld` or `miniworld:SEED`."""
    kind, _, rest = text.partition(":")
    if kind == "folder":
        return open_source(kind, {"path": rest} if rest else {})
    if kind == "miniworld" and rest:
        if not rest.isdigit():
            raise UserError(f"{rest!r} is not a seed", where="source miniworld")
        return open_source(kind, {"seed": int(rest)})
    if kind not in KINDS and Path(text).expanduser().is_dir():
        raise UserError(f"no source {text!r}", where="source", fix=f"a folder is named as folder:{text}")
    if kind == "hub" and rest:
        raise UserError(
            f"{rest!r} after hub", where="source hub", fix="its commits are given as --revision, or in a study"
        )
    return open_source(kind)
