"""From a graph and the store to what is landed: facts about the study, its evaluations, contracts and stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from xtreme_dag.catalogue.published import published_count
from xtreme_dag.contracts.shared import Shared, shared_in
from xtreme_dag.core.files import canonical
from xtreme_dag.core.home import Home
from xtreme_dag.engine.graph import Stage
from xtreme_dag.engine.store import Record, Store
from xtreme_dag.results.facts import (
    Condition,
    ContractOutcome,
    CurveFacts,
    Evaluation,
    StageFacts,
    StudyFacts,
    TableFacts,
    TrainingFacts,
    TrialFacts,
)
from xtreme_dag.results.signals import signals_of
from xtreme_dag.study.file import Study

_OF_MANIFEST = ("git_commit", "libraries", "host", "started", "seconds", "peak_memory_bytes", "figures")


def study_facts(study: Study, tasks: Iterable[str]) -> StudyFacts:
    """A study as the database keeps it."""
    whole = study.model_dump(mode="json", exclude_none=True)
    conditions = tuple(Condition(name=name, description=whole["intermediate"][name]) for name in study.intermediate)
    return StudyFacts(
        name=study.study,
        question=study.question,
        baseline=study.compare.baseline,
        conditions=conditions,
        targets=tuple(tasks),
        seeds=study.seeds,
        source_language=study.source_language,
        recipe={key: whole[key] for key in ("benchmark", "data", "model", "recipe", "compare")},
    )


def evaluation(stage: Stage, record: Record, home: Home, supervision: str = "") -> Evaluation:
    """One evaluation; `supervision` is what its model was trained on in its language."""
    store = Store(home.store)
    artifact, texts = store.artifact(record.digest), None
    if told := record.manifest["inputs"].get("table"):
        made = store.read(told["key"])  # a part of an artifact has a digest of its own
        texts = store.artifact(made.digest) / "table.parquet" if made is not None else None
    scores = store.said(record, "scores.json")
    return Evaluation(
        stage_key=record.key,
        **{name: stage.labels[name] for name in ("condition", "task", "language", "split", "seed")},
        primary=scores["primary"],
        artifact=artifact,
        digest=record.digest,
        supervision=supervision,
        texts=texts,
    )


def table_facts(stage: Stage, record: Record, home: Home, stand_ins: Mapping[str, str]) -> TableFacts:
    """A prepared table; `stand_ins`: `dataset | language | split` -> what it really is."""
    counts = Store(home.store).said(record, "counts.json")
    of = {name: str(stage.labels[name]) for name in ("dataset", "language", "split")}
    generated = stage.params["reader"] == "miniworld"
    return TableFacts(
        **of,
        examples=counts["rows"],
        available=max(counts["read"], counts["rows"]),
        published=None if generated else published_count(of["dataset"], of["split"], of["language"]),
        stand_in=stand_ins.get(" | ".join(of.values()), ""),
    )


def training_facts(stage: Stage, record: Record, home: Home) -> list[TrainingFacts]:
    """What an intermediate or target training drew."""
    made = Store(home.store).said(record, "training.json")
    return [
        TrainingFacts(
            condition=str(stage.labels["condition"]),
            seed=int(stage.labels["seed"]),
            target=str(stage.labels.get("task", "")),
            step=stage.step,
            **{name: entry[name] for name in ("task", "dataset", "language", "examples", "tokens")},
        )
        for entry in made["composition"]
    ]


def curve_facts(stage: Stage, record: Record, home: Home) -> list[CurveFacts]:
    """How a training went: its loss and its looks at dev, and its speed and memory as it reported them."""
    made = Store(home.store).said(record, "training.json")
    curves: dict[str, list[tuple[int, float]]] = {}
    losses = made["loss_curve"]
    # means of nearly equal runs of steps; the first runs are the longer ones, see `training.artifact`
    for number, loss in enumerate(losses, start=1):
        size, longer = divmod(made["steps_done"], len(losses))
        curves.setdefault("loss", []).append((number * size + min(number, longer), loss))
    for look in made["selection"]:
        tasks = {f"dev {name}": value for name, value in look.items() if name not in ("step", "mean")}
        for name, value in {"dev": look["mean"], **(tasks if len(tasks) > 1 else {})}.items():
            curves.setdefault(name, []).append((look["step"], value))
    for done, told in record.manifest.get("course", ()):
        for name, value in told.items():
            if name != "loss":  # that of every step is in the artifact
                curves.setdefault(name, []).append((int(done), value))
    of: dict[str, Any] = {
        "stage_key": record.key,
        "kind": stage.kind,
        "condition": str(stage.labels.get("condition", "")),
        "seed": int(stage.labels.get("seed", 0)),
        "target": str(stage.labels.get("task", "")),
        "step": stage.step,
    }
    return [
        CurveFacts(**of, measure=name, at=tuple(at for at, _ in points), values=tuple(value for _, value in points))
        for name, points in curves.items()
    ]


def trial_facts(stage: Stage, record: Record, home: Home) -> list[TrialFacts]:
    """What a choice was made from: the trials of a grid, each with its figure on dev."""
    made = Store(home.store).said(record, "choice.json")
    of: dict[str, Any] = {name: stage.labels[name] for name in ("condition", "task", "seed")}
    return [
        TrialFacts(
            **of,
            trial=number + 1,
            settings=canonical(trial["settings"]),
            dev=trial["dev"],
            optimizer_step=trial["kept_step"],
            chosen=number == made["chosen"],
            stage_key=record.manifest["inputs"][f"trial/{number}"]["key"],
        )
        for number, trial in enumerate(made["trials"])
    ]


def contract_outcome(stage: Stage, record: Record, home: Home) -> ContractOutcome:
    """What a contract said of one table."""
    outcome = Store(home.store).said(record, "outcome.json")
    broken = tuple(rule for rule in outcome["rules"] if not rule["ok"])
    return ContractOutcome(
        **{name: outcome[name] for name in ("dataset", "language", "split", "ok")},
        rules=len(outcome["rules"]),
        violations=broken,
        digest=record.digest,
    )


def overlaps(stage: Stage, record: Record, home: Home) -> list[Shared]:
    """What an audit found that its table has of others."""
    return shared_in(Store(home.store).said(record, "overlap.json"))


def stage_facts(stage: Stage, record: Record, home: Home) -> StageFacts:
    """One stage, from its manifest, with the warnings that its artifact gives reason for."""
    manifest = record.manifest
    return StageFacts(
        key=record.key,
        kind=stage.kind,
        name=stage.name,
        digest=record.digest,
        fingerprint=manifest["code"],
        device=manifest["options"].get("device", "cpu"),
        processor=str(manifest.get("processor", "")),
        **{name: manifest[name] for name in _OF_MANIFEST},
        inputs={name: entry["digest"] for name, entry in manifest["inputs"].items()},
        # That a trial learnt nothing is no reason to doubt the model that another trial made.
        warnings=() if stage.kind == "trial" else signals_of(Store(home.store).artifact(record.digest)),
    )
