"""Ask the hub for a commit of each dataset that can be loaded without code, for a study to pin."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xtreme_dag.catalogue.catalogue import Dataset
from xtreme_dag.catalogue.entries import Hub, Split
from xtreme_dag.catalogue.sources.base import filled
from xtreme_dag.catalogue.sources.hub import HubSource
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.hub_client import limit_waiting
from xtreme_dag.data.readers.files import Place
from xtreme_dag.data.readers.hub_repository import Repository, kind_of, patterns_of

CONVERSION = "refs/convert/parquet"  # where the hub keeps a Parquet conversion of a repository, made by itself


@dataclass(kw_only=True)
class Revisions:
    """What the hub told; each by dataset.

    Attributes:
        commits: commit (40 hexadecimal digits) at which it can be loaded without code.
        loads: what lies at that commit, and which splits do not, in words.
        refused: why there is none.
    """

    commits: dict[str, str] = field(default_factory=dict)
    loads: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class _Lacking(Exception):
    """A repository has no readable files of a split at a commit; says which."""


def current_revisions(datasets: Iterable[Dataset], source: HubSource) -> Revisions:
    """Asks the hub for the newest commit of each dataset's repository, and what lies there.

    Where the repository itself has code instead of data, the commit is that of its Parquet conversion. Token and address
    of the hub are those of the environment (`HF_TOKEN`, `HF_ENDPOINT`), as when files are fetched.

    Args:
        datasets: of the catalogue; those that are not on the hub are passed over.
        source: says where each lies.

    Raises:
        UserError: the hub cannot be reached, or this is offline.
    """
    from huggingface_hub import HfApi, errors

    limit_waiting()
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ.get("HF_TOKEN") or False)
    told = Revisions()
    for dataset in datasets:
        entries = [hub for split in dataset.splits.values() if (hub := source.entry(dataset, split)) is not None]
        if not entries:
            continue
        name = entries[0].id
        try:
            told.commits[dataset.name], told.loads[dataset.name] = _loadable(api, dataset, name, source)
        except _Lacking as error:
            fix = f"name another in the study: data.hub.{dataset.name}.id"
            told.refused[dataset.name] = f"{name}: {error}; {fix}"
        except UserError as error:
            told.refused[dataset.name] = f"{name}: {error.what}"
        except errors.GatedRepoError:
            told.refused[dataset.name] = f"{name}: access is granted on its page; ask there, then set HF_TOKEN"
        except errors.RepositoryNotFoundError:
            told.refused[dataset.name] = f"{name}: no such dataset, or it is private; for a private one set HF_TOKEN"
        except errors.OfflineModeIsEnabled:
            raise UserError("this is offline", where="hub", fix="unset HF_HUB_OFFLINE") from None
        except errors.HfHubHTTPError as error:
            told.refused[dataset.name] = f"{name}: {str(error).strip().splitlines()[0]}"
        except Exception as error:  # of the client's transport, whose package changes its name between versions
            raise UserError(
                f"the hub cannot be reached: {error}", where=f"hub {name}", fix="is there a network?"
            ) from None
    return told


def _loadable(api: Any, dataset: Dataset, name: str, source: HubSource) -> tuple[str, str]:
    """The commit at which most splits of a dataset can be loaded without code, and what lies there.

    Raises:
        _Lacking: none can.
    """
    splits = [split for split in dataset.splits.values() if source.entry(dataset, split) is not None]
    commit, files = _listed(api, name, "main")
    lacks = _lacking(dataset, splits, source, commit, files)
    code = [file for file in files if "/" not in file and file.endswith(".py")]
    here = f"it is code ({code[0]})" if code and len(lacks) == len(splits) else _words(lacks)
    if not lacks:
        return commit, f"{name}, {_formats(files)}"
    if any(ref.ref == CONVERSION for ref in api.list_repo_refs(name, repo_type="dataset").converts):
        converted, others = _listed(api, name, CONVERSION)
        missing = _lacking(dataset, splits, source, converted, others)
        if len(missing) < len(lacks):
            more = f"; {_words(missing)}" if missing else ""
            return converted, f"{name}, its Parquet conversion ({here}){more}"
        here += f", and its Parquet conversion: {_words(missing)}"
    else:
        here += ", and it has no Parquet conversion"
    if len(lacks) == len(splits):
        raise _Lacking(here)
    return commit, f"{name}, {_formats(files)}; {_words(lacks)}"


def _listed(api: Any, name: str, revision: str) -> tuple[str, list[str]]:
    """The commit that a branch is at, and the files there."""
    info = api.dataset_info(name, revision=revision)
    return str(info.sha), [entry.rfilename for entry in info.siblings or ()]


def _lacking(
    dataset: Dataset, splits: Sequence[Split], source: HubSource, commit: str, files: Sequence[str]
) -> dict[str, str]:
    """Splits for which a repository has no file that can be read at a commit, in any language -> why."""
    place = Place(dataset=dataset.name, language="", split="", labels=())
    readable = [file for file in files if kind_of(file)]
    found: dict[str, str] = {}
    for split in splits:
        hub = source.entry(dataset, split)
        assert hub is not None
        declared: Sequence[Mapping[str, Any]] = ()
        if "README.md" in files and not hub.files:
            declared = Repository(hub.id, commit, source.cache, source.offline, place).configurations()
        why = ""
        for language in source.languages(dataset, split.name):
            try:
                if all(
                    any(_fits(file, pattern) for pattern in patterns for file in readable)
                    for patterns in _patterns(hub, language, declared)
                ):
                    break
                why = why or "no data files"
            except _Lacking as error:
                why = why or str(error)
        else:
            found[split.name] = why
    return found


def _patterns(hub: Hub, language: str, declared: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    """Patterns of the files of a split in a language, for each part that it is joined of."""
    if hub.files:
        yield from ([filled(pattern, language)] for pattern in hub.files.values())
        return
    for part in hub.split.split("+"):
        config = filled(hub.config, language) if hub.config else None
        yield patterns_of(declared, config, part, lambda what, fix: _Lacking(what))[0]


def _words(lacks: Mapping[str, str]) -> str:
    """The splits that a repository lacks, and why."""
    return f"without {', '.join(lacks)} ({next(iter(lacks.values()))})" if lacks else ""


def _fits(file: str, pattern: str) -> bool:
    """Whether a path fits a pattern: `*` within a folder, `**` across folders."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    tokens: Mapping[str, str] = parts
    form = re.sub(r"\*\*/|\*\*|\*|\?|[^*?]+", lambda m: tokens.get(m[0]) or re.escape(m[0]), pattern)
    return re.fullmatch(form, file) is not None


def _formats(files: Sequence[str]) -> str:
    """The formats of the data files of a repository."""
    kinds = sorted({kind for file in files if (kind := kind_of(file)) and file != "dataset_infos.json"})
    return " and ".join({"parquet": "Parquet", "json": "JSON", "csv": "CSV", "arrow": "Arrow"}[kind] for kind in kinds)
