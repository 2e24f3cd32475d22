"""`xtreme-dag verify-resume`: prove that a killed training stage ends with the same bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.calls import Request
from xtreme_dag.engine.graph import Output, Source, Stage
from xtreme_dag.engine.plan import CACHED, Plan, Planner, matching
from xtreme_dag.engine.store import Store
from xtreme_dag.program.options import home_option, opened, study_options, threads_option
from xtreme_dag.program.output import Answer, answers, say

_TRAINING = "xtreme_dag.training.stages:"


@click.command()
@study_options
@click.option("--stage", "name", metavar="STAGE", required=True, help="A training stage, as `plan` names it.")
@click.option("--kills", type=click.IntRange(min=1), default=1, show_default=True, help="How often it is killed.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the steps at which it is killed.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ... or auto.")
@threads_option
@answers
@home_option
def command(
    study_file: Path,
    overrides: tuple[str, ...],
    name: str,
    kills: int,
    seed: int,
    device: str,
    threads: int,
    home: Home,
) -> Answer:
    """Run a training stage of STUDY once unbroken and once killed and resumed; exit 1 unless the bytes are equal.

    The store is only read: what the stage needs must be in it. Nothing is committed.

    \b
    Example: xtreme-dag verify-resume studies/demo.yaml --stage "target[xnli | mixed | seed 1]" --kills 3
    """
    from xtreme_dag.program.resume_proof import verify_resume

    study, built = opened(study_file, overrides)
    found = matching(built.graph, [name])
    if len(found) != 1:
        raise UserError(f"{name!r} names {len(found)} stages", where="--stage", fix="name one, as `plan` prints it")
    plan = Planner(home, study.study).plan(built.graph)
    planned = plan.by_name[found.pop()]
    stage = planned.stage
    if not stage.function.startswith(_TRAINING):
        raise UserError(f"{stage.name} does not train, so it has nothing to resume", where="--stage")
    store = Store(home.store)
    with tempfile.TemporaryDirectory(prefix="xtreme-dag-verify-") as folder:
        request = Request(
            function=stage.function,
            params=stage.params,
            imports=stage.of.imports,
            inputs={key: _path(source, stage, plan, store) for key, source in stage.inputs.items()},
            out=Path(folder),
            scratch=Path(folder),
            options={**stage.options, "device": device, "threads": threads},
        )
        verdict = verify_resume(request, Path(folder) / "runs", kills=kills, seed=seed, say=say)
    stored = store.read(planned.key) if planned.status == CACHED else None
    as_stored = (
        None if stored is None else dict(verdict.files) == {key: value[0] for key, value in stored.files.items()}
    )
    outcome = "the same bytes" if verdict.equal else f"OTHER bytes in {', '.join(verdict.differing)}"
    lines = [
        *verdict.resumed,
        f"{stage.name}: {verdict.steps} steps, killed after {', '.join(map(str, verdict.killed_after))}: {outcome}",
    ]
    if as_stored is not None:
        lines.append("the artifact in the store has " + ("the same bytes too" if as_stored else "other bytes"))
    value = {"stage": stage.name, **vars(verdict), "equal": verdict.equal, "equal_to_stored": as_stored}
    return Answer(value=value, text=lines, ok=verdict.equal)


def _path(source: Source | Output, stage: Stage, plan: Plan, store: Store) -> Path:
    """Where an input of the stage lies."""
    if isinstance(source, Source):
        return source.path
    parent = plan.by_name[source.stage]
    if parent.status != CACHED:
        raise UserError(f"needs {source.stage}, which is {parent.status}", where=stage.name, fix="run the study first")
    record = store.read(parent.key)
    if record is not None and store.is_dropped(record, source.part):
        raise UserError(f"needs {source.stage}, whose weights were dropped", where=stage.name,
                        fix=f"xtreme-dag run STUDY --set keep=all --force {source.stage!r}")  # fmt: skip
    folder = store.artifact(parent.digest)
    return folder / source.part if source.part else folder
