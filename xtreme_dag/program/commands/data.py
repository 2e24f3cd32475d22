"""`xtreme-dag data`: list, show, check and add data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from xtreme_dag.catalogue.catalogue import Dataset, load_catalogue
from xtreme_dag.catalogue.languages import language_advice
from xtreme_dag.catalogue.sources import Source
from xtreme_dag.catalogue.sources.hub import HubSource
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.program.commands.data_add import add
from xtreme_dag.program.commands.data_text import as_json_table, checked_text, listed, listed_text, shown_text
from xtreme_dag.program.commands.sources import listening, opened, pinned_only, source_options
from xtreme_dag.program.options import home_option
from xtreme_dag.program.output import Answer, answers

EXAMPLE = """\b
Examples:
  xtreme-dag data ls --source folder:download
  xtreme-dag data show xnli de --source folder:download
  xtreme-dag data check --source folder:download --dataset xnli
  xtreme-dag data add nli/train-qu.tsv nli/test-nah.tsv --name andes_nli
  xtreme-dag data revisions --dataset xnli
"""


@click.group(name="data", epilog=EXAMPLE)
def command() -> None:
    """What data there are; show, check and add them."""


command.add_command(add)


@command.command(name="ls", epilog="Example: xtreme-dag data ls --source folder:download --dataset xnli")
@source_options
@click.option("--dataset", "names", multiple=True, help="Only this dataset; may be given more than once.")
@answers
def list_command(source: str, revisions: tuple[str, ...], names: tuple[str, ...]) -> Answer:
    """What is in the catalogue, what a source has, what is missing and how to get it."""
    catalogue, there = load_catalogue(), opened(source, revisions)
    found = [listed(catalogue.dataset(name), there) for name in names or catalogue.datasets]
    wrong = {} if names else {name: str(error) for name, error in catalogue.broken.items()}
    return Answer(
        value={"source": source, "datasets": found, "wrong": wrong},
        text=listed_text(found, detailed=bool(names)),
        warnings=wrong.values(),
    )


@command.command(epilog="Example: xtreme-dag data show xquad de --source folder:download --tokenizer my-xlmr")
@click.argument("dataset")
@click.argument("language")
@click.option("--split", "name", help="Which split; by default the first that the source has.")
@click.option(
    "--rows", "shown", type=click.IntRange(min=0), default=3, show_default=True, help="How many rows to print."
)
@click.option("--limit", type=click.IntRange(min=1), help="Take a sample of this many rows.")
@click.option("--tokenizer", type=click.Path(exists=True, path_type=Path), help="Folder of a tokenizer or a model.")
@source_options
@answers
def show(
    dataset: str, language: str, name: str | None, shown: int, limit: int | None, tokenizer: Path | None, source: str,
    revisions: tuple[str, ...],
) -> Answer:  # fmt: skip
    """First rows, counts, and how long the texts are (in characters, or in tokens of a tokenizer)."""
    from xtreme_dag.data.prepare.prepare import canonical
    from xtreme_dag.tables.lengths import length_percentiles, texts_of
    from xtreme_dag.wiring.tables import prepare_stage

    entry, there = load_catalogue().dataset(dataset), opened(source, revisions)
    split = name or next(
        (one for one in entry.splits if language in there.languages(entry, one)), next(iter(entry.splits))
    )
    located = there.locate(entry, language, split)
    prepare = prepare_stage(entry, language, entry.split(split), located, limit=limit)
    table, counts = canonical(prepare.params, located.files, located.options)
    report = {
        "dataset": dataset,
        "language": language,
        "split": split,
        "other_splits": [one for one in entry.splits if one != split and language in there.languages(entry, one)],
        "stand_in": located.stand_in,
        "notes": located.notes,
        "counts": counts,
        "unit": "tokens" if tokenizer else "characters",
        "length": length_percentiles(texts_of(table), tokenizer),
        "rows": table.slice(0, shown).to_pylist(),
    }
    return Answer(value=report, text=shown_text(entry, report))


@command.command(epilog="Example: xtreme-dag data check --source folder:download --dataset xnli --language de")
@source_options
@click.option("--dataset", "names", multiple=True, help="Only this dataset; may be given more than once.")
@click.option("--language", "codes", multiple=True, help="Only this language; may be given more than once.")
@home_option
@answers
def check(
    source: str, revisions: tuple[str, ...], names: tuple[str, ...], codes: tuple[str, ...], home: Home
) -> Answer:
    """Check all tables of a source against their contracts, and against one another.

    What did not change since the last check, or was prepared for a study, is not done again.
    Exit code 1 if a rule is violated or a file cannot be read; a warning does not count.
    """
    from xtreme_dag.program.survey import Survey, workers

    catalogue, there = load_catalogue(), opened(source, revisions)
    wanted = pinned_only(catalogue, there, names)
    _known(codes, there, [catalogue.dataset(name) for name in wanted])
    with listening() as listen:
        survey = Survey.of(catalogue, there, datasets=wanted, languages=codes)
        with workers(home, len(survey.wanted)) as executor:
            tables = survey.run(executor, listen)
    ok = not any(table.violations for table in tables)
    value = {"source": source, "ok": ok, "tables": [as_json_table(table) for table in tables]}
    if not tables:
        of = f"{', '.join(names)}" if names else "the catalogue"
        inside = f" in {', '.join(codes)}" if codes else ""
        click.echo(f"{source} has no tables of {of}{inside}; see xtreme-dag data ls --source {source}", err=True)
    return Answer(value=value, text=checked_text(tables), ok=ok and bool(tables))


def _known(codes: Sequence[str], source: Source, datasets: Sequence[Dataset]) -> None:
    """Refuses a language that none of the datasets has; a check of it would find no violation."""
    declared = {code for entry in datasets for split in entry.splits.values() for code in split.languages}
    there = {code for entry in datasets for split in entry.splits for code in source.languages(entry, split)}
    for code in codes:
        if code not in declared | there:
            fix = language_advice(code, sorted(there or declared))
            raise UserError(f"no language {code!r}", where=", ".join(entry.name for entry in datasets[:3]), fix=fix)


@command.command(epilog="Example: xtreme-dag data revisions --dataset xnli --dataset mnli")
@click.option("--dataset", "names", multiple=True, help="Only this dataset; may be given more than once.")
@click.option("--source", default="hub", show_default=True, metavar="SOURCE",
              help="hub, or study:FILE for the ids that a study names (data.hub.DATASET.id).")  # fmt: skip
@answers
def revisions(names: tuple[str, ...], source: str) -> Answer:
    """Ask the hub at which commits its datasets are now, as lines for a study file, and what lies there.

    A commit is told if all splits can be loaded from it without code: that of the repository, or of its Parquet
    conversion where the repository has code alone. Only the repositories' cards are fetched. A study keeps the commits
    that it was written with, so its data cannot change under it. Exit code 1 if the hub did not tell one.
    """
    from xtreme_dag.data.revisions import current_revisions

    catalogue, there = load_catalogue(), opened(source)
    if not isinstance(there, HubSource):
        raise UserError(f"{source} is not the hub", where="--source", fix="hub, or a study whose data are on the hub")
    told = current_revisions([catalogue.dataset(name) for name in names or catalogue.datasets], there)
    found, refused = told.commits, told.refused
    for name, why in refused.items():
        click.echo(f"{name}: {why}", err=True)
    for name in names:
        if name not in found and name not in refused:
            click.echo(f"{name}: not on the hub; {catalogue.dataset(name).get}", err=True)
    lines = [
        "data:\n  hub:\n    revisions:",
        *(f'      {name}: "{commit}"  # {told.loads[name]}' for name, commit in found.items()),
    ]
    ok = not refused and all(name in found for name in names)
    return Answer(
        value={"revisions": found, "loads": told.loads, "refused": refused}, text=lines if found else (), ok=ok
    )
