"""`xtreme-dag why`: one stage in full: status, reasons, what it reads, which code it reaches."""

from __future__ import annotations

from pathlib import Path

import click

from xtreme_dag.core.durations import duration
from xtreme_dag.core.home import Home, home_option
from xtreme_dag.engine.graph import Output, Source
from xtreme_dag.engine.keys import Keys
from xtreme_dag.engine.plan import Planner, matching
from xtreme_dag.engine.store import Store
from xtreme_dag.program.commands.shared import json_option, opened, print_json, study_options


@click.command()
@study_options
@click.argument("stage", metavar="STAGE")
@click.option("--code", "show_code", is_flag=True, help="List every function, class and constant in its fingerprint.")
@json_option
@home_option
def command(
    study_file: Path, overrides: tuple[str, ...], stage: str, show_code: bool, as_json: bool, home: Home
) -> None:
    """Why a STAGE of STUDY is as it is: its status, what changed, what it hangs on, who made its artifact.

    \b
    Example: xtreme-dag why studies/demo.yaml "target[xnli | mixed | seed 1]"
    """
    study, built = opened(study_file, overrides)
    names = matching(built.graph, [stage])
    plan = Planner(home, study.study).plan(built.graph)
    store, keys = Store(home.store), Keys()
    answers = []
    for planned in plan.stages:
        if planned.stage.name not in names:
            continue
        record = store.read(planned.key) if planned.key else None
        manifest = record.manifest if record else {}
        answers.append(
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
                    for name in ("started", "seconds", "host", "git_commit", "study", "libraries")
                    if name in manifest
                },
                "accepted": manifest.get("accepted"),
                "code": dict(keys.code(planned.stage.function)[1]),
            }
        )
    if as_json:
        print_json(answers)
        return
    for answer in answers:
        _print(answer, show_code)


def _print(answer: dict[str, object], show_code: bool) -> None:
    click.echo(f"{answer['name']}: {answer['status']}")
    reasons, code, made = answer["reasons"], answer["code"], answer["made"]
    assert isinstance(reasons, list) and isinstance(code, dict) and isinstance(made, dict)
    for reason in reasons:
        click.echo(f"  because  {reason}")
    for name in ("key", "digest", "function", "params", "inputs", "after", "not_in_key"):
        if answer[name]:
            click.echo(f"  {name:10} {answer[name]}")
    if made:
        click.echo(
            f"  made       {made['started']} on {made['host']} in {duration(made['seconds'])}, commit {made['git_commit'][:12] or 'unknown'}"
        )
    if answer["accepted"]:
        click.echo(f"  accepted   {answer['accepted']}")
    click.echo(f"  code       {len(code)} names of the project{'' if show_code else ' (--code lists them)'}")
    for name in code if show_code else ():
        click.echo(f"             {name} {code[name]}")


def _origin(source: Source | Output) -> str:
    return (
        source.path.name if isinstance(source, Source) else source.stage + (f" ({source.part})" if source.part else "")
    )
