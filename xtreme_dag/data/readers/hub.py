"""Datasets of the Hugging Face hub, fetched with `huggingface_hub` at a pinned commit and read with `datasets`.

Fetching and reading are two steps on purpose: `datasets` alone falls back, when offline, on whatever revision it has
cached last, while a snapshot of `huggingface_hub` is the commit that was asked for or an error.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.hub_client import limit_waiting
from xtreme_dag.data.readers.choices import choice_columns
from xtreme_dag.data.readers.files import Chunk, Place
from xtreme_dag.data.readers.pairs import Options

Result = TypeVar("Result")

ROWS = 16_384  # rows of a chunk
TRIES = 4  # of a request, with growing pauses, where the hub is busy
PAUSE = 0.5  # seconds before the second try; twice that before the next
READABLE = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv", ".tsv": "csv", ".arrow": "arrow"}
PACKED = (".gz", ".bz2", ".xz")  # what `datasets` unpacks by itself
TRANSIENT = (429, 500, 502, 503, 504)  # HTTP statuses after which a request is made again


def read_hub(options: Options, place: Place, *, cache: str | None, offline: bool) -> Iterator[Chunk]:
    """Chunks of one configuration and split.

    Args:
        options: `id`, `revision` (40 hexadecimal digits), `config`, `split` (`a+b` joins two), `files`
            (role -> pattern, instead of a configuration), `columns` (see `columns_of`).
        place: dataset, language, split, label set.
        cache: folder of the client's cache, None for its default.
        offline: take what the cache holds, ask nobody.

    Raises:
        UserError: no such repository, commit, configuration or file; no access; no network; a script of code.
    """
    repository = Repository(options["id"], options["revision"], cache, offline, place)
    for split in options["split"].split("+"):
        patterns, several = list(options["files"].values()), True
        if not patterns:
            patterns, several = patterns_of(repository.configurations(), options["config"], split, repository.error)
        for path in repository.fetch(patterns, several=several):
            yield from _rows(path, options["columns"], place)


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
                raise self.error(f"the hub cannot be reached: {_first_line(error.__cause__ or error)}", "") from None
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
                    raise self.error(f"the hub answers {status}: {_first_line(error)}", "") from None
            except OSError as error:
                raise self.error(f"the hub cannot be reached: {_first_line(error)}", "") from None
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


def _rows(path: Path, columns: Mapping[str, Any], place: Place) -> Iterator[Chunk]:
    """Chunks of one data file."""
    first = 0
    for rows, features in batches(path, place):
        size = len(next(iter(rows.values()), ()))
        yield Chunk(columns=columns_of(rows, features, columns, path, place, range(first, first + size)), file=path)
        first += size


def batches(path: Path, place: Place) -> Iterator[tuple[dict[str, list[Any]], dict[str, Any]]]:
    """Rows of one data file and the types of its columns, through the builder of `datasets` for its kind.

    Raises:
        UserError: it cannot be read.
    """
    import datasets

    given: dict[str, Any] = {"sep": "\t"} if ".tsv" in path.suffixes else {}
    quiet = datasets.utils.logging.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            loaded = datasets.load_dataset(
                kind_of(path.name), data_files=[str(path)], split="train", cache_dir=scratch, **given
            )
            for batch in loaded.with_format("arrow").iter(batch_size=ROWS):
                yield batch.to_pydict(), dict(loaded.features)
    except datasets.exceptions.DatasetGenerationError as error:
        raise place.error(f"cannot be read: {_first_line(error.__cause__ or error)}", path) from None
    finally:
        if quiet:
            datasets.enable_progress_bars()


def columns_of(
    rows: Mapping[str, list[Any]],
    features: Mapping[str, Any],
    options: Options,
    path: Path,
    place: Place,
    at: Sequence[int],
) -> dict[str, list[Any]]:
    """Canonical columns of rows of the hub.

    Args:
        rows: column -> values.
        features: column -> its type, as `datasets` has it; class labels know the names of their numbers.
        options: `reader`: `pairs_columns` (`text_a`, `text_b`, `label`, `id`: names of columns; `label_names`: names
            of the label numbers where the data do not say; `drop`: labels whose rows are left out),
            `choices_columns` (see `choice_columns`), `tags_columns` (`words`, `tags`, `tag_names`), `squad_columns`
            (SQuAD's, or what `id`, `title`, `context`, `question`, `answers` name; `derive_ids`), `parallel_columns` (`text`, `english`).
        path: the file, for messages.
        place: dataset, language, split, label set.
        at: row numbers, which make derived ids.

    Raises:
        UserError: a column is missing, or no such reader.
    """
    match options["reader"]:
        case "pairs_columns":
            return _pairs(rows, features, options, path, place)
        case "choices_columns":
            records = [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]
            return choice_columns(records, options, path, place, at)
        case "tags_columns":
            return _tags(rows, features, options, path, place)
        case "squad_columns":
            return _squad(rows, options, path, place, at)
        case "parallel_columns":
            return {
                name: [text.strip() for text in _column(rows, options[name], path, place)]
                for name in ("text", "english")
            }
    raise UserError(f"no reader {options['reader']!r}", where=f"dataset {place.dataset}")


def _pairs(
    rows: Mapping[str, list[Any]], features: Mapping[str, Any], options: Options, path: Path, place: Place
) -> dict[str, list[Any]]:
    labels = _column(rows, options["label"], path, place)
    drop = set(options.get("drop", ()))
    kept = [n for n, label in enumerate(labels) if label not in drop]
    names = _label_names(features[options["label"]], options.get("label_names", ()), place.labels)
    columns: dict[str, list[Any]] = {
        name: [str(_column(rows, options[name], path, place)[n]) for n in kept]
        for name in ("id", "text_a", "text_b")
        if name in options
    }
    columns["label"] = [_named(labels[n], names, path, place) for n in kept]
    return columns


def _tags(
    rows: Mapping[str, list[Any]], features: Mapping[str, Any], options: Options, path: Path, place: Place
) -> dict[str, list[Any]]:
    feature = features.get(options["tags"])
    names = _label_names(getattr(feature, "feature", feature), options.get("tag_names", ()), place.labels)
    tags = _column(rows, options["tags"], path, place)
    named = [[_named(tag, names, path, place) or "" for tag in sentence] for sentence in tags]
    return {"words": _column(rows, options["words"], path, place), "tags": named}


def _squad(
    rows: Mapping[str, list[Any]], options: Options, path: Path, place: Place, at: Sequence[int]
) -> dict[str, list[Any]]:
    def column(name: str) -> list[Any]:
        return _column(rows, options.get(name, name), path, place)

    answers = [
        [{"text": text, "start": start} for text, start in zip(one["text"], one["answer_start"], strict=True)]
        for one in column("answers")
    ]
    ids = [str(name) for name in column("id")]
    return {
        "id": [f"{name}-{n + 1}" for name, n in zip(ids, at, strict=True)] if options.get("derive_ids") else ids,
        "title": rows.get(options.get("title", "title"), [""] * len(ids)),
        "context": column("context"),
        "question": column("question"),
        "answers": answers,
        "answerable": [bool(one) for one in answers],
    }


def _column(rows: Mapping[str, list[Any]], name: str, path: Path, place: Place) -> list[Any]:
    if name not in rows:
        raise place.error(f"no column {name!r}", path, fix=f"its columns: {', '.join(rows)}")
    return rows[name]


def _label_names(feature: Any, declared: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Names of the label numbers: those of the data where they are labels of the task, else the catalogue's."""
    own: list[str] = list(getattr(feature, "names", None) or ())
    return own if own and (not labels or set(own) <= set(labels)) else list(declared) or own


def _named(value: str | int | None, names: Sequence[str], path: Path, place: Place) -> str | None:
    """A label's name; None for the hub's unknown label -1."""
    if isinstance(value, str):
        return value
    if value is None or value == -1:
        return None
    if not 0 <= value < len(names):
        raise place.error(f"label number {value} has no name", path)
    return names[value]


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
