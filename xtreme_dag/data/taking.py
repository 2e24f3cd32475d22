"""Takes a dataset of the hub as files of the user's own: the rows of a pinned commit, written in forms that `look` knows.

A copy, so that it is looked at, checked and read as any file, on a machine without network too.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import write_atomically
from xtreme_dag.core.hub_client import limit_waiting
from xtreme_dag.data.readers.files import Place
from xtreme_dag.data.readers.hub import batches
from xtreme_dag.data.readers.hub_repository import Repository, kind_of, split_patterns
from xtreme_dag.data.revisions import CONVERSION

ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_SPLIT = re.compile(r"(train|training|dev|valid|validation|val|test)(?![a-z])", re.IGNORECASE)


def take(name: str, folder: Path, *, revision: str | None = None, config: str | None = None) -> tuple[str, list[Path]]:
    """Writes the splits of a dataset of the hub as files; returns its commit and the files.

    Token and address of the hub are those of the environment (`HF_TOKEN`, `HF_ENDPOINT`). Code is never run: of a
    repository of code its Parquet conversion is taken.

    Args:
        name: `owner/name`.
        folder: gets a file for each split, in a folder of the configuration's name.
        revision: a commit or branch; by default the newest commit.
        config: a configuration; not needed if there is one only.

    Raises:
        UserError: no such dataset, configuration or data; no access; no network; a form that no reader knows.
    """
    commit, files = _commit(name, revision)
    repository = Repository(name, commit, None, False, Place(dataset=name, language=config or "", split="all"))
    found: list[Path] = []
    splits = _splits(repository, files, config)
    for part in (config or "all", *splits):  # a card's names become those of files and folders here
        if PurePosixPath(part).name != part or part == ".." or "\\" in part or not part.isprintable():
            raise repository.error(f"{part!r} can be no name of a file", "download it and add its files")
    for split, patterns in splits.items():
        place = Place(dataset=name, language=config or "", split=split)
        kept = [batch for path in repository.fetch(patterns) for batch in batches(path, place)]
        ending, text = _written([rows for rows, _ in kept], kept[0][1]) if kept else (".jsonl", "")
        path = folder / (config or "") / f"{split}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
        found.append(path)
    return commit, found


def _commit(name: str, revision: str | None) -> tuple[str, list[str]]:
    """The commit, and the files there; of a repository of code those of its Parquet conversion."""
    from huggingface_hub import HfApi, errors

    limit_waiting()
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ.get("HF_TOKEN") or False)
    try:
        info = api.dataset_info(name, revision=revision)
        files = [entry.rfilename for entry in info.siblings or ()]
        code = [file for file in files if "/" not in file and file.endswith(".py")]
        if revision is None and code and not any(kind_of(file) for file in files):
            if all(ref.ref != CONVERSION for ref in api.list_repo_refs(name, repo_type="dataset").converts):
                what = f"it is code ({code[0]}), which is never run, and it has no Parquet conversion"
                raise UserError(what, where=f"hub {name}", fix="download it otherwise and add its files")
            info = api.dataset_info(name, revision=CONVERSION)
            files = [entry.rfilename for entry in info.siblings or ()]
        return str(info.sha), files
    except errors.GatedRepoError:
        what, fix = "access is granted on its page", "ask there, then set HF_TOKEN"
    except errors.RevisionNotFoundError:
        what, fix = f"no commit or branch {revision!r}", "its page shows them"
    except errors.RepositoryNotFoundError:
        what, fix = "no such dataset, or it is private", "for a file say its path; for a private one set HF_TOKEN"
    except errors.OfflineModeIsEnabled:
        what, fix = "this is offline", "unset HF_HUB_OFFLINE"
    except UserError:
        raise
    except Exception as error:  # the hub's, or of the client's transport, whose package changes its name
        what, fix = f"the hub cannot be asked: {(str(error).strip().splitlines() or ['?'])[0]}", "is there a network?"
    raise UserError(what, where=f"hub {name}", fix=fix)


def _splits(repository: Repository, files: Sequence[str], config: str | None) -> dict[str, list[str]]:
    """Split -> patterns of its data files: as the repository's card says, else by the names of files."""
    declared = repository.configurations()
    if declared:
        names = [str(entry.get("config_name", "default")) for entry in declared]
        _known(repository, config, names)
        return split_patterns(declared[names.index(config) if config else 0].get("data_files", "*"))
    by_folder: dict[str, dict[str, list[str]]] = {}
    for file in files:
        path = PurePosixPath(file)
        folder = path.parts[0] if len(path.parts) > 1 and path.parts[0] != "data" else ""
        # a split is a part of the name, else the name of the folder (as in Parquet conversions)
        said = _SPLIT.search(path.name) or _SPLIT.fullmatch(path.parent.name)
        if kind_of(path.name) and said:
            by_folder.setdefault(folder, {}).setdefault(said[1].lower(), []).append(file)
    if not by_folder:
        raise repository.error("no data files whose names say a split", "download it and add its files")
    _known(repository, config, list(by_folder))
    return by_folder[config or next(iter(by_folder))]


def _known(repository: Repository, config: str | None, names: Sequence[str]) -> None:
    """Raises if a configuration is not there, or several are and none is said."""
    if (config is None and len(names) > 1) or (config is not None and config not in names):
        what = "it has several configurations" if config is None else f"no configuration {config!r}"
        raise repository.error(what, f"say --config: {', '.join(sorted(filter(None, names)))}")


def _written(batches: Sequence[Mapping[str, list[Any]]], features: Mapping[str, Any]) -> tuple[str, str]:
    """Rows as the text of a file, and its suffix: SQuAD's JSON, a word and a tag a line, or JSON lines."""
    rows = [dict(zip(batch, values, strict=True)) for batch in batches for values in zip(*batch.values(), strict=True)]
    rows = [{name: _named(value, features[name]) for name, value in row.items()} for row in rows]
    first = rows[0] if rows else {}
    if isinstance(first.get("answers"), Mapping) and {"context", "question", "id"} <= {*first}:
        return ".json", json.dumps({"data": list(_articles(rows))}, ensure_ascii=False)
    tags = [name for name, value in first.items() if _are_tags(name, value)]
    words = next((name for name in ("tokens", "words") if isinstance(first.get(name), list)), None)
    if words and tags:
        sentences = (zip(row[words], row[tags[0]], strict=True) for row in rows)
        return ".txt", "\n".join("".join(f"{word}\t{tag}\n" for word, tag in sentence) for sentence in sentences)
    return ".jsonl", "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)


def _are_tags(name: str, value: Any) -> bool:
    return (
        name.endswith(("tags", "labels", "upos")) and isinstance(value, list) and all(isinstance(x, str) for x in value)
    )


def _named(value: Any, feature: Any) -> Any:
    """A value with the names of its class labels in place of their numbers; -1 is the hub's unknown label."""
    names = getattr(feature, "names", None)
    if names and isinstance(value, int):
        return names[value] if 0 <= value < len(names) else None
    inner = getattr(feature, "feature", None)
    return [_named(one, inner) for one in value] if inner is not None and isinstance(value, list) else value


def _articles(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """One paragraph for each question, in SQuAD's form."""
    for row in rows:
        told = row["answers"]
        answers = [
            {"text": text, "answer_start": start}
            for text, start in zip(told["text"], told["answer_start"], strict=True)
        ]
        asked = {"id": row["id"], "question": row["question"], "answers": answers}
        yield {"title": row.get("title", ""), "paragraphs": [{"context": row["context"], "qas": [asked]}]}
