"""`xtreme-dag why`: why a stage is cached, stale or failed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from xtreme_dag.core.durations import duration
from xtreme_dag.core.home import Home
from xtreme_dag.engine.graph import Output, Source
from xtreme_dag.engine.keys import Keys
from xtreme_dag.engine.plan import Planner, matching
from xtreme_dag.engine.provenance import maker
from xtreme_dag.engine.store import Store
from xtreme_dag.program.options import home_option, opened, study_options
from xtreme_dag.program.output import Answer, answers
from xtreme_dag.program.troubles import troubles


@click.command()
@study_options
@click.argument("stage", metavar="STAGE")
@click.option("--code", "show_code", is_flag=True, help="List every function, class and constant in its fingerprint.")
@answers
@home_option
def command(study_file: Path, overrides: tuple[str, ...], stage: str, show_code: bool, home: Home) -> Answer:
    """Why a STAGE of STUDY is as it is: its status, what changed, what it depends on, who made its artifact.

    \b
    Example: xtreme-dag why studies/demo.yaml "target[xnli | mixed | seed 1]"
    """
    study, built = opened(study_file, overrides)
    names = matching(built.graph, [stage])
    plan = Planner(home, study.study).plan(built.graph)
    store, keys = Store(home.store), Keys()
    found = []
    for planned in plan.stages:
        if planned.stage.name not in names:
            continue
        record = store.read(planned.key) if planned.key else None
        manifest = record.manifest if record else {}
        found.append(
            {
                "name": planned.stage.name,
                "status": planned.status,
                "reasons": list(planned.reasons),
                "key": planned.key,
                "digest": planned.digest,
                "function": planned.stage.function,
                "params": dict(planned.stage.params),
                "inputs": {name: _origin(source) for name, source in planned.stage.inputs.items()},
                "after": list(planned.stage.after),
                "not_in_key": dict(planned.stage.options),
                "made": {
                    name: manifest[name]
                    for name in ("started", "seconds", "host", "processor", "git_commit", "study", "libraries")
                    if name in manifest
                },
                "accepted": manifest.get("accepted"),
                "code": {name: form for name, (form, *_) in keys.code(*planned.stage.roots)[1].items()},
            }
        )
    return Answer(value=found, text=[line for one in found for line in _lines(one, show_code)], warnings=troubles(home))


def _lines(found: Mapping[str, Any], show_code: bool) -> list[str]:
    made, code = found["made"], found["code"]
    lines = [f"{found['name']}: {found['status']}", *(f"  because  {reason}" for reason in found["reasons"])]
    for name in ("key", "digest", "function", "params", "inputs", "after", "not_in_key"):
        if found[name]:
            lines.append(f"  {name:10} {found[name]}")
    if made:
        commit = made["git_commit"][:12] or "unknown"
        lines.append(f"  made       {made['started']} on {maker(made)} in {duration(made['seconds'])}, commit {commit}")
    if found["accepted"]:
        lines.append(f"  accepted   {found['accepted']}")
    lines.append(f"  code       {len(code)} names of the project{'' if show_code else ' (--code lists them)'}")
    return [*lines, *(f"             {name} {code[name]}" for name in (code if show_code else ()))]


def _origin(source: Source | Output) -> str:
    return (
        source.path.name if isinstance(source, Source) else source.stage + (f" ({source.part})" if source.part else "")
    )
