"""The Hugging Face hub as a source, through its own clients."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from xtreme_dag.catalogue.catalogue import Dataset, load_catalogue
from xtreme_dag.catalogue.entries import Hub, Split
from xtreme_dag.catalogue.languages import language_advice
from xtreme_dag.catalogue.sources.base import Located, filled, locate_union, reading, union_languages
from xtreme_dag.core.errors import UserError, nearest, refuse_unknown

COMMIT = re.compile(r"[0-9a-f]{40}")
ASK = "`xtreme-dag data revisions`"
_SELECTING = ("part", "leave_out")  # options that say which rows are taken, not where a column is
_CHANGES = ("id", "revision", "config", "splits", "columns")
# Reader of the hub's columns -> what it may be told of them (`xtreme_dag.data.readers.hub.columns_of`).
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "pairs_columns": ("text_a", "text_b", "label", "id", "label_names", "drop"),
    "choices_columns": ("context", "question", "choices", "choice_text", "label", "label_values", "id", "copa"),
    "tags_columns": ("words", "tags", "tag_names"),
    "squad_columns": ("id", "title", "context", "question", "answers", "derive_ids"),
    "parallel_columns": ("text", "english"),
}


class HubSource:
    """Datasets of the hub, each at a pinned commit. Nothing is fetched here: the prepare stage does.

    A token is taken from the environment only (`HF_TOKEN`), so is the address of another hub (`HF_ENDPOINT`).

    Args:
        revisions: dataset of the catalogue -> commit (40 hexadecimal digits); wins over the catalogue's.
        cache: folder for downloads; the client's own default when None.
        offline: use what the cache holds and ask nobody; `HF_HUB_OFFLINE=1` does the same.
        changed: dataset -> what is different of the catalogue's entry: `id` (`owner/name`), `revision`, `config` (a
            pattern with `{language}`, or null), `splits` (our split -> the hub's), `columns` (ours -> the hub's).

    Raises:
        UserError: a revision is not a commit, or a change is none.
    """

    kind = "hub"

    def __init__(
        self,
        revisions: Mapping[str, str] | None = None,
        cache: str | None = None,
        offline: bool | None = None,
        changed: Mapping[str, Any] | None = None,
    ) -> None:
        self.revisions = dict(revisions or {})
        self._changed = {
            name: _checked(load_catalogue().dataset(name), given) for name, given in (changed or {}).items()
        }
        for name, given in self._changed.items():
            if "revision" in given and self.revisions.setdefault(name, given["revision"]) != given["revision"]:
                raise UserError("two revisions are given", where=f"source hub: {name}.revision and revisions.{name}")
        self.cache = cache
        self.offline = os.environ.get("HF_HUB_OFFLINE", "") in ("1", "true", "True") if offline is None else offline
        for name, revision in self.revisions.items():
            where = f"source hub: revisions.{name}"
            if name not in load_catalogue().datasets:
                fix = nearest(str(name), load_catalogue().datasets)
                raise UserError(f"no dataset {name!r} in the catalogue", where=where, fix=fix)
            if not isinstance(revision, str) or not COMMIT.fullmatch(revision):
                raise UserError(
                    f"{revision!r} is not a commit of 40 hexadecimal digits",
                    where=where,
                    fix=f"a branch can move under a study: pin the commit that its page, or {ASK}, shows",
                )

    def locate(self, dataset: Dataset, language: str, split: str) -> Located:
        """Which files of which repository hold a table."""
        where = f"{dataset.name}, language {language}, split {split}"
        declared = dataset.split(split)
        if declared.union:
            return locate_union(self, language, declared)
        hub = self.entry(dataset, declared)
        if hub is None:
            raise UserError(
                "not on the hub", where=where, fix=f"use source `folder`; to get it: {dataset.get or 'see docs'}"
            )
        if language not in self.languages(dataset, split):
            fix = language_advice(language, self.languages(dataset, split))
            raise UserError(f"{hub.id} has no {language!r}", where=where, fix=fix)
        revision = hub.revision
        if revision is None:
            raise UserError(
                f"no revision of {hub.id} is pinned",
                where=where,
                fix=f"give the commit in the study, data.hub.revisions.{dataset.name}, or as --revision; {ASK} tells it",
            )
        options = {
            "id": hub.id,
            "revision": revision,
            "config": filled(hub.config, language) if hub.config else None,
            "split": hub.split,
            "files": {role: filled(pattern, language) for role, pattern in hub.files.items()},
            "columns": {"reader": hub.reader, **{name: v for name, v in hub.options.items() if name not in _SELECTING}},
            **{name: hub.options[name] for name in _SELECTING if name in hub.options},
        }
        settings = {"hub_cache": self.cache, "hub_offline": self.offline}
        params = reading("hub", options, declared, language, whole=hub.stand_in is None)
        return Located(files={}, params=params, options=settings, stand_in=hub.stand_in)

    def entry(self, dataset: Dataset, split: Split) -> Hub | None:
        """Where a split lies: as the catalogue says, with what is different of it here; None if it is not on the hub."""
        hub, given = split.hub, self._changed.get(dataset.name, {})
        if hub is None:
            return None
        moved = {"revision": None} if given.get("id", hub.id) != hub.id else {}  # the catalogue's is of another place
        pinned = {"revision": self.revisions[dataset.name]} if dataset.name in self.revisions else {}
        own = {name: given[name] for name in ("id", "config") if name in given}
        files = {} if {"id", "config"} & given.keys() else hub.files
        name = given.get("splits", {}).get(split.name, hub.split)
        options = {**hub.options, **given.get("columns", {})}
        return replace(hub, split=name, files=files, options=options, **{**moved, **pinned, **own})

    def pinned(self, dataset: Dataset) -> bool:
        """Whether the commit of every split of a dataset that is on the hub is known, and some split is."""
        found = [
            self.pinned(load_catalogue().dataset(ref.dataset))
            for split in dataset.splits.values()
            for ref in split.union
        ]
        own = [self.entry(dataset, split) for split in dataset.splits.values()]
        found += [hub.revision is not None for hub in own if hub is not None]
        return bool(found) and all(found)

    def languages(self, dataset: Dataset, split: str) -> tuple[str, ...]:
        """The languages of a split that the catalogue says are on the hub."""
        declared = dataset.split(split)
        if declared.union:
            return union_languages(self, declared)
        if declared.hub is None:
            return ()
        return tuple(
            code for code in declared.languages if not declared.hub.languages or code in declared.hub.languages
        )


def _checked(dataset: Dataset, given: Any) -> Mapping[str, Any]:
    """What a study says is different of a dataset on the hub.

    Raises:
        UserError: it is not; names the key.
    """
    where = f"source hub: {dataset.name}"
    own = [split.hub for split in dataset.splits.values() if split.hub is not None]
    if not isinstance(given, Mapping):
        raise UserError(f"holds {given!r}, not keys", where=where, fix=f"keys: {', '.join(_CHANGES)}")
    if not own:
        raise UserError("the dataset has no hub source that could be changed", where=where, fix=dataset.get)
    refuse_unknown(given, _CHANGES, what="key", where=where)
    wanted = {"id": r"[\w.-]+/[\w.-]+", "revision": COMMIT.pattern, "config": r"\S.*"}
    for name, pattern in wanted.items():
        value = given.get(name)
        if (
            name in given
            and not (isinstance(value, str) and re.fullmatch(pattern, value))
            and (name, value) != ("config", None)
        ):
            what = {"id": "owner/name", "revision": "a commit of 40 hexadecimal digits", "config": "a name"}[name]
            raise UserError(f"{value!r} is not {what}", where=f"{where}.{name}", fix=f"{ASK} tells commits")
    if isinstance(given.get("config"), str):
        try:
            filled(given["config"], dataset.languages[0])
        except (KeyError, IndexError, ValueError):
            fix = "{language}, {laser}, {name} and {Name} are filled in"
            raise UserError(f"{given['config']!r} cannot be filled in", where=f"{where}.config", fix=fix) from None
    keys = {"splits": tuple(dataset.splits), "columns": COLUMNS[own[0].reader]}
    for name, valid in keys.items():
        inner = given.get(name, {})
        if not isinstance(inner, Mapping):
            raise UserError(f"holds {inner!r}, not keys", where=f"{where}.{name}", fix=f"keys: {', '.join(valid)}")
        refuse_unknown(inner, valid, what=name.removesuffix("s"), where=f"{where}.{name}")
    return given
