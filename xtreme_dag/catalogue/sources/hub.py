"""The Hugging Face hub as a source, through its own clients."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from xtreme_dag.catalogue.catalogue import Dataset, load_catalogue
from xtreme_dag.catalogue.languages import language_advice
from xtreme_dag.catalogue.sources.base import Located, filled, locate_union, reading, union_languages
from xtreme_dag.core.errors import UserError, nearest

COMMIT = re.compile(r"[0-9a-f]{40}")
ASK = "`xtreme-dag data revisions`"
_SELECTING = ("part", "leave_out")  # options that say which rows are taken, not where a column is


class HubSource:
    """Datasets of the hub, each at a pinned commit. Nothing is fetched here: the prepare stage does.

    A token is taken from the environment only (`HF_TOKEN`), so is the address of another hub (`HF_ENDPOINT`).

    Args:
        revisions: dataset of the catalogue -> commit (40 hexadecimal digits); wins over the catalogue's.
        cache: folder for downloads; the client's own default when None.
        offline: use what the cache holds and ask nobody; `HF_HUB_OFFLINE=1` does the same.

    Raises:
        UserError: a revision is not a commit.
    """

    kind = "hub"

    def __init__(
        self, revisions: Mapping[str, str] | None = None, cache: str | None = None, offline: bool | None = None
    ) -> None:
        self.revisions = dict(revisions or {})
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
        hub = declared.hub
        if hub is None:
            raise UserError(
                "not on the hub", where=where, fix=f"use source `folder`; to get it: {dataset.get or 'see docs'}"
            )
        if language not in self.languages(dataset, split):
            fix = language_advice(language, self.languages(dataset, split))
            raise UserError(f"{hub.id} has no {language!r}", where=where, fix=fix)
        revision = self.revisions.get(dataset.name, hub.revision)
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

    def pinned(self, dataset: Dataset) -> bool:
        """Whether the commit of every split of a dataset that is on the hub is known, and some split is."""
        found = [
            self.pinned(load_catalogue().dataset(ref.dataset))
            for split in dataset.splits.values()
            for ref in split.union
        ]
        own = [split.hub for split in dataset.splits.values() if split.hub is not None]
        found += [dataset.name in self.revisions or hub.revision is not None for hub in own]
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
