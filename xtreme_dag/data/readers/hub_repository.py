"""A dataset repository of the Hugging Face hub at a pinned commit: its configurations and its files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.hub_client import limit_waiting
from xtreme_dag.data.readers.files import Place

Result = TypeVar("Result")

TRIES = 4  # of a request, with growing pauses, where the hub is busy
PAUSE = 0.5  # seconds before the second try; twice that before the next
READABLE = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv", ".tsv": "csv", ".arrow": "arrow"}
PACKED = (".gz", ".bz2", ".xz")  # what `datasets` unpacks by itself
TRANSIENT = (429, 500, 502, 503, 504)  # HTTP statuses after which a request is made again


def kind_of(name: str) -> str | None:
    """The builder of `datasets` for a file, by its name; None if it has no data that can be read without code."""
    for packed in PACKED:
        name = name.removesuffix(packed)
    return READABLE.get(Path(name).suffix)


def patterns_of(
    declared: Sequence[Mapping[str, Any]], config: str | None, split: str, error: Callable[[str, str], Exception]
) -> tuple[list[str], bool]:
    """Patterns of the data files of a configuration's split, and whether all of them count or the first that fits.

    Args:
        declared: the configurations of the repository's card.
        config: the wanted one, None for the default.
        split: the hub's name of the split.
        error: makes what is raised of what is wrong and what to do.

    Raises:
        Exception: what `error` made: the card has no such configuration or split.
    """
    if not declared:  # the folders of Parquet conversions, then customary ones
        folder = config or "default"
        places = [f"{folder}/{split}/*", f"{folder}/{split}-*", f"{folder}/{split}.*"]
        plain = [f"data/{split}-*", f"data/{split}.*", f"data/{split}/*", f"{split}.*", f"{split}-*", f"{split}/*"]
        return [*places, *(plain if config is None else plain[:1])], False
    names = [str(entry.get("config_name", "default")) for entry in declared]
    wanted = config or next((str(e.get("config_name", "default")) for e in declared if e.get("default")), names[0])
    if wanted not in names:
        raise error(f"no configuration {wanted!r}", f"it has: {', '.join(sorted(names))}")
    found = split_patterns(declared[names.index(wanted)].get("data_files", f"{wanted}/{split}*"))
    if split not in found:
        raise error(f"configuration {wanted!r} has no split {split!r}", f"it has: {', '.join(sorted(found))}")
    return found[split], True


class Repository:
    """One dataset repository at one commit.

    Args:
        name: `owner/name`.
        revision: the commit.
        cache: folder of the client's cache, or None.
        offline: ask nobody.
        place: what is being read, for messages.
    """

    def __init__(self, name: str, revision: str, cache: str | None, offline: bool, place: Place) -> None:
        limit_waiting()
        self.name = name
        self.place = place
        self._given: dict[str, Any] = {
            "repo_type": "dataset",
            "revision": revision,
            "cache_dir": cache,
            "local_files_only": offline,
            "token": os.environ.get("HF_TOKEN") or False,
            "endpoint": os.environ.get("HF_ENDPOINT"),
        }

    def fetch(self, patterns: Sequence[str], *, several: bool = True) -> list[Path]:
        """Downloads the files that match, or finds them in the cache; sorted by path.

        Args:
            patterns: of files.
            several: take what any of the patterns matches, not only what the first does that matches something.
        """
        from huggingface_hub import snapshot_download

        for path in map(PurePosixPath, patterns):
            if path.is_absolute() or ".." in path.parts:
                raise self.error(f"{str(path)!r} leads out of the repository", "name another repository or commit")
        folder = Path(self._asked(lambda: snapshot_download(self.name, allow_patterns=list(patterns), **self._given)))
        groups = [patterns] if several else [[pattern] for pattern in patterns]
        for group in groups:
            found = {
                path for pattern in group for path in folder.glob(pattern) if path.is_file() and kind_of(path.name)
            }
            if found:
                return sorted(found)
        advice = f"a repository of code is not run: `xtreme-dag data revisions --dataset {self.place.dataset}` tells the commit of its Parquet conversion, if it has one"
        raise self.error(f"no data files match {', '.join(patterns)}", advice)

    def configurations(self) -> list[dict[str, Any]]:
        """The configurations that the repository's card declares; none if it declares none or there is no card."""
        from huggingface_hub import DatasetCard, hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError

        try:
            card = self._asked(lambda: hf_hub_download(self.name, "README.md", **self._given))
        except EntryNotFoundError:
            return []
        return list(DatasetCard.load(card).data.to_dict().get("configs") or [])

    def _asked(self, request: Callable[[], Result]) -> Result:
        """A request's answer; made again where the hub is busy (lost connections the client tries again itself).

        Raises:
            EntryNotFoundError: the file is not in the repository.
            UserError: anything else.
        """
        from huggingface_hub import errors

        for tries in range(1, TRIES + 1):
            try:
                return request()
            except errors.LocalEntryNotFoundError as error:
                if self._given["local_files_only"]:
                    raise self.error("not in the cache, and this is offline", "fetch it once with a network") from None
                raise self.error(f"the hub cannot be reached: {first_line(error.__cause__ or error)}", "") from None
            except errors.EntryNotFoundError:
                raise
            except errors.GatedRepoError:
                raise self.error("access is granted on its page", "ask there, then set HF_TOKEN") from None
            except errors.RevisionNotFoundError:
                raise self.error("no such commit", "give one that its page shows") from None
            except errors.RepositoryNotFoundError:
                raise self.error("no such dataset, or it is private", "for a private one set HF_TOKEN") from None
            except errors.OfflineModeIsEnabled:
                raise self.error("not in the cache, and this is offline", "unset HF_HUB_OFFLINE") from None
            except errors.HfHubHTTPError as error:
                status = error.response.status_code if error.response is not None else 0
                if status not in TRANSIENT or tries == TRIES:
                    raise self.error(f"the hub answers {status}: {first_line(error)}", "") from None
            except OSError as error:
                raise self.error(f"the hub cannot be reached: {first_line(error)}", "") from None
            time.sleep(PAUSE * 2 ** (tries - 1))
        raise AssertionError("unreachable")

    def error(self, what: str, fix: str) -> UserError:
        """An error that names the table, the repository and the commit."""
        where = f"{self.place.dataset}/{self.place.language}/{self.place.split}, hub {self.name}"
        return UserError(what, where=f"{where} at {str(self._given['revision'])[:12]}", fix=fix)


def split_patterns(data_files: Any) -> dict[str, list[str]]:
    """Split -> patterns, from the `data_files` of a card; files without a split are the train split."""
    if isinstance(data_files, str):
        return {"train": [data_files]}
    if isinstance(data_files, Mapping):
        data_files = [{"split": split, "path": path} for split, path in data_files.items()]
    found: dict[str, list[str]] = {}
    for entry in data_files:
        split, path = (entry["split"], entry["path"]) if isinstance(entry, Mapping) else ("train", entry)
        found.setdefault(split, []).extend([path] if isinstance(path, str) else path)
    return found


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its class if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
