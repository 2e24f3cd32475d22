"""`xtreme-dag accept`: let a stage's artifact stand although its code changed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.code_changes import code_changes
from xtreme_dag.engine.ledger import CACHED, Ledger
from xtreme_dag.engine.plan import STALE, Planned, Planner, matching
from xtreme_dag.engine.store import Store
from xtreme_dag.program.options import home_option, opened, study_options


@click.command()
@study_options
@click.argument("stage", metavar="STAGE")
@click.option(
    "--why",
    "reason",
    required=True,
    metavar="TEXT",
    help="Why the change cannot alter the result; kept in the manifest.",
)
@home_option
def command(study_file: Path, overrides: tuple[str, ...], stage: str, reason: str, home: Home) -> None:
    """Let the artifact of a stale STAGE stand under its new code: a name, a kind, or target[*].

    Only the code may differ: a changed parameter, input or library version is refused.

    \b
    Example: xtreme-dag accept studies/demo.yaml target --why "renamed a variable"
    """
    if not reason.strip():
        raise UserError("is empty", where="--why", fix="say why the change cannot alter the result")
    study, built = opened(study_file, overrides)
    home.ensure()
    names = matching(built.graph, [stage])
    accepted = 0
    # An accepted stage makes the keys of the stages after it known: plan again until nothing more is accepted.
    while True:
        planner = Planner(home, study.study)
        plan = planner.plan(built.graph)
        ready = [p for p in plan.stages if p.stage.name in names and p.status == STALE and p.key]
        if not ready:
            break
        for planned in ready:
            _accept(planned, planner, home, study.study, reason)
            accepted += 1
    if not accepted:
        raise UserError(
            "nothing to accept: no such stage is stale through its code alone",
            where=stage,
            fix="xtreme-dag plan shows the reasons",
        )
    click.echo(f"accepted {accepted} stage{'s' if accepted != 1 else ''}: {reason}")


def _accept(planned: Planned, planner: Planner, home: Home, study: str, reason: str) -> None:
    store, ledger = Store(home.store), Ledger(home.ledger)
    other = [why for why in planned.reasons if not why.startswith("code ")]
    last = ledger.last(study).get(planned.stage.name)
    earlier = store.standing(last.key) if last and last.key else None
    if other or earlier is None:
        why = "; ".join(other) or "its earlier artifact is gone"
        raise UserError(
            f"cannot be accepted: {why}", where=planned.stage.name, fix="only a change of code can; run it instead"
        )
    code_digest, names = planner.keys.code(*planned.stage.roots)
    store.keep_code(code_digest, names)
    differing = code_changes(store.code(str(earlier.manifest["code"])), names)
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    note = {"why": reason, "from_key": earlier.key, "code": differing, "time": moment}
    store.accept(planned.key, earlier, {"code": code_digest, "function": planned.stage.function, "accepted": note})
    entry = {"time": moment, "run": "accept", "study": study, "stage": planned.stage.name, "kind": planned.stage.kind}
    ledger.append([{**entry, "key": planned.key, "outcome": CACHED, "why": reason}])
