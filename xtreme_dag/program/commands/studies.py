"""`xtreme-dag studies`: the studies that come with the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xtreme_dag.core.beside import shipped_studies
from xtreme_dag.program.output import Answer, answers, table

if TYPE_CHECKING:
    from xtreme_dag.study.file import Study


@click.command()
@answers
def command() -> Answer:
    """List the shipped studies: question, size, what they need. Every command takes one by its name.

    \b
    Example: xtreme-dag studies
             xtreme-dag plan real_small
             xtreme-dag new mine --from real_small
    """
    from xtreme_dag.study.file import load_study

    found = [_facts(name, load_study(path)) for name, path in shipped_studies().items()]
    rows = [(one["study"], one["size"], one["needs"], one["question"]) for one in found]
    return Answer(value=found, text=[table(("study", "size", "needs", "question"), rows)])


def _facts(name: str, study: Study) -> dict[str, Any]:
    from xtreme_dag.catalogue.catalogue import load_catalogue

    benchmarks = load_catalogue().benchmarks
    targets = {task for name in study.targets for task in benchmarks.get(name, (name,))}
    counts = {"condition": study.intermediate, "target": targets, "seed": study.seeds}
    size = [f"{len(each)} {word}{'s' if len(each) > 1 else ''}" for word, each in counts.items()]
    data, model = study.data, study.model
    needs = (
        ["no download"] if data.source == "miniworld" else [f"data in {data.folder}" if data.folder else data.source]
    )
    needs += [f"model {origin}" for origin in (model.hub, model.package, model.folder) if origin is not None]
    return {"study": name, "question": study.question, "size": " x ".join(size), "needs": ", ".join(needs)}
