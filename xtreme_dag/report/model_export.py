"""A model of a study as a folder of transformers, with a card that says where it comes from and what it can do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.home import Home
from xtreme_dag.core.hub_client import limit_waiting
from xtreme_dag.engine.digests import FileDigests
from xtreme_dag.engine.records import Record
from xtreme_dag.engine.store import Store
from xtreme_dag.heads.export import Exported, export_model
from xtreme_dag.model.adapters import ADAPTER
from xtreme_dag.results.draws import SIDES, draw
from xtreme_dag.results.pairs import find_metric, leaf_of
from xtreme_dag.results.predictions import read_rows
from xtreme_dag.results.query import reader
from xtreme_dag.results.render import markdown
from xtreme_dag.tables.predictions import CLUSTER

_CONFIDENCE, _RESAMPLES = 0.95, 2000
_GENERATED = "miniworld"  # the reader of generated data


@dataclass(frozen=True, kw_only=True)
class Score:
    """One score of a model, 0-100.

    Attributes:
        task, language, split, metric: of what.
        value: the score.
        low, high: the 95 % interval, by resampling the examples: another model of the same training would differ more.
        examples: how many.
    """

    task: str
    language: str
    split: str
    metric: str
    value: float
    low: float
    high: float
    examples: int


def export_stage(
    home: Home,
    stage: str,
    out: Path,
    *,
    head: str | None = None,
    study: str | None = None,
    base: Path | None = None,
) -> Exported:
    """Writes the model of a stage as a folder of transformers, with `README.md`, its model card.

    An adapter that a stage keeps alone is merged into its base model.

    Args:
        home: where the study ran.
        stage: the stage's name (`target[xnli | mixed | seed 1]`), or the start of its key; or a model folder, whose card
            then knows no lineage.
        out: a folder that does not exist yet, or is empty.
        head: which head, where the model has several.
        study: whose stage, where several studies have one of this name.
        base: the folder of the base model of an adapter, where that is not in the store.

    Raises:
        UserError: no such model, or several; it is damaged or its weights were dropped; see `export_model`.
    """
    folder = Path(stage).expanduser()
    if (folder / "config.json").is_file() or (folder / "encoder").is_dir() or (folder / ADAPTER).is_dir():
        bases = () if base is None else (base,)
        title = folder.resolve().name
        return export_model(folder, out, bases=bases, head=head, card=lambda done: card(done, title=title))
    store = Store(home.store)
    record = find_model(home, store, stage, study)
    line = list(lineage(store, record))
    under = list(_stands_on(store, line))
    with store.reading(*(one.digest for one in (record, *under) if isinstance(one, Record))):
        for one in (record, *(one for one in under if isinstance(one, Record))):
            if store.is_dropped(one):
                raise UserError("its weights were dropped", where=one.name, fix="`xtreme-dag run` makes them again")
            if damaged := store.damaged_files(one):
                raise UserError(f"{damaged[0]} is missing or damaged", where=one.name, fix="`xtreme-dag verify`")
        return export_model(
            store.artifact(record.digest),
            out,
            bases=[store.artifact(one.digest) if isinstance(one, Record) else _given(home, one, base) for one in under],
            head=head,
            max_length=_max_length(line),
            card=lambda done: card(done, title=record.name, line=line, scores=scores_of(store, record)),
        )


def _stands_on(store: Store, line: list[Record]) -> Iterator[Record | Mapping[str, Any]]:
    """What an adapter was trained beside, then what that stands on: records, last perhaps a folder outside the store."""
    if not (store.artifact(line[0].digest) / ADAPTER).is_dir():
        return
    inputs = _trained(line).manifest["inputs"]
    for name in ("model", *(f"base/{number}" for number in range(1, len(inputs)))):
        if name in inputs:
            made = store.read(inputs[name].get("key", ""))
            yield made if made is not None else inputs[name]


def _given(home: Home, wanted: Mapping[str, Any], base: Path | None) -> Path:
    """The base model's folder as the user names it, if it is the one that was trained beside."""
    name = str(wanted.get("source") or wanted.get("stage"))
    if base is None:
        what = f"the stage keeps an adapter, and its base model {name} is not in the store"
        raise UserError(what, where="model export", fix="name its folder: --base FOLDER")
    if FileDigests(home.caches / "digests.json").digest(base.absolute()) != wanted["digest"]:
        what = f"is not the base model {name} that the adapter was trained beside: its files differ"
        raise UserError(what, where=str(base))
    return base


def _trained(line: list[Record]) -> Record:
    """The record of the training that made a model: of a chosen trial's artifact, that of the trial."""
    return next((one for one in line if one.digest == line[0].digest and "recipe" in one.manifest["params"]), line[0])


def find_model(home: Home, store: Store, stage: str, study: str | None = None) -> Record:
    """The record of a stage that made a model.

    Raises:
        UserError: there is none, or several.
    """
    models = [one for one in store.records() if "heads.json" in one.files and study in (None, one.manifest["study"])]
    found = [one for one in models if one.name == stage or (len(stage) >= 8 and one.key.startswith(stage))]
    if not found:
        names = sorted({one.name for one in models})
        raise UserError(
            f"no stage {stage!r} made a model here",
            where=f"home {home.root}",
            fix=nearest(stage, names) if names else "run a study first: `xtreme-dag demo`",
        )
    if len({one.digest for one in found}) > 1:
        with reader(home, predictions=False) as connection:
            rows = connection.execute("SELECT stage_key FROM stages WHERE current").fetchall()
        found = [one for one in found if (one.key,) in rows] or found
    if len({one.digest for one in found}) > 1:
        told = ", ".join(f"{one.key[:12]} ({one.manifest['study']}, {one.manifest['started'][:16]})" for one in found)
        raise UserError(f"{len(found)} models have the name {stage!r}", fix=f"name one by the start of its key: {told}")
    return found[0]


def lineage(store: Store, record: Record) -> Iterator[Record]:
    """A record and all that it depends on, each once, the nearest first."""
    waiting, seen = [record], {record.key}
    while waiting:
        one = waiting.pop(0)
        yield one
        for entry in one.manifest["inputs"].values():
            key = entry.get("key", "")
            if key and key not in seen and (found := store.read(key)) is not None:
                seen.add(key)
                waiting.append(found)


def scores_of(store: Store, record: Record) -> list[Score]:
    """The scores of the evaluations of a model, by task and language."""
    import pyarrow.parquet as pq

    catalogue, found = load_catalogue(), []
    for one in store.records():
        model = one.manifest["inputs"].get("model", {})
        if model.get("digest") != record.digest or "scores.json" not in one.files or store.intact(one.key) is None:
            continue
        folder = store.artifact(one.digest)
        told = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        if not told["metrics"]:
            continue
        names = pq.read_schema(folder / "predictions.parquet").names
        added = catalogue.tasks[told["task"]].metrics if told["task"] in catalogue.tasks else ()
        metric = find_metric(told["primary"], names, told["task"], added)
        cluster = CLUSTER if CLUSTER in names else ""
        rows = read_rows(folder / "predictions.parquet", metric, cluster)
        leaf = leaf_of(told["language"], {(SIDES[0], 0): rows}, metric, cluster)
        drawn = draw([leaf], metric, resamples=_RESAMPLES, seed=0, task=told["task"])[leaf.language].resampled[0][:, 0]
        low, high = np.quantile(drawn, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
        found.append(
            Score(
                task=told["task"],
                language=told["language"],
                split=told["split"],
                metric=told["primary"],
                value=told["metrics"][told["primary"]],
                low=float(low),
                high=float(high),
                examples=leaf.examples,
            )
        )
    return sorted(set(found), key=lambda score: (score.task, score.split, score.language))


def card(done: Exported, *, title: str, line: list[Record] | None = None, scores: list[Score] | None = None) -> str:
    """The model card: what it is, how to use it, where it comes from, its scores, its data and their licences.

    Args:
        done: what was exported.
        title: the stage's name.
        line: the stage's record and all that it depends on; None where that is not known.
        scores: of the model.
    """
    made = _trained(line).manifest if line else {}
    prepared = [one.manifest["params"] for one in line or () if one.manifest["kind"] == "prepare"]
    meta: dict[str, Any] = {
        "library_name": "transformers",
        **({"pipeline_tag": done.pipeline} if done.pipeline else {}),
        **({"language": sorted({str(one["language"]) for one in prepared})} if prepared else {}),
        "tags": ["xtreme-dag"],
    }
    parts = [_front_matter(meta), f"# {title}"]
    what = f"A `{done.kind}` head on its encoder" if done.head else "An encoder"
    labels = f" with the labels {', '.join(done.labels)}" if done.labels else ""
    parts.append(f"{what}{labels}, {done.parameters:,} weights, as `{done.class_name}` of transformers.")
    if done.merged:
        parts.append("It was trained as a LoRA adapter, which is merged into its base model here.")
    if done.usage:
        parts += ["## Use", f'```python\nfolder = "."\n{done.usage}\n```']
    if line:
        parts += ["## Where it comes from", _origin(made, line)]
    if scores:
        heads = ["task", "language", "split", "metric", "score", "95 % interval", "examples"]
        rows = [
            [s.task, s.language, s.split, s.metric, f"{s.value:.2f}", _interval(s), f"{s.examples:,}"] for s in scores
        ]
        parts += [
            "## Scores",
            markdown(heads, rows).strip(),
            "The intervals are over the examples of this one model; models of other seeds may differ by more.",
        ]
    if prepared:
        parts += ["## Data and licences", _data(prepared)]
    return "\n\n".join(parts) + "\n"


def _interval(score: Score) -> str:
    """Nothing where all examples are alike: resampling them cannot tell how sure the score is."""
    return f"{score.low:.2f} to {score.high:.2f}" if score.low < score.high else ""


def _front_matter(meta: Mapping[str, Any]) -> str:
    import yaml

    return f"---\n{yaml.safe_dump(dict(meta), sort_keys=False, allow_unicode=True)}---"


def _origin(made: Mapping[str, Any], line: list[Record]) -> str:
    recipe = json.dumps(made["params"].get("recipe", made["params"]), sort_keys=True, ensure_ascii=False)
    steps = [one for one in line if one.manifest["kind"] in ("pretrain", "intermediate", "trial", "target", "model")]
    raw = sorted({
        str(entry["source"]) for one in steps for entry in one.manifest["inputs"].values() if "source" in entry
    })  # fmt: skip
    rows = [[one.name, one.key[:12], one.digest[:12], one.manifest["git_commit"][:12] or "unknown"] for one in steps]
    lines = [
        f"Study `{made['study']}`, made {made['started'][:10]} on {made['options'].get('device') or 'cpu'} with "
        f"{', '.join(f'{name} {version}' for name, version in sorted(made['libraries'].items()))}.",
        *([f"Base model: {', '.join(raw)}."] if raw else []),
        f"Settings: `{recipe}`",
        markdown(["stage", "key", "artifact", "commit"], rows).strip(),
    ]
    return "\n\n".join(lines)


def _data(prepared: list[Mapping[str, Any]]) -> str:
    """One line for each dataset and split; generated data has the benchmark's names and nothing else of it."""
    known = load_catalogue().datasets
    languages: dict[tuple[str, str, str, str], set[str]] = {}
    for one in prepared:
        entry, generated = known.get(one["dataset"]), one.get("reader") == _GENERATED
        licence = "generated" if generated else (entry.licence if entry else "") or "not known"
        source = "this project's miniworld" if generated else (entry.citation if entry else "") or "not known"
        languages.setdefault((one["dataset"], one["split"], licence, source), set()).add(one["language"])
    return markdown(
        ["dataset", "split", "licence", "source", "languages"],
        [[*place, " ".join(sorted(codes))] for place, codes in sorted(languages.items())],
    ).strip()


def _max_length(line: list[Record]) -> int | None:
    """To how many tokens the model's own training data was cut."""
    for entry in _trained(line).manifest["inputs"].values():
        for one in line:
            if one.key == entry.get("key") and one.manifest["kind"] == "encode":
                return int(one.manifest["params"]["max_length"])
    return None


def hub() -> Any:
    """The hub, with the token and the address of the environment (`HF_TOKEN`, `HF_ENDPOINT`).

    Raises:
        UserError: there is no token.
    """
    from huggingface_hub import HfApi

    limit_waiting()
    token = os.environ.get("HF_TOKEN")
    if not token:
        raise UserError("there is no token to push with", where="--push", fix="set HF_TOKEN in the environment")
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=token)


def push(api: Any, folder: Path, repository: str) -> str:
    """Puts an exported folder on the hub, in one commit; returns its address.

    Raises:
        UserError: the hub refuses.
    """
    from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

    where = f"--push {repository}"
    try:
        name = api.create_repo(repository, exist_ok=True).repo_id
        return str(api.upload_folder(repo_id=name, folder_path=str(folder), commit_message="Add the model"))
    except HFValidationError as error:
        raise UserError(" ".join(str(error).split())[:200], where=where) from None
    except OfflineModeIsEnabled:
        raise UserError("the hub is switched off", where=where, fix="unset HF_HUB_OFFLINE") from None
    except Exception as error:  # the hub's, or of the client's transport, whose package changes its name
        said = " ".join(str(error).replace(api.token, "***").split())[:200]
        raise UserError(f"the hub refuses ({said})", where=where, fix="the folder is written: push it again") from None
