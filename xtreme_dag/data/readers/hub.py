"""Datasets of the Hugging Face hub, fetched with `huggingface_hub` at a pinned commit and read with `datasets`.

Fetching and reading are two steps on purpose: `datasets` alone falls back, when offline, on whatever revision it has
cached last, while a snapshot of `huggingface_hub` is the commit that was asked for or an error.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.data.readers.choices import choice_columns
from xtreme_dag.data.readers.files import Chunk, Place
from xtreme_dag.data.readers.hub_repository import Repository, first_line, kind_of, patterns_of
from xtreme_dag.data.readers.pairs import Options

ROWS = 16_384  # rows of a chunk


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
        raise place.error(f"cannot be read: {first_line(error.__cause__ or error)}", path) from None
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
